//! The only writer of DDL text, from quoting types.
