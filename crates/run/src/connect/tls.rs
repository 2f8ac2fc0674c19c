//! TLS as libpq's `sslmode` has it, on rustls.
//! Source: doc/src/sgml/libpq.sgml, "SSL Support".

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::params::Params;

/// `sslmode`, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
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
    /// Reads `ssl…`. `home` is where libpq keeps its files by default. A `local` target knows no TLS, and libpq then looks at nothing of it.
    pub(super) fn from_params(params: &Params, home: Option<&Path>, local: bool) -> Result<Self, String> {
        let default_file =
            |name: &str| home.map(|home| home.join(".postgresql").join(name)).filter(|file| file.is_file());
        let system = params.get("sslrootcert").is_some_and(|file| file == "system");
        let root_file = match params.get("sslrootcert") {
            _ if local || system => None,
            Some(file) => Some(PathBuf::from(file)),
            None => default_file("root.crt"),
        };
        let mut mode = match params.get("sslmode") {
            Some(mode) => Mode::parse(mode)?,
            // As libpq 16 has it: system roots say little about who it is unless the name is checked.
            None if system => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        if system && mode != Mode::VerifyFull {
            return Err("sslrootcert=system works only with sslmode=verify-full".to_owned());
        }
        // libpq keeps this old behaviour: with roots at hand, `require` verifies the chain.
        if mode == Mode::Require && root_file.is_some() {
            mode = Mode::VerifyCa;
        }
        if local {
            mode = Mode::Disable;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = match (mode, &root_file) {
            (Mode::Disable | Mode::Allow | Mode::Prefer | Mode::Require, _) => Verifier::nobody(&provider),
            (Mode::VerifyCa | Mode::VerifyFull, None) if !system => {
                return Err("sslmode=verify-ca and verify-full need to know whom to trust: put the root certificate into \
                            ~/.postgresql/root.crt, name its file with sslrootcert, or trust the system's authorities with \
                            sslrootcert=system"
                    .to_owned());
            }
            (Mode::VerifyCa | Mode::VerifyFull, _) => {
                Verifier::roots(&provider, root_file.as_deref(), mode == Mode::VerifyFull)?
            }
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(params)?)
            .map_err(|error| format!("TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let wanted = mode != Mode::Disable && params.get("sslcertmode").is_none_or(|mode| mode != "disable");
        let certificate = params.get("sslcert").map(PathBuf::from).or_else(|| default_file("postgresql.crt"));
        let mut config = match certificate.filter(|_| wanted) {
            Some(certificate) => {
                let key = params.get("sslkey").map(PathBuf::from).or_else(|| default_file("postgresql.key"));
                let key = key.ok_or_else(|| {
                    format!("{} has no private key beside it: name it with sslkey", certificate.display())
                })?;
                builder
                    .with_client_auth_cert(certificates(&certificate)?, super::tls_key::read(&key)?)
                    .map_err(|error| format!("{}: {error}", certificate.display()))?
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = match params.get("sslsni").map(String::as_str) {
            None | Some("1") => true,
            Some("0") => false,
            Some(_) => return Err("sslsni is 0 or 1".to_owned()),
        };
        // Needed by sslnegotiation=direct, harmless otherwise.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self { mode, connector: MakeRustlsConnect::new(config) })
    }
}

/// `ssl_min_protocol_version` and `ssl_max_protocol_version`.
fn versions(params: &Params) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let number =
        |key: &str, default: u8| match params.get(key).map(|value| value.to_ascii_lowercase()).as_deref() {
            None => Ok(default),
            Some("tlsv1") => Ok(0),
            Some("tlsv1.1") => Ok(1),
            Some("tlsv1.2") => Ok(2),
            Some("tlsv1.3") => Ok(3),
            Some(_) => Err(format!("{key} is one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3")),
        };
    let (least, most) = (number("ssl_min_protocol_version", 2)?, number("ssl_max_protocol_version", 3)?);
    let versions: Vec<_> = [(2, &TLS12), (3, &TLS13)]
        .into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect();
    match versions.is_empty() {
        true => Err("ssl_min_protocol_version and ssl_max_protocol_version leave neither TLSv1.2 nor TLSv1.3, which are what is built in"
            .to_owned()),
        false => Ok(versions),
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
