//! Several migrations in flight at once: columns apart do not meet, a renaming takes the whole table, and each can be contracted
//! or taken back while another waits.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use concertina_plan::diagnostic::{Code, Diagnostic};
use concertina_proof::drive::{self, Recorder};
use concertina_proof::world::World;
use concertina_run::engine::Confirm;
use concertina_run::state::{MigrationFile, MigrationState, MigrationStatus};
use concertina_run::{Engine, Error};

const SCHEMA: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, a int, b int, c int);
    INSERT INTO t SELECT i, i, i, i FROM generate_series(1, 500) AS i;
    CREATE TABLE other (id bigint PRIMARY KEY);";

fn file(name: &str, text: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: text.to_owned() }
}

async fn engine(url: &str) -> Engine {
    let engine = drive::engine(url, drive::settings(), &Recorder::new(usize::MAX)).await.unwrap();
    engine.init().await.unwrap();
    engine
}

fn refused(result: Result<impl std::fmt::Debug, Error>) -> Diagnostic {
    match result {
        Err(Error::Refused { mut diagnostics, .. }) => diagnostics.remove(0),
        other => panic!("{other:?}"),
    }
}

fn of<'s>(status: &'s [MigrationStatus], name: &str) -> &'s MigrationStatus {
    status.iter().find(|migration| migration.name == name).unwrap()
}

const YES: Confirm = Confirm { destroy: true };

#[tokio::test]
async fn columns_apart_do_not_meet() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let files = [
        file("0001_a", "ALTER TABLE t ALTER a SET NOT NULL"),
        file("0002_b", "ALTER TABLE t DROP COLUMN b"),
        file("0003_c", "ALTER TABLE t ALTER c SET NOT NULL; DROP TABLE other"),
    ];
    let engine = engine(&database.url()).await;
    engine.expand(&files, None).await.unwrap();
    let status = engine.status(&files).await.unwrap();
    assert!(status.iter().all(|migration| migration.state == MigrationState::Expanded));
    assert!(
        of(&status, "0002_b")
            .claims
            .iter()
            .any(|claim| claim.write && claim.object() == "column b of public.t")
    );

    // Without a name it is not clear which is meant.
    match engine.undo(None).await {
        Err(Error::CannotUndo { why, .. }) => assert!(why.contains("0001_a, 0002_b, 0003_c"), "{why}"),
        other => panic!("{other:?}"),
    }
    // The second first, then the third is taken back while the first waits; the first last.
    engine.contract(&files, Some("0002_b"), YES).await.unwrap();
    engine.undo(Some("0003_c")).await.unwrap();
    engine.contract(&files, Some("0001_a"), YES).await.unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute("INSERT INTO t (id, a, c) VALUES (1000, 1, 1); SELECT id FROM other").await.unwrap();
    assert!(client.batch_execute("INSERT INTO t (id) VALUES (1001)").await.is_err());
    assert!(client.batch_execute("SELECT b FROM t").await.is_err());
    // And once more, and the contracted ones back.
    engine.expand(&files, Some("0003_c")).await.unwrap();
    engine.undo(Some("0003_c")).await.unwrap();
    engine.undo(Some("0002_b")).await.unwrap();
    engine.undo(Some("0001_a")).await.unwrap();
    client.batch_execute("INSERT INTO t (id) VALUES (1001); SELECT b FROM t").await.unwrap();
}

#[tokio::test]
async fn what_stands_on_a_column_does_not_wait_for_it_and_goes_first() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let files = [
        file(
            "0001_sum",
            "ALTER TABLE t ADD COLUMN sum int; UPDATE t SET sum = a + b; ALTER TABLE t ALTER sum SET NOT NULL",
        ),
        file("0002_index", "CREATE INDEX t_sum ON t (sum)"),
    ];
    let engine = engine(&database.url()).await;
    engine.expand(&files, None).await.unwrap();
    let status = engine.status(&files).await.unwrap();
    assert_eq!(of(&status, "0001_sum").state, MigrationState::Expanded);
    assert_eq!(of(&status, "0002_index").state, MigrationState::Done);
    match engine.undo(Some("0001_sum")).await {
        Err(Error::CannotUndo { why, .. }) => assert!(why.contains("0002_index ran after it"), "{why}"),
        other => panic!("{other:?}"),
    }
    engine.undo(Some("0002_index")).await.unwrap();
    engine.undo(Some("0001_sum")).await.unwrap();
}

