//! Requests that come in by HTTP/1.1, each told who asks.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::listen::{self, Bounds};

const BOUNDS: Bounds = Bounds { open: 2_048, drain: Duration::from_secs(15) };
/// The headers of a request, in bytes.
const HEADERS_MAX: usize = 16 * 1024;
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// Who has connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop` ends, then drains.
pub async fn serve(listener: TcpListener, routes: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().max_buf_size(HEADERS_MAX).timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
    listen::serve(listener, BOUNDS, stop, |stream, peer| {
        let routes = OfPeer { routes: TowerToHyperService::new(routes.clone()), peer: Peer(peer) };
        builder.serve_connection(stream, routes).into_owned()
    })
    .await;
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
