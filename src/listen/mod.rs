//! Accepts connections: so many at a time, and lets those that are open end when it is told to stop.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Before another try, where the system gives no connection: too many files are open, most likely, and others end first.
const AGAIN: Duration = Duration::from_millis(50);

/// Of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections that are open at the same time; more wait in the system's queue.
    pub open: usize,
    /// What those that are open get to end, once told to stop.
    pub drain: Duration,
}

/// Accepts until `stop` ends, then drains. `speak`: what is said on a connection.
pub async fn serve<C>(
    listener: TcpListener,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
    speak: impl Fn(TokioIo<TcpStream>, SocketAddr) -> C,
) where
    C: GracefulConnection<Error: Display> + Send + 'static,
{
    let open = Arc::new(Semaphore::new(bounds.open));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (permit, stream, peer) = tokio::select! {
            accepted = accept(&listener, &open) => accepted,
            () = &mut stop => break,
        };
        // Small answers should not wait for more.
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(speak(TokioIo::new(stream), peer));
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
        () = tokio::time::sleep(bounds.drain) => tracing::warn!("open connections did not end in time"),
    }
}

/// The next connection, once one more may be open.
async fn accept(
    listener: &TcpListener,
    open: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // Nobody closes it.
    let permit = Arc::clone(open).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (permit, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "a connection is not accepted");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    async fn answer(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
        Ok(Response::new("here".into()))
    }

    /// A client that says it stays.
    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("it is sent");
        stream
    }

    async fn heard(stream: &mut TcpStream) -> String {
        let mut heard = vec![0; 1_024];
        let count = stream.read(&mut heard).await.expect("an answer");
        String::from_utf8_lossy(&heard[..count]).into_owned()
    }

    #[tokio::test]
    async fn as_many_as_allowed_are_open_and_to_stop_waits_for_no_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (stop, stopped) = oneshot::channel::<()>();
        let bounds = Bounds { open: 1, drain: Duration::from_secs(60) };
        let stopped = async move { drop(stopped.await) };
        let serving = tokio::spawn(serve(listener, bounds, stopped, |stream, _| {
            http1::Builder::new().serve_connection(stream, service_fn(answer))
        }));
        let mut first = ask(address).await;
        assert!(heard(&mut first).await.ends_with("here"));
        let mut second = ask(address).await;
        // The first stays open and idle: there is no room.
        let early = tokio::time::timeout(Duration::from_millis(50), heard(&mut second)).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        assert!(heard(&mut second).await.ends_with("here"));
        // It is the second now that leaves no room.
        drop(stop);
        serving.await.expect("it ends");
        assert_eq!(heard(&mut second).await, "", "it is closed");
    }
}
