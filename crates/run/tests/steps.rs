//! Steps on a real server: under locks, with failures, twice, and back again.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use std::time::Duration;

use concertina_lab::Server;
use concertina_plan::pg::lock::LockMode;
use concertina_plan::plan::{Action, LockClaim, Phase, Probe, Step, Undo};
use concertina_run::Error;
use concertina_run::engine::{Confirm, Engine};
use concertina_run::event::Event;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationState;
use support::{plan, runner, settings, store, table, transaction};

async fn with_table() -> Server {
    let server = Server::start_default().await.unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i";
    server.psql("postgres", sql).await.unwrap();
    server
}

fn add_column() -> Step {
    transaction("Add column w", &["ALTER TABLE public.t ADD COLUMN w int"])
        .lock(&table("t"), LockMode::AccessExclusive)
        .undone_by(vec![
            transaction("Drop column w", &["ALTER TABLE public.t DROP COLUMN w"])
                .lock(&table("t"), LockMode::AccessExclusive),
        ])
}

async fn columns(server: &Server) -> String {
    let sql = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
               WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped";
    server.psql("postgres", sql).await.unwrap().trim().to_owned()
}

async fn state(engine: &Engine) -> MigrationState {
    engine.status(&[]).await.unwrap()[0].state
}

#[tokio::test]
async fn a_plan_runs_once_and_back() {
    let server = with_table().await;
    let contract = Step {
        phase: Phase::Contract,
        ..transaction("Drop column v", &["ALTER TABLE public.t DROP COLUMN v"])
            .lock(&table("t"), LockMode::AccessExclusive)
            .undone_by(vec![transaction("Bring v back", &["ALTER TABLE public.t ADD COLUMN v int"])])
            .destroys()
    };
    let file = store(&server, &plan("0001_w", vec![add_column(), contract])).await;
    let files = [file];
    let run = runner(&server, settings()).await;

    let outcome = run.engine.expand(&files, None).await.unwrap();
    assert_eq!((outcome.moved.len(), outcome.steps), (1, 1));
    assert_eq!(
        (columns(&server).await.as_str(), state(&run.engine).await),
        ("id,v,w", MigrationState::Expanded)
    );
    let outcome = run.engine.expand(&files, None).await.unwrap();
    assert_eq!((outcome.moved.len(), outcome.steps, outcome.waiting.len()), (0, 0, 1));

    let refused = run.engine.contract(&files, None, Confirm::default()).await.unwrap_err();
    assert!(matches!(refused, Error::NotConfirmed { what, .. } if what.contains("Drop column v")));
    run.engine.contract(&files, None, Confirm { destroy: true }).await.unwrap();
    assert_eq!((columns(&server).await.as_str(), state(&run.engine).await), ("id,w", MigrationState::Done));

    let nothing = run.engine.undo(None).await.unwrap_err();
    assert!(matches!(nothing, Error::CannotUndo { why, .. } if why.contains("no migration is in flight")));
    let outcome = run.engine.undo(Some("0001_w")).await.unwrap();
    assert_eq!(outcome.steps, 2);
    assert_eq!((columns(&server).await.as_str(), state(&run.engine).await), ("id,v", MigrationState::Undone));
    assert!(run.engine.undo(Some("0001_w")).await.is_err());
    let history = run.engine.history().await.unwrap();
    let events: Vec<&str> = history.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(
        events,
        [
            "expand_started",
            "step_done",
            "expand_done",
            "contract_started",
            "step_done",
            "contract_done",
            "undo_started",
            "step_undone",
            "step_undone",
            "undo_done"
        ]
    );
}

#[tokio::test]
async fn an_undo_that_cannot_be_touches_nothing() {
    let server = with_table().await;
    let impossible = transaction("Forget", &["UPDATE public.t SET v = 0"])
        .undo(Undo::Impossible { why: "the old values are gone".into() });
    let files = [store(&server, &plan("0001_w", vec![add_column(), impossible])).await];
    let run = runner(&server, settings()).await;
    run.engine.expand(&files, None).await.unwrap();
    let error = run.engine.undo(Some("0001_w")).await.unwrap_err();
    assert!(
        matches!(&error, Error::CannotUndo { why, .. } if why.contains("step 2 \"Forget\": the old values are gone"))
    );
    assert_eq!((columns(&server).await.as_str(), state(&run.engine).await), ("id,v,w", MigrationState::Done));
}

