//! PostgreSQL's own facts, typed: lock modes and what they block, versions.

pub mod cast;
pub mod lock;
pub mod retype;
pub mod version;
