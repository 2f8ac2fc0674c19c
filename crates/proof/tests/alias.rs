//! What works by the new name of a table between expand and contract, when it is a view, and what does not: the notices of the
//! plan name every SQLSTATE that comes, and nothing else comes. At contract prepared statements go on, but for whole rows.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use concertina_plan::plan::Plan;
use concertina_proof::drive::{self, Command};
use concertina_proof::world::World;
use concertina_run::Error;
use concertina_run::state::MigrationFile;
use tokio_postgres::Client;

const SCHEMA: &str = "
    CREATE TABLE old (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        a text NOT NULL DEFAULT 'd',
        b int CONSTRAINT old_b_key UNIQUE,
        c text DEFAULT 'c',
        g int GENERATED ALWAYS AS (b * 2) STORED
    );
    INSERT INTO old (b) SELECT generate_series(1, 5);";

/// Statements, and what comes of them by the new name: nothing, or a SQLSTATE that does not come by the old name.
const STATEMENTS: &[(&str, Option<&str>)] = &[
    ("INSERT INTO {t} (b) VALUES (100) RETURNING *", None),
    ("INSERT INTO {t} (b, a) VALUES (101, DEFAULT), (102, 'x')", None),
    ("INSERT INTO {t} VALUES (DEFAULT, 'x', 103, DEFAULT, DEFAULT)", None),
    ("INSERT INTO {t} DEFAULT VALUES", None),
    ("INSERT INTO {t} (id, b) OVERRIDING SYSTEM VALUE VALUES (900, 104)", None),
    ("INSERT INTO {t} (id, b) OVERRIDING USER VALUE VALUES (900, 104)", None),
    ("INSERT INTO {t} (b) VALUES (1) ON CONFLICT (b) DO UPDATE SET a = EXCLUDED.a || {t}.a", None),
    ("INSERT INTO {t} (b) VALUES (1) ON CONFLICT DO NOTHING", None),
    ("INSERT INTO {t} (b) VALUES (1) ON CONFLICT ON CONSTRAINT old_b_key DO NOTHING", Some("42704")),
    ("UPDATE {t} SET a = DEFAULT, c = DEFAULT WHERE id = 1", None),
    ("UPDATE {t} SET g = DEFAULT WHERE id = 1", Some("428C9")),
    ("UPDATE {t} SET id = DEFAULT WHERE id = 1", Some("428C9")),
    ("UPDATE {t} SET a = n.a FROM {t} AS n WHERE n.id = {t}.id RETURNING {t}.*", None),
    ("UPDATE ONLY {t} SET a = 'x' WHERE id = 1", None),
    ("DELETE FROM {t} USING {t} AS n WHERE n.id = {t}.id AND n.id = 2 RETURNING {t}.id", None),
    ("WITH w AS (INSERT INTO {t} (b) VALUES (500) RETURNING id) SELECT count(*) FROM w", None),
    ("SELECT id FROM {t} WHERE id = 1 FOR UPDATE", None),
    ("SELECT id FROM {t} WHERE id = 1 FOR NO KEY UPDATE OF {t} SKIP LOCKED", None),
    ("SELECT {t} FROM {t}", None),
    ("SELECT id, a FROM {t} GROUP BY id", Some("42803")),
    ("SELECT ctid FROM {t}", Some("42703")),
    ("SELECT tableoid, xmin FROM {t}", Some("42703")),
    ("SELECT count(*) FROM {t} TABLESAMPLE SYSTEM (100)", Some("0A000")),
    (
        "DECLARE c CURSOR FOR SELECT * FROM {t} FOR UPDATE; FETCH c; UPDATE {t} SET a = 'x' WHERE CURRENT OF c",
        Some("0A000"),
    ),
    ("COPY (SELECT * FROM {t}) TO '/dev/null'", None),
    ("COPY {t} TO '/dev/null'", Some("42809")),
    ("COPY {t} (b) FROM '/dev/null'", Some("42809")),
    ("TRUNCATE {t}", Some("42809")),
    ("LOCK TABLE {t} IN SHARE MODE", None),
    ("CREATE TABLE child (x int REFERENCES {t})", Some("42809")),
    ("CREATE INDEX ON {t} (a)", Some("42809")),
    ("ALTER TABLE {t} ADD COLUMN z int", Some("42809")),
    (
        "CREATE TRIGGER t BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        Some("42809"),
    ),
    ("DO $$ DECLARE r {t}%ROWTYPE; BEGIN SELECT * INTO r FROM {t} LIMIT 1; END $$", None),
];

const MERGE: &str =
    "MERGE INTO {t} USING (VALUES (1)) AS v (b) ON {t}.b = v.b WHEN MATCHED THEN UPDATE SET a = 'm'";

/// What comes of it through a view, where there is such a statement.
fn merge(world: &World) -> Option<(&'static str, Option<&'static str>)> {
    match world.major() {
        14 => None,
        15 | 16 => Some((MERGE, Some("0A000"))),
        _ => Some((MERGE, None)),
    }
}

