//! Backfills on a real server: exact under concurrent writers, resumable, polite.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use concertina_lab::{Installation, Options, Server};
use concertina_plan::plan::{Action, Backfill, Phase, RowSet, Step, Undo, Walk, Write};
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::Error;
use concertina_run::engine::Engine;
use concertina_run::event::Event;
use concertina_run::settings::Settings;
use concertina_run::state::MigrationFile;
use support::{plan, runner, runner_at, settings, store, table, update};

const ROWS: i64 = 20_000;

async fn with_rows() -> Server {
    let server = Server::start_default().await.unwrap();
    fill(&server).await;
    server
}

async fn fill(server: &Server) {
    let sql = format!(
        "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, moved int NOT NULL DEFAULT 0, w int);
         CREATE INDEX ON t (v);
         INSERT INTO t SELECT i, i FROM generate_series(1, {ROWS}) i; ANALYZE t"
    );
    server.psql("postgres", &sql).await.unwrap();
}

fn step(work: Backfill) -> Step {
    Step::new(Phase::Backfill, "Fill", "because", Action::Backfill(work))
}

/// `w = v`, kept in step by a trigger as a plan would do it.
fn derived(stride: u32) -> Backfill {
    update("w", "v", "w IS NULL", Walk::Pages { stride })
}

const SYNC: &str = "
CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR OLD.v <> NEW.v THEN NEW.w := NEW.v; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sync()";

/// `v = v + 1`, every row once.
fn increment() -> Backfill {
    let row_set = row_set(vec![Ident::new("id")], Some("t.id % 10 <> 0".into()));
    update("v", "t.v + 1", "true", Walk::RowSet(row_set))
}

fn row_set(key: Vec<Ident>, filter: Option<String>) -> RowSet {
    RowSet { table: Name::new("concertina", "rows_of_t"), key, filter, alias: Ident::new("t") }
}

async fn one(server: &Server, sql: &str) -> String {
    server.psql("postgres", sql).await.unwrap().trim().to_owned()
}

/// Clients that move rows about (every update writes a new version elsewhere), insert and delete, until `over`.
async fn disturb(server: &Server, over: &AtomicBool, sql: &[&str]) -> u64 {
    let client = server.connect("postgres").await.unwrap();
    let mut statements = Vec::new();
    for sql in sql {
        statements.push(client.prepare(sql).await.unwrap());
    }
    let mut at = 0_u64;
    while !over.load(Ordering::SeqCst) {
        at += 1;
        for statement in &statements {
            let id =
                i32::try_from(at.wrapping_mul(2_654_435_761) % u64::try_from(ROWS).unwrap()).unwrap() + 1;
            client.execute(statement, &[&id]).await.unwrap();
        }
    }
    at
}

async fn expand(engine: &Engine, file: &MigrationFile, over: &AtomicBool) -> Result<(), Error> {
    let result = engine.expand(std::slice::from_ref(file), None).await;
    over.store(true, Ordering::SeqCst);
    result.map(|_| ())
}

#[tokio::test]
async fn a_strided_walk_is_exact_while_rows_move() {
    let server = with_rows().await;
    server.psql("postgres", SYNC).await.unwrap();
    let file = store(&server, &plan("0001_w", vec![step(derived(16))])).await;
    let run = runner(&server, settings()).await;
    let over = AtomicBool::new(false);
    let moves = [
        "UPDATE t SET moved = moved + 1, v = v + 1 WHERE id = $1",
        "UPDATE t SET moved = moved + 1 WHERE id = $1",
    ];
    let again = [
        "DELETE FROM t WHERE id = $1",
        "INSERT INTO t SELECT $1, 1 WHERE NOT EXISTS (SELECT FROM t WHERE id = $1)",
    ];
    let (result, moved, replaced) = tokio::join!(
        expand(&run.engine, &file, &over),
        disturb(&server, &over, &moves),
        disturb(&server, &over, &again)
    );
    result.unwrap();
    assert!(moved > 0 && replaced > 0);
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v").await, "0");
    let progress = run.heard.all().into_iter().rev().find_map(|event| match event {
        Event::Progress { done, .. } => Some(done),
        _ => None,
    });
    assert_eq!(progress, Some(1.0));
}

/// Most of the versions stay on their page: that is the point of the stride.
#[tokio::test]
async fn a_strided_walk_is_mostly_hot() {
    let server = with_rows().await;
    let file = store(&server, &plan("0001_w", vec![step(derived(16))])).await;
    let run = runner(&server, settings()).await;
    run.engine.expand(&[file], None).await.unwrap();
    drop(run);
    assert_mostly_hot(&server, ROWS).await;
}

