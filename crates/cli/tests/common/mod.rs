//! What several of the test binaries need.

use std::path::PathBuf;

/// A path from the repository's root.
pub(crate) fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join(path)
}
