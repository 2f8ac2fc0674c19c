//! What a migration needs on a real server's disk is within what was foretold; sizes and what holds WAL back are read as they are.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use concertina_lab::{Installation, Options, Server};
use concertina_plan::estimate::WalKeeping;
use concertina_plan::sql::ident::{Ident, Name};
use concertina_run::connect::Target;
use concertina_run::engine::Confirm;
use concertina_run::outlook;
use concertina_run::room::{self, Known};
use concertina_run::settings::{Disk, Settings};
use concertina_run::state::MigrationFile;
use support::{runner_at, settings};
use tokio_postgres::Client;

const SCHEMA: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, a int NOT NULL, b text, c text DEFAULT 'some words that were there before');
    INSERT INTO t SELECT i, i % 1000, 'row ' || i FROM generate_series(1, 20000) AS i;
    CREATE INDEX t_a_idx ON t (a); CREATE INDEX t_b_idx ON t (b);
    VACUUM ANALYZE t";

async fn number(client: &Client, sql: &str) -> u64 {
    u64::try_from(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)).unwrap()
}

/// Everything of the user's and of the archive.
const USED: &str = "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'm') AND nspname IN ('public', 'concertina_archive')";
const WRITTEN: &str = "SELECT (pg_current_wal_lsn() - '0/0')::bigint";

#[tokio::test]
async fn what_is_used_and_written_is_within_what_was_foretold() {
    let server = Server::start_default().await.unwrap();
    // Nobody else is there: long batches, for the test's sake.
    let mut settings = settings();
    settings.throttle.batch = Duration::from_millis(50);
    for (name, sql) in [
        (
            "0001_derived",
            "ALTER TABLE t ADD COLUMN n bigint; UPDATE t SET n = a * 2; ALTER TABLE t ALTER COLUMN n SET NOT NULL",
        ),
        (
            "0002_index",
            "CREATE INDEX t_ab_idx ON t (a, b); ALTER TABLE t ADD CONSTRAINT t_id_b UNIQUE (id, b)",
        ),
        ("0003_rows", "UPDATE t SET a = a + 1 WHERE a < 900"),
        ("0004_delete", "DELETE FROM t WHERE a < 500"),
        ("0005_drop", "ALTER TABLE t DROP COLUMN c"),
        ("0006_volatile", "ALTER TABLE t ADD COLUMN u uuid NOT NULL DEFAULT gen_random_uuid()"),
        ("0007_check", "ALTER TABLE t ADD CONSTRAINT c CHECK (a >= 0)"),
    ] {
        let database = name;
        server.create_database(database).await.unwrap();
        let client = server.connect(database).await.unwrap();
        for statement in SCHEMA.split(';') {
            client.batch_execute(statement).await.unwrap();
        }
        let run = runner_at(&server.url(database), settings.clone()).await;
        run.engine.init().await.unwrap();
        let file = MigrationFile { name: name.to_owned(), text: sql.to_owned() };
        let plan = run.engine.plan(&file).await.unwrap();
        let outlook = run.engine.outlook(&[&plan]).await.unwrap().remove(0);
        let (keeps, wal) = outlook
            .steps
            .iter()
            .fold((0, 0), |(keeps, wal), step| (keeps + step.room.keeps, wal + step.room.wal));
        client.batch_execute("CHECKPOINT").await.unwrap();
        let (used, written) = (number(&client, USED).await, number(&client, WRITTEN).await);
        run.engine.expand(std::slice::from_ref(&file), None).await.unwrap();
        run.engine.contract(&[file], None, Confirm { destroy: true }).await.unwrap();
        let used = number(&client, USED).await.saturating_sub(used);
        let written = number(&client, WRITTEN).await - written;
        // Short transactions, the ledger and the server's own records.
        let small = 1 << 20;
        assert!(used <= keeps + small, "{name}: {used} bytes more are used, {keeps} were foretold");
        assert!(
            written <= wal + 6 * small,
            "{name}: {written} bytes of WAL were written, {wal} were foretold"
        );
        // And not so far above that large tables could never be changed.
        assert!(keeps <= 12 * used.max(small), "{name}: {keeps} were foretold, {used} are used");
        println!("{name}: used {used} of {keeps}, WAL {written} of {wal}");
    }
}

