//! Encryption: the server's certificate and what is made of it, and how nodes are told from clients.

use std::path::Path;
use std::sync::Arc;

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

/// What a node says in its first message that it speaks (ALPN), whichever port of another it connects to.
pub(crate) const NODE_PROTOCOL: &[u8] = b"rotabase-node";

/// The certificate or the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no such thing.
    #[error("could not read \"{path}\": {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not make a server.
    #[error("could not use the certificate: {0}")]
    Config(#[from] tokio_rustls::rustls::Error),
}

/// What a TLS server needs.
pub struct Tls {
    config: Arc<ServerConfig>,
    /// The SCRAM server that binds the exchange to the certificate, where the certificate's kind allows it.
    pub(crate) scram: Option<ScramServerAuth>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("channel_binding", &self.scram.is_some())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a certificate chain and its key, both PEM.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let unreadable = |path: &Path, reason: String| TlsError::File {
            path: path.display().to_string(),
            reason,
        };
        let pem = std::fs::read(certificate)
            .map_err(|error| unreadable(certificate, error.to_string()))?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| unreadable(certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(unreadable(certificate, "it holds no certificate".to_owned()));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| unreadable(key, error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)?;
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        let mut scram = ScramServerAuth::new();
        let binds = scram.configure_certificate(&pem).is_ok();
        Ok(Self { config: Arc::new(config), scram: binds.then_some(scram) })
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept(&self, socket: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(socket).await
    }
}

/// Shakes hands with whoever begins with TLS at once: a client, or a node, which shows a certificate that `nodes` asks
/// for. Whether it is a node.
pub(crate) async fn accept_at_once(
    socket: TcpStream,
    tls: Option<&Tls>,
    nodes: Option<&Arc<ServerConfig>>,
) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
    let says_so = {
        let said = hello.client_hello();
        said.alpn().is_some_and(|mut names| names.any(|name| name == NODE_PROTOCOL))
    };
    let nodes = nodes.filter(|_| says_so);
    let none = || std::io::Error::other("there is no certificate for such a connection");
    let config = nodes.or(tls.map(|tls| &tls.config)).ok_or_else(none)?;
    let stream = hello.into_stream(Arc::clone(config)).await;
    if nodes.is_some()
        && let Err(error) = &stream
    {
        tracing::warn!(%error, "could not negotiate TLS with a node");
    }
    Ok((stream?, nodes.is_some()))
}
