//! The listener: accepts connections and gives each a task of its own, so that what happens to one stays its
//! own affair.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pgwire::api::auth::sasl::scram::ScramServerAuth;
use rotabase_engine::env::Random;
use rotabase_queries::error::{SqlError, SqlState};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::auth::{AuthPolicy, Claim, authenticate};
use super::connection::Connection;
use super::failure::{Failure, Outcome};
use super::limits::CONNECTIONS_STARTING_MAX;
use super::link::Link;
use super::metrics::ProtocolMetrics;
use super::output::Output;
use super::registry::{Place, Registry};
use super::startup::{Greeting, greet, put_negotiation};
use super::stream::Stream;
use super::tls::Tls;
use crate::metrics::Metrics;
use crate::session::{Backend, SessionApi, SessionStart};

/// How long the listener rests after it could not accept, which mostly means that files have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server of the PostgreSQL protocol is told.
#[derive(Debug)]
pub struct ServerConfig {
    /// The sessions there may be, administrators' included.
    pub connections_max: usize,
    /// How many of them are kept for administrators.
    pub connections_reserved: usize,
    /// How long a client may take to log in.
    pub authentication_timeout: Duration,
    /// The longest message that is taken after that.
    pub message_bytes_max: usize,
    /// When TCP asks a silent client whether it is still there.
    pub keepalive: Duration,
    /// Who has to prove what.
    pub auth: AuthPolicy,
    /// The certificate, if there is one.
    pub tls: Option<Tls>,
    /// TLS with other nodes, which both ends show certificates for; none if nodes have none.
    pub nodes: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    registry: Arc<Registry>,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

struct Shared<B> {
    backend: Arc<B>,
    config: ServerConfig,
    registry: Arc<Registry>,
    metrics: Arc<ProtocolMetrics>,
}

impl Server {
    /// Starts to accept connections on a socket that listens already.
    pub fn start<B: Backend>(
        listener: TcpListener,
        backend: Arc<B>,
        config: ServerConfig,
        random: Arc<dyn Random>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let registry = Registry::new(config.connections_max, config.connections_reserved, random);
        let counted = Arc::clone(&registry);
        metrics.gauge("rotabase_sessions", "Sessions now.", move || gauge(counted.sessions()));
        let counters = ProtocolMetrics::new(Arc::clone(metrics));
        let shared = Arc::new(Shared {
            backend,
            config,
            registry: Arc::clone(&registry),
            metrics: counters,
        });
        let (stop, stopped) = watch::channel(false);
        let listener = tokio::spawn(accept(listener, shared, stopped));
        Ok(Self { address, registry, stop, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is connected.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Stops accepting, ends all sessions and waits for them, at most `grace`. Whether all have ended.
    pub async fn shutdown(self, grace: Duration) -> bool {
        self.stop.send_replace(true);
        let _ = self.listener.await;
        self.registry.terminate_all();
        tokio::time::timeout(grace, self.registry.wait_until_empty()).await.is_ok()
    }
}

fn gauge(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

async fn accept<B: Backend>(
    listener: TcpListener,
    shared: Arc<Shared<B>>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                shared.metrics.connections.increment();
                let place = shared.registry.register();
                let span = tracing::debug_span!("session", session = place.slot().pid, %peer);
                tokio::spawn(connect(Arc::clone(&shared), socket, peer, place).instrument(span));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection from its first byte to its last.
async fn connect<B: Backend>(
    shared: Arc<Shared<B>>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    let keepalive = TcpKeepalive::new().with_time(shared.config.keepalive);
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
    if shared.registry.is_full(CONNECTIONS_STARTING_MAX) {
        let error =
            SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already");
        return refuse(&shared, Stream::Plain(socket), &error).await;
    }
    let wakeup = Arc::clone(place.slot());
    let begun = tokio::select! {
        begun = tokio::time::timeout(shared.config.authentication_timeout, begin(&shared, socket, peer, place)) => {
            begun.unwrap_or(None)
        }
        () = wakeup.wakeup.notified() => None,
    };
    if let Some(connection) = begun {
        tracing::debug!("session opened");
        connection.run().await;
        tracing::debug!("session closed");
    }
}

/// Everything before the session; none if there is to be none, which the client has been told.
async fn begin<B: Backend>(
    shared: &Shared<B>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> Option<Connection<B::Session>> {
    let mut refused = None;
    let tls = (shared.config.tls.as_ref(), shared.config.nodes.as_ref());
    let greeting = match greet(socket, tls, &shared.registry, &mut refused).await {
        Ok(greeting) => greeting?,
        Err(Failure::Fatal(error)) => {
            if let Some(stream) = refused {
                refuse(shared, stream, &error).await;
            }
            return None;
        }
        Err(_) => return None,
    };
    let Greeting { stream, input, packet, is_node } = greeting;
    let encrypted = matches!(stream, Stream::Tls(_));
    // Only the clients' certificate can bind a password.
    let bound = tls.0.filter(|_| encrypted && !is_node).and_then(|tls| tls.scram.as_ref());
    let mut link = Link::new(stream, input, place, Arc::clone(&shared.metrics));
    if packet.negotiate {
        put_negotiation(&mut link.output, &packet);
    }
    let user = packet.user.clone();
    let key_bytes = if packet.minor == 0 { 4 } else { super::limits::CANCEL_KEY_BYTES };
    let start = SessionStart {
        user: packet.user,
        database: packet.database,
        settings: packet.settings,
        pid: link.slot().pid,
        peer: Some(peer),
        tls: encrypted,
        may_follow: is_node || shared.config.nodes.is_none(),
    };
    match open(shared, &mut link, start, peer, bound).await {
        Ok(session) => {
            tracing::debug!(user, "authenticated");
            let mut connection = Connection::new(link, session, Arc::clone(&shared.metrics));
            connection.greet(key_bytes);
            connection.link.input.raise_limit(shared.config.message_bytes_max);
            Some(connection)
        }
        Err(failure) => {
            if let Failure::Fatal(error) | Failure::Statement(error) = failure {
                tracing::info!(user, sqlstate = error.state.0, reason = %error.message, "connection refused");
                shared.metrics.connections_refused.increment();
                shared.metrics.error(error.state);
                link.output.fatal(&error);
            }
            link.close().await;
            None
        }
    }
}

/// Authenticates a client and opens its session.
async fn open<B: Backend>(
    shared: &Shared<B>,
    link: &mut Link,
    start: SessionStart,
    peer: SocketAddr,
    bound: Option<&ScramServerAuth>,
) -> Outcome<B::Session> {
    let login = shared.backend.login(&start.user);
    let claim = Claim { user: &start.user, login, address: peer.ip(), encrypted: start.tls, bound };
    let superuser = authenticate(link, &shared.config.auth, claim).await?;
    link.place.admit(superuser).map_err(Failure::fatal)?;
    shared.backend.connect(start).await.map_err(Failure::fatal)
}

/// Tells a client that it cannot have a session, and closes.
async fn refuse<B>(shared: &Shared<B>, mut stream: Stream, error: &SqlError) {
    shared.metrics.connections_refused.increment();
    shared.metrics.error(error.state);
    let mut output = Output::default();
    output.fatal(error);
    let _ = stream.write(output.bytes()).await;
    let _ = stream.shutdown().await;
}

impl<S: SessionApi> Connection<S> {
    /// Tells the client that it is in: AuthenticationOk, its parameters, its cancel key.
    fn greet(&mut self, key_bytes: usize) {
        let output = &mut self.link.output;
        output.message(b'R', |body| body.extend_from_slice(&0_i32.to_be_bytes()));
        for (name, value) in self.session.reported_parameters() {
            output.parameter_status(&name, &value);
        }
        let slot = Arc::clone(self.link.slot());
        self.link.output.backend_key(slot.pid, &slot.key[..key_bytes]);
    }
}
