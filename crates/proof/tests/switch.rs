//! A change of type between expand and contract: contract waits for the switch, the switch for those who still see the database as it
//! was, and a value that cannot be converted stops it, named.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use std::time::Duration;

use concertina_proof::compare::query;
use concertina_proof::drive::{self, Recorder};
use concertina_proof::world::{Database, World};
use concertina_run::engine::Confirm;
use concertina_run::event::Event;
use concertina_run::state::{MigrationFile, MigrationState};
use concertina_run::{Engine, Error};

const SCHEMA: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL);
    INSERT INTO t SELECT i, i::text FROM generate_series(1, 300) AS i;";

const YES: Confirm = Confirm { destroy: true };

fn file() -> [MigrationFile; 1] {
    let text = "ALTER TABLE t ALTER v TYPE int USING v::int".to_owned();
    [MigrationFile { name: "0001_int".to_owned(), text }]
}

async fn expanded(database: &Database<'_>) -> Engine {
    let engine = drive::looking(&database.url()).await.unwrap();
    engine.init().await.unwrap();
    engine.expand(&file(), None).await.unwrap();
    engine
}

async fn state(engine: &Engine) -> MigrationState {
    engine.status(&file()).await.unwrap()[0].state
}

#[tokio::test]
async fn contract_waits_for_the_switch() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let engine = expanded(&database).await;
    assert_eq!(state(&engine).await, MigrationState::Expanded);
    let waits = engine.contract(&file(), None, YES).await.unwrap();
    assert!(waits.moved.is_empty() && waits.waiting[0].1.contains("concertina switch"), "{waits:?}");
    engine.switch(&file(), None).await.unwrap();
    assert_eq!(state(&engine).await, MigrationState::Switched);
    let again = engine.switch(&file(), None).await.unwrap();
    assert_eq!(again.steps, 0);
    engine.contract(&file(), None, YES).await.unwrap();
    assert_eq!(state(&engine).await, MigrationState::Done);
}

#[tokio::test]
async fn a_value_that_cannot_be_converted_is_accepted_and_stops_the_switch() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let engine = expanded(&database).await;
    let client = database.connect().await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (1000, 'many'); UPDATE t SET v = 'few' WHERE id = 7")
        .await
        .unwrap();
    match engine.switch(&file(), None).await {
        Err(Error::Blocked { what, .. }) => {
            assert!(what.contains("id=1000") && what.contains("id=7"), "{what}")
        }
        other => panic!("{other:?}"),
    }
    client.batch_execute("UPDATE t SET v = '5' WHERE v !~ '^[0-9]+$'").await.unwrap();
    engine.switch(&file(), None).await.unwrap();
    let sum = query(&client, "SELECT v + 1 FROM t WHERE id IN (7, 1000)").await.unwrap();
    assert_eq!(sum.concat(), [Some("6".to_owned()), Some("6".to_owned())]);
    // New code's values are carried back, and old ones come back as they were.
    client.batch_execute("UPDATE t SET v = 77 WHERE id = 8").await.unwrap();
    engine.undo(None).await.unwrap();
    let texts = query(&client, "SELECT v || '' FROM t WHERE id IN (7, 8, 9) ORDER BY id").await.unwrap();
    assert_eq!(texts.concat(), ["5", "77", "9"].map(|text| Some(text.to_owned())));
}

#[tokio::test]
async fn what_was_made_on_the_column_meanwhile_is_not_lost() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let engine = expanded(&database).await;
    let client = database.connect().await.unwrap();
    for made in ["INDEX extra ON t (v)", "VIEW extra AS SELECT v FROM t"] {
        client.batch_execute(&format!("CREATE {made}")).await.unwrap();
        match engine.switch(&file(), None).await {
            Err(Error::Violated { .. }) => {}
            other => panic!("{made}: {other:?}"),
        }
        let noun = made.split(' ').next().unwrap_or_default();
        client.batch_execute(&format!("DROP {noun} extra")).await.unwrap();
    }
    engine.switch(&file(), None).await.unwrap();
}

#[tokio::test]
async fn who_still_sees_the_rows_as_they_were_is_waited_for() {
    let world = World::start().await.unwrap();
    let database = world.database(SCHEMA).await.unwrap();
    let reader = database.connect().await.unwrap();
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    let recorder = Recorder::new(usize::MAX);
    let engine = drive::engine(&database.url(), drive::settings(), &recorder).await.unwrap();
    engine.init().await.unwrap();
    // What builds an index would wait for the reader, too.
    engine.expand(&file(), None).await.unwrap();
    let waits = async {
        let waiting = |event: &Event| matches!(event, Event::Waiting { reason, .. } if reason.contains("as it was before"));
        while !recorder.events().iter().any(waiting) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let rows = query(&reader, "SELECT count(*) FROM t WHERE v = id::text").await.unwrap();
        reader.batch_execute("COMMIT").await.unwrap();
        rows.concat()
    };
    let files = file();
    let (switched, seen) = tokio::join!(engine.switch(&files, None), waits);
    switched.unwrap();
    assert_eq!(seen, [Some("300".to_owned())]);
    let rows = query(&reader, "SELECT count(*) FROM t WHERE v = id").await.unwrap();
    assert_eq!(rows.concat(), [Some("300".to_owned())]);
}
