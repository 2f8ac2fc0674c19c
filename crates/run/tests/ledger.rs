//! The ledger on a real server: created once by however many, written inside transactions, refused where it is not ours.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

use concertina_lab::Server;
use concertina_run::connect::{Session, Target};
use concertina_run::error::Error;
use concertina_run::ledger::{self, NewMigration, StepKey};
use concertina_run::settings::Settings;
use concertina_run::state::{MigrationState, StepState};
use serde_json::json;

async fn session(server: &Server, role: &str, database: &str) -> Session {
    let target = Target::resolve(Some(&server.url_as(role, database))).unwrap();
    target.connect("test", &Settings::default()).await.unwrap()
}

#[tokio::test]
async fn many_create_it_at_once() {
    let server = Server::start_default().await.unwrap();
    server.create_database("shop").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let session = session(&server, "postgres", "shop").await;
        tasks.push(tokio::spawn(async move { ledger::ensure(&session.client).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let session = session(&server, "postgres", "shop").await;
    assert!(ledger::exists(&session.client).await.unwrap());
    let counts = "SELECT (SELECT count(*) FROM concertina.meta), (SELECT count(*) FROM concertina.lease)";
    assert_eq!(server.psql("shop", counts).await.unwrap(), "1|1\n");
}

#[tokio::test]
async fn a_migration_from_begin_to_undone_and_again() {
    let server = Server::start_default().await.unwrap();
    let mut session = session(&server, "postgres", "postgres").await;
    ledger::ensure(&session.client).await.unwrap();
    let who = session.who.clone();
    let new = NewMigration { name: "0001_a", checksum: "c1", plan: None, state: MigrationState::Expanding };

    let id = ledger::insert_migration(&session.client, new, &who).await.unwrap();
    assert!(matches!(
        ledger::insert_migration(&session.client, new, &who).await,
        Err(Error::Ledger { message }) if message.contains("0001_a")
    ));

    let key = StepKey::forward(id, 0);
    assert_eq!(
        ledger::begin_step(&session.client, key, session.pid, &session.backend_start).await.unwrap(),
        1
    );
    ledger::fail_step(&session.client, key, "boom").await.unwrap();
    assert_eq!(
        ledger::begin_step(&session.client, key, session.pid, &session.backend_start).await.unwrap(),
        2
    );
    ledger::add_victim_ms(&session.client, key, 1.5, 2.0).await.unwrap();
    ledger::add_victim_ms(&session.client, key, 1.0, 0.5).await.unwrap();
    assert_eq!(
        ledger::orphan_candidates(&session.client).await.unwrap(),
        [(session.pid, session.backend_start.clone())]
    );

    // What a rolled back transaction wrote is gone.
    let tx = session.client.transaction().await.unwrap();
    ledger::save_cursor(&tx, key, &json!({"at": 7}), 70).await.unwrap();
    ledger::finish_step(&tx, key, None).await.unwrap();
    tx.rollback().await.unwrap();
    let tx = session.client.transaction().await.unwrap();
    ledger::save_cursor(&tx, key, &json!({"at": 5}), 50).await.unwrap();
    tx.commit().await.unwrap();
    let step = ledger::steps(&session.client, id).await.unwrap().remove(0);
    assert_eq!((step.state, step.attempts, step.rows), (StepState::Running, 2, Some(50)));
    assert_eq!(
        (step.cursor, step.error, step.victim_ms, step.lock_wait_ms),
        (Some(json!({"at": 5})), None, 2.5, 2.5)
    );

    ledger::finish_step(&session.client, key, None).await.unwrap();
    // A step whose probe said that it is done never began.
    ledger::finish_step(&session.client, StepKey::forward(id, 1), None).await.unwrap();
    ledger::finish_step(&session.client, StepKey::undo(id, 1, 0), None).await.unwrap();
    ledger::mark_undone(&session.client, id, 1).await.unwrap();
    let steps = ledger::steps(&session.client, id).await.unwrap();
    let states: Vec<_> = steps.iter().map(|s| (s.direction, s.ordinal, s.sub, s.state)).collect();
    assert_eq!(
        states,
        [
            (ledger::Direction::Forward, 0, 0, StepState::Done),
            (ledger::Direction::Forward, 1, 0, StepState::Undone),
            (ledger::Direction::Undo, 1, 0, StepState::Done),
        ]
    );
    assert!(ledger::orphan_candidates(&session.client).await.unwrap().is_empty());

    ledger::set_error(&session.client, id, Some("stopped")).await.unwrap();
    ledger::set_state(&session.client, id, MigrationState::Undone, &who).await.unwrap();
    let again = NewMigration { checksum: "c2", ..new };
    assert_eq!(ledger::insert_migration(&session.client, again, &who).await.unwrap(), id);
    let row = ledger::migration(&session.client, "0001_a").await.unwrap().unwrap();
    assert_eq!((row.checksum.as_str(), row.state, row.error), ("c2", MigrationState::Expanding, None));
    assert_eq!(row.by, who);
    assert!(ledger::steps(&session.client, id).await.unwrap().is_empty());

    ledger::event(&session.client, Some("0001_a"), "expand_started", "begins", Some(&json!({"n": 1})), &who)
        .await
        .unwrap();
    let history = ledger::history(&session.client).await.unwrap();
    assert_eq!((history[0].event.as_str(), history[0].message.as_str()), ("expand_started", "begins"));
}

#[tokio::test]
async fn rights_are_asked_for_by_their_exact_grant() {
    let server = Server::start_default().await.unwrap();
    server.create_database("My Shop").await.unwrap();
    server.psql("postgres", "CREATE ROLE \"Owner\" LOGIN; CREATE ROLE other LOGIN").await.unwrap();

    let owner = session(&server, "Owner", "My Shop").await;
    let error = ledger::ensure(&owner.client).await.unwrap_err();
    let Error::Privilege { grant, .. } = error else { panic!("{error}") };
    let grant = grant.lines().next().unwrap().to_owned();
    assert_eq!(grant, "GRANT CREATE ON DATABASE \"My Shop\" TO \"Owner\"");
    assert!(!ledger::exists(&owner.client).await.unwrap());

    // Schemas made beforehand are enough.
    server.psql("My Shop", "CREATE SCHEMA concertina").await.unwrap();
    let error = ledger::ensure(&owner.client).await.unwrap_err();
    let Error::Privilege { grant, .. } = error else { panic!("{error}") };
    let narrower = grant.split("narrower: ").nth(1).unwrap();
    server.psql("My Shop", narrower).await.unwrap();
    let error = ledger::ensure(&owner.client).await.unwrap_err();
    let Error::Privilege { grant, .. } = error else { panic!("{error}") };
    assert_eq!(grant, "GRANT USAGE, CREATE ON SCHEMA concertina TO \"Owner\"");
    server.psql("My Shop", &grant).await.unwrap();
    ledger::ensure(&owner.client).await.unwrap();
    ledger::ensure(&owner.client).await.unwrap();

    let other = session(&server, "other", "My Shop").await;
    assert!(ledger::exists(&other.client).await.unwrap());
    let error = ledger::ensure(&other.client).await.unwrap_err();
    let Error::Privilege { grant, .. } = error else { panic!("{error}") };
    server.psql("My Shop", &grant).await.unwrap();
    ledger::ensure(&other.client).await.unwrap();
}

/// A migration is in flight, and its runner of the version before goes on while the ledger is brought up to date.
#[tokio::test]
async fn an_older_ledger_is_upgraded_in_place() {
    let server = Server::start_default().await.unwrap();
    let session = session(&server, "postgres", "postgres").await;
    let first = include_str!("../src/sql/ledger_1.sql");
    let schemas = "CREATE SCHEMA concertina; CREATE SCHEMA concertina_archive";
    session.client.batch_execute(&format!("{schemas}; {first}")).await.unwrap();
    let new = NewMigration { name: "0001_a", checksum: "c1", plan: None, state: MigrationState::Expanding };
    session
        .client
        .execute(
            "INSERT INTO concertina.migration (name, checksum, state, simple, by) VALUES ('0001_a', 'c1', 'expanding', false, 'me')",
            &[],
        )
        .await
        .unwrap();
    let row = ledger::migration(&session.client, "0001_a").await.unwrap().unwrap();
    let key = StepKey::forward(row.id, 0);
    ledger::begin_step(&session.client, key, session.pid, &session.backend_start).await.unwrap();
    ledger::save_cursor(&session.client, key, &json!({"at": 5}), 50).await.unwrap();

    // Looking needs no upgrade, and makes none.
    assert_eq!(ledger::check(&session.client).await.unwrap(), 1);
    assert!(ledger::spans(&session.client, row.id).await.unwrap().is_empty());
    assert!(ledger::estimates(&session.client, row.id).await.unwrap().is_empty());
    assert!(ledger::samples(&session.client).await.unwrap().is_empty());

    // What a runner has in an open transaction does not keep the upgrade waiting, nor the other way round.
    let mut other = self::session(&server, "postgres", "postgres").await;
    let open = other.client.transaction().await.unwrap();
    ledger::save_cursor(&open, key, &json!({"at": 7}), 70).await.unwrap();
    ledger::ensure(&session.client).await.unwrap();
    open.commit().await.unwrap();

    assert_eq!(ledger::check(&session.client).await.unwrap(), 4);
    let step = ledger::steps(&session.client, row.id).await.unwrap().remove(0);
    assert_eq!((step.state, step.rows, step.cursor), (StepState::Running, Some(70), Some(json!({"at": 7}))));
    assert!(ledger::spans(&session.client, row.id).await.unwrap().is_empty());
    // A second time nothing happens; and the new version's statements work on what the old one has begun.
    ledger::ensure(&session.client).await.unwrap();
    ledger::finish_step(&session.client, key, Some(90)).await.unwrap();
    ledger::set_state(&session.client, row.id, MigrationState::Undone, "me").await.unwrap();
    assert_eq!(ledger::insert_migration(&session.client, new, "me").await.unwrap(), row.id);
}

#[tokio::test]
async fn a_newer_ledger_and_a_copy_in_flight_are_refused() {
    let server = Server::start_default().await.unwrap();
    server.create_database("shop").await.unwrap();
    {
        let session = session(&server, "postgres", "shop").await;
        ledger::ensure(&session.client).await.unwrap();
        let simple = NewMigration::simple("0001_a", "c1");
        ledger::insert_migration(&session.client, simple, &session.who).await.unwrap();
    }

    // Everything is finished: a copy is as good as the original.
    server.create_database_from("shop", "staging").await.unwrap();
    let staging = session(&server, "postgres", "staging").await;
    ledger::ensure(&staging.client).await.unwrap();
    let known =
        "SELECT database_oid = d.oid FROM concertina.meta, pg_database d WHERE datname = current_database()";
    assert_eq!(server.psql("staging", known).await.unwrap(), "t\n");

    server.psql("shop", "UPDATE concertina.migration SET state = 'expanded'").await.unwrap();
    server.create_database_from("shop", "copy").await.unwrap();
    let copy = session(&server, "postgres", "copy").await;
    let error = ledger::ensure(&copy.client).await.unwrap_err();
    let Error::Ledger { message } = error else { panic!("{error}") };
    assert!(message.contains("0001_a"), "{message}");
    let way_out = message.split("run: ").nth(1).unwrap();
    server.psql("copy", way_out).await.unwrap();
    ledger::ensure(&copy.client).await.unwrap();

    server.psql("copy", "UPDATE concertina.meta SET version = 99").await.unwrap();
    assert!(
        matches!(ledger::ensure(&copy.client).await, Err(Error::Ledger { message }) if message.contains("version 99"))
    );
}

/// A part of it that is gone is neither made anew nor taken for "nothing has run so far".
#[tokio::test]
async fn a_damaged_ledger_is_said_and_left_as_it_is() {
    let server = Server::start_default().await.unwrap();
    for (number, table) in ["meta", "migration", "step", "event", "lease"].iter().enumerate() {
        let database = format!("d{number}");
        server.create_database(&database).await.unwrap();
        let session = session(&server, "postgres", &database).await;
        ledger::ensure(&session.client).await.unwrap();
        server.psql(&database, &format!("DROP TABLE concertina.{table} CASCADE")).await.unwrap();
        let said = |result: Result<(), Error>| match result {
            Err(Error::Ledger { message }) => message,
            other => panic!("{table}: {other:?}"),
        };
        let name = format!("concertina.{table} is missing");
        assert!(said(ledger::exists(&session.client).await.map(|_| ())).contains(&name), "{table}");
        assert!(said(ledger::ensure(&session.client).await).contains(&name), "{table}");
        let there = format!("SELECT to_regclass('concertina.{table}') IS NULL");
        assert_eq!(server.psql(&database, &there).await.unwrap(), "t\n");
    }
    // All of it gone is a beginning: whether something ran is then for people to say.
    server.psql("d0", "DROP SCHEMA concertina CASCADE").await.unwrap();
    let session = session(&server, "postgres", "d0").await;
    assert!(!ledger::exists(&session.client).await.unwrap());
    ledger::ensure(&session.client).await.unwrap();
    server.psql("d0", "DELETE FROM concertina.meta").await.unwrap();
    assert!(matches!(
        ledger::ensure(&session.client).await,
        Err(Error::Ledger { message }) if message.contains("concertina.meta has no row")
    ));
}
