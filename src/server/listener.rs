//! Accepts connections within bounds, and lets those that are open end when it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections that are open at the same time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 2_048;
/// The headers of a request, in bytes.
const HEADERS_MAX: usize = 16 * 1024;
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// What open connections get to end, once told to stop.
const DRAIN: Duration = Duration::from_secs(15);

/// Who has connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop` ends, then drains.
pub async fn serve(listener: TcpListener, routes: Router, stop: impl Future<Output = ()>) {
    let open = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().max_buf_size(HEADERS_MAX).timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
    let mut stop = std::pin::pin!(stop);
    loop {
        let Ok(permit) = open.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, most likely: others end first.
                    tracing::warn!(%error, "a connection is not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Small answers should not wait for more.
        let _ = stream.set_nodelay(true);
        let routes = OfPeer { routes: TowerToHyperService::new(routes.clone()), peer: Peer(peer) };
        let connection = builder.serve_connection(TokioIo::new(stream), routes);
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(permit);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("open connections did not end in time"),
    }
}

/// All routes, told with each request who asks.
struct OfPeer {
    routes: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<hyper::Request<Incoming>> for OfPeer {
    type Response = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.routes.call(request)
    }
}
