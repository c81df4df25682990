//! Performs one request: credential, budget, the network, and what the answer means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::circuit::{Pass, is_of_trouble};
use super::{Engine, count};
use crate::clock;
use crate::connector::{Connector, Failure, Operation, Outcome, Page, Request};
use crate::http::{self, Urgency};
use crate::project::{Connection, Plan};
use crate::run::{Answer, Purpose, Send};
use crate::trigger::Traceparent;
use crate::vault::{self, Holder, Token};

/// Windows that are asked about, and remembered.
const LEASING_MAX: usize = 10_000;

/// A request that is ready to go.
pub(super) struct Ready {
    request: Request,
    /// Of its URL.
    origin: String,
    credential: Option<http::Credential>,
    /// The token that the credential is made of.
    token: Option<Token>,
}

impl Ready {
    /// Tells the vendor where the request stands in a trace, unless its connector says that in words of its own.
    pub fn carry(&mut self, traceparent: Option<Traceparent>) {
        let headers = &mut self.request.headers;
        let is_said = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        if let Some(traceparent) = traceparent.filter(|_| !is_said) {
            headers.push(("traceparent".into(), traceparent.to_string()));
        }
    }
}

impl Engine {
    /// Builds the request. Nothing is sent but what renews a token.
    pub(super) async fn ready(&self, plan: &Plan, send: &Send) -> Result<Ready, Failure> {
        let (connector, connection, operation) = find(plan, send)?;
        self.inner.accounts.may_send(&connection.name)?;
        let mut request = operation.request(connector, &connection.settings, &send.input, &send.page)?;
        if let Some(header) = operation.idempotency_header() {
            request.headers.push((header.to_string(), send.idempotency_key.clone()));
        }
        let Some(origin) = origin(&request.url) else {
            return Err(Failure::new("invalid", "the base URL of the connection is no URL"));
        };
        let token = self.token(plan, connection, None).await?;
        let source = &*self.inner.secrets;
        let credential = vault::credential(connector, connection, &origin, source, token.as_ref())?;
        Ok(Ready { request, origin, credential, token })
    }

    /// The token of a connection, if it has one that ends; `refused`: the vendor has refused the one of this version.
    async fn token(
        &self,
        plan: &Plan,
        connection: &Connection,
        refused: Option<u64>,
    ) -> Result<Option<Token>, Failure> {
        let failed = |message: String| Failure::new("auth", message);
        let Some(holder) = Holder::of(plan, connection, &*self.inner.secrets).map_err(failed)? else { return Ok(None) };
        let Some(vault) = &self.inner.vault else { return Err(failed("there is no key for credentials".into())) };
        let token = match refused {
            None => vault.token(&holder).await,
            Some(version) => vault.refused(&holder, version).await,
        };
        token.map(Some).map_err(|error| match error {
            vault::Error::Disconnected(why) => {
                self.inner.accounts.refused(&connection.name, &why);
                Failure::new("auth", why)
            }
            error => Failure::new("unreachable", error.to_string()),
        })
    }

    /// Is there room for a request in the connection's limits? As [`Engine::take`], but nothing is taken.
    pub(super) fn look(&self, plan: &Plan, send: &Send, urgency: Urgency) -> http::Take {
        let Ok((connector, connection, operation)) = find(plan, send) else { return http::Take::Go };
        let budgets = &self.inner.budgets;
        budgets.look(&connection.name, &connector.limits, &operation.name, &send.input, urgency, clock::instant())
    }

