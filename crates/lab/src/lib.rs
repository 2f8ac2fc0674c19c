//! Throw-away PostgreSQL servers and client traffic, for the demo, the tests and the benchmarks.
//!
//! ```text
//! binaries  where PostgreSQL is installed        tools     pg_dump, psql, … that fit a server
//! template  one initdb per version, then copies  account   who runs the server when we are root
//! server    start, stop, kill, restart           watchdog  stops the server even if we are killed
//! database  create, drop, load, dump             standby   a streaming copy of a server
//! install   fetch other major versions           traffic   clients at a fixed rate, and what they felt
//! pooler    a pgbouncer in front of a server
//! ```
//!
//! Two promises hold everywhere: a server never outlives the process that started it, however that process
//! ends, and nothing outside its own temporary directory and the cache is touched.

mod account;
mod binaries;
pub mod cache;
mod database;
pub mod install;
mod pooler;
mod server;
mod standby;
mod template;
mod tools;
pub mod traffic;
mod watchdog;

pub use binaries::Installation;
pub use database::{quote_ident, quote_literal};
pub use pooler::Pooler;
pub use server::{Options, Server};
pub use tools::Tools;
