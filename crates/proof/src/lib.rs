//! What the plans claim, checked on real servers.
//!
//! A case is a folder of `tests/cases`: a schema with rows, a migration, and what is expected. One harness feeds each of
//! them through the oracles of the design:
//!
//! ```text
//! case ─▶ world (server, databases) ─▶ drive (the engine, stopped or killed where we like) ─▶ oracle/*
//!                                        compare (schemas, data, sequences, what is left behind)
//! ```
//! An oracle never asks the planner whether it was right: it looks at the server, or compares with the same SQL run by `psql`.

pub mod case;
pub mod clients;
pub mod compare;
pub mod drive;
pub mod oracle;
pub mod shape;
pub mod world;
