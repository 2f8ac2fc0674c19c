//! The only writer of DDL text: small functions from quoting types to statements.

pub(crate) mod alias;
pub(crate) mod archive;
pub(crate) mod column;
pub(crate) mod constraint;
pub(crate) mod dynamic;
pub(crate) mod heir;
pub(crate) mod index;
pub(crate) mod moved;
pub(crate) mod partition;
pub(crate) mod policy;
pub(crate) mod sequence;
pub(crate) mod table;
pub(crate) mod trigger;
