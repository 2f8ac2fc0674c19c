//! The only writer of DDL text: small functions from quoting types to statements.

pub(crate) mod constraint;
pub(crate) mod index;