    /// Gets parts of the limits that a request needs, where other processes share them.
    pub(super) async fn lease(&self, plan: &Plan, send: &Send, urgency: Urgency) {
        let Ok((connector, connection, operation)) = find(plan, send) else { return };
        let wishes = || {
            let budgets = &self.inner.budgets;
            let (name, limits) = (&connection.name, &connector.limits);
            budgets.wishes(name, limits, &operation.name, &send.input, urgency, clock::instant())
        };
        for wish in wishes() {
            let name = wish.name();
            let one = Arc::clone(self.inner.leasing.lock().entry(name.clone()).or_default());
            let _one = one.lock().await;
            // Whoever asked before may have got some for this one too.
            let Some(wish) = wishes().into_iter().find(|wish| wish.name() == name) else { continue };
            match self.inner.hands.lease(&wish).await {
                Ok(Some(lease)) => self.inner.budgets.lease(&wish, &lease, clock::instant()),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, connection = connection.name, "how much is left of a limit is not known")
                }
            }
        }
        let mut leasing = self.inner.leasing.lock();
        if leasing.len() > LEASING_MAX {
            leasing.retain(|_, one| Arc::strong_count(one) > 1);
        }
    }

    /// For how many requests of an operation there is room in the connection's limits, or how long to wait for some.
    pub(super) fn free(&self, connection: &str, operation: &str, urgency: Urgency) -> Result<u64, Duration> {
        let plan = self.plan();
        let connector = plan.connection(connection).and_then(|known| plan.connector(&known.connector));
        let limits = connector.map_or(&[][..], |connector| connector.limits.as_slice());
        self.inner.budgets.free(connection, limits, operation, urgency, clock::instant())
    }

    /// Takes one request from the connection's limits, or says how long to wait before asking again.
    pub(super) fn take(&self, plan: &Plan, send: &Send, urgency: Urgency) -> http::Take {
        let Ok((connector, connection, operation)) = find(plan, send) else { return http::Take::Go };
        let budgets = &self.inner.budgets;
        budgets.take(&connection.name, &connector.limits, &operation.name, &send.input, urgency, clock::instant())
    }

    /// What was taken at an instant is sent now.
    pub(super) fn goes(&self, plan: &Plan, send: &Send, taken: Instant) {
        let Ok((connector, connection, operation)) = find(plan, send) else { return };
        let budgets = &self.inner.budgets;
        budgets.sent(&connection.name, &connector.limits, &operation.name, &send.input, taken, clock::instant());
    }

    /// May it go now? Else how long to wait before asking again: the vendor is down, or a limit is used up. What is not
    /// urgent leaves the others their share.
    pub(super) fn may_go(&self, plan: &Plan, send: &Send, ready: &Ready, urgency: Urgency) -> Result<Pass, Duration> {
        let now = clock::instant();
        let is_retry = send.tries > 0;
        if is_retry && let Some(pause) = self.inner.retries.pause(&send.connection, now) {
            return Err(pause);
        }
        // Whoever hangs leaves a part of all that may be at work to the others, once it shows.
        let most = (self.inner.at_once - self.inner.at_once / 4).max(1);
        let pass = self.inner.circuits.pass(&send.connection, &ready.origin, most, now)?;
        if let http::Take::Wait(pause) = self.take(plan, send, urgency) {
            return Err(pause);
        }
        if is_retry {
            self.inner.retries.spend(&send.connection, now);
        }
        Ok(pass)
    }

    /// Learns from an answer whether a vendor is down.
    pub(super) fn learn_of(&self, pass: Pass, connection: &str, answer: &Answer) {
        if !is_of_trouble(answer) {
            self.inner.retries.answered(connection, clock::instant());
        }
        if pass.tell(answer, clock::instant()) {
            tracing::info!(connection, "it is well again");
            // Those that wait need not wait until they would have asked.
            self.inner.accounts.ask_again([connection]);
        }
    }

    /// Sends, and says what came of it, with the HTTP status if it was answered at all.
    pub(super) async fn perform(&self, plan: &Plan, send: &Send, ready: Ready) -> (Answer, Option<u16>) {
        let (connector, connection, operation) = match find(plan, send) {
            Ok(found) => found,
            Err(failure) => return (Answer::Failed(failure), None),
        };
        count(&self.inner.counters.requests);
        let (answer, status) = self.send(plan, (connector, connection, operation), send, ready).await;
        self.inner.counters.answered(&connection.name, &answer);
        (answer, status)
    }

    async fn send(
        &self,
        plan: &Plan,
        (connector, connection, operation): (&Connector, &Connection, &Operation),
        send: &Send,
        ready: Ready,
    ) -> (Answer, Option<u16>) {
        let sending = self.inner.outside.send(send, &ready.request, ready.credential.as_ref());
        let answered = match send.timeout {
            Some(timeout) => match tokio::time::timeout(timeout, sending).await {
                Ok(answered) => answered,
                Err(_) => Err(http::Error::NoAnswer(format!("nothing within {timeout:?}"))),
            },
            None => sending.await,
        };
        let response = match answered {
            Ok(response) => response,
            Err(error) => return (Answer::Failed(failure(&error)), None),
        };
        let status = Some(response.status);
        let now = clock::instant();
        let (limits, budgets) = (&connector.limits, &self.inner.budgets);
        budgets.learn_for(&connection.name, limits, &operation.name, &send.input, &response, now);
        match connector.outcome(operation, &send.input, &connection.settings, &send.page, response) {
            Outcome::Done { value, next } => {
                self.inner.accounts.accepted(&connection.name);
                self.compare(connector, &connection.name, operation, &value);
                (Answer::Done { value, next }, status)
            }
            Outcome::Failed(failure) => {
                if let Some(token) = &ready.token
                    && failure.name == "auth"
                {
                    // Only a token is renewed by this; a refusal for want of a scope has another name.
                    let renewed = self.token(plan, connection, Some(token.version)).await;
                    return (Answer::Failed(renewed.err().unwrap_or(failure)), status);
                }
                if failure.name == "auth" {
                    self.inner.accounts.refused(&connection.name, &failure.message);
                }
                (Answer::Failed(failure), status)
            }
        }
    }

    /// One page of a list for a poll: no run, no journal; it leaves live events their share of the limits.
    pub(super) async fn page(
        &self,
        plan: &Plan,
        connection: &str,
        operation: &str,
        input: serde_json::Value,
        page: Page,
    ) -> Answer {
        let send = Send {
            address: String::new(),
            exchange: 0,
            attempt: 1,
            tries: 0,
            look: false,
            purpose: Purpose::Read,
            connection: connection.into(),
            operation: operation.into(),
            input: input.into(),
            page,
            timeout: None,
            turns: Vec::new(),
            idempotency_key: String::new(),
        };
        let ready = match self.ready(plan, &send).await {
            Ok(ready) => ready,
            Err(failure) => return Answer::Failed(failure),
        };
        if self.inner.circuits.is_open(connection, clock::instant()) {
            return Answer::Failed(Failure::new("unreachable", "it is down: the requests before have failed"));
        }
        loop {
            self.lease(plan, &send, Urgency::Poll).await;
            let http::Take::Wait(pause) = self.take(plan, &send, Urgency::Poll) else { break };
            tokio::select! {
                () = tokio::time::sleep(pause.min(Duration::from_secs(60))) => {}
                () = self.stopped() => return Answer::Failed(Failure::new("unreachable", "the program is stopping")),
            }
        }
        self.perform(plan, &send, ready).await.0
    }
}

fn find<'p>(plan: &'p Plan, send: &Send) -> Result<(&'p Connector, &'p Connection, &'p Operation), Failure> {
    let missing = |what: &str, name: &str| Failure::new("invalid", format!("no {what} is called `{name}`"));
    let connection = plan.connection(&send.connection).ok_or_else(|| missing("connection", &send.connection))?;
    let connector = plan.connector(&connection.connector).ok_or_else(|| missing("connector", &connection.connector))?;
    let operation = connector.operation(&send.operation).ok_or_else(|| missing("operation", &send.operation))?;
    Ok((connector, connection, operation))
}

/// Scheme and host of a URL as it is written: it is read as a whole before anything is sent to it.
pub(super) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}").to_ascii_lowercase())
}

fn failure(error: &http::Error) -> Failure {
    match error {
        http::Error::Refused(_) => Failure::new("invalid", error.to_string()),
        // The name says it already.
        http::Error::Unreachable(why) => Failure::new("unreachable", why.clone()),
        http::Error::NoAnswer(_) => Failure::new("timeout", error.to_string()),
        http::Error::TooBig(_) => Failure::new("transient", error.to_string()),
    }
}
