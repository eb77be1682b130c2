//! TLS between nodes: both ends show a certificate, and both are checked against the same authority. A read replica talks
//! so to its upstream.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use rotabase_raft::net::{Connection, Plain, Security};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::Config;
use crate::protocol::{NODE_PROTOCOL, TlsError};

/// Mutual TLS.
pub struct PeerTls {
    server: Arc<ServerConfig>,
    connector: TlsConnector,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerTls")
    }
}

/// How connections between nodes are secured, by the configuration.
pub fn security(config: &Config) -> Result<Arc<dyn Security>, TlsError> {
    Ok(match peer_tls(config)? {
        Some(tls) => Arc::new(tls),
        None => Arc::new(Plain),
    })
}

/// TLS for those who connect to this node's port for clients and say that they are nodes; none without certificates.
pub(crate) fn server_of_nodes(config: &Config) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    Ok(peer_tls(config)?.map(|tls| tls.server))
}

fn peer_tls(config: &Config) -> Result<Option<PeerTls>, TlsError> {
    match (&config.peer_certificate, &config.peer_key, &config.peer_ca) {
        (Some(certificate), Some(key), Some(authority)) => {
            PeerTls::load(certificate, key, authority).map(Some)
        }
        _ => Ok(None),
    }
}

fn unreadable(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { path: path.display().to_string(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(path, error))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(path, error))?;
    if chain.is_empty() {
        return Err(unreadable(path, "it holds no certificate"));
    }
    Ok(chain)
}

impl PeerTls {
    /// Reads a certificate chain, its key, and the authority that all nodes' certificates are of; all PEM.
    pub fn load(certificate: &Path, key: &Path, authority: &Path) -> Result<Self, TlsError> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let chain = certificates(certificate)?;
        let private = || PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error));
        let mut roots = RootCertStore::empty();
        for root in certificates(authority)? {
            roots.add(root)?;
        }
        let roots = Arc::new(roots);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| unreadable(authority, error))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), private()?)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private()?)?;
        server.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
        client.alpn_protocols = vec![NODE_PROTOCOL.to_vec()];
        Ok(Self { server: Arc::new(server), connector: TlsConnector::from(Arc::new(client)) })
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Security for PeerTls {
    fn client(
        &self,
        socket: TcpStream,
        address: &str,
    ) -> BoxFuture<'static, io::Result<Connection>> {
        let connector = self.connector.clone();
        let name = ServerName::try_from(host_of(address).to_owned());
        Box::pin(async move {
            let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let connection: Connection = Box::new(connector.connect(name, socket).await?);
            Ok(connection)
        })
    }

    fn server(&self, socket: TcpStream) -> BoxFuture<'static, io::Result<Connection>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        Box::pin(async move {
            let connection: Connection = Box::new(acceptor.accept(socket).await?);
            Ok(connection)
        })
    }
}
