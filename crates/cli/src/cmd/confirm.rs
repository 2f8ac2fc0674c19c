//! Asks before data is removed, migration by migration.

use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use concertina_run::engine::{Confirm, Outcome};
use concertina_run::state::MigrationFile;
use concertina_run::{Engine, Error};

use crate::failure::Failure;
use crate::render::{BAD, STRONG, say};
use crate::session::Session;

/// Does `attempt` until it is through. Each migration that would remove data is asked about, then contracted alone, so that
/// one "yes" never covers another migration's data.
pub(super) async fn run(
    session: &Session,
    engine: &Engine,
    files: &[MigrationFile],
    yes: bool,
    attempt: impl AsyncFn(Confirm) -> Result<Outcome, Error>,
) -> Result<Outcome, Failure> {
    let mut all = Outcome::default();
    loop {
        match attempt(Confirm { destroy: yes }).await {
            Ok(outcome) => {
                merge(&mut all, outcome);
                return Ok(all);
            }
            Err(Error::NotConfirmed { migration, what }) if !yes && std::io::stdin().is_terminal() => {
                session.progress.finish();
                say(&format!("Contract of {STRONG}{migration}{STRONG:#} {BAD}removes data{BAD:#}: {what}"));
                if !ask(session).await {
                    return Err(Error::NotConfirmed { migration, what }.into());
                }
                merge(&mut all, engine.contract(files, Some(&migration), Confirm { destroy: true }).await?);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn merge(all: &mut Outcome, more: Outcome) {
    for name in more.moved {
        if !all.moved.contains(&name) {
            all.moved.push(name);
        }
    }
    all.steps += more.steps;
    all.waiting = more.waiting;
}

/// Waits for an answer, or for Ctrl-C.
pub(super) async fn ask(session: &Session) -> bool {
    say("Type yes to go on:");
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    // A thread of its own: a blocked read must not keep the process from ending.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = sender.send(read.is_ok() && line.trim().eq_ignore_ascii_case("yes"));
    });
    loop {
        tokio::select! {
            answer = &mut receiver => return answer.unwrap_or(false),
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                if session.stop.requested() {
                    return false;
                }
            }
        }
    }
}
