//! Traffic against a real server: nothing is lost, and a stall is seen at its full length.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

use std::time::Duration;

use concertina_lab::traffic::{Config, Mix, Traffic, params};
use concertina_lab::{Options, Server};
use rand::Rng;

const ROWS: i32 = 100;

async fn server_with_table() -> Server {
    let server = Server::start_default().await.unwrap();
    let schema = "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);
                  INSERT INTO t SELECT i, 0 FROM generate_series(1, 100) AS i";
    server.psql("postgres", schema).await.unwrap();
    server
}

fn mix() -> Mix {
    Mix::new()
        .statement(2, "read", "SELECT v FROM t WHERE id = $1", |rng| params![rng.random_range(1..=ROWS)])
        .action(1, "write", |client, rng| {
            let id = rng.random_range(1..=ROWS);
            Box::pin(async move {
                let transaction = client.transaction().await?;
                transaction.execute("UPDATE t SET v = v + 1 WHERE id = $1", &[&id]).await?;
                Ok(transaction.commit().await?)
            })
        })
}

#[tokio::test]
async fn every_operation_is_accounted_for() {
    let server = server_with_table().await;
    let config = Config::new(server.url("postgres")).connections(4).rate(300.0);
    let traffic = Traffic::start(config, mix()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(traffic.live().ops > 0);
    let report = traffic.stop().await;

    assert!(report.scheduled >= 300, "{report:?}");
    assert_eq!(report.unanswered(), 0);
    assert_eq!((report.failed, report.ops), (0, report.scheduled));
    assert_eq!(report.buckets.iter().map(|bucket| bucket.count).sum::<u64>(), report.ops);
    assert_eq!(report.kinds.values().map(|kind| kind.ops).sum::<u64>(), report.ops);
    let written = server.psql("postgres", "SELECT sum(v) FROM t").await.unwrap();
    assert_eq!(written.trim(), report.kinds["write"].ops.to_string());
}

#[tokio::test]
async fn a_lock_is_felt_by_everyone_who_was_due() {
    let server = server_with_table().await;
    let config = Config::new(server.url("postgres")).connections(2).rate(200.0);
    let traffic = Traffic::start(config, mix()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let hold = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.4); COMMIT";
    server.psql("postgres", hold).await.unwrap();
    let report = traffic.stop().await;

    assert!(report.max >= Duration::from_millis(300), "{report:?}");
    // Two connections wait, but some 40 operations fall due in the last 200 ms alone.
    let late: u64 =
        report.buckets.iter().filter(|bucket| bucket.max >= Duration::from_millis(50)).count() as u64;
    assert!(late >= 3, "{report:?}");
    assert_eq!(report.unanswered(), 0);
}

#[tokio::test]
async fn failures_keep_their_sqlstate() {
    let server = server_with_table().await;
    let mix = Mix::new().statement(1, "good", "SELECT v FROM t WHERE id = $1", |_| params![1]).statement(
        1,
        "bad",
        "SELECT 1 / (v - v) FROM t WHERE id = $1",
        |_| params![1],
    );
    let traffic = Traffic::start(Config::new(server.url("postgres")), mix).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let report = traffic.stop().await;
    assert!(report.ops > 0);
    assert_eq!(report.errors.get("22012"), Some(&report.failed), "{:?}", report.errors);
    assert_eq!(report.kinds["bad"].ops, 0);
    assert_eq!(report.failures[0].kind, "bad");
}

#[tokio::test]
async fn clients_come_back_after_a_crash() {
    let installation = concertina_lab::Installation::find().unwrap();
    let mut server = Server::start(&installation, Options::new().durable()).await.unwrap();
    server.psql("postgres", "CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)").await.unwrap();
    let config = Config::new(server.url("postgres")).connections(4).rate(200.0);
    let traffic = Traffic::start(config, mix()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.kill().await.unwrap();
    server.restart().await.unwrap();
    let before = traffic.snapshot().ops;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let report = traffic.stop().await;
    assert!(report.ops > before, "{report:?}");
    assert!(report.reconnects > 0 && report.failed > 0, "{report:?}");
    assert_eq!(report.unanswered(), 0);
}
