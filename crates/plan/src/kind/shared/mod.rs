//! Mechanisms that two or more kinds use.

pub(crate) mod not_null;
pub(crate) mod tighten;