#[tokio::test]
async fn a_renaming_takes_the_whole_table() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let files = [
        file("0001_rename", "ALTER TABLE t RENAME TO u"),
        file("0002_apart", "ALTER TABLE other ADD COLUMN x int; ALTER TABLE other ALTER x SET DEFAULT 1"),
        file("0003_column", "ALTER TABLE u ADD COLUMN x int"),
        file("0004_key", "CREATE TABLE child (u bigint REFERENCES u)"),
        file("0005_view", "CREATE VIEW v AS SELECT id FROM u"),
        file("0006_old", "CREATE TABLE t (id int)"),
    ];
    let engine = engine(&database.url()).await;
    engine.expand(&files[..2], None).await.unwrap();
    let status = engine.status(&files).await.unwrap();
    assert_eq!(of(&status, "0001_rename").state, MigrationState::Expanded);
    assert_eq!(of(&status, "0002_apart").state, MigrationState::Done);
    for (at, name) in [(2, "0003_column"), (3, "0004_key"), (4, "0005_view"), (5, "0006_old")] {
        let said = of(&status, name).blocked_by.join("; ");
        assert!(
            said.contains("0001_rename") && said.contains("after contract of 0001_rename"),
            "{name}: {said}"
        );
        let diagnostic = refused(engine.expand(&files[..=at], Some(name)).await);
        assert_eq!(diagnostic.code, Code::Overlap);
        // The old name is taken until contract.
        let object = if name == "0006_old" { "public.t" } else { "public.u" };
        assert!(diagnostic.message.contains(object), "{}", diagnostic.message);
        for part in ["0001_rename", "Drop view public.u and give public.t its name"] {
            assert!(name == "0006_old" || diagnostic.message.contains(part), "{}", diagnostic.message);
        }
        assert!(diagnostic.help.contains("after contract of 0001_rename"), "{}", diagnostic.help);
    }
    engine.contract(&files[..2], Some("0001_rename"), YES).await.unwrap();
    engine.expand(&files, None).await.unwrap();
    let client = database.connect().await.unwrap();
    client
        .batch_execute("SELECT x FROM u; SELECT u FROM child; SELECT id FROM v; SELECT id FROM t")
        .await
        .unwrap();
    // What was built upon the new name must go before it.
    match engine.undo(Some("0001_rename")).await {
        Err(Error::CannotUndo { why, .. }) => assert!(why.contains("take that back first"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn updates_that_give_both_names_different_values_are_counted() {
    let world = World::start().await.unwrap();
    let schema = format!(
        "{SCHEMA} CREATE ROLE count_writer LOGIN; GRANT SELECT, INSERT, UPDATE ON t TO count_writer;
         CREATE TABLE p (id int, a text) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT;
         INSERT INTO p VALUES (1, 'x'); GRANT SELECT, UPDATE ON p TO count_writer;"
    );
    let database = world.database(&schema).await.unwrap();
    let files = [file("0001_names", "ALTER TABLE t RENAME a TO \"Z\"; ALTER TABLE p RENAME a TO b")];
    let engine = engine(&database.url()).await;
    engine.expand(&files, None).await.unwrap();
    let counted = async || -> Vec<(String, String, u64)> {
        let status = engine.status(&files).await.unwrap();
        let counted = of(&status, "0001_names").double_writes.iter();
        counted.map(|pair| (pair.table.clone(), pair.new.clone(), pair.count)).collect()
    };
    let both =
        |t, p| vec![("public.t".to_owned(), "Z".to_owned(), t), ("public.p".to_owned(), "b".to_owned(), p)];
    assert_eq!(counted().await, both(0, 0));

    // A writer who may touch the tables, and nothing of ours.
    let world_url = database.url_of("count_writer");
    let (writer, connection) = tokio_postgres::connect(&world_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    writer
        .batch_execute(
            "UPDATE t SET a = 7, \"Z\" = 7 WHERE id = 1; UPDATE t SET a = 8 WHERE id = 1; UPDATE t SET \"Z\" = 9 WHERE id = 1;
             UPDATE t SET c = 1; INSERT INTO t (id, a) VALUES (1000, 1);",
        )
        .await
        .unwrap();
    assert_eq!(counted().await, both(0, 0));
    writer
        .batch_execute(
            "UPDATE t SET a = 10, \"Z\" = 11 WHERE id IN (1, 2); UPDATE t SET a = NULL, \"Z\" = 12 WHERE id = 3;
             UPDATE p SET a = 'A', b = 'B';",
        )
        .await
        .unwrap();
    assert_eq!(counted().await, both(3, 1));
    let rows = writer.query("SELECT a, \"Z\" FROM t WHERE id <= 3 ORDER BY id", &[]).await.unwrap();
    let rows: Vec<(i32, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(11, 11), (11, 11), (12, 12)]);

    engine.contract(&files, None, YES).await.unwrap();
    assert!(counted().await.is_empty());
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'counts\\_%'";
    let left: i64 = database.connect().await.unwrap().query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}
