//! Plain SQL and a catalog in, an online plan out. Pure: no I/O, no clock, no randomness; the same input gives the
//! same plan, byte for byte.
//!
//! ```text
//! sql (split, parse, directives, lower) ─▶ change ─▶ combine ─▶ kind (facts, online, effects) ─▶ schedule, outcome ─▶ plan
//! ```

pub mod sql;

pub mod catalog;
pub mod change;
pub mod combine;
pub mod effect;

pub mod kind;
pub mod pg;

pub mod batch;
pub(crate) mod ddl;
pub(crate) mod outcome;
pub mod plan;
pub(crate) mod schedule;

pub mod diagnostic;
pub mod estimate;
pub mod explain;
pub mod policy;
pub mod rights;

mod pipeline;

pub use pipeline::{Source, checksum, plan};
