//! What a handler of an object may do beside computing: all of it is written down by who calls the handler, and played back
//! when the handler is called again after a crash.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ingress::Object;

/// The handler is to end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// An administrator of the cluster wants it gone.
    Cancelled(String),
    /// This process stops: it is called again, at another one if there is one.
    Elsewhere,
}

/// Looking only.
pub(super) trait Looks: Sync {
    /// What this object keeps under a name.
    fn get<T>(&self, name: &str) -> impl Future<Output = Result<Option<T>, Stopped>> + Send
    where
        T: DeserializeOwned + 'static;
}

pub(super) trait Steps: Looks {
    /// This object keeps nothing under a name: that came along with the call, so it is not written down that it was looked at. False:
    /// it keeps something, or that is not known here. It may say otherwise when the handler is called again, so only the work of a
    /// step may go by it, whose outcome is written down.
    fn sees_none(&self, name: &str) -> bool;

    fn set<T: Serialize + 'static>(&self, name: &str, value: T);

    fn clear(&self, name: &str);

    /// Does what may come out otherwise each time. It is done once more if the program dies before its outcome is written
    /// down, and never again after that.
    fn step<T, F>(&self, name: &str, work: F) -> impl Future<Output = Result<T, Stopped>> + Send
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Future<Output = T> + Send + 'static;

    /// Asks an object, and waits for its answer.
    fn call<T, A>(&self, of: &Object, handler: &str, message: T) -> impl Future<Output = Result<A, Stopped>> + Send
    where
        T: Serialize + Send + 'static,
        A: DeserializeOwned + 'static;

    /// Gives a message to an object, now or after a while.
    fn send<T: Serialize + 'static>(&self, to: &Object, handler: &str, message: T, after_ms: u64);
}
