//! The HTTP port: metrics for Prometheus, health for whoever keeps the process alive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::Metrics;

/// Whether the node can serve, for the health endpoints.
pub trait Health: Send + Sync + 'static {
    /// An error that the node will not recover from by itself; none while it lives.
    fn failed(&self) -> Option<String>;

    /// Whether it takes statements: its shards lead or follow, its projections are open.
    fn is_ready(&self) -> Result<(), String>;

    /// How far the projections are behind the log.
    fn lag(&self) -> Duration;
}

/// A running HTTP server.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    health: Arc<dyn Health>,
}

impl HttpServer {
    /// Starts to serve on a socket that listens already.
    pub fn start(
        listener: TcpListener,
        metrics: Arc<Metrics>,
        health: Arc<dyn Health>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/metrics", get(page))
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .with_state(Shared { metrics, health });
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            });
            if let Err(error) = served.await {
                tracing::error!(%error, "HTTP server stopped");
            }
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it, waiting at most `grace` for answers that are being sent.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn page(State(shared): State<Shared>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.render()).into_response()
}

async fn alive(State(shared): State<Shared>) -> (StatusCode, String) {
    match shared.health.failed() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")),
    }
}

/// What may be asked of `/readyz`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readiness {
    /// The lag of the projections that is accepted: a number of seconds, or one with `ms` or `s`.
    max_lag: Option<String>,
}

async fn ready(
    State(shared): State<Shared>,
    Query(asked): Query<Readiness>,
) -> (StatusCode, String) {
    let unready = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"));
    if let Some(reason) = shared.health.failed() {
        return unready(reason);
    }
    if let Err(reason) = shared.health.is_ready() {
        return unready(reason);
    }
    let lag = shared.health.lag();
    if let Some(text) = asked.max_lag {
        let Some(accepted) = duration(&text) else {
            return (StatusCode::BAD_REQUEST, format!("max_lag is no duration: {text}\n"));
        };
        if lag > accepted {
            return unready(format!("projections are {} ms behind", lag.as_millis()));
        }
    }
    (StatusCode::OK, format!("ready, projections are {} ms behind\n", lag.as_millis()))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * unit).ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    struct Behind(Duration);

    impl Health for Behind {
        fn failed(&self) -> Option<String> {
            None
        }

        fn is_ready(&self) -> Result<(), String> {
            Ok(())
        }

        fn lag(&self) -> Duration {
            self.0
        }
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_depends_on_the_lag_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metrics = Arc::new(Metrics::default());
        metrics.gauge("x", "Xs.", || 1.0);
        let server =
            HttpServer::start(listener, metrics, Arc::new(Behind(Duration::from_millis(300))))
                .unwrap();
        for (path, status) in [
            ("/healthz", "200"),
            ("/readyz", "200"),
            ("/readyz?max_lag=1", "200"),
            ("/readyz?max_lag=100ms", "503"),
            ("/readyz?max_lag=0.2s", "503"),
            ("/readyz?max_lag=x", "400"),
            ("/readyz?colour=1", "400"),
            ("/elsewhere", "404"),
        ] {
            let answer = get(server.address(), path).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        }
        assert!(get(server.address(), "/metrics").await.ends_with("x 1\n"));
        server.shutdown(Duration::from_secs(5)).await;
    }
}
