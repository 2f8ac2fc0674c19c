//! PostgreSQL's own facts, typed: lock modes and what they block, triggers and when they fire, versions.

pub mod cast;
pub mod firing;
pub mod lock;
pub mod retype;
pub mod version;