async fn world() -> World {
    World::start().await.unwrap()
}

fn file(name: &str, text: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: text.to_owned() }
}

/// In a transaction that leaves nothing.
async fn outcome(client: &Client, sql: &str, table: &str) -> Option<String> {
    client.batch_execute("BEGIN").await.unwrap();
    let result = client.batch_execute(&sql.replace("{t}", table)).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    result.err().map(|error| error.code().unwrap().code().to_owned())
}

fn announced(plan: &Plan, state: &str) -> bool {
    plan.notices.iter().any(|notice| notice.message.contains(state))
}

#[tokio::test]
async fn by_the_new_name() {
    let world = world().await;
    let database = world.database(SCHEMA).await.unwrap();
    let (url, rename) = (database.url(), file("0001_rename", "ALTER TABLE old RENAME TO new"));
    let plan = drive::plan(&url, &rename).await.unwrap().unwrap();
    drive::run(&url, Command::Expand, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    let client = database.connect().await.unwrap();
    let merge = merge(&world);
    for (sql, expected) in STATEMENTS.iter().copied().chain(merge) {
        assert_eq!(outcome(&client, sql, "old").await, None, "by the old name: {sql}");
        let got = outcome(&client, sql, "new").await;
        assert_eq!(got.as_deref(), expected, "by the new name: {sql}");
        assert!(got.is_none_or(|state| announced(&plan, &state)), "{sql}: {:?}", plan.notices);
    }

    // Prepared over the view, run over the table.
    for (name, sql) in [
        ("one", "SELECT * FROM new WHERE id = $1"),
        ("two", "UPDATE new SET a = 'p' WHERE id = $1 RETURNING a"),
        ("whole", "SELECT new FROM new WHERE id = $1"),
    ] {
        client.batch_execute(&format!("PREPARE {name} AS {sql}; EXECUTE {name}(1)")).await.unwrap();
    }
    drive::run(&url, Command::Contract, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    assert_eq!(outcome(&client, "EXECUTE one(1); EXECUTE two(1)", "new").await, None);
    assert_eq!(outcome(&client, "EXECUTE whole(1)", "new").await.as_deref(), Some("0A000"));
    assert!(announced(&plan, "0A000"));
}

/// The table itself is a view until contract, and the plan says what that costs old code.
#[tokio::test]
async fn by_the_new_name_of_a_column() {
    let world = world().await;
    let schema =
        format!("{SCHEMA} CREATE FUNCTION low(old) RETURNS text LANGUAGE sql AS $$ SELECT lower($1.a) $$");
    let database = world.database(&schema).await.unwrap();
    let url = database.url();
    let rename = file(
        "0001_rename",
        "-- concertina:alias-view reason: its size\nALTER TABLE old RENAME COLUMN b TO second",
    );
    let plan = drive::plan(&url, &rename).await.unwrap().unwrap();
    let client = database.connect().await.unwrap();
    let row = ("SELECT low(o) FROM {t} AS o", Some("42883"));
    for (sql, _) in STATEMENTS.iter().copied().chain([row]) {
        assert_eq!(outcome(&client, sql, "old").await, None, "before: {sql}");
    }
    let prepared = [
        ("one", "SELECT a, b FROM old WHERE id = 1", None),
        ("two", "UPDATE old SET a = 'p' WHERE id = 1 RETURNING a", None),
        ("every", "SELECT * FROM old WHERE id = 1", Some("0A000")),
        ("whole", "SELECT old FROM old WHERE id = 1", Some("0A000")),
    ];
    for (name, sql, _) in prepared {
        client.batch_execute(&format!("PREPARE {name} AS {sql}; EXECUTE {name}")).await.unwrap();
    }

    drive::run(&url, Command::Expand, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    for (name, _, expected) in prepared {
        assert_eq!(outcome(&client, &format!("EXECUTE {name}"), "old").await.as_deref(), expected, "{name}");
    }
    let both = ("UPDATE {t} SET b = 50, second = 51 WHERE id = 1", Some("42601"));
    let merge = merge(&world);
    for (sql, expected) in STATEMENTS.iter().copied().chain([row, both]).chain(merge) {
        for sql in [sql.to_owned(), sql.replace("(b", "(second").replace(".b", ".second")] {
            let got = outcome(&client, &sql, "old").await;
            assert_eq!(got.as_deref(), expected, "{sql}");
            assert!(got.is_none_or(|state| announced(&plan, &state)), "{sql}: {:?}", plan.notices);
        }
    }

    for (name, sql) in
        [("three", "SELECT a, second FROM old WHERE id = 1"), ("four", "SELECT * FROM old WHERE id = 1")]
    {
        client.batch_execute(&format!("PREPARE {name} AS {sql}; EXECUTE {name}")).await.unwrap();
    }
    drive::run(&url, Command::Contract, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    assert_eq!(outcome(&client, "EXECUTE three; EXECUTE two", "old").await, None);
    assert_eq!(outcome(&client, "EXECUTE four", "old").await.as_deref(), Some("0A000"));
    assert_eq!(outcome(&client, row.0, "old").await, None);
}

/// DEFAULT means NULL through a view that has none; a row that leaves the column out gets the table's.
#[tokio::test]
async fn a_default_under_two_names() {
    let world = world().await;
    let database = world.database(SCHEMA).await.unwrap();
    let url = database.url();
    let rename = file(
        "0001_rename",
        "-- concertina:alias-view reason: its size\nALTER TABLE old RENAME COLUMN c TO second",
    );
    let plan = drive::plan(&url, &rename).await.unwrap().unwrap();
    drive::run(&url, Command::Expand, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    let client = database.connect().await.unwrap();
    for (sql, expected) in [
        ("INSERT INTO old (b) VALUES (100) RETURNING c", Some("c")),
        ("INSERT INTO old (b, c) VALUES (101, DEFAULT) RETURNING second", Some("c")),
        ("INSERT INTO old (b, second) VALUES (102, DEFAULT) RETURNING c", Some("c")),
        ("UPDATE old SET second = 'x' WHERE b = 100 RETURNING c", Some("x")),
        ("UPDATE old SET c = DEFAULT WHERE b = 100 RETURNING second", None),
    ] {
        let got: Option<String> = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(got.as_deref(), expected, "{sql}");
    }
    assert!(plan.notices.iter().any(|notice| notice.message.contains("= DEFAULT of public.old writes NULL")));
}

#[tokio::test]
async fn privileges_live_as_long_as_the_name() {
    let world = world().await;
    let schema = format!(
        "{SCHEMA} CREATE ROLE alias_reader; CREATE ROLE alias_writer; CREATE ROLE \"Alias Default\";
         GRANT SELECT ON old TO alias_reader; GRANT UPDATE (a) ON old TO alias_writer WITH GRANT OPTION;
         ALTER DEFAULT PRIVILEGES GRANT DELETE ON TABLES TO \"Alias Default\";"
    );
    let database = world.database(&schema).await.unwrap();
    let (url, rename) = (database.url(), file("0001_rename", "ALTER TABLE old RENAME TO new"));
    let client = database.connect().await.unwrap();
    let may = async |role: &str, privilege: &str| -> bool {
        let sql = "SELECT has_table_privilege($1::text::name, 'new', $2) OR has_any_column_privilege($1::text::name, 'new', $2)";
        let privileges =
            if privilege == "DELETE" { "SELECT has_table_privilege($1::text::name, 'new', $2)" } else { sql };
        client.query_one(privileges, &[&role, &privilege]).await.unwrap().get(0)
    };
    drive::run(&url, Command::Expand, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    assert!(may("alias_reader", "SELECT").await && !may("alias_reader", "UPDATE").await);
    assert!(may("alias_writer", "UPDATE").await && !may("alias_writer", "SELECT").await);
    assert!(!may("Alias Default", "DELETE").await, "default privileges of a view are none of the table's");
    client.batch_execute("GRANT INSERT ON new TO alias_reader").await.unwrap();
    drive::run(&url, Command::Contract, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    assert!(may("alias_reader", "INSERT").await && may("alias_writer", "UPDATE").await);
    drive::run(&url, Command::Undo, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    assert!(client.batch_execute("SELECT 1 FROM new").await.is_err());
    client.batch_execute("SELECT 1 FROM old").await.unwrap();
}

#[tokio::test]
async fn what_is_built_on_the_view_is_named_before_anything_is_done() {
    let world = world().await;
    let database = world.database(SCHEMA).await.unwrap();
    let (url, rename) = (database.url(), file("0001_rename", "ALTER TABLE old RENAME TO new"));
    drive::run(&url, Command::Expand, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    let client = database.connect().await.unwrap();
    client
        .batch_execute(
            "CREATE VIEW built AS SELECT id, a FROM new;
             CREATE FUNCTION takes(new) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
        .await
        .unwrap();
    for command in [Command::Contract, Command::Undo] {
        match drive::run(&url, command, &rename, usize::MAX).await.unwrap().outcome {
            Err(Error::Blocked { what, .. }) => {
                assert!(what.contains("view built") && what.contains("takes(new)"), "{what}");
            }
            other => panic!("{command:?}: {other:?}"),
        }
    }
    // The way out that is given: nobody misses the view for a moment, and it follows at contract.
    client
        .batch_execute("CREATE OR REPLACE VIEW built AS SELECT id, a FROM old; DROP FUNCTION takes(new)")
        .await
        .unwrap();
    drive::run(&url, Command::Contract, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    client.batch_execute("SELECT * FROM built").await.unwrap();
    // After contract there is nothing of ours that it could stand on.
    drive::run(&url, Command::Undo, &rename, usize::MAX).await.unwrap().outcome.unwrap();
    client.batch_execute("SELECT * FROM built, old").await.unwrap();
}