async fn assert_mostly_hot(server: &Server, updates: i64) {
    let sql = "SELECT n_tup_upd, n_tup_hot_upd * 2 > n_tup_upd FROM pg_stat_user_tables WHERE relname = 't'";
    // Statistics arrive when a backend ends, up to 14 a little later.
    for _ in 0..100 {
        if one(server, sql).await == format!("{updates}|t") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 't'";
    panic!("{}", one(server, seen).await);
}

#[tokio::test]
async fn a_row_set_is_written_exactly_once_while_rows_move() {
    let server = with_rows().await;
    let file = store(&server, &plan("0001_v", vec![step(increment())])).await;
    let run = runner(&server, settings()).await;
    let over = AtomicBool::new(false);
    let moves = ["UPDATE t SET moved = moved + 1 WHERE id = $1"];
    let (result, one_client, two) = tokio::join!(
        expand(&run.engine, &file, &over),
        disturb(&server, &over, &moves),
        disturb(&server, &over, &moves)
    );
    result.unwrap();
    assert!(one_client > 0 && two > 0);
    let wrong = "SELECT count(*) FROM t WHERE v <> id + CASE WHEN id % 10 <> 0 THEN 1 ELSE 0 END";
    assert_eq!(one(&server, wrong).await, "0");
    assert_eq!(one(&server, "SELECT sum(moved) FROM t").await, (one_client + two).to_string());
    assert_eq!(one(&server, "SELECT to_regclass('concertina.rows_of_t')").await, "");
}

/// Stops again and again in the middle, and goes on each time from the cursor.
#[tokio::test]
async fn a_stopped_backfill_goes_on_where_it_was() {
    for (name, work, wrong) in [
        ("0001_pages", derived(8), "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v"),
        ("0002_keys", increment(), "SELECT count(*) FROM t WHERE v <> id + (id % 10 <> 0)::int"),
    ] {
        let server = with_rows().await;
        let file = store(&server, &plan(name, vec![step(work)])).await;
        let mut stops = 0;
        loop {
            // Slow enough to be stopped: small batches with long rests.
            let mut slow = settings();
            slow.throttle.batch = Duration::from_millis(if stops < 3 { 2 } else { 60 });
            slow.throttle.load = if stops < 3 { 0.3 } else { 1.0 };
            let run = runner(&server, slow).await;
            let over = AtomicBool::new(false);
            let stop = async {
                let before = stops < 3;
                while before && !over.load(Ordering::SeqCst) {
                    let rows = |event: &Event| matches!(event, Event::Progress { rows, .. } if *rows > 0);
                    if run.heard.all().iter().any(rows) {
                        run.stop.request();
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let (result, ()) = tokio::join!(expand(&run.engine, &file, &over), stop);
            match result {
                Err(Error::Interrupted) => stops += 1,
                result => break result.unwrap(),
            }
        }
        assert_eq!(stops, 3, "{name}");
        assert_eq!(one(&server, wrong).await, "0", "{name}");
        let rows = "SELECT rows FROM concertina.step";
        let expected = if name == "0001_pages" { ROWS } else { ROWS * 9 / 10 };
        assert_eq!(one(&server, rows).await, expected.to_string(), "{name}");
    }
}

#[tokio::test]
async fn composite_and_awkward_keys_are_walked_in_order() {
    let server = Server::start_default().await.unwrap();
    server
        .psql(
            "postgres",
            r#"CREATE TABLE t ("Day" date, at timestamptz, name text, v int NOT NULL DEFAULT 0, PRIMARY KEY ("Day", at, name));
               INSERT INTO t SELECT '2020-01-01'::date + i % 7, '2020-01-01Z'::timestamptz + i * interval '1.000001 s',
                                    'it''s \ "' || i % 5 || E'\n' FROM generate_series(1, 5000) i;
               ALTER DATABASE postgres SET datestyle = 'SQL, DMY'; ALTER DATABASE postgres SET timezone = 'Asia/Kolkata'"#,
        )
        .await
        .unwrap();
    let columns = vec![Ident::new("Day"), Ident::new("at"), Ident::new("name")];
    let work = update("v", "v + 1", "true", Walk::RowSet(row_set(columns, None)));
    let file = store(&server, &plan("0001_v", vec![step(work)])).await;
    let run = runner(&server, settings()).await;
    run.engine.expand(&[file], None).await.unwrap();
    assert_eq!(one(&server, "SELECT count(*), min(v), max(v) FROM t").await, "5000|1|1");
}

/// An archive is filled while a trigger keeps it up to date, and brought back without overwriting what came after.
#[tokio::test]
async fn an_archive_is_copied_and_restored() {
    let server = with_rows().await;
    server.psql("postgres", "CREATE TABLE archive (id int PRIMARY KEY, v int)").await.unwrap();
    let key = || Walk::Key { columns: vec![Ident::new("id")] };
    let work = |write| Backfill { write, ..update("v", "v", "true", key()) };
    let columns = vec![Ident::new("id"), Ident::new("v")];
    let copy = step(work(Write::Copy { into: table("archive"), columns, only: None }));
    let mut forget = support::transaction("Forget", &["ALTER TABLE public.t DROP COLUMN v"]);
    forget.phase = Phase::Validate;
    let restore = Write::Restore {
        from: table("archive"),
        key: vec![Ident::new("id")],
        column: Ident::new("v"),
        pending: None,
        same: Vec::new(),
    };
    forget.undo = Undo::Steps {
        steps: vec![
            support::transaction("Bring v back", &["ALTER TABLE public.t ADD COLUMN v int"]),
            step(work(restore)),
        ],
        loses: None,
    };
    let file = store(&server, &plan("0001_v", vec![copy, forget])).await;
    let run = runner(&server, settings()).await;
    run.engine.expand(&[file], None).await.unwrap();
    assert_eq!(
        one(&server, "SELECT count(*), sum(v) FROM archive").await,
        format!("{ROWS}|{}", ROWS * (ROWS + 1) / 2)
    );
    server.psql("postgres", "DELETE FROM t WHERE id > 10; DELETE FROM archive WHERE id = 3").await.unwrap();
    run.engine.undo(Some("0001_v")).await.unwrap();
    assert_eq!(
        one(&server, "SELECT string_agg(coalesce(v::text, '-'), ',' ORDER BY id) FROM t").await,
        "1,2,-,4,5,6,7,8,9,10"
    );
}

/// A client that holds a row is waited for without harm, and one that waits for our batch makes the batches smaller.
#[tokio::test]
async fn a_held_row_is_waited_for() {
    let server = with_rows().await;
    let file = store(&server, &plan("0001_w", vec![step(derived(4))])).await;
    let run = runner(&server, settings()).await;
    let holder = server.connect("postgres").await.unwrap();
    holder.batch_execute("BEGIN; UPDATE t SET moved = 1 WHERE id = 10000").await.unwrap();
    let over = AtomicBool::new(false);
    let release = async {
        while run.heard.reasons().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (result, ()) = tokio::join!(expand(&run.engine, &file, &over), release);
    result.unwrap();
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v").await, "0");
}

#[tokio::test]
async fn the_lag_of_a_standby_throttles() {
    let server = with_rows().await;
    let standby = server.standby(Options::new()).await.unwrap();
    standby.wait_for_replay_of(&server, Duration::from_secs(60)).await.unwrap();
    standby.psql("postgres", "SELECT pg_wal_replay_pause()").await.unwrap();
    let file = store(&server, &plan("0001_w", vec![step(derived(4))])).await;
    let mut polite = settings();
    polite.throttle.max_lag_bytes = Some(100_000);
    let run = runner(&server, polite).await;
    let over = AtomicBool::new(false);
    let seen = AtomicU64::new(0);
    let resume = async {
        while !run.heard.waited_for("MiB behind") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // It waits for as long as the standby does: nothing more is written.
        let count = "SELECT count(*) FROM t WHERE w IS NOT NULL";
        let before = one(&server, count).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(one(&server, count).await, before);
        seen.store(before.parse().unwrap(), Ordering::SeqCst);
        standby.psql("postgres", "SELECT pg_wal_replay_resume()").await.unwrap();
    };
    let (result, ()) = tokio::join!(expand(&run.engine, &file, &over), resume);
    result.unwrap();
    assert!(seen.load(Ordering::SeqCst) < u64::try_from(ROWS).unwrap());
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS NULL").await, "0");
}

#[tokio::test]
async fn an_slo_query_throttles() {
    let server = with_rows().await;
    server.psql("postgres", "CREATE TABLE slo AS SELECT 9 AS p99").await.unwrap();
    let file = store(&server, &plan("0001_w", vec![step(derived(4))])).await;
    let mut polite = settings();
    polite.throttle.slo_query = Some("SELECT p99 FROM public.slo".into());
    polite.throttle.slo_max = 5.0;
    let run = runner(&server, polite).await;
    let over = AtomicBool::new(false);
    let relax = async {
        while !run.heard.waited_for("slo_query says 9") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.psql("postgres", "DROP TABLE slo").await.unwrap();
        while !run.heard.waited_for("slo_query cannot be read") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.psql("postgres", "CREATE TABLE slo AS SELECT 3 AS p99").await.unwrap();
    };
    let (result, ()) = tokio::join!(expand(&run.engine, &file, &over), relax);
    result.unwrap();
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS NULL").await, "0");
}

/// The batches run on the paths that they were written for: ranges of TIDs, and index scans in key order even without statistics.
#[tokio::test]
async fn batches_use_their_paths() {
    let installation = Installation::find().unwrap();
    let options = Options::new()
        .set("shared_preload_libraries", "auto_explain")
        .set("auto_explain.log_min_duration", "0");
    let options = options.set("autovacuum", "off");
    let server = Server::start(&installation, options).await.unwrap();
    fill(&server).await;
    server.psql("postgres", "CREATE TABLE u AS TABLE t; ALTER TABLE u ADD PRIMARY KEY (id)").await.unwrap();
    let keys = Backfill { table: table("u"), ..increment() };
    let file = store(&server, &plan("0001_w", vec![step(derived(4)), step(keys)])).await;
    let run = runner(&server, Settings { ..settings() }).await;
    run.engine.expand(&[file], None).await.unwrap();
    let log = std::fs::read_to_string(server.log()).unwrap();
    let plans: Vec<&str> =
        log.split("duration:").filter(|plan| plan.contains("UPDATE ONLY public.")).collect();
    assert!(
        plans.iter().any(|plan| plan.contains("Tid Range"))
            && plans.iter().any(|plan| plan.contains("u_pkey"))
    );
    for plan in plans {
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
        let range = plan.contains("Tid Range Scan on t");
        assert!(range || plan.contains("Index Scan using u_pkey"), "{plan}");
    }
}

/// A policy that hides rows from their owner makes the step fail; it does not leave them out.
#[tokio::test]
async fn rows_that_a_policy_hides_are_not_left_out_silently() {
    let server = with_rows().await;
    let file = store(&server, &plan("0001_w", vec![step(derived(1))])).await;
    let sql = "
        CREATE ROLE app LOGIN;
        GRANT ALL ON SCHEMA concertina, public TO app;
        GRANT ALL ON ALL TABLES IN SCHEMA concertina TO app;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA concertina TO app;
        ALTER TABLE t OWNER TO app;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY half ON t USING (id % 2 = 0);";
    server.psql("postgres", sql).await.unwrap();
    let run = runner_at(&server.url_as("app", "postgres"), settings()).await;
    let error = run.engine.expand(std::slice::from_ref(&file), None).await.unwrap_err();
    assert!(matches!(&error, Error::Denied { .. }) && error.to_string().contains("42501"), "{error}");
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS NOT NULL").await, "0");
    server.psql("postgres", "ALTER TABLE t NO FORCE ROW LEVEL SECURITY").await.unwrap();
    run.engine.expand(&[file], None).await.unwrap();
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v").await, "0");
}

/// What a plan says of columns that a backfill names with the value they have: the row lock stays weak enough for foreign
/// key checks unless a unique index holds the column, versions stay on their page, and no value changes.
#[tokio::test]
async fn naming_an_indexed_column_costs_nobody_anything() {
    let server = with_rows().await;
    server.psql("postgres", SYNC).await.unwrap();
    let (ours, theirs) =
        (server.connect("postgres").await.unwrap(), server.connect("postgres").await.unwrap());
    let referenced = "SELECT FROM t WHERE id = 7 FOR KEY SHARE NOWAIT";
    for (named, free) in [("v = t.v", true), ("id = t.id", false)] {
        ours.batch_execute(&format!("BEGIN; UPDATE t SET w = v, {named} WHERE id = 7")).await.unwrap();
        assert_eq!(theirs.batch_execute(referenced).await.is_ok(), free, "{named}");
        ours.batch_execute("ROLLBACK").await.unwrap();
    }

    let mut work = derived(16);
    let Write::Update { unchanged, .. } = &mut work.write else { unreachable!() };
    unchanged.push(Ident::new("v"));
    let file = store(&server, &plan("0001_w", vec![step(work)])).await;
    let run = runner(&server, settings()).await;
    run.engine.expand(&[file], None).await.unwrap();
    assert_eq!(one(&server, "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v OR v <> id").await, "0");
    drop((run, ours, theirs));
    // The statements that were rolled back count, too.
    assert_mostly_hot(&server, ROWS + 2).await;
}
