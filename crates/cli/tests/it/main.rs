//! The command as its users meet it: the binary itself, on real servers, and the documentation about it.
#![expect(clippy::unwrap_used, reason = "a failed setup is a failed test, in helpers too")]

#[path = "../support/page.rs"]
mod page;
mod project;
mod validate;

mod adopt;
mod changes;
mod check;
mod docs;
mod interrupted;
mod live;
mod offline;
mod owner;
mod pages;
mod quarantine;
mod readme;
mod rights;
mod room;
mod schemas;
mod secrets;

/// A path from the repository's root.
fn root(path: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join(path)
}