/// A client sits in a transaction that has read the table. Others read and write all the time. Nobody of them may wait for
/// longer than the budget because of us, and the step is done once the client is gone.
#[tokio::test]
async fn a_long_transaction_is_waited_for_outside_the_queue() {
    let server = with_table().await;
    let files = [store(&server, &plan("0001_w", vec![add_column()])).await];
    let run = runner(&server, settings()).await;
    let idle = server.connect("postgres").await.unwrap();
    idle.batch_execute("SET application_name = 'forgetful'; BEGIN; SELECT * FROM t LIMIT 1").await.unwrap();

    let client = server.connect("postgres").await.unwrap();
    let work = async {
        let mut worst = Duration::ZERO;
        for _ in 0..300 {
            let asked = std::time::Instant::now();
            client.batch_execute("UPDATE t SET v = v + 1 WHERE id = 7").await.unwrap();
            worst = worst.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        idle.batch_execute("COMMIT").await.unwrap();
        worst
    };
    let (outcome, worst) = tokio::join!(run.engine.expand(&files, None), work);
    outcome.unwrap();
    assert_eq!(columns(&server).await, "id,v,w");
    assert!(run.heard.waited_for("(forgetful, idle in transaction, open for"), "{:?}", run.heard.reasons());
    // The server's own measure of what we did to others; `worst` also has the machine's noise in it.
    for event in run.heard.all() {
        if let Event::Stalled { worst, .. } = event {
            assert!(worst <= Settings::default().max_stall, "{worst:?}");
        }
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
}

/// Here the obstacle comes and goes too fast to be seen before the try: short transactions, one after the other, so that there is
/// always one that reads the table. The lock is had all the same.
#[tokio::test]
async fn short_transactions_do_not_starve_a_step() {
    let server = with_table().await;
    let files = [store(&server, &plan("0001_w", vec![add_column()])).await];
    let run = runner(&server, settings()).await;
    let over = std::sync::atomic::AtomicBool::new(false);
    let reader = async |delay: u64| {
        let client = server.connect("postgres").await.unwrap();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        while !over.load(std::sync::atomic::Ordering::SeqCst) {
            client
                .batch_execute("BEGIN; SELECT count(*) FROM t; SELECT pg_sleep(0.1); COMMIT")
                .await
                .unwrap();
        }
    };
    let expand = async {
        let result = run.engine.expand(&files, None).await;
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        result
    };
    let (outcome, (), ()) = tokio::join!(expand, reader(0), reader(50));
    outcome.unwrap();
    assert_eq!(columns(&server).await, "id,v,w");
}

#[tokio::test]
async fn patience_ends_with_a_reason_and_a_clean_state() {
    let server = with_table().await;
    let files = [store(&server, &plan("0001_w", vec![add_column()])).await];
    let run = runner(&server, Settings { lock_patience: Duration::from_secs(1), ..settings() }).await;
    let holder = server.connect("postgres").await.unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS SHARE MODE").await.unwrap();
    let error = run.engine.expand(&files, None).await.unwrap_err();
    assert!(matches!(&error, Error::GaveWay { message } if message.contains("holds public.t")), "{error}");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(columns(&server).await, "id,v");
    run.engine.expand(&files, None).await.unwrap();
    assert_eq!(columns(&server).await, "id,v,w");
}

#[tokio::test]
async fn a_prepared_transaction_is_named() {
    let installation = concertina_lab::Installation::find().unwrap();
    let options = concertina_lab::Options::new().set("max_prepared_transactions", "2");
    let server = Server::start(&installation, options).await.unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY, v int); BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'left behind'";
    server.psql("postgres", sql).await.unwrap();
    let files = [store(&server, &plan("0001_w", vec![add_column()])).await];
    let run = runner(&server, Settings { lock_patience: Duration::from_secs(1), ..settings() }).await;
    let error = run.engine.expand(&files, None).await.unwrap_err();
    assert!(
        matches!(&error, Error::GaveWay { message } if message.contains("prepared transaction left behind")),
        "{error}"
    );
}

#[tokio::test]
async fn locks_and_rewrites_are_reported_as_they_were() {
    let server = with_table().await;
    server.psql("postgres", "CREATE TABLE other (id int REFERENCES t)").await.unwrap();
    let steps = vec![
        transaction(
            "Change type",
            &[
                "ALTER TABLE public.t ALTER COLUMN v TYPE bigint",
                "CREATE TABLE public.made_here (id int PRIMARY KEY)",
            ],
        )
        .lock(&table("t"), LockMode::AccessExclusive),
        transaction("Nothing", &["COMMENT ON TABLE public.other IS 'x'"])
            .lock(&table("other"), LockMode::ShareUpdateExclusive),
    ];
    let files = [store(&server, &plan("0001_w", steps)).await];
    let run = runner(&server, Settings { observe_locks: true, ..settings() }).await;
    run.engine.expand(&files, None).await.unwrap();
    let held: Vec<(Vec<LockClaim>, Vec<String>)> = run
        .heard
        .all()
        .into_iter()
        .filter_map(|event| match event {
            Event::LocksHeld { locks, rewritten, .. } => Some((locks, rewritten)),
            _ => None,
        })
        .collect();
    let claim = |name: &str, mode| LockClaim { relation: table(name), mode };
    assert!(held[0].0.contains(&claim("t", LockMode::AccessExclusive)), "{held:?}");
    assert!(!held[0].0.iter().any(|lock| lock.relation.name.as_str().starts_with("made_here")), "{held:?}");
    assert_eq!(held[0].1, ["public.t"]);
    assert_eq!(held[1], (vec![claim("other", LockMode::ShareUpdateExclusive)], vec![]));
}

fn unique_index() -> Step {
    let alone = Action::Alone {
        sql: "CREATE UNIQUE INDEX CONCURRENTLY t_v ON public.t (v)".into(),
        heal: Some("DROP INDEX CONCURRENTLY IF EXISTS public.t_v".into()),
    };
    Step::new(Phase::Validate, "Build index t_v", "because", alone)
        .lock(&table("t"), LockMode::ShareUpdateExclusive)
        .probe(Probe::Index { name: table("t_v"), valid: true })
        .undone_by(vec![Step::new(
            Phase::Validate,
            "Drop index t_v",
            "because",
            Action::Alone { sql: "DROP INDEX CONCURRENTLY public.t_v".into(), heal: None },
        )])
}

const INDEXES: &str =
    "SELECT count(*), bool_and(indisvalid) FROM pg_index WHERE indexrelid = to_regclass('t_v')";

#[tokio::test]
async fn a_unique_index_that_fails_is_healed_and_succeeds_after_the_rows_are_corrected() {
    let server = with_table().await;
    server.psql("postgres", "UPDATE t SET v = 5 WHERE id = 6").await.unwrap();
    let files = [store(&server, &plan("0001_u", vec![unique_index()])).await];
    let run = runner(&server, Settings { observe_locks: true, ..settings() }).await;
    let error = run.engine.expand(&files, None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Violated { rows, .. } if rows.iter().any(|row| row.contains("(v)=(5)"))),
        "{error}"
    );
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), "0|\n");
    let status = &run.engine.status(&[]).await.unwrap()[0];
    assert!(status.steps[0].error.as_ref().is_some_and(|error| error.contains("t_v")), "{status:?}");

    server.psql("postgres", "UPDATE t SET v = 6 WHERE id = 6").await.unwrap();
    run.engine.expand(&files, None).await.unwrap();
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), "1|t\n");
    run.engine.undo(Some("0001_u")).await.unwrap();
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), "0|\n");
}

