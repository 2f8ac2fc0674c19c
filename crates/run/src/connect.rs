//! Where and how to connect.

/// A parsed connection target, TLS included. Its `Debug` and every error leave the password out.
#[derive(Clone)]
pub struct Target {
    // tokio_postgres::Config, TLS mode and roots
}

impl Target {
    /// From a URL or keyword string, or from DATABASE_URL / PG* environment variables when `None`.
    ///
    /// # Errors
    /// [`crate::Error::Connection`] when it cannot be parsed.
    pub fn resolve(url: Option<&str>) -> Result<Self, crate::Error> {
        todo!()
    }
}
