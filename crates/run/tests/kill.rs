//! Killed by SIGKILL at every place there is, a run resumes to the same result.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use std::process::{Command, Stdio};

use concertina_lab::Server;
use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::{Action, Phase, Plan, Probe, RowSet, Step, Walk};
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::engine::Confirm;
use concertina_run::failpoint::{PLACES, VARIABLE};
use support::{file, plan, settings, store_in, table, transaction, update};

/// Where the killed child finds the server.
const SERVER: &str = "CONCERTINA_TEST_URL";

const NAME: &str = "0001_all";

fn everything() -> Plan {
    let index = Action::Alone {
        sql: "CREATE UNIQUE INDEX CONCURRENTLY t_w ON public.t (w)".into(),
        heal: Some("DROP INDEX CONCURRENTLY IF EXISTS public.t_w".into()),
    };
    let by_key = Walk::RowSet(RowSet {
        table: Name::new("concertina", "rows_of_t"),
        key: vec![Ident::new("id")],
        filter: None,
        alias: Ident::new("t"),
    });
    let proof =
        Action::Proof { query: "SELECT id FROM public.t WHERE w IS NULL".into(), violation: "no w".into() };
    let check = "ALTER TABLE public.t ADD CONSTRAINT w_there CHECK (w IS NOT NULL) NOT VALID";
    let validate = Action::Long { sql: "ALTER TABLE public.t VALIDATE CONSTRAINT w_there".into() };
    let contract = transaction("Drop x", &["ALTER TABLE public.t DROP COLUMN x"])
        .lock(&table("t"), LockMode::AccessExclusive);
    plan(
        NAME,
        vec![
            transaction("Add w", &["ALTER TABLE public.t ADD COLUMN w int"])
                .lock(&table("t"), LockMode::AccessExclusive),
            Step::new(
                Phase::Backfill,
                "Fill w",
                "",
                Action::Backfill(update("w", "id", "w IS NULL", Walk::Pages { stride: 4 })),
            ),
            Step::new(Phase::Backfill, "Count", "", Action::Backfill(update("v", "v + 1", "true", by_key))),
            Step::new(Phase::Validate, "Index", "", index)
                .probe(Probe::Index { name: table("t_w"), valid: true }),
            Step::new(Phase::Validate, "Prove", "", proof),
            Step { phase: Phase::Validate, ..transaction("Check", &[check]) }
                .lock(&table("t"), LockMode::AccessExclusive),
            Step::new(Phase::Validate, "Validate", "", validate),
            Step { phase: Phase::Contract, ..contract },
        ],
    )
}

async fn run_to_the_end(server_url: &str) {
    let files = [file(NAME)];
    let mut settings = settings();
    // A killed runner's lease is taken over after this long.
    settings.lease_ttl = std::time::Duration::from_secs(2);
    settings.lease_patience = std::time::Duration::from_secs(60);
    let run = support::runner_at(server_url, settings).await;
    run.engine.expand(&files, None).await.unwrap();
    run.engine.contract(&files, None, Confirm { destroy: true }).await.unwrap();
}

/// Not a test by itself: the process that is killed.
#[tokio::test]
async fn helper_that_is_killed() {
    if let Ok(url) = std::env::var(SERVER) {
        run_to_the_end(&url).await;
    }
}

/// Runs the child with a place armed; says whether it was killed there.
fn killed_at(url: &str, place: &str, nth: u32) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_is_killed"])
        .env(SERVER, url)
        .env(VARIABLE, format!("{place}:{nth}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    !status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_is_survived() {
    let server = Server::start_default().await.unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, x int);
               INSERT INTO t SELECT i, i, i FROM generate_series(1, 3000) i; ANALYZE t";
    server.psql("postgres", sql).await.unwrap();

    let mut reached = Vec::new();
    for place in PLACES.iter().filter(|place| !matches!(**place, "plan_stored" | "alone_failed")) {
        for nth in [1, 3] {
            server.psql("template1", "CREATE DATABASE victim TEMPLATE postgres").await.unwrap();
            store_in(&server, "victim", &everything()).await;
            let url = server.url("victim");
            if killed_at(&url, place, nth) {
                reached.push(*place);
            }
            run_to_the_end(&url).await;
            let result = "SELECT count(*), count(*) FILTER (WHERE v = id + 1 AND w = id),
                                 (SELECT bool_and(indisvalid AND indisunique) FROM pg_index WHERE indexrelid = 't_w'::regclass),
                                 (SELECT convalidated FROM pg_constraint WHERE conname = 'w_there'),
                                 (SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'x'),
                                 to_regclass('concertina.rows_of_t'), (SELECT state FROM concertina.migration) FROM t";
            assert_eq!(
                server.psql("victim", result).await.unwrap(),
                "3000|3000|t|t|0||done\n",
                "killed at {place}:{nth}"
            );
            server.psql("template1", "DROP DATABASE victim WITH (FORCE)").await.unwrap();
        }
    }
    for place in [
        "step_begun",
        "before_commit",
        "after_commit",
        "batch_before_commit",
        "row_set_made",
        "alone_begun",
        "alone_done",
    ] {
        assert!(reached.contains(&place), "{place} was never reached: {reached:?}");
    }
}
