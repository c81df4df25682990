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

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use restate_sdk::endpoint::{Endpoint, HandleOptions, ProtocolMode, ResponseBody};
use tokio::net::TcpListener;

use super::rest::{self, UnderWay, Work};
use crate::listen::{self, Bounds};

/// A longer start message is read by the SDK alone.
const START_MAX: usize = 64 * 1024;
/// Type and flags, two bytes each, and the length in four.
const HEADER: usize = 8;
/// A node opens a few, and has many calls on each.
const BOUNDS: Bounds = Bounds { open: 2_048, drain: Duration::from_secs(10) };

/// Serves until `stop` ends, then drains.
pub(super) async fn serve(listener: TcpListener, endpoint: Endpoint, stop: impl Future<Output = ()>) {
    let builder = http2::Builder::new(TokioExecutor::new());
    listen::serve(listener, BOUNDS, stop, |stream, _| builder.serve_connection(stream, Called(endpoint.clone()))).await;
}

/// What has come along with a call, as soon as that is known; None: it cannot be.
type Along = Arc<OnceLock<Option<Start>>>;

tokio::task_local! {
    /// Of the handler that is polled.
    static ALONG: Along;
}

/// The object that is called keeps nothing of this name. False: it does, or that is not known.
pub(super) fn sees_none(name: &str) -> bool {
    let sees =
        |along: &Along| along.get().is_some_and(|start| start.as_ref().is_some_and(|start| start.has_none(name)));
    ALONG.try_with(sees).unwrap_or(false)
}

/// What is read of a start message.
#[derive(Clone, PartialEq, prost::Message)]
struct Start {
    /// What Restate calls the call.
    #[prost(string, tag = "2")]
    call: String,
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
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let along = Along::default();
        let request = request.map(|body| Watched { body, read: Vec::new(), along: Arc::clone(&along) });
        let options = HandleOptions { protocol_mode: ProtocolMode::BidiStream };
        let response = self.0.handle_with_options(request, options);
        let under_way = rest::begins(Work::Call);
        ready(Ok(response.map(|body| Polled { body: Box::pin(body), along, _under_way: under_way })))
    }
}

/// What is called, on its way to the SDK, which begins a handler when it has all of the start message.
struct Watched<B> {
    body: B,
    /// Of the start message, so far.
    read: Vec<u8>,
    along: Along,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && self.along.get().is_none()
        {
            self.read.extend_from_slice(data);
            if let Some(start) = start(&self.read) {
                if let Some(start) = &start {
                    rest::is_called(&start.call);
                }
                self.along.get_or_init(|| start);
                self.read = Vec::new();
            }
        }
        polled
    }
}

/// None: more of it is to come. `Some(None)`: it begins with something else, or is too long.
fn start(read: &[u8]) -> Option<Option<Start>> {
    let (header, message) = read.split_first_chunk::<HEADER>()?;
    let [0, 0, _, _, length @ ..] = header else { return Some(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > START_MAX {
        return Some(None);
    }
    message.get(..length).map(|message| Start::decode(message).ok())
}

/// What a handler answers; it is at work while this is polled.
struct Polled {
    body: Pin<Box<ResponseBody>>,
    along: Along,
    _under_way: UnderWay,
}

impl Body for Polled {
    type Data = <ResponseBody as Body>::Data;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let along = Arc::clone(&self.along);
        ALONG.sync_scope(along, || self.body.as_mut().poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use hyper::body::{Body, Bytes, Frame};
    use prost::Message as _;

    use super::{Along, Entry, HEADER, START_MAX, Start, Watched};

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
        Start {
            call: "inv_1".into(),
            state: names.iter().map(|name| Entry { name: name.as_bytes().to_vec() }).collect(),
            is_partial,
        }
    }

    /// What is seen in a body of these pieces; what is passed on is what came.
    async fn seen(came: &[u8], piece: usize) -> Option<Start> {
        let (pieces, along) = (came.chunks(piece).map(Bytes::copy_from_slice).collect(), Along::default());
        let mut watched = Watched { body: Pieces(pieces), read: Vec::new(), along: Arc::clone(&along) };
        let mut passed: Vec<u8> = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut watched).poll_frame(context)).await {
            passed.extend(frame.iter().filter_map(Frame::data_ref).flatten());
        }
        assert_eq!(passed, came);
        along.get().cloned().flatten()
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
