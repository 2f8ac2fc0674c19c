//! All contact with PostgreSQL: introspection, ledger, lease, execution, backfill, throttling.
//!
//! ```text
//! connect ─▶ introspect ─▶ (concertina_plan::plan) ─▶ ledger ─▶ lease ─▶ executor ─▶ ddl_step | backfill ─▶ watch, throttle
//! ```
//! [`Engine`] is the door: the commands of the CLI, the harness and the benchmarks all go through it.

pub mod adopt;
pub mod check;
pub mod engine;
mod forward;
mod simple;
mod snapshots;
mod status;
mod undo;
pub mod uninstall;

pub mod archive;
pub mod connect;
pub mod dump;
pub mod files;
pub mod introspect;
pub mod lease;
pub mod ledger;
pub mod probe;
pub mod quarantine;
pub mod report;
pub mod rights;

mod alone;
mod backfill;
mod ddl_step;
mod denied;
mod dependents;
mod executor;
mod long_step;

pub mod outlook;
pub mod room;

mod journal;
mod observe;
mod obstacle;
mod throttle;
mod wait;
mod watch;

pub mod error;
pub mod event;
pub mod failpoint;
pub mod settings;
pub mod state;

pub use engine::Engine;
pub use error::Error;
