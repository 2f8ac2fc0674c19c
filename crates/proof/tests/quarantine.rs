//! Rows for which an expression fails are written all the same, wait in quarantine, are named and can be repaired; what was deleted or
//! corrected meanwhile waits for nothing.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use std::time::{Duration, Instant};

use concertina_proof::compare::query;
use concertina_proof::drive;
use concertina_proof::world::{Database, World};
use concertina_run::engine::Confirm;
use concertina_run::quarantine::Entry;
use concertina_run::state::{MigrationFile, MigrationState, MigrationStatus};
use concertina_run::{Engine, Error};
use tokio_postgres::{Client, NoTls};

const YES: Confirm = Confirm { destroy: true };

/// A key of two columns that want quoting, one of them a time; the application may write the table and nothing else.
const TYPED: &str = r#"
    CREATE ROLE app LOGIN;
    CREATE TABLE t ("Id" bigint, at timestamptz, v text NOT NULL, note text, PRIMARY KEY ("Id", at));
    INSERT INTO t SELECT i, '2026-01-01 00:00Z', i::text FROM generate_series(1, 300) AS i;
    GRANT SELECT, INSERT, UPDATE, DELETE ON t TO app;"#;

const TO_INT: &str = "ALTER TABLE t ALTER v TYPE int USING v::int";

const DERIVED: &str = "
    CREATE ROLE app LOGIN;
    CREATE TABLE t (id bigint PRIMARY KEY, price text, other int) PARTITION BY RANGE (id);
    CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (1000);
    CREATE TABLE t_high PARTITION OF t DEFAULT;
    CREATE FUNCTION cents(price text) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT (price::numeric * 100)::bigint';
    REVOKE ALL ON FUNCTION cents(text) FROM PUBLIC;
    INSERT INTO t SELECT i, (i / 10.0)::text FROM generate_series(1, 300) AS i;
    GRANT SELECT, INSERT, UPDATE, DELETE ON t TO app;";

const FILL: &str = "ALTER TABLE t ADD cents bigint; UPDATE t SET cents = cents(price)";

fn file(text: &str) -> [MigrationFile; 1] {
    [MigrationFile { name: "0001_it".to_owned(), text: text.to_owned() }]
}

async fn expanded(database: &Database<'_>, text: &str) -> Engine {
    let engine = drive::looking(&database.url()).await.unwrap();
    engine.init().await.unwrap();
    engine.expand(&file(text), None).await.unwrap();
    engine
}

async fn app(database: &Database<'_>) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url_of("app"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn rows(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{} {}", entry.row(), entry.sqlstate)).collect()
}

async fn status(engine: &Engine, text: &str) -> MigrationStatus {
    engine.status(&file(text)).await.unwrap().remove(0)
}