#[tokio::test]
async fn sizes_are_read_whatever_a_table_is_called_and_whoever_has_it_locked() {
    let server = Server::start_default().await.unwrap();
    let client = server.connect("postgres").await.unwrap();
    let long = "Ü".repeat(31);
    client
        .batch_execute(&format!(
            "CREATE SCHEMA \"My Shop\"; CREATE TABLE \"My Shop\".\"{long}\" (\"Id\" bigint PRIMARY KEY, t text);
             INSERT INTO \"My Shop\".\"{long}\" SELECT i, repeat('x', 100) FROM generate_series(1, 1000) AS i; ANALYZE;
             CREATE TABLE never (id int, big uuid); INSERT INTO never SELECT 1 FROM generate_series(1, 500);
             CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE one PARTITION OF parted DEFAULT;
             CREATE UNLOGGED TABLE unlogged (id int)"
        ))
        .await
        .unwrap();
    let target = Target::resolve(Some(&server.url("postgres"))).unwrap();
    let session = target.connect("test", &Settings::default()).await.unwrap();
    let named = Name::new("My Shop", &long);
    let never = Name::new("public", "never");
    let wanted: BTreeSet<Name> = [
        named.clone(),
        never.clone(),
        Name::new("public", "parted"),
        Name::new("public", "one"),
        Name::new("public", "unlogged"),
        Name::new("public", "nowhere"),
    ]
    .into();
    let sizes = outlook::sizes(&session, &wanted).await.unwrap();
    let table = &sizes.tables[&named];
    assert_eq!((table.rows, table.widths[&Ident::new("Id")]), (1000, 8));
    assert!(table.widths[&Ident::new("t")] >= 100 && table.heap > 100_000 && table.indexes.len() == 1);
    // Nothing was analysed: the type says what can be said.
    assert_eq!(sizes.tables[&never].widths[&Ident::new("big")], 16);
    assert!(sizes.tables[&never].rows > 0 && !sizes.tables[&never].unlogged);
    assert!(sizes.tables[&Name::new("public", "unlogged")].unlogged);
    let there: Vec<String> = sizes.tables.keys().map(ToString::to_string).collect();
    assert!(!there.iter().any(|name| name.contains("parted") || name.contains("nowhere")), "{there:?}");

    let mut locker = server.connect("postgres").await.unwrap();
    let locked = locker.transaction().await.unwrap();
    locked.batch_execute("LOCK TABLE never IN ACCESS EXCLUSIVE MODE").await.unwrap();
    assert!(outlook::sizes(&session, &wanted).await.unwrap().tables.contains_key(&never));
}

#[tokio::test]
async fn what_holds_wal_back_is_seen_by_a_plain_role() {
    let options = Options::new()
        .set("max_wal_size", "64MB")
        .set("wal_keep_size", "32MB")
        .set("max_slot_wal_keep_size", "160MB");
    let server = Server::start(&Installation::find().unwrap(), options).await.unwrap();
    server.psql("postgres", "CREATE ROLE plain LOGIN").await.unwrap();
    let target = Target::resolve(Some(&server.url_as("plain", "postgres"))).unwrap();
    let control = target.connect_control("test", &Settings::default()).await.unwrap();
    let keeping = room::wal_keeping(&control).await.unwrap();
    assert_eq!(keeping, WalKeeping { max_wal_size: 64 << 20, keep_size: 32 << 20, holders: Vec::new() });

    server.psql("postgres", "SELECT pg_create_physical_replication_slot('old', true)").await.unwrap();
    let keeping = room::wal_keeping(&control).await.unwrap();
    let holder = &keeping.holders[0];
    assert!(holder.what.starts_with("replication slot old, which nobody reads"), "{}", holder.what);
    let limit = holder.limit.unwrap();
    assert!((100 << 20..=192 << 20).contains(&limit), "{limit}");
    assert_eq!(keeping.kept(u64::MAX), limit);
    server.psql("postgres", "ALTER SYSTEM SET max_slot_wal_keep_size = -1").await.unwrap();
    server.reload().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while room::wal_keeping(&control).await.unwrap().holders[0].limit.is_some() {
        assert!(Instant::now() < deadline, "the limit stays");
    }
}

#[tokio::test]
async fn a_server_on_this_machine_is_asked_only_where_it_is_certainly_this_one() {
    let server = Server::start(&Installation::find().unwrap(), Options::new().tcp()).await.unwrap();
    let other = Server::start_default().await.unwrap();
    server
        .psql(
            "postgres",
            "CREATE ROLE plain LOGIN; CREATE ROLE knows LOGIN; GRANT pg_read_all_settings TO knows",
        )
        .await
        .unwrap();
    let url = server.tcp_url("postgres").unwrap();
    for (url, known) in [
        (server.url("postgres"), true),
        (url, true),
        (server.url_as("knows", "postgres"), true),
        (server.url_as("plain", "postgres"), false),
    ] {
        let target = Target::resolve(Some(&url)).unwrap();
        let control = target.connect_control("test", &Settings::default()).await.unwrap();
        match room::look(&control, &Disk::default()).await.unwrap() {
            Known::Free(free) => assert!(known && free.data > 0 && free.wal.is_none(), "{free:?}"),
            other => assert!(!known && matches!(other, Known::Unknown(_)), "{other:?}"),
        }
    }
    // Another server's directory where this one's should be, as behind a port that leads into a container.
    let control_file = |server: &Server| server.data().join("global/pg_control");
    let target = Target::resolve(Some(&server.url("postgres"))).unwrap();
    let control = target.connect_control("test", &Settings::default()).await.unwrap();
    let own = std::fs::read(control_file(&server)).unwrap();
    let theirs = std::fs::read(control_file(&other)).unwrap();
    let moved = control_file(&server).with_extension("own");
    std::fs::rename(control_file(&server), &moved).unwrap();
    std::fs::write(control_file(&server), &theirs).unwrap();
    let seen = room::look(&control, &Disk::default()).await.unwrap();
    std::fs::rename(&moved, control_file(&server)).unwrap();
    if own[..8] == theirs[..8] {
        // Both were copied from one template: nothing tells them apart, nor need it.
        assert!(matches!(seen, Known::Free(_)), "{seen:?}");
    } else {
        assert!(matches!(&seen, Known::Unknown(why) if why.contains("another server")), "{seen:?}");
    }
}

