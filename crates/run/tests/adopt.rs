//! Taking over what is there, and leaving without a trace.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use concertina_lab::Server;
use concertina_run::Error;
use concertina_run::adopt::Acceptance;
use concertina_run::engine::Confirm;
use concertina_run::state::{MigrationFile, MigrationState};
use support::{Runner, runner, runner_at, settings};

fn file(name: &str, text: &str) -> MigrationFile {
    MigrationFile { name: name.to_owned(), text: text.to_owned() }
}

/// Nobody may run this.
fn never(name: &str) -> MigrationFile {
    file(name, "SELECT 1 / 0;")
}

async fn events(run: &Runner, kind: &str) -> Vec<(Option<String>, String)> {
    let history = run.engine.history().await.unwrap();
    history.into_iter().filter(|it| it.event == kind).map(|it| (it.migration, it.message)).collect()
}

async fn states(run: &Runner, files: &[MigrationFile]) -> Vec<(MigrationState, bool)> {
    let status = run.engine.status(files).await.unwrap();
    status.into_iter().map(|it| (it.state, it.baseline)).collect()
}

#[tokio::test]
async fn a_baseline_is_done_without_having_run() {
    let server = Server::start_default().await.unwrap();
    let run = runner(&server, settings()).await;
    let mut files = vec![never("0001_a"), never("0002_b"), file("0003_c", "CREATE TABLE c (id int);")];
    let baseline = run.engine.baseline(&files, Some("0002_b"), Some("flyway ran them")).await.unwrap();
    assert_eq!((baseline.recorded.len(), baseline.known.len()), (2, 0));
    let (baseline, pending) = ((MigrationState::Done, true), (MigrationState::Pending, false));
    assert_eq!(states(&run, &files).await, [baseline, baseline, pending]);
    let message = "recorded as applied without being run: flyway ran them".to_owned();
    let about = |name: &str| (Some(name.to_owned()), message.clone());
    assert_eq!(events(&run, "baseline").await, [about("0001_a"), about("0002_b")]);

    // Again: nothing; and nothing of it runs, whichever way the others do.
    let again = run.engine.baseline(&files, Some("0002_b"), None).await.unwrap();
    assert_eq!((again.recorded.len(), again.known.len()), (0, 2));
    assert_eq!(events(&run, "baseline").await.len(), 2);
    assert_eq!(run.engine.apply_simple(&files).await.unwrap().moved, ["0003_c"]);
    files.push(file("0004_d", "ALTER TABLE c ADD COLUMN d int;"));
    assert_eq!(run.engine.expand(&files, None).await.unwrap().moved, ["0004_d"]);
    run.engine.contract(&files, None, Confirm::default()).await.unwrap();

    let error = run.engine.undo(Some("0001_a")).await.unwrap_err();
    assert!(matches!(error, Error::CannotUndo { .. }) && error.to_string().contains("baseline"), "{error}");
    let error = run.engine.plan(&files[0]).await.unwrap_err();
    assert!(error.to_string().contains("0001_a has no plan"), "{error}");
    // The rest becomes part of the baseline too, as far as it did not run.
    files.push(never("0005_e"));
    assert_eq!(run.engine.baseline(&files, None, None).await.unwrap().recorded, ["0005_e"]);
    let ran = (MigrationState::Done, false);
    assert_eq!(states(&run, &files).await, [baseline, baseline, ran, ran, baseline]);
}

#[tokio::test]
async fn a_project_without_files_starts_from_the_database_as_it_is() {
    let server = Server::start_default().await.unwrap();
    server.psql("postgres", "CREATE TABLE t (id int)").await.unwrap();
    let run = runner(&server, settings()).await;
    for _ in 0..2 {
        let baseline = run.engine.baseline(&[], None, None).await.unwrap();
        assert_eq!(baseline, concertina_run::adopt::Baseline::default());
        assert_eq!(events(&run, "baseline").await.len(), 1);
    }
    let files = [file("0001_a", "ALTER TABLE t ADD COLUMN a int;")];
    assert_eq!(run.engine.expand(&files, None).await.unwrap().moved, ["0001_a"]);
}

