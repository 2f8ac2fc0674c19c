//! Client traffic at a fixed rate.