/// A tablespace, on another file system than the server's if this machine has one.
#[tokio::test]
async fn a_tablespace_is_measured_by_itself() {
    let server = Server::start_default().await.unwrap();
    let client = server.connect("postgres").await.unwrap();
    let base = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let directory = format!("{base}/concertina-room-{}", std::process::id());
    let shell = |command: String| format!("COPY (SELECT 1) TO PROGRAM '{command}'");
    // The server's own user must own it.
    client.batch_execute(&shell(format!("mkdir -m 700 {directory}"))).await.unwrap();
    client.batch_execute(&format!("CREATE TABLESPACE \"Fast\" LOCATION '{directory}'")).await.unwrap();
    for statement in SCHEMA.split(';') {
        client.batch_execute(statement).await.unwrap();
    }
    client.batch_execute("ALTER INDEX t_a_idx SET TABLESPACE \"Fast\"").await.unwrap();
    let settings = Settings { disk: Disk { reserve: 0, ..Disk::default() }, ..settings() };
    let run = runner_at(&server.url("postgres"), settings.clone()).await;
    run.engine.init().await.unwrap();
    let look = async |name: &str, sql: &str| {
        let file = MigrationFile { name: name.to_owned(), text: sql.to_owned() };
        let plan = run.engine.plan(&file).await.unwrap();
        (file, run.engine.outlook(&[&plan]).await.unwrap().remove(0))
    };
    let fast = Ident::new("Fast");
    let within = "SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
        JOIN pg_tablespace AS t ON t.oid = reltablespace WHERE spcname = 'Fast'";
    let before = number(&client, within).await;
    let (file, outlook) = look("0001_index", "CREATE INDEX i ON t (b) TABLESPACE \"Fast\"").await;
    let Known::Free(free) = &outlook.free else { panic!("{outlook:?}") };
    // Seen by itself exactly where it is another file system.
    use std::os::unix::fs::MetadataExt;
    let device = |path: &str| std::fs::metadata(path).unwrap().dev();
    let data: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let seen = free.spaces.iter().any(|other| other.names == [fast.clone()]);
    assert_eq!(seen, device(&data) != device(base), "{free:?}");
    let told = outlook.demands.iter().filter_map(|demand| demand.spaces.get(&fast)).max().copied().unwrap();
    run.engine.expand(std::slice::from_ref(&file), None).await.unwrap();
    let grown = number(&client, within).await - before;
    assert!(0 < grown && grown <= told, "{grown} of {told}");

    // Entries of the index that is there: a rewritten row has one in each index.
    let (_, outlook) = look("0002_rows", "UPDATE t SET a = a + 1").await;
    assert!(outlook.steps.iter().any(|step| step.elsewhere.contains_key(&fast)), "{outlook:?}");
    // What is told of it counts.
    let disk = Disk { spaces: [(fast.clone(), 1)].into(), ..settings.disk.clone() };
    let full = runner_at(&server.url("postgres"), Settings { disk, ..settings }).await;
    let more = MigrationFile {
        name: "0003_more".to_owned(),
        text: "CREATE INDEX j ON t (b) TABLESPACE \"Fast\"".to_owned(),
    };
    let error = full.engine.expand(&[file, more], Some("0003_more")).await.unwrap_err();
    let concertina_run::Error::NoRoom { have: 1, message, .. } = error else { panic!("{error}") };
    assert!(message.contains("in tablespace \"Fast\", and 1 bytes may be used"), "{message}");

    client.batch_execute("DROP INDEX t_a_idx, i").await.unwrap();
    client.batch_execute("DROP TABLESPACE \"Fast\"").await.unwrap();
    client.batch_execute(&shell(format!("rm -r {directory}"))).await.unwrap();
}
