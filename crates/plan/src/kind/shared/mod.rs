//! Mechanisms that two or more kinds use.

pub(crate) mod index;
pub(crate) mod not_null;
pub(crate) mod tighten;
pub(crate) mod tree;
pub(crate) mod will_fail;
