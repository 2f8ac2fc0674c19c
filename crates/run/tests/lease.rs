//! Two runners and one lease on a real server: waiting, leaving, takeover, fencing, orphans.

#![expect(clippy::unwrap_used, reason = "a failing test says where")]

use std::time::Duration;

use concertina_lab::Server;
use concertina_run::connect::Target;
use concertina_run::engine::Stop;
use concertina_run::error::{Error, Failure};
use concertina_run::lease::{Lease, end_orphans, fence};
use concertina_run::ledger::{self, NewMigration, StepKey};
use concertina_run::settings::Settings;
use concertina_run::state::MigrationState;
use uuid::Uuid;

async fn start() -> (Server, Target) {
    let server = Server::start_default().await.unwrap();
    let target = Target::resolve(Some(&server.url("postgres"))).unwrap();
    let session = target.connect("test", &Settings::default()).await.unwrap();
    ledger::ensure(&session.client).await.unwrap();
    drop(session);
    (server, target)
}

fn ttl(seconds: f64) -> Settings {
    Settings { lease_ttl: Duration::from_secs_f64(seconds), ..Settings::default() }
}

async fn acquire(target: &Target, settings: &Settings) -> Result<Lease, Error> {
    Lease::acquire(target, settings, &Stop::default(), |_, _| {}).await
}

#[tokio::test]
async fn one_works_and_the_other_leaves_or_waits() {
    let (_server, target) = start().await;
    let first = acquire(&target, &ttl(60.0)).await.unwrap();

    let no_wait = Settings { lease_patience: Duration::ZERO, ..ttl(60.0) };
    let error = acquire(&target, &no_wait).await.unwrap_err();
    assert!(matches!(&error, Error::Busy { holder } if holder.contains("postgres@")), "{error}");

    let stop = Stop::default();
    let asked = stop.clone();
    let stopped = Lease::acquire(&target, &ttl(60.0), &stop, |_, _| asked.request()).await;
    assert!(matches!(stopped, Err(Error::Interrupted)));

    let mut reasons = Vec::new();
    let settings = ttl(60.0);
    let stop = Stop::default();
    let waiter = Lease::acquire(&target, &settings, &stop, |why, _| reasons.push(why.to_owned()));
    let releaser = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.release().await;
    };
    let (second, ()) = tokio::join!(waiter, releaser);
    second.unwrap().release().await;
    assert!(reasons[0].contains("another runner is at work: postgres@"), "{reasons:?}");
    // Released in order: there is nothing to wait for.
    acquire(&target, &no_wait).await.unwrap();
}

#[tokio::test]
async fn a_dropped_lease_is_free_at_once() {
    let (_server, target) = start().await;
    drop(acquire(&target, &ttl(3600.0)).await.unwrap());
    acquire(&target, &ttl(3600.0)).await.unwrap();
}

#[tokio::test]
async fn takeover_waits_for_the_open_step_and_fences_off_the_former() {
    let (_server, target) = start().await;
    // Its heartbeat comes once a second, which is too seldom for the other's idea of alive.
    let stalled = acquire(&target, &ttl(3.0)).await.unwrap();
    let mut session = target.connect("test", &Settings::default()).await.unwrap();
    let step = session.client.transaction().await.unwrap();
    fence(&step, stalled.token()).await.unwrap();

    let settings = ttl(0.3);
    let stop = Stop::default();
    let taker = Lease::acquire(&target, &settings, &stop, |_, _| {});
    tokio::pin!(taker);
    tokio::select! {
        _ = &mut taker => panic!("taken over in the middle of a step"),
        () = tokio::time::sleep(Duration::from_secs(2)) => {}
    }
    assert!(!stalled.is_lost());
    step.commit().await.unwrap();
    let taken = taker.await.unwrap();

    let step = session.client.transaction().await.unwrap();
    assert!(matches!(fence(&step, stalled.token()).await, Err(Error::Fenced)));
    fence(&step, taken.token()).await.unwrap();
    stalled.lost().await;
    assert!(stalled.is_lost() && !taken.is_lost());
    // The loser's release does not touch the winner's lease.
    stalled.release().await;
    fence(&step, taken.token()).await.unwrap();
}

