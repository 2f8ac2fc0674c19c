//! `apply --simple`: files as written, as psql would run them, recorded.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use concertina_lab::Server;
use concertina_run::Error;
use concertina_run::state::{MigrationFile, MigrationState};
use support::{runner, settings};

fn file(name: &str, text: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: text.to_owned() }
}

async fn one(server: &Server, sql: &str) -> String {
    server.psql("postgres", sql).await.unwrap().trim().to_owned()
}

#[tokio::test]
async fn files_run_once_each_in_its_own_session() {
    let server = Server::start_default().await.unwrap();
    let files = [
        file("0001_a", "CREATE SCHEMA app; SET search_path = app; CREATE TABLE t (id int); -- end"),
        file(
            "0002_b",
            "BEGIN;\nCREATE TABLE u (id int);\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\nCOMMIT;",
        ),
        file("0003_empty", "-- nothing\n"),
    ];
    let run = runner(&server, settings()).await;
    let outcome = run.engine.apply_simple(&files).await.unwrap();
    assert_eq!((outcome.moved.len(), outcome.steps), (3, 7));
    assert_eq!(one(&server, "SELECT to_regclass('app.t'), to_regclass('public.u')").await, "app.t|u");
    assert_eq!(run.engine.apply_simple(&files).await.unwrap().moved.len(), 0);
    let status = run.engine.status(&files).await.unwrap();
    assert!(status.iter().all(|migration| migration.simple && migration.state == MigrationState::Done));
    let undo = run.engine.undo(Some("0001_a")).await.unwrap_err();
    assert!(matches!(undo, Error::CannotUndo { .. }));
}

#[tokio::test]
async fn a_failing_file_leaves_nothing_and_says_where() {
    let server = Server::start_default().await.unwrap();
    let files = [file("0001_a", "CREATE TABLE a ();"), file("0002_b", "CREATE TABLE b ();\n\nSELECT 1 / 0;")];
    let run = runner(&server, settings()).await;
    let error = run.engine.apply_simple(&files).await.unwrap_err();
    assert!(error.to_string().contains("0002_b.sql, line 3: division by zero"), "{error}");
    assert_eq!(one(&server, "SELECT to_regclass('a'), to_regclass('b')").await, "a|");
    let text = file("0003_c", "SELEC 1");
    assert!(matches!(run.engine.apply_simple(&[files[0].clone(), text]).await, Err(Error::Refused { .. })));
}

/// A file with CONCURRENTLY runs statement by statement, and goes on after the one that failed.
#[tokio::test]
async fn a_file_that_cannot_be_one_transaction_goes_on_where_it_stopped() {
    let server = Server::start_default().await.unwrap();
    let text = "CREATE TABLE t (id int);\nINSERT INTO t VALUES (1), (1);\nBEGIN; INSERT INTO t VALUES (2); ROLLBACK;\n\
                CREATE UNIQUE INDEX CONCURRENTLY i ON t (id);\nINSERT INTO t VALUES (3);";
    let files = [file("0001_a", text)];
    let run = runner(&server, settings()).await;
    let error = run.engine.apply_simple(&files).await.unwrap_err();
    assert!(error.to_string().contains("line 4"), "{error}");
    let online = run.engine.expand(&files, None).await.unwrap_err();
    assert!(online.to_string().contains("apply --simple"), "{online}");

    server.psql("postgres", "DROP INDEX i; DELETE FROM t; INSERT INTO t VALUES (1)").await.unwrap();
    run.engine.apply_simple(&files).await.unwrap();
    assert_eq!(one(&server, "SELECT string_agg(id::text, ',' ORDER BY id) FROM t").await, "1,3");
    assert_eq!(one(&server, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").await, "t");
    assert_eq!(run.engine.status(&files).await.unwrap()[0].state, MigrationState::Done);
}
