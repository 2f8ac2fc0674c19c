//! How long each step of a plan may take, and how much room on disk it may need.
//!
//! Pure, like the plan itself. [`tables`] says whose sizes matter; the runner asks the server for them ([`Sizes`]), for what earlier
//! steps taught about its speed ([`Sample`]), and for what holds WAL back ([`WalKeeping`]); [`steps`] and [`demands`] do the sums.
//!
//! ```text
//! plan ─ tables ─▶ (server) ─▶ Sizes ─┬─▶ work: how much of what ──▶ duration: samples, pace ─▶ Expected
//!                                     └─▶ room: heap, indexes, WAL ─▶ demand: step after step ─▶ enough?
//! ```

mod demand;
mod duration;
mod room;
mod sizes;
mod words;
mod work;

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::sql::ident::Ident;

pub use demand::{Demand, Elsewhere, Free, Holder, Lacking, Shortage, WalKeeping, demands, shortage};
pub use duration::{Basis, Expected, Pace, Sample, expected};
pub use room::{Room, Used};
pub use sizes::{Sizes, Table, tables};
pub use words::{bytes, room, span};
pub use work::{Load, Measure};

/// What is expected of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepEstimate {
    /// How much there is to do.
    pub load: Load,
    /// How long that may take.
    pub expected: Expected,
    /// Room that it may need.
    pub room: Room,
    /// What of that lies in tablespaces of their own, not in the server's data directory.
    pub elsewhere: BTreeMap<Ident, Used>,
}

/// An estimate for each step of the plan, in its order.
pub fn steps(plan: &Plan, sizes: &Sizes, samples: &[Sample], pace: Pace) -> Vec<StepEstimate> {
    let one = |step| {
        let load = work::load(step, sizes);
        let (room, elsewhere) = room::of(step, plan, sizes);
        StepEstimate { load, expected: expected(load, samples, pace), room, elsewhere }
    };
    plan.steps.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
