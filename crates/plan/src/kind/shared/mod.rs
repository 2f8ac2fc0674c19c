//! Mechanisms that two or more kinds use.

pub(crate) mod tighten;
