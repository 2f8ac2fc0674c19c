//! Real servers: they start, they stop, and they never outlive us.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use concertina_lab::{Installation, Options, Server};

#[tokio::test]
async fn starts_answers_and_leaves_nothing() {
    let server = Server::start_default().await.unwrap();
    let directory = server.directory().to_path_buf();
    let pid = server.pid().unwrap();
    server.create_database("shop").await.unwrap();
    server.psql("shop", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)").await.unwrap();
    server.create_database_from("shop", "copy").await.unwrap();
    assert_eq!(server.psql("copy", "SELECT count(*) FROM t").await.unwrap(), "2\n");
    let dump = server.pg_dump_schema("copy").await.unwrap();
    assert!(dump.contains("CREATE TABLE public.t") && !dump.contains("restrict"), "{dump}");
    let failure = server.psql("shop", "SELECT 1; SELECT nonsense; SELECT 2").await.unwrap_err();
    assert!(failure.to_string().contains("nonsense"), "{failure}");
    let client = server.connect("shop").await.unwrap();
    let count: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 2);
    server.drop_database("shop").await.unwrap();
    assert!(server.connect("shop").await.is_err());

    drop(server);
    assert!(!is_running(pid));
    assert!(!directory.exists());
}

#[tokio::test]
async fn two_servers_at_once_and_settings() {
    let installation = Installation::find().unwrap();
    let tcp = Options::new().set("work_mem", "7MB").tcp();
    let (one, two) =
        tokio::join!(Server::start(&installation, tcp), Server::start(&installation, Options::new()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.directory(), two.directory());
    assert_eq!(one.psql("postgres", "SHOW work_mem").await.unwrap(), "7MB\n");
    assert_eq!(one.psql("postgres", "SHOW fsync").await.unwrap(), "off\n");
    assert_eq!(two.psql("postgres", "SHOW listen_addresses").await.unwrap(), "\n");
    let url = one.tcp_url("postgres").unwrap();
    assert!(tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_ok());
    assert!(two.tcp_url("postgres").is_err());
}

#[tokio::test]
async fn restarts_in_order_and_after_sigkill() {
    let installation = Installation::find().unwrap();
    let mut server = Server::start(&installation, Options::new().durable()).await.unwrap();
    server.psql("postgres", "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)").await.unwrap();
    server.restart().await.unwrap();
    server.psql("postgres", "INSERT INTO kept VALUES (2)").await.unwrap();
    server.kill().await.unwrap();
    assert!(server.connect("postgres").await.is_err());
    server.restart().await.unwrap();
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM kept").await.unwrap(), "2\n");
}

#[tokio::test]
async fn a_standby_replays_and_can_be_promoted() {
    let primary = Server::start_default().await.unwrap();
    let standby = primary.standby(Options::new()).await.unwrap();
    primary.psql("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id").await.unwrap();
    standby.wait_for_replay_of(&primary, Duration::from_secs(60)).await.unwrap();
    let seen = "SELECT count(*), pg_is_in_recovery() FROM t";
    assert_eq!(standby.psql("postgres", seen).await.unwrap(), "1000|t\n");
    standby.promote().await.unwrap();
    standby.psql("postgres", "INSERT INTO t VALUES (0)").await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let installation = Installation::find().unwrap();
    let failure = Server::start(&installation, Options::new().set("no_such_setting", "1")).await.unwrap_err();
    assert!(failure.to_string().contains("no_such_setting"), "{failure}");
}

/// Every major version there is on this machine; `xtask install-postgres` makes it five.
#[tokio::test]
async fn every_installed_major_starts() {
    for installation in Installation::all() {
        let server = Server::start(&installation, Options::new()).await.unwrap();
        server.psql("postgres", "CREATE TABLE t (id int)").await.unwrap();
        server.psql("postgres", "CREATE EXTENSION citext").await.unwrap();
        assert!(server.pg_dump_schema("postgres").await.unwrap().contains("CREATE TABLE public.t"));
        let version = server.psql("postgres", "SHOW server_version_num").await.unwrap();
        assert!(version.starts_with(&installation.major.to_string()), "{version}");
    }
}

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
async fn helper_that_is_killed() {
    if std::env::var_os("CONCERTINA_LAB_HELPER").is_none() {
        return;
    }
    let server = Server::start_default().await.unwrap();
    println!("\nserver {} {}", server.pid().unwrap(), server.directory().display());
    tokio::time::sleep(Duration::from_secs(600)).await;
}

#[test]
fn sigkill_of_the_owner_leaves_no_server() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_is_killed", "--nocapture"])
        .env("CONCERTINA_LAB_HELPER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(owner.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.starts_with("server ")).unwrap();
    let mut words = line.split(' ').skip(1);
    let pid: u32 = words.next().unwrap().parse().unwrap();
    let directory = Path::new(words.next().unwrap());
    assert!(is_running(pid) && directory.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while is_running(pid) || directory.exists() {
        assert!(Instant::now() < deadline, "server {pid} in {} is still there", directory.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_running(pid: u32) -> bool {
    let probe = Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}