fn blocked<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Blocked { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rows_that_cannot_be_converted_wait_until_they_are_repaired() {
    let world = World::start().await.unwrap();
    let database = world.database(TYPED).await.unwrap();
    let engine = expanded(&database, TO_INT).await;
    let app = app(&database).await;
    app.batch_execute(
        r#"SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo';
        UPDATE t SET v = 'x' || "Id" WHERE "Id" BETWEEN 1 AND 5;
        BEGIN; SAVEPOINT s; UPDATE t SET v = 'y' WHERE "Id" = 6; ROLLBACK TO s; COMMIT;
        INSERT INTO t VALUES (7, '2026-01-01 00:00Z', 'z') ON CONFLICT ("Id", at) DO NOTHING;
        INSERT INTO t VALUES (400, '2026-03-01 00:00Z', '') ON CONFLICT ("Id", at) DO UPDATE SET v = excluded.v;
        DELETE FROM t WHERE "Id" = 1;
        UPDATE t SET v = '22' WHERE "Id" = 2;
        UPDATE t SET note = 'unrelated' WHERE "Id" = 3"#,
    )
    .await
    .unwrap();
    let waiting = engine.quarantine().await.unwrap();
    let at = "at=2026-01-01";
    for (id, found) in ["3", "4", "5", "400"].iter().zip(rows(&waiting)) {
        assert!(found.starts_with(&format!("Id={id} at=2026-0")) && found.ends_with("22P02"), "{found}");
    }
    assert_eq!(waiting.len(), 4, "{waiting:?}");
    let now = status(&engine, TO_INT).await;
    assert_eq!((now.quarantine.len(), now.quarantine[0].rows), (1, 4));
    assert!(now.blocked_by[0].contains("the switch waits for 4 rows of public.t"), "{:?}", now.blocked_by);
    let what = blocked(engine.switch(&file(TO_INT), None).await);
    assert!(what.contains(at) && what.contains("invalid input syntax"), "{what}");

    // One is corrected by the application, one given a value, one is given one that is none, one deleted.
    app.batch_execute(r#"UPDATE t SET v = '33' WHERE "Id" = 3; DELETE FROM t WHERE "Id" = 400"#)
        .await
        .unwrap();
    let number = |id: &str| waiting.iter().find(|entry| entry.key[0].1 == id).unwrap().id;
    engine.set_quarantine(number("4"), "-44").await.unwrap();
    assert!(engine.set_quarantine(number("5"), "fifty").await.is_err());
    blocked(engine.set_quarantine(number("3"), "3").await);
    let left = engine.retry_quarantine(None).await.unwrap().left;
    assert_eq!(left.len(), 1, "{left:?}");
    engine.set_quarantine(number("5"), "55").await.unwrap();
    // What was given and then written over is open again.
    app.batch_execute(r#"UPDATE t SET v = 'again' WHERE "Id" = 5"#).await.unwrap();
    blocked(engine.switch(&file(TO_INT), None).await);
    let waiting = engine.quarantine().await.unwrap();
    engine.set_quarantine(waiting[0].id, "555").await.unwrap();
    engine.switch(&file(TO_INT), None).await.unwrap();
    let client = database.connect().await.unwrap();
    let sql = r#"SELECT "Id" * 1000 + v FROM t WHERE "Id" < 8 ORDER BY 1"#;
    let values = query(&client, sql).await.unwrap().concat();
    let expected = ["2022", "3033", "3956", "5555", "6006", "7007"];
    assert_eq!(values, expected.map(|value| Some(value.to_owned())));
    // Old values come back as old code wrote them.
    engine.undo(None).await.unwrap();
    let texts =
        query(&client, r#"SELECT v FROM t WHERE "Id" IN (4, 5) ORDER BY "Id""#).await.unwrap().concat();
    assert_eq!(texts, ["x4", "again"].map(|value| Some(value.to_owned())));
    let forgotten = query(&client, "SELECT count(*) FROM concertina.quarantine").await.unwrap().concat();
    assert_eq!(forgotten, [Some("0".to_owned())]);
}

#[tokio::test]
async fn values_that_only_the_new_type_holds_stop_undo() {
    let world = World::start().await.unwrap();
    let database = world
        .database("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL); INSERT INTO t SELECT i, i FROM generate_series(1, 50) AS i")
        .await
        .unwrap();
    let text = "ALTER TABLE t ALTER v TYPE bigint";
    let engine = expanded(&database, text).await;
    engine.switch(&file(text), None).await.unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute("UPDATE t SET v = 3000000000 WHERE id IN (3, 4)").await.unwrap();
    let now = status(&engine, text).await;
    assert!(now.quarantine[0].rows == 2 && now.quarantine[0].examples[0].contains("id=3"), "{now:?}");
    let what = blocked(engine.undo(None).await);
    assert!(what.contains("id=3") && what.contains("22003"), "{what}");
    assert_eq!(status(&engine, text).await.state, MigrationState::Switched);
    let waiting = engine.quarantine().await.unwrap();
    engine.set_quarantine(waiting[0].id, "-1").await.unwrap();
    client.batch_execute("UPDATE t SET v = 5 WHERE id = 4").await.unwrap();
    engine.undo(None).await.unwrap();
    let values = query(&client, "SELECT v FROM t WHERE id IN (3, 4) ORDER BY id").await.unwrap().concat();
    assert_eq!(values, ["-1", "5"].map(|value| Some(value.to_owned())));
}

#[tokio::test]
async fn a_derived_column_never_fails_a_write() {
    let world = World::start().await.unwrap();
    let database = world.database(DERIVED).await.unwrap();
    let engine = expanded(&database, FILL).await;
    let app = app(&database).await;
    // The application may not execute the function, and then may, but the value is bad.
    app.batch_execute("UPDATE t SET price = '9.99' WHERE id = 1; INSERT INTO t VALUES (2000, '8')")
        .await
        .unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute("GRANT EXECUTE ON FUNCTION cents(text) TO app").await.unwrap();
    app.batch_execute("UPDATE t SET price = 'one' WHERE id = 2; UPDATE t SET price = '3' WHERE id = 3")
        .await
        .unwrap();
    let waiting = engine.quarantine().await.unwrap();
    assert_eq!(rows(&waiting), ["id=1 42501", "id=2000 42501", "id=2 22P02"]);
    let what = blocked(engine.contract(&file(FILL), None, YES).await);
    assert!(what.contains("3 rows of public.t"), "{what}");
    let retried = engine.retry_quarantine(Some("0001_it")).await.unwrap();
    assert_eq!(
        (rows(&retried.repaired), rows(&retried.left)),
        (vec!["id=1 42501".to_owned(), "id=2000 42501".to_owned()], vec!["id=2 22P02".to_owned()],)
    );
    app.batch_execute("UPDATE t SET other = 1 WHERE id = 2").await.unwrap();
    engine.set_quarantine(retried.left[0].id, "100").await.unwrap();
    app.batch_execute("UPDATE t SET other = 2 WHERE id = 2").await.unwrap();
    engine.contract(&file(FILL), None, YES).await.unwrap();
    let sql = "SELECT cents FROM t WHERE id IN (1, 2, 3, 2000) ORDER BY id";
    let values = query(&client, sql).await.unwrap().concat();
    assert_eq!(values, ["999", "100", "300", "800"].map(|value| Some(value.to_owned())));
}

#[tokio::test]
async fn a_table_without_a_key_is_listed_and_corrected_by_hand() {
    let world = World::start().await.unwrap();
    let schema = "CREATE TABLE t (v text); INSERT INTO t SELECT i::text FROM generate_series(1, 50) AS i";
    let database = world.database(schema).await.unwrap();
    let text = "ALTER TABLE t ADD n int; UPDATE t SET n = v::int";
    let engine = expanded(&database, text).await;
    let client = database.connect().await.unwrap();
    client
        .batch_execute("UPDATE t SET v = 'x' WHERE v IN ('7', '8'); INSERT INTO t VALUES ('y')")
        .await
        .unwrap();
    let waiting = engine.quarantine().await.unwrap();
    assert_eq!(rows(&waiting), ["some rows 22P02"]);
    blocked(engine.contract(&file(text), None, YES).await);
    assert_eq!(engine.retry_quarantine(None).await.unwrap().left.len(), 1);
    blocked(engine.set_quarantine(waiting[0].id, "7").await);
    client.batch_execute("UPDATE t SET v = '7' WHERE v = 'x'; DELETE FROM t WHERE v = 'y'").await.unwrap();
    assert!(engine.quarantine().await.unwrap().is_empty());
    engine.contract(&file(text), None, YES).await.unwrap();
}

/// Many clients write good and bad values over each other, while somebody tries again all the time. No write fails, and in the end
/// exactly those rows wait that have a bad value.
#[tokio::test(flavor = "multi_thread")]
async fn many_clients_and_somebody_who_tries_again() {
    let world = World::start().await.unwrap();
    let database = world.database(TYPED).await.unwrap();
    let engine = expanded(&database, TO_INT).await;
    let until = Instant::now() + Duration::from_secs(3);
    let mut writers = Vec::new();
    for number in 0..8_u64 {
        let url = database.url_of("app");
        writers.push(tokio::spawn(async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let mut at = number;
            while Instant::now() < until {
                at = (at * 48_271 + number) % 2_147_483_647;
                let (id, value) = (at % 20 + 1, if at % 3 == 0 { "bad" } else { "1" });
                let sql = match at % 7 {
                    0 => format!(r#"DELETE FROM t WHERE "Id" = {id}"#),
                    1 => format!(r#"BEGIN; UPDATE t SET v = '{value}' WHERE "Id" = {id}; ROLLBACK"#),
                    2 => format!(
                        r#"INSERT INTO t VALUES ({id}, '2026-01-01 00:00Z', '{value}') ON CONFLICT ("Id", at) DO UPDATE SET v = excluded.v"#
                    ),
                    _ => format!(r#"UPDATE t SET v = '{value}' WHERE "Id" = {id}"#),
                };
                client.batch_execute(&sql).await.unwrap();
            }
        }));
    }
    while Instant::now() < until {
        engine.retry_quarantine(None).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let client = database.connect().await.unwrap();
    let bad =
        query(&client, r#"SELECT "Id"::text FROM t WHERE v = 'bad' ORDER BY "Id""#).await.unwrap().concat();
    let mut waiting: Vec<u64> =
        engine.quarantine().await.unwrap().iter().map(|entry| entry.key[0].1.parse().unwrap()).collect();
    waiting.sort_unstable();
    let mut bad: Vec<u64> = bad.into_iter().flatten().map(|id| id.parse().unwrap()).collect();
    bad.sort_unstable();
    assert_eq!(waiting, bad);
    client.batch_execute("UPDATE t SET v = '1' WHERE v = 'bad'").await.unwrap();
    engine.switch(&file(TO_INT), None).await.unwrap();
}
