//! Mechanisms that two or more kinds use.

pub(crate) mod again;
pub(crate) mod alter;
pub(crate) mod archive;
pub(crate) mod batch;
pub(crate) mod before_image;
pub(crate) mod bound;
pub(crate) mod clock;
pub(crate) mod dependents;
pub(crate) mod double_write;
pub(crate) mod firing;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod mirror;
pub(crate) mod moved;
pub(crate) mod not_null;
pub(crate) mod not_valid;
#[cfg(test)]
pub(crate) mod proving;
pub(crate) mod quarantine;
pub(crate) mod row_trigger;
pub(crate) mod second;
pub(crate) mod silence;
pub(crate) mod stand_in;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tighten;
pub(crate) mod tree;
pub(crate) mod unconstrain;
pub(crate) mod whole_table;
pub(crate) mod will_fail;
