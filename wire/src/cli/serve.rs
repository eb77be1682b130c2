//! A server from its opened database to its clean stop, for `start` and for `demo`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rotabase_engine::env::Random;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::error::CliError;
use super::health::Watched;
use crate::cluster::server_of_nodes;
use crate::config::Config;
use crate::database::Database;
use crate::http::{Health, HttpServer};
use crate::metrics::Metrics;
use crate::protocol::{AuthPolicy, Server, ServerConfig, Tls};

/// Where a server notes which HTTP port it got.
const HTTP_PORT_FILE: &str = "http.port";

/// How long HTTP answers that are being sent may hold up a stop.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// A server that accepts connections.
pub(crate) struct Serving {
    server: Server,
    http: HttpServer,
    database: Database,
    watched: Arc<Watched>,
    grace: Duration,
    port_file: PathBuf,
}

impl Serving {
    /// Starts to serve an open database.
    pub(crate) async fn start(
        database: Database,
        config: &Config,
        data: &Path,
        random: Arc<dyn Random>,
    ) -> Result<Self, CliError> {
        let metrics = Arc::new(Metrics::default());
        let watched = Watched::start(database.clone(), &metrics);
        let listener = bind(config.listen).await?;
        let http_listener = bind(config.http).await?;
        let server_config = server_config(config, random.as_ref())?;
        let backend = Arc::new(database.clone());
        let server = Server::start(listener, backend, server_config, random, &metrics)
            .map_err(|error| CliError::io("start the server", error))?;
        let registry = Arc::downgrade(server.registry());
        let terminate = move |pid| registry.upgrade().is_some_and(|it| it.terminate_session(pid));
        database.serve(server.address(), Box::new(terminate));
        let health: Arc<dyn Health> = Arc::<Watched>::clone(&watched);
        let http = HttpServer::start(http_listener, metrics, health)
            .map_err(|error| CliError::io("start the HTTP server", error))?;
        let port_file = data.join(HTTP_PORT_FILE);
        std::fs::write(&port_file, format!("{}\n", http.address().port()))
            .map_err(|error| CliError::io(format!("write \"{}\"", port_file.display()), error))?;
        let (address, http_address) = (server.address(), http.address());
        tracing::info!(%address, http = %http_address, version = env!("CARGO_PKG_VERSION"), "accepting connections");
        Ok(Self { server, http, database, watched, grace: config.shutdown_grace(), port_file })
    }

    /// The line that tells how to connect. It can be pasted into a shell.
    pub(crate) fn invitation(&self) -> String {
        let address = self.server.address();
        let (host, port) = (reachable(address.ip()), address.port());
        let http = SocketAddr::new(reachable(self.http.address().ip()), self.http.address().port());
        format!(
            "psql \"host={host} port={port} user=rotabase dbname=rotabase\"  # metrics: http://{http}/metrics"
        )
    }

    /// Serves until the process is asked to stop, or cannot go on.
    pub(crate) async fn run(
        self,
        asked: impl Future<Output = &'static str>,
    ) -> Result<(), CliError> {
        let failure = tokio::select! {
            name = asked => {
                tracing::info!(signal = name, "stopping");
                None
            }
            reason = self.watched.failed() => Some(reason),
        };
        if let Some(reason) = &failure {
            tracing::error!(reason, "stopping: the database cannot go on");
        }
        self.stop().await;
        failure.map_or(Ok(()), |reason| Err(CliError::Stopped(reason)))
    }

    async fn stop(self) {
        let Self { server, http, database, watched, grace, port_file } = self;
        if !server.shutdown(grace).await {
            tracing::warn!("some sessions did not end in time");
        }
        http.shutdown(HTTP_GRACE).await;
        drop(watched);
        database.close().await;
        let _ = std::fs::remove_file(port_file);
        tracing::info!("stopped");
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CliError::io(format!("listen on {address}"), error))
}

fn server_config(config: &Config, random: &dyn Random) -> Result<ServerConfig, CliError> {
    let tls = match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::load(certificate, key)?),
        _ => None,
    };
    let mut secret = [0; 32];
    for part in secret.chunks_exact_mut(8) {
        part.copy_from_slice(&random.next_u64().to_be_bytes());
    }
    Ok(ServerConfig {
        connections_max: config.connections_max,
        connections_reserved: config.connections_reserved,
        authentication_timeout: config.authentication_timeout(),
        message_bytes_max: config.message_bytes_max,
        keepalive: Duration::from_secs(config.keepalive_seconds),
        auth: AuthPolicy {
            local: config.auth_local,
            remote: config.auth_remote,
            tls_required: config.tls_required,
            secret,
        },
        tls,
        nodes: server_of_nodes(config)?,
    })
}

/// The address under which this machine reaches a server that listens on `address`.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => address,
    }
}

/// Catches the signals that ask a process to stop, from now on; the future gives the first one.
pub(crate) fn stop_signal() -> Result<impl Future<Output = &'static str>, CliError> {
    let catch =
        || io::Result::Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (mut terminate, mut interrupt) =
        catch().map_err(|error| CliError::io("listen for signals", error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