/// The leftover of a killed build is INVALID and of our making; a valid index of the same name is somebody's.
#[tokio::test]
async fn only_an_invalid_leftover_is_dropped() {
    let server = with_table().await;
    server.psql("postgres", "CREATE INDEX t_v ON t (id)").await.unwrap();
    let step = Step { probe: Probe::Index { name: table("t_v"), valid: true }, ..unique_index() };
    let files = [store(&server, &plan("0001_u", vec![step])).await];
    let run = runner(&server, settings()).await;
    let error = run.engine.expand(&files, None).await.unwrap_err();
    assert!(matches!(&error, Error::Step { sqlstate, .. } if sqlstate == "42P07"), "{error}");
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), "1|t\n");
}

/// CREATE INDEX CONCURRENTLY waits for older snapshots; a stop asked for meanwhile leaves nothing that a resume cannot heal.
#[tokio::test]
async fn a_stopped_index_build_says_whom_it_waited_for_and_resumes() {
    let server = with_table().await;
    let files = [store(&server, &plan("0001_u", vec![unique_index()])).await];
    let old = server.connect("postgres").await.unwrap();
    old.batch_execute(
        "SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t LIMIT 1",
    )
    .await
    .unwrap();
    let first = runner(&server, settings()).await;
    let stop = async {
        while !first.heard.waited_for("(report, ") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        first.stop.request();
    };
    let (result, ()) = tokio::join!(first.engine.expand(&files, None), stop);
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    old.batch_execute("COMMIT").await.unwrap();

    let second = runner(&server, settings()).await;
    second.engine.expand(&files, None).await.unwrap();
    assert_eq!(server.psql("postgres", INDEXES).await.unwrap(), "1|t\n");
}

