//! Mechanisms that two or more kinds use.