#[tokio::test]
async fn a_heartbeat_that_lost_its_connection_comes_back() {
    let (server, target) = start().await;
    let lease = acquire(&target, &ttl(1.5)).await.unwrap();
    let mut beats = "SELECT backend_pid FROM concertina.lease";
    let before = server.psql("postgres", beats).await.unwrap();
    let kill = "SELECT pg_terminate_backend(backend_pid) FROM concertina.lease";
    server.psql("postgres", kill).await.unwrap();
    beats = "SELECT backend_pid FROM concertina.lease WHERE heartbeat_at > clock_timestamp() - interval '1 second'";
    let mut now = String::new();
    while now.is_empty() || now == before {
        tokio::time::sleep(Duration::from_millis(50)).await;
        now = server.psql("postgres", beats).await.unwrap();
    }
    let session = target.connect("test", &Settings::default()).await.unwrap();
    fence(&session.client, lease.token()).await.unwrap();
}

#[tokio::test]
async fn a_dead_holder_does_not_cost_the_whole_ttl() {
    let (server, target) = start().await;
    let gone = target.connect("test", &Settings::default()).await.unwrap();
    let sql = format!(
        "UPDATE concertina.lease SET token = '{}', holder = 'somebody', backend_pid = {}, backend_start = '{}', \
         acquired_at = now(), heartbeat_at = now()",
        Uuid::new_v4(),
        gone.pid,
        gone.backend_start
    );
    server.psql("postgres", &sql).await.unwrap();
    let settings = Settings { lease_patience: Duration::ZERO, ..ttl(3600.0) };
    assert!(matches!(acquire(&target, &settings).await, Err(Error::Busy { .. })));
    drop(gone);
    // Would run into the test's time limit if it waited for the heartbeat to get old.
    acquire(&target, &settings).await.unwrap();
}

#[tokio::test]
async fn the_unfinished_statement_of_a_stale_runner_is_ended() {
    let (_server, target) = start().await;
    let stalled = acquire(&target, &ttl(3600.0)).await.unwrap();
    let mut session = target.connect("test", &Settings::default()).await.unwrap();
    let new = NewMigration { name: "0001_a", checksum: "c", plan: None, state: MigrationState::Expanding };
    let id = ledger::insert_migration(&session.client, new, &session.who).await.unwrap();
    let key = StepKey::forward(id, 0);
    ledger::begin_step(&session.client, key, session.pid, &session.backend_start).await.unwrap();
    let step = session.client.transaction().await.unwrap();
    fence(&step, stalled.token()).await.unwrap();

    let settings = ttl(0.5);
    let (statement, taken) =
        tokio::join!(step.batch_execute("SELECT pg_sleep(3600)"), acquire(&target, &settings));
    taken.unwrap();
    assert_eq!(Failure::of(&statement.unwrap_err()), Failure::ConnectionLost);
}

#[tokio::test]
async fn only_the_recorded_backend_is_ended() {
    let (server, target) = start().await;
    server.psql("postgres", "CREATE ROLE app LOGIN; CREATE ROLE worker; GRANT worker TO app").await.unwrap();
    let app = Target::resolve(Some(&server.url_as("app", "postgres"))).unwrap();
    let as_worker = Settings { role: Some("worker".to_owned()), ..Settings::default() };
    // Both took another role since, which hides them from each other, but not from a control session.
    let orphan = app.connect("test", &as_worker).await.unwrap();
    let other = app.connect("test", &as_worker).await.unwrap();
    let control = app.connect_control("test", &as_worker).await.unwrap();
    let backends = [
        (orphan.pid, orphan.backend_start.clone()),
        (other.pid, "2001-01-01T00:00:00.000000Z".to_owned()),
        (control.pid, control.backend_start.clone()),
    ];
    end_orphans(&control.client, &backends).await.unwrap();
    assert!(orphan.client.batch_execute("SELECT 1").await.is_err());
    other.client.batch_execute("SELECT 1").await.unwrap();

    let foreign = target.connect("test", &Settings::default()).await.unwrap();
    let result = end_orphans(&control.client, &[(foreign.pid, foreign.backend_start.clone())]).await;
    let Err(Error::Privilege { what, .. }) = result else { panic!("{result:?}") };
    assert!(what.contains("postgres began, and app may not end it"), "{what}");
    foreign.client.batch_execute("SELECT 1").await.unwrap();
}
