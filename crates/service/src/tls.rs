//! TLS from PEM files: configurations for servers and clients, with ring as the one crypto provider.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A certificate chain and its private key, each a PEM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain, the own certificate first.
    pub certificates: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, unreadable, or holds no PEM section of the kind that is needed.
    #[error("cannot load {what} from {path}: {reason}")]
    File {
        /// What should be in the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The parts do not fit together, such as a key that belongs to another certificate.
    #[error("the TLS files do not fit together: {0}")]
    Mismatch(#[from] rustls::Error),
    /// The authorities for client certificates cannot be used.
    #[error("the certificate authorities in {path} cannot verify clients: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The configuration of a server that shows `identity`. With `client_authorities` every client must show a certificate
/// that one of them signed (mutual TLS).
pub fn server_config(identity: &Identity, client_authorities: Option<&Path>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| TlsError::Authorities { path: path.to_owned(), reason: error.to_string() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = load(identity)?;
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

/// The configuration of a client that believes servers whose certificate one of `authorities` signed, and shows
/// `identity` if it has one.
pub fn client_config(authorities: &Path, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authorities)?);
    Ok(Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = load(identity)?;
            builder.with_client_auth_cert(chain, key)?
        }
    }))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| TlsError::File {
        what: "a private key",
        path: identity.key.clone(),
        reason: error.to_string(),
    })?;
    Ok((certificates(&identity.certificates)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |reason: String| TlsError::File { what: "certificates", path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(error.to_string()))?;
    if chain.is_empty() { Err(refused("there is none in it".to_owned())) } else { Ok(chain) }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}
