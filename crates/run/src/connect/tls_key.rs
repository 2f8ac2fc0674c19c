//! The client certificate's private key, and who else may read it.
//! Source: `initialize_SSL` in src/interfaces/libpq/fe-secure-openssl.c.

use std::fs;
use std::path::Path;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// Reads it. A key that others can read, or that is encrypted, is refused with the way out.
pub(super) fn read(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let name = file.display();
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot read {name}: {error}");
    let metadata = fs::metadata(file).map_err(|error| unreadable(&error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // The group may read a key of root's: that is how system services share one.
        let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.mode() & others != 0 {
            return Err(format!("private key file {name} can be read by others; run: chmod 0600 {name}"));
        }
    }
    let text = fs::read(file).map_err(|error| unreadable(&error))?;
    let encrypted = String::from_utf8_lossy(&text);
    if encrypted.contains("ENCRYPTED PRIVATE KEY") || encrypted.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "private key file {name} is encrypted, and encrypted keys are not read: write one without passphrase (openssl pkey -in \
             {name} -out plain.key; chmod 0600 plain.key) and name it with sslkey"
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| unreadable(&error))
}
