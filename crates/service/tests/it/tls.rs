//! TLS configurations from PEM files, by handshakes in memory.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use levada_service::tls::{Identity, TlsError, client_config, server_config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Files {
    directory: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self { directory: tempfile::tempdir().unwrap(), authority };
        fs::write(files.authority(), files.authority.pem()).unwrap();
        files
    }

    fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let identity = Identity {
            certificates: self.directory.path().join(format!("{name}.pem")),
            key: self.directory.path().join(format!("{name}.key")),
        };
        fs::write(&identity.certificates, certificate.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

async fn handshake(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> std::io::Result<Vec<u8>> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(theirs).await?;
        stream.write_all(b"welcome").await?;
        stream.shutdown().await
    });
    let name = ServerName::try_from("broker").unwrap();
    let mut greeting = Vec::new();
    let met = async {
        let mut stream = TlsConnector::from(client).connect(name, ours).await?;
        stream.read_to_end(&mut greeting).await
    };
    let met = met.await;
    serving.await.unwrap()?;
    met.map(|_| greeting)
}

#[tokio::test]
async fn a_server_is_believed_if_its_authority_is() {
    let files = Files::new();
    let server = server_config(&files.identity("broker"), None).unwrap();
    let client = client_config(&files.authority(), None).unwrap();
    assert_eq!(handshake(server.clone(), client).await.unwrap(), b"welcome");
    let stranger = client_config(&Files::new().authority(), None).unwrap();
    assert!(handshake(server, stranger).await.is_err());
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_the_authority() {
    let files = Files::new();
    let server = server_config(&files.identity("broker"), Some(&files.authority())).unwrap();
    let known = client_config(&files.authority(), Some(&files.identity("client"))).unwrap();
    assert_eq!(handshake(server.clone(), known).await.unwrap(), b"welcome");
    let nameless = client_config(&files.authority(), None).unwrap();
    assert!(handshake(server.clone(), nameless).await.is_err());
    let foreign = client_config(&files.authority(), Some(&Files::new().identity("client"))).unwrap();
    assert!(handshake(server, foreign).await.is_err());
}

#[test]
fn files_that_do_not_serve_are_named() {
    let files = Files::new();
    let (broker, other) = (files.identity("broker"), files.identity("other"));
    let mixed = Identity { certificates: broker.certificates.clone(), key: other.key };
    assert!(matches!(server_config(&mixed, None), Err(TlsError::Mismatch(_))));
    let swapped = Identity { certificates: broker.key.clone(), key: broker.key };
    let refused = server_config(&swapped, None).unwrap_err().to_string();
    assert!(refused.contains("certificates") && refused.contains("broker.key"), "{refused}");
    let missing = client_config(&files.directory.path().join("none.pem"), None).unwrap_err();
    assert!(matches!(missing, TlsError::File { .. }), "{missing}");
}
