//! TLS as libpq's `sslmode` has it, on rustls.
//! Source: doc/src/sgml/libpq.sgml, "SSL Support".

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::params::Params;

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            // `allow` tries without TLS first; a stronger connection where both are possible harms nobody.
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(
                    "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full".to_owned()
                );
            }
        })
    }
}

/// TLS for one target: whether, and how the server is verified.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    pub(super) connector: MakeRustlsConnect,
}

impl Tls {
    /// Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey`. `home` is where libpq keeps its files by default.
    pub(super) fn from_params(params: &Params, home: Option<&Path>) -> Result<Self, String> {
        let default_file =
            |name: &str| home.map(|home| home.join(".postgresql").join(name)).filter(|file| file.is_file());
        let root_file = match params.get("sslrootcert").map(String::as_str) {
            Some("system") => None,
            Some(file) => Some(PathBuf::from(file)),
            None => default_file("root.crt"),
        };
        let system = params.get("sslrootcert").is_some_and(|file| file == "system");
        let mut mode = match params.get("sslmode") {
            Some(mode) => Mode::parse(mode)?,
            // As libpq 16 has it: system roots say little about who it is unless the name is checked.
            None if system => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        if system && !matches!(mode, Mode::VerifyFull | Mode::Disable) {
            return Err("sslrootcert=system works only with sslmode=verify-full".to_owned());
        }
        // libpq keeps this old behaviour: with roots at hand, `require` verifies the chain.
        if mode == Mode::Require && root_file.is_some() {
            mode = Mode::VerifyCa;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = match mode {
            Mode::Disable | Mode::Prefer | Mode::Require => Verifier::nobody(&provider),
            Mode::VerifyCa | Mode::VerifyFull => {
                Verifier::roots(&provider, root_file.as_deref(), mode == Mode::VerifyFull)?
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let certificate = params.get("sslcert").map(PathBuf::from).or_else(|| default_file("postgresql.crt"));
        let key = params.get("sslkey").map(PathBuf::from).or_else(|| default_file("postgresql.key"));
        let mut config = match (certificate, key) {
            (Some(certificate), Some(key)) if mode != Mode::Disable => {
                let own = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, &error))?;
                builder
                    .with_client_auth_cert(certificates(&certificate)?, own)
                    .map_err(|error| format!("{}: {error}", certificate.display()))?
            }
            _ => builder.with_no_client_auth(),
        };
        // Needed by sslnegotiation=direct, harmless otherwise.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { mode, connector: MakeRustlsConnect::new(config) })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).and_then(|certificates| certificates.collect());
    match found {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate", file.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(file, &error)),
    }
}

fn unreadable(file: &Path, error: &rustls::pki_types::pem::Error) -> String {
    format!("cannot read {}: {error}", file.display())
}

/// Checks as much of the server's certificate as `sslmode` asks for.
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// `None` trusts anybody: it is encryption only.
    trusted: Option<Trusted>,
}

struct Trusted {
    roots: RootCertStore,
    /// The certificates of `sslrootcert` as they are: the usual self-signed server certificate is its own root, which
    /// OpenSSL accepts and webpki does not.
    verbatim: Vec<CertificateDer<'static>>,
    name: bool,
}

impl Verifier {
    fn nobody(provider: &Arc<CryptoProvider>) -> Self {
        Self { provider: Arc::clone(provider), trusted: None }
    }

    fn roots(provider: &Arc<CryptoProvider>, file: Option<&Path>, name: bool) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let verbatim = match file {
            Some(file) => {
                let found = certificates(file)?;
                for certificate in &found {
                    roots.add(certificate.clone()).map_err(|error| format!("{}: {error}", file.display()))?;
                }
                found
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err(
                        "no root certificates found on this system; name a file with sslrootcert".to_owned()
                    );
                }
                Vec::new()
            }
        };
        let trusted = Trusted { roots, verbatim, name };
        Ok(Self { provider: Arc::clone(provider), trusted: Some(trusted) })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.trusted.as_ref().map(|trusted| trusted.roots.len());
        f.debug_struct("Verifier").field("roots", &roots).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        if !trusted.verbatim.iter().any(|root| root.as_ref() == end_entity.as_ref()) {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &trusted.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if trusted.name {
            verify_server_name(&parsed, server_name)
                .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::NotValidForName))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
