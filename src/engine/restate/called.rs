//! Where Restate calls our handlers, over HTTP/2; and what it says of an object along with a call.
//!
//! ```text
//!  POST /invoke/SERVICE/HANDLER ─▶ start message: what the object keeps ─▶ the SDK, with all that came
//!                                           └─▶ [`sees_none`], while the handler is polled
//! ```
//! What a handler asks for by the SDK is a record of the cluster's log, also when it came along. Most calls of a line ask whether
//! anybody is in it.
//!
//! Source: the service protocol, <https://github.com/restatedev/service-protocol>, versions 5 to 7.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulShutdown;
use prost::Message as _;
use restate_sdk::endpoint::{Endpoint, HandleOptions, ProtocolMode, ResponseBody};
use tokio::net::TcpListener;

/// A longer start message is read by the SDK alone.
const START_MAX: usize = 64 * 1024;
/// Type and flags, two bytes each, and the length in four.
const HEADER: usize = 8;
/// What calls get to end, once told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` ends, then drains.
pub(super) async fn serve(listener: TcpListener, endpoint: Endpoint, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection of Restate is not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // Steps are small, and each is waited for.
        let _ = stream.set_nodelay(true);
        let called = Called(endpoint.clone());
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), called);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of Restate broke");
            }
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("calls of Restate did not end in time"),
    }
}

tokio::task_local! {
    /// Of the handler that is polled.
    static START: Option<Arc<Start>>;
}

/// The object that is called keeps nothing of this name. False: it does, or that is not known.
pub(super) fn sees_none(name: &str) -> bool {
    let sees = |start: &Option<Arc<Start>>| start.as_ref().is_some_and(|start| start.has_none(name));
    START.try_with(sees).unwrap_or(false)
}

/// What is read of a start message.
#[derive(Clone, PartialEq, prost::Message)]
struct Start {
    #[prost(message, repeated, tag = "4")]
    state: Vec<Entry>,
    /// There may be more that the object keeps.
    #[prost(bool, tag = "5")]
    is_partial: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
}

impl Start {
    fn has_none(&self, name: &str) -> bool {
        !self.is_partial && self.state.iter().all(|entry| entry.name != name.as_bytes())
    }
}

struct Called(Endpoint);

impl Service<Request<Incoming>> for Called {
    type Response = Response<Polled>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let endpoint = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let (start, body) = begin(body).await;
            let options = HandleOptions { protocol_mode: ProtocolMode::BidiStream };
            let response = endpoint.handle_with_options(Request::from_parts(parts, body), options);
            let start = start.map(Arc::new);
            Ok(response.map(|body| Polled { body: Box::pin(body), start }))
        })
    }
}

/// Reads the start message; the body is whole as before.
async fn begin<B: Body<Data = Bytes> + Unpin>(mut body: B) -> (Option<Start>, Again<B>) {
    let (mut read, mut frames) = (Vec::new(), VecDeque::new());
    let start = loop {
        match whole(&read) {
            Whole::Start(start) => break Some(start),
            Whole::Other => break None,
            Whole::Short => {}
        }
        let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await else { break None };
        let is_broken = frame.is_err();
        read.extend(frame.iter().filter_map(Frame::data_ref).flatten());
        frames.push_back(frame);
        if is_broken {
            break None;
        }
    };
    (start, Again { frames, body })
}

enum Whole {
    Start(Start),
    /// More is to come.
    Short,
    /// It begins with something else.
    Other,
}

fn whole(read: &[u8]) -> Whole {
    let Some((header, message)) = read.split_first_chunk::<HEADER>() else { return Whole::Short };
    let [0, 0, _, _, length @ ..] = header else { return Whole::Other };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > START_MAX {
        return Whole::Other;
    }
    match message.get(..length).map(Start::decode) {
        Some(Ok(start)) => Whole::Start(start),
        Some(Err(_)) => Whole::Other,
        None => Whole::Short,
    }
}

/// A body of which something was read, from its beginning.
struct Again<B: Body> {
    frames: VecDeque<Result<Frame<Bytes>, B::Error>>,
    body: B,
}

impl<B: Body<Data = Bytes, Error: Unpin> + Unpin> Body for Again<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }
}

/// What a handler answers; it is at work while this is polled.
struct Polled {
    body: Pin<Box<ResponseBody>>,
    start: Option<Arc<Start>>,
}

impl Body for Polled {
    type Data = <ResponseBody as Body>::Data;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let start = self.start.clone();
        START.sync_scope(start, || self.body.as_mut().poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Body, Bytes, Frame};
    use prost::Message as _;

    use super::{Entry, HEADER, START_MAX, Start, begin};

    /// A body that comes in pieces.
    struct Pieces(Vec<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let first = (!self.0.is_empty()).then(|| self.0.remove(0));
            Poll::Ready(first.map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn message(kind: u16, start: &Start) -> Vec<u8> {
        let body = start.encode_to_vec();
        let length = u32::try_from(body.len()).expect("it is short");
        [kind.to_be_bytes().as_slice(), &[0, 0], &length.to_be_bytes(), &body].concat()
    }

    fn start(names: &[&str], is_partial: bool) -> Start {
        Start { state: names.iter().map(|name| Entry { name: name.as_bytes().to_vec() }).collect(), is_partial }
    }

    /// What is seen in a body of these pieces; what is passed on is what came.
    async fn seen(came: &[u8], piece: usize) -> Option<Start> {
        let pieces = came.chunks(piece).map(Bytes::copy_from_slice).collect();
        let (start, mut again) = begin(Pieces(pieces)).await;
        let mut passed: Vec<u8> = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut again).poll_frame(context)).await {
            passed.extend(frame.iter().filter_map(Frame::data_ref).flatten());
        }
        assert_eq!(passed, came);
        start
    }

    #[tokio::test]
    async fn what_came_along_is_seen_in_whatever_pieces_and_passed_on_whole() {
        let kept = start(&["run/1", "other"], false);
        let came = [message(0, &kept), b"what the call says".to_vec()].concat();
        for piece in 1..=came.len() {
            let seen = seen(&came, piece).await.expect("a start message");
            assert!(seen.has_none("line") && !seen.has_none("other"), "{piece}");
        }
    }

    #[tokio::test]
    async fn what_is_not_known_is_not_taken_for_nothing() {
        let partial = seen(&message(0, &start(&[], true)), 7).await.expect("a start message");
        assert!(!partial.has_none("line"));
        assert!(!super::sees_none("line"), "beside a call");
        let whole = message(0, &start(&["line"], false));
        assert_eq!(seen(&whole[..whole.len() - 1], 5).await, None, "it breaks off");
        assert_eq!(seen(&[], 1).await, None, "nothing came");
        assert_eq!(seen(&message(0x0400, &start(&[], false)), 3).await, None, "something else");
        let long = message(0, &start(&["n".repeat(START_MAX).as_str()], false));
        assert_eq!(seen(&long, 4_096).await, None, "too long");
        let broken = [&whole[..HEADER], &vec![0xff; whole.len() - HEADER]].concat();
        assert_eq!(seen(&broken, 9).await, None, "no message");
    }
}