#[tokio::test]
async fn a_baseline_is_refused_whole_where_one_of_the_range_is_under_way_or_not_what_ran() {
    let server = Server::start_default().await.unwrap();
    server.psql("postgres", "CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let run = runner(&server, settings()).await;
    let text =
        "ALTER TABLE t ADD COLUMN w int; UPDATE t SET w = v; ALTER TABLE t ALTER COLUMN w SET NOT NULL;";
    let mut files = vec![file("0001_a", "COMMENT ON TABLE t IS 't';"), file("0002_b", text), never("0003_c")];
    run.engine.expand(&files[..2], None).await.unwrap();
    assert_eq!(states(&run, &files[..2]).await[1].0, MigrationState::Expanded);

    let error = run.engine.baseline(&files, None, None).await.unwrap_err();
    assert!(matches!(error, Error::InFlight { .. }), "{error}");
    assert!(error.to_string().contains("concertina undo 0002_b"), "{error}");
    assert_eq!(states(&run, &files).await[2].0, MigrationState::Pending);
    // What lies after the range does not matter.
    assert!(run.engine.baseline(&files, Some("0001_a"), None).await.unwrap().recorded.is_empty());
    run.engine.undo(Some("0002_b")).await.unwrap();

    // One that was taken back may have been done by hand since.
    server.psql("postgres", "ALTER TABLE t ADD COLUMN w int").await.unwrap();
    assert_eq!(run.engine.baseline(&files, Some("0002_b"), None).await.unwrap().recorded, ["0002_b"]);
    assert_eq!(states(&run, &files).await[1], (MigrationState::Done, true));
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM concertina.step").await.unwrap(), "1\n");

    files[0].text.push_str(" -- changed");
    let error = run.engine.baseline(&files, None, None).await.unwrap_err();
    assert!(error.to_string().contains("concertina accept 0001_a"), "{error}");
    let error = run.engine.baseline(&files[1..], None, None).await.unwrap_err();
    assert!(error.to_string().contains("0001_a.sql is missing"), "{error}");
    assert_eq!(states(&run, &files).await[2].0, MigrationState::Pending);
    let error = run.engine.baseline(&files, Some("0009_x"), None).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[tokio::test]
async fn changed_and_missing_files_of_finished_migrations_are_accepted() {
    let server = Server::start_default().await.unwrap();
    let run = runner(&server, settings()).await;
    let first = [file("0001_a", "CREATE TABLE a (id int);")];
    run.engine.apply_simple(&first).await.unwrap();
    let nothing = run.engine.accept(&first, "0001_a", "no need").await.unwrap();
    assert_eq!(nothing.what, Acceptance::Nothing);

    let changed = [file("0001_a", "CREATE TABLE a (id int); -- licence")];
    assert!(run.engine.apply_simple(&changed).await.is_err());
    let accepted = run.engine.accept(&changed, "0001_a", "a licence header").await.unwrap();
    assert_eq!(accepted.what, Acceptance::Changed);
    assert!(accepted.before.is_some() && accepted.after.is_some() && accepted.before != accepted.after);
    assert!(run.engine.apply_simple(&changed).await.unwrap().moved.is_empty());

    assert!(run.engine.apply_simple(&[]).await.is_err());
    let gone = run.engine.accept(&[], "0001_a", "squashed").await.unwrap();
    assert_eq!((gone.what, gone.before, gone.after), (Acceptance::Gone, accepted.after.clone(), None));
    assert!(run.engine.apply_simple(&[]).await.unwrap().moved.is_empty());
    assert_eq!(run.engine.status(&[]).await.unwrap()[0].checksum, None);
    assert_eq!(run.engine.accept(&[], "0001_a", "again").await.unwrap().what, Acceptance::Nothing);
    // It comes back: that is a change again.
    let error = run.engine.apply_simple(&first).await.unwrap_err();
    assert!(error.to_string().contains("is there again"), "{error}");
    let back = run.engine.accept(&first, "0001_a", "found it").await.unwrap();
    assert_eq!((back.what, back.before, back.after), (Acceptance::Changed, None, accepted.before));
    assert!(run.engine.apply_simple(&first).await.unwrap().moved.is_empty());

    let said = events(&run, "accepted").await;
    let reasons: Vec<&str> = said.iter().map(|(_, message)| message.rsplit(": ").next().unwrap()).collect();
    assert_eq!(reasons, ["a licence header", "squashed", "found it"]);
    let data = "SELECT string_agg((data ->> 'before' IS NULL)::text, ' ' ORDER BY id) FROM concertina.event WHERE kind = 'accepted'";
    assert_eq!(server.psql("postgres", data).await.unwrap(), "false false true\n");

    let error = run.engine.accept(&first, "0002_b", "why").await.unwrap_err();
    assert!(error.to_string().contains("has not run"), "{error}");
}

#[tokio::test]
async fn a_file_of_a_migration_in_flight_is_never_accepted() {
    let server = Server::start_default().await.unwrap();
    server.psql("postgres", "CREATE TABLE t (id int PRIMARY KEY, v int)").await.unwrap();
    let run = runner(&server, settings()).await;
    let text =
        "ALTER TABLE t ADD COLUMN w int; UPDATE t SET w = v; ALTER TABLE t ALTER COLUMN w SET NOT NULL;";
    run.engine.expand(&[file("0001_a", text)], None).await.unwrap();
    let changed = [file("0001_a", "ALTER TABLE t ADD COLUMN w bigint;")];
    for files in [&changed[..], &[]] {
        let error = run.engine.accept(files, "0001_a", "please").await.unwrap_err();
        assert!(matches!(error, Error::InFlight { .. }), "{error}");
        assert!(error.to_string().contains("concertina undo 0001_a"), "{error}");
    }
    assert!(run.engine.expand(&changed, None).await.is_err());
    run.engine.undo(None).await.unwrap();
    let error = run.engine.accept(&changed, "0001_a", "please").await.unwrap_err();
    assert!(error.to_string().contains("taken back"), "{error}");
    assert_eq!(run.engine.expand(&changed, None).await.unwrap().moved, ["0001_a"]);
}

#[tokio::test]
async fn a_late_file_runs_when_it_is_allowed_and_is_noted() {
    let server = Server::start_default().await.unwrap();
    let late = file("0001_a", "CREATE TABLE a (id int);");
    let later = file("0002_b", "CREATE TABLE b (id int);\nCREATE INDEX CONCURRENTLY ON b (id);");
    let (second, last) =
        (file("0003_c", "CREATE TABLE c (id int);"), file("0004_d", "CREATE TABLE d (id int);"));
    let strict = runner(&server, settings()).await;
    strict.engine.expand(std::slice::from_ref(&second), None).await.unwrap();
    let files = [late, later, second, last];
    for result in [
        strict.engine.check_files(&files).await.map(|()| Default::default()),
        strict.engine.expand(&files, None).await,
        strict.engine.apply_simple(&files).await,
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("0001_a") && error.contains("--allow-out-of-order"), "{error}");
    }
    let allowing = settings();
    let allowing = concertina_run::settings::Settings { allow_out_of_order: true, ..allowing };
    let run = runner(&server, allowing).await;
    run.engine.check_files(&files).await.unwrap();
    assert_eq!(run.engine.expand(&files, Some("0001_a")).await.unwrap().moved, ["0001_a"]);
    // As written, and statement by statement.
    assert_eq!(run.engine.apply_simple(&files).await.unwrap().moved, ["0002_b", "0004_d"]);
    let noted = events(&run, "out_of_order").await;
    let names: Vec<_> = noted.iter().filter_map(|(name, _)| name.as_deref()).collect();
    assert_eq!(names, ["0001_a", "0002_b"]);
    assert!(noted.iter().all(|(_, message)| message.contains("before 0003_c")), "{noted:?}");
    // Now they have run, nothing is late any more.
    assert!(strict.engine.expand(&files, None).await.unwrap().moved.is_empty());
}

#[tokio::test]
async fn uninstall_leaves_what_others_own_and_takes_what_is_ours() {
    let server = Server::start_default().await.unwrap();
    let admin = "CREATE ROLE \"The Owner\" LOGIN; CREATE ROLE other LOGIN; GRANT CREATE ON DATABASE postgres TO \"The Owner\"; \
                 CREATE SCHEMA app AUTHORIZATION \"The Owner\"";
    server.psql("postgres", admin).await.unwrap();
    let owner = server.connect("postgres").await.unwrap();
    let tables = r#"SET ROLE "The Owner"; CREATE TABLE app."Order Items" (id int PRIMARY KEY, "What?" text)"#;
    owner.batch_execute(tables).await.unwrap();
    let before = server.pg_dump_schema("postgres").await.unwrap();

    let run = runner_at(&server.url_as("The Owner", "postgres"), settings()).await;
    assert_eq!(run.engine.uninstall(Confirm::default()).await.unwrap().schemas.len(), 0);
    run.engine.init().await.unwrap();
    // What a run could have left behind, had somebody edited the ledger: a trigger, its function, a table of rows, an archive.
    let left = r#"
        CREATE FUNCTION concertina."sync ü"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER "~concertina_00 x" BEFORE UPDATE ON app."Order Items" FOR EACH ROW EXECUTE FUNCTION concertina."sync ü"();
        CREATE TABLE concertina.rows_of (id serial PRIMARY KEY);
        CREATE TABLE concertina_archive."Order Items What?" (id int PRIMARY KEY, "What?" text);
        CREATE TABLE concertina_archive.parent (id int PRIMARY KEY, at date) PARTITION BY RANGE (id);
        CREATE TABLE concertina_archive.part PARTITION OF concertina_archive.parent FOR VALUES FROM (1) TO (9);
        CREATE TABLE concertina_archive.a_child (id int REFERENCES app."Order Items", p int REFERENCES concertina_archive.parent);
        CREATE TYPE concertina_archive."Mood" AS ENUM ('ok');
        CREATE TYPE concertina_archive.pair AS (a int, b concertina_archive."Mood");
        CREATE FUNCTION concertina_archive.fine(concertina_archive."Mood", text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE DOMAIN concertina_archive.fine_text AS text CHECK (concertina_archive.fine('ok', VALUE));
        CREATE TABLE concertina_archive.uses (t concertina_archive.fine_text, p concertina_archive.pair);
        CREATE FUNCTION concertina_archive.of_row(concertina_archive.uses) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE VIEW app.log AS SELECT * FROM concertina.event"#;
    owner.batch_execute(left).await.unwrap();

    let error = run.engine.uninstall(Confirm::default()).await.unwrap_err();
    let Error::Archives { archives } = &error else { panic!("{error}") };
    assert!(
        archives.iter().any(|it| it.contains("concertina_archive.\"Order Items What?\" (")),
        "{archives:?}"
    );

    // Somebody else may not, and is told what would help.
    server.psql("postgres", "GRANT USAGE, CREATE ON SCHEMA concertina TO other; GRANT ALL ON ALL TABLES IN SCHEMA concertina TO other").await.unwrap();
    let other = runner_at(&server.url_as("other", "postgres"), settings()).await;
    let error = other.engine.uninstall(Confirm { destroy: true }).await.unwrap_err();
    let Error::Privilege { what, grant } = &error else { panic!("{error}") };
    assert!(
        what.contains("\"The Owner\"") && grant.contains("ALTER SCHEMA concertina OWNER TO other"),
        "{error}"
    );

    // A view over the event log is not ours to drop.
    let error = run.engine.uninstall(Confirm { destroy: true }).await.unwrap_err();
    assert!(error.to_string().contains("view app.log") && error.sqlstate() == Some("2BP01"), "{error}");
    owner.batch_execute("DROP VIEW app.log").await.unwrap();
    // What was removed before that stays removed; the rest goes now.
    let removed = run.engine.uninstall(Confirm { destroy: true }).await.unwrap();
    assert_eq!(removed.schemas, ["concertina"]);
    assert_eq!(server.pg_dump_schema("postgres").await.unwrap(), before);
    assert_eq!(run.engine.uninstall(Confirm::default()).await.unwrap().schemas.len(), 0);
}

#[tokio::test]
async fn uninstall_gives_way_to_whoever_reads_the_ledger() {
    let server = Server::start_default().await.unwrap();
    let mut settings = settings();
    settings.lock_patience = std::time::Duration::from_millis(1);
    let run = runner(&server, settings).await;
    run.engine.init().await.unwrap();
    let mut reader = server.connect("postgres").await.unwrap();
    let open = reader.transaction().await.unwrap();
    open.query("SELECT FROM concertina.event", &[]).await.unwrap();
    let error = run.engine.uninstall(Confirm::default()).await.unwrap_err();
    assert!(matches!(error, Error::GaveWay { .. }), "{error}");
    open.rollback().await.unwrap();
    // The lease was given back, so the next one need not wait for it.
    assert_eq!(run.engine.uninstall(Confirm::default()).await.unwrap().schemas.last().unwrap(), "concertina");
}