#[tokio::test]
async fn proofs_show_violators_and_validations_run() {
    let server = with_table().await;
    server.psql("postgres", "ALTER TABLE t ADD CONSTRAINT v_small CHECK (v < 999) NOT VALID").await.unwrap();
    let proof = Action::Proof {
        query: "SELECT id, v FROM public.t WHERE NOT v < 999 ORDER BY id LIMIT 5".into(),
        violation: "rows of public.t where v >= 999".into(),
    };
    let validate = Action::Long { sql: "ALTER TABLE public.t VALIDATE CONSTRAINT v_small".into() };
    let steps = vec![
        Step::new(Phase::Validate, "Prove", "because", proof),
        Step::new(Phase::Validate, "Validate", "because", validate)
            .lock(&table("t"), LockMode::ShareUpdateExclusive),
    ];
    let files = [store(&server, &plan("0001_p", steps)).await];
    let run = runner(&server, settings()).await;
    let error = run.engine.expand(&files, None).await.unwrap_err();
    let Error::Violated { violation, rows, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (violation.as_str(), rows.as_slice()),
        (
            "rows of public.t where v >= 999",
            ["id = 999, v = 999".to_owned(), "id = 1000, v = 1000".to_owned()].as_slice()
        )
    );
    server.psql("postgres", "DELETE FROM t WHERE v >= 999").await.unwrap();
    run.engine.expand(&files, None).await.unwrap();
    let valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'v_small'";
    assert_eq!(server.psql("postgres", valid).await.unwrap(), "t\n");
}

/// The connection is cut in the middle of everything: the run connects again and goes on.
#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let server = with_table().await;
    let slow = transaction("Slow", &["SELECT pg_sleep(1)", "ALTER TABLE public.t ADD COLUMN x int"]);
    let files = [store(&server, &plan("0001_w", vec![slow, add_column()])).await];
    let run = runner(&server, settings()).await;
    let cut = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name IN ('concertina: work', 'concertina: control')";
        assert_eq!(server.psql("postgres", sql).await.unwrap(), "2\n");
    };
    let (result, ()) = tokio::join!(run.engine.expand(&files, None), cut);
    result.unwrap();
    assert_eq!(columns(&server).await, "id,v,x,w");
    assert!(run.heard.waited_for("connection was lost"), "{:?}", run.heard.reasons());
}

#[tokio::test]
async fn a_second_runner_waits_or_leaves() {
    let server = with_table().await;
    let slow = transaction("Slow", &["SELECT pg_sleep(1)"]);
    let files = [store(&server, &plan("0001_w", vec![slow, add_column()])).await];
    let first = runner(&server, settings()).await;
    let polite = runner(&server, Settings { lease_patience: Duration::from_secs(30), ..settings() }).await;
    let hasty = runner(&server, Settings { lease_patience: Duration::ZERO, ..settings() }).await;
    let later = async |engine: &Engine| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        engine.expand(&files, None).await
    };
    let (one, two, three) =
        tokio::join!(first.engine.expand(&files, None), later(&polite.engine), later(&hasty.engine));
    assert_eq!(one.unwrap().steps, 2);
    assert_eq!(two.unwrap().steps, 0);
    assert!(matches!(three, Err(Error::Busy { .. })), "{three:?}");
}

/// The harness spawns commands as tasks.
#[test]
fn commands_may_be_spawned() {
    fn is_send<T: Send>(_: impl Fn(&'static Engine) -> T) {}
    is_send(|engine| engine.expand(&[], None));
    is_send(|engine| engine.contract(&[], None, Confirm::default()));
    is_send(|engine| engine.apply(&[], Confirm::default()));
    is_send(|engine| engine.apply_simple(&[]));
    is_send(|engine| engine.undo(None));
}
