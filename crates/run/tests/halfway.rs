//! Statements that PostgreSQL itself does in several transactions, interrupted between two: DETACH PARTITION CONCURRENTLY is
//! ended by FINALIZE, what REINDEX CONCURRENTLY leaves is dropped, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use std::time::Duration;

use concertina_lab::Server;
use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::{Action, Phase, Probe, Step};
use concertina_run::Error;
use concertina_run::settings::Settings;
use support::{plan, runner, settings, store, table, transaction};
use tokio_postgres::Client;

/// A transaction that has read the table, which both statements wait for.
async fn reader(server: &Server, table: &str) -> Client {
    let client = server.connect("postgres").await.unwrap();
    let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM {table} LIMIT 1");
    client.batch_execute(&sql).await.unwrap();
    client
}

/// Runs expand until `sql` says `t`, then asks it to stop.
async fn stopped_when(server: &Server, files: &[concertina_run::state::MigrationFile], sql: &str) {
    let first = runner(server, Settings { max_stall: Duration::from_millis(250), ..settings() }).await;
    let stop = async {
        while server.psql("postgres", sql).await.unwrap() != "t\n" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        first.stop.request();
    };
    let (result, ()) = tokio::join!(first.engine.expand(files, None), stop);
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
}

async fn with_partitions() -> Server {
    let server = Server::start_default().await.unwrap();
    let sql = "CREATE TABLE p (id int NOT NULL) PARTITION BY RANGE (id);
               CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
               INSERT INTO p SELECT generate_series(0, 999)";
    server.psql("postgres", sql).await.unwrap();
    server
}

fn detach() -> Step {
    let action = Action::Alone {
        sql: "ALTER TABLE public.p DETACH PARTITION public.p1 CONCURRENTLY".into(),
        heal: Some("ALTER TABLE public.p DETACH PARTITION public.p1 FINALIZE".into()),
    };
    let back = transaction(
        "Attach",
        &[
            "ALTER TABLE public.p ATTACH PARTITION public.p1 FOR VALUES FROM (0) TO (1000)",
            "ALTER TABLE public.p1 DROP CONSTRAINT IF EXISTS p1_id_check",
        ],
    );
    Step::new(Phase::Expand, "Detach", "", action)
        .lock(&table("p"), LockMode::ShareUpdateExclusive)
        .probe(Probe::Partition { table: table("p"), partition: table("p1"), attached: false })
        .undone_by(vec![back.lock(&table("p1"), LockMode::AccessExclusive)])
}

const PENDING: &str = "SELECT coalesce(bool_and(inhdetachpending), false) FROM pg_inherits";

const PARTITIONS: &str = "SELECT count(*), count(*) FILTER (WHERE inhdetachpending),
                          (SELECT count(*) FROM pg_constraint WHERE conrelid = 'p1'::regclass AND contype = 'c') FROM pg_inherits";

#[tokio::test]
async fn a_detachment_that_was_interrupted_is_ended() {
    let server = with_partitions().await;
    let files = [store(&server, &plan("0001_d", vec![detach()])).await];
    let old = reader(&server, "p").await;
    stopped_when(&server, &files, PENDING).await;
    assert_eq!(server.psql("postgres", PARTITIONS).await.unwrap(), "1|1|1\n");
    old.batch_execute("COMMIT").await.unwrap();

    let second = runner(&server, settings()).await;
    second.engine.expand(&files, None).await.unwrap();
    assert_eq!(server.psql("postgres", PARTITIONS).await.unwrap(), "0|0|1\n");
    let done = runner(&server, settings()).await;
    assert_eq!(done.engine.expand(&files, None).await.unwrap().steps, 0);
}

#[tokio::test]
async fn a_detachment_that_was_interrupted_is_taken_back() {
    let server = with_partitions().await;
    let files = [store(&server, &plan("0001_d", vec![detach()])).await];
    let old = reader(&server, "p").await;
    stopped_when(&server, &files, PENDING).await;
    old.batch_execute("COMMIT").await.unwrap();

    let second = runner(&server, settings()).await;
    second.engine.undo(None).await.unwrap();
    assert_eq!(server.psql("postgres", PARTITIONS).await.unwrap(), "1|0|0\n");
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM p").await.unwrap(), "1000\n");
}

/// Twins that others left: of another definition, under a name that is no index's, and one that the plan knows.
const OTHERS: &str = "
    CREATE INDEX t_v_ccnew7 ON t (id); CREATE INDEX other_ccnew ON t (v); CREATE INDEX t_v_ccold3 ON t (v);
    UPDATE pg_index SET indisvalid = false
    WHERE indexrelid IN ('t_v_ccnew7'::regclass, 'other_ccnew'::regclass, 't_v_ccold3'::regclass)";

const INDEXES: &str =
    "SELECT string_agg(indexrelid::regclass || CASE WHEN indisvalid THEN '' ELSE '!' END, ' '
                       ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 't'::regclass";

async fn with_index() -> Server {
    let server = Server::start_default().await.unwrap();
    let sql = "CREATE TABLE t (id int, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i;
               CREATE INDEX t_v ON t (v); CREATE INDEX t_id ON t (id)";
    server.psql("postgres", sql).await.unwrap();
    server.psql("postgres", OTHERS).await.unwrap();
    server
}

fn rebuild() -> Step {
    let action = Action::Alone { sql: "REINDEX INDEX CONCURRENTLY public.t_v".into(), heal: None };
    Step::new(Phase::Expand, "Rebuild", "", action).lock(&table("t"), LockMode::ShareUpdateExclusive).probe(
        Probe::Rebuilt { table: table("t"), index: Some(table("t_v")), known: vec![table("t_v_ccold3")] },
    )
}

const BUILDING: &str = "SELECT to_regclass('t_v_ccnew') IS NOT NULL";

const THEIRS: &str = "other_ccnew! t_id t_v t_v_ccnew7! t_v_ccold3!\n";

#[tokio::test]
async fn what_a_rebuild_left_is_dropped_and_nothing_else() {
    let server = with_index().await;
    let files = [store(&server, &plan("0001_r", vec![rebuild()])).await];
    let old = reader(&server, "t").await;
    stopped_when(&server, &files, BUILDING).await;
    let left = server.psql("postgres", INDEXES).await.unwrap();
    assert_eq!(left, "other_ccnew! t_id t_v t_v_ccnew! t_v_ccnew7! t_v_ccold3!\n");
    old.batch_execute("COMMIT").await.unwrap();

    let second = runner(&server, settings()).await;
    second.engine.expand(&files, None).await.unwrap();
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), THEIRS);
}

#[tokio::test]
async fn undo_drops_what_a_rebuild_left() {
    let server = with_index().await;
    let files = [store(&server, &plan("0001_r", vec![rebuild()])).await];
    let old = reader(&server, "t").await;
    stopped_when(&server, &files, BUILDING).await;
    old.batch_execute("COMMIT").await.unwrap();
    let second = runner(&server, settings()).await;
    second.engine.undo(None).await.unwrap();
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), THEIRS);
}
