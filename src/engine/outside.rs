//! The way out: the network, or in a rehearsal the vendors that are played in the same process.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::connector::{Request, Response};
use crate::http::{Client, Credential, Error};
use crate::run::Send;

pub(super) enum Outside {
    Network(Client),
    Rehearsed(Arc<dyn Door>),
}

/// Where a rehearsal's requests arrive.
pub trait Door: std::marker::Send + Sync {
    /// What is answered to a request that a run sends, or a poll: that one has no idempotency key.
    fn answer(&self, send: &Send, request: Request) -> Answering;

    /// A decision about a run has become durable, and nothing was done about it yet. False: the program does nothing further.
    fn goes_on(&self) -> bool {
        true
    }
}

pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Error>> + std::marker::Send>>;

/// As long as the network's own.
const PATIENCE: Duration = Duration::from_secs(30);

impl Outside {
    /// After a commit; in a rehearsal the program may die then.
    pub async fn committed(&self) {
        if let Outside::Rehearsed(door) = self
            && !door.goes_on()
        {
            std::future::pending::<()>().await;
        }
    }

    pub async fn send(
        &self,
        send: &Send,
        request: &Request,
        credential: Option<&Credential>,
    ) -> Result<Response, Error> {
        match self {
            Outside::Network(client) => client.send(request, credential).await,
            Outside::Rehearsed(door) => {
                let answering = door.answer(send, request.clone());
                let slow = |_| Err(Error::NoAnswer(format!("{}: too slow", request.url)));
                tokio::time::timeout(PATIENCE, answering).await.unwrap_or_else(slow)
            }
        }
    }
}
