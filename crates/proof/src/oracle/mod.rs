//! One file an oracle. Each takes a case on a fresh copy of its database and says what is wrong.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use concertina_plan::plan::Plan;

use crate::case::Case;
use crate::compare::Picture;
use crate::world::Database;

pub mod clients;
pub mod explain;
pub mod facts;
pub mod forward;
pub mod kill;
pub mod owner;
pub mod refused;
pub mod stopped;
pub mod undo;

/// What the oracles of one case share.
#[derive(Debug)]
pub struct Exhibit<'a> {
    /// The case.
    pub case: &'a Case,
    /// The database before; nobody may stay connected to it.
    pub start: &'a Database<'a>,
    /// What it holds.
    pub before: Picture,
    /// What the naive SQL makes of it.
    pub after: Picture,
    /// What is ours as soon as the ledger is made.
    pub ledger: BTreeSet<String>,
    /// The plan.
    pub plan: Plan,
}

/// Which boundaries are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundaries {
    /// All.
    All,
    /// This many, the same ones each time for one case.
    Some(usize),
}

impl Boundaries {
    /// `CONCERTINA_BOUNDARIES=all`, or a number; two where nothing is said.
    pub fn from_environment() -> Self {
        match std::env::var("CONCERTINA_BOUNDARIES").as_deref() {
            Ok("all") => Self::All,
            Ok(number) => Self::Some(number.parse().unwrap_or(2)),
            Err(_) => Self::Some(2),
        }
    }

    /// Boundaries from 1 to `steps`, chosen by the case's name so that the cases together visit all sorts.
    pub fn of(self, steps: usize, name: &str) -> Vec<usize> {
        match self {
            Self::Some(few) if few < steps => {
                let mut chosen: Vec<usize> =
                    (0..few).map(|i| 1 + (hash(name) % steps + i * steps / few) % steps).collect();
                chosen.sort_unstable();
                chosen.dedup();
                chosen
            }
            _ => (1..=steps).collect(),
        }
    }
}

/// A number that is always the same for a name.
pub(crate) fn hash(name: &str) -> usize {
    name.bytes().fold(7, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(byte.into()) % 1_000_003)
}

/// Feeds a case through every oracle that fits it. All run; their complaints come together.
///
/// # Errors
/// The complaints.
pub async fn judge(case: &Case, start: &Database<'_>, boundaries: Boundaries) -> Result<()> {
    if case.expect.refused.is_some() {
        return refused::judge(case, start).await;
    }
    let plan = match crate::drive::plan(&start.url(), &case.file()).await? {
        Ok(plan) => plan,
        Err(refusal) => anyhow::bail!("it was refused:\n{}", crate::drive::words(&refusal)),
    };
    if ["facts", "forward", "undo", "kill", "clients"].iter().all(|oracle| !wanted(oracle)) {
        return complaints(vec![("explain", explain::judge(case, start, &plan).await)]);
    }
    let before = crate::compare::picture(start, &case.expect.volatile).await?;
    if case.expect.fails.is_some() {
        return complaints(vec![
            ("explain", explain::judge(case, start, &plan).await),
            ("stopped", stopped::judge(case, start, &plan, &before).await),
        ]);
    }
    let naive = start.copy().await?;
    naive.psql(&case.naive).await?;
    let after = crate::compare::picture(&naive, &case.expect.volatile).await?;
    let engine = crate::drive::looking(&naive.url()).await?;
    engine.init().await.map_err(|error| anyhow::anyhow!(crate::drive::words(&error)))?;
    let ledger = crate::compare::ours(&naive.connect().await?).await?;
    naive.remove().await?;
    let exhibit = Exhibit { case, start, before, after, ledger, plan };
    let begun = Instant::now();
    let took =
        |oracle: &str| println!("{}: {oracle} after {:.1} s", case.name, begun.elapsed().as_secs_f64());
    let mut verdicts = Vec::new();
    if wanted("explain") {
        verdicts.push(("explain", explain::judge(case, start, &exhibit.plan).await));
        took("explain");
    }
    if wanted("facts") {
        verdicts.push(("facts", facts::judge(&exhibit).await));
        took("facts");
    }
    if wanted("forward") {
        verdicts.push(("forward", forward::judge(&exhibit).await));
        took("forward");
    }
    if wanted("undo") {
        verdicts.push(("undo", undo::judge(&exhibit, boundaries).await));
        took("undo");
    }
    if wanted("kill") {
        verdicts.push(("kill", kill::judge(&exhibit, boundaries).await));
        took("kill");
    }
    if wanted("clients") {
        verdicts.push(("clients", clients::judge(&exhibit).await));
        took("clients");
    }
    if wanted("owner") {
        verdicts.push(("owner", owner::judge(&exhibit).await));
        took("owner");
    }
    complaints(verdicts)
}

/// `CONCERTINA_ORACLES=explain,undo` asks these alone, while a case is being written.
fn wanted(oracle: &str) -> bool {
    match std::env::var("CONCERTINA_ORACLES") {
        Ok(named) => named.split(',').any(|name| name.trim() == oracle),
        Err(_) => true,
    }
}

fn complaints(verdicts: Vec<(&str, Result<()>)>) -> Result<()> {
    let complaints: Vec<String> = verdicts
        .into_iter()
        .filter_map(|(oracle, verdict)| verdict.err().map(|error| format!("--- {oracle}: {error:#}")))
        .collect();
    anyhow::ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Boundaries;

    #[test]
    fn a_sample_is_stable_and_within_bounds() {
        for steps in 1..12 {
            let chosen = Boundaries::Some(2).of(steps, "kind/case");
            assert_eq!(chosen, Boundaries::Some(2).of(steps, "kind/case"));
            assert!(!chosen.is_empty() && chosen.iter().all(|k| (1..=steps).contains(k)), "{chosen:?}");
        }
        assert_eq!(Boundaries::All.of(3, ""), [1, 2, 3]);
    }
}
