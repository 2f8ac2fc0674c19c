//! PostgreSQL's own facts, typed: lock modes and what they block, versions.

pub mod lock;
pub mod retype;
pub mod version;
