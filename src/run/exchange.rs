//! One exchange: sent, sent again, looked up, or waited for.

use std::time::Duration;

use serde_json::{Map, Value};

use super::decide::{Deciding, Next, Send};
use super::entry::Fact;
use super::settle::{self, Need};
use super::walk::{Flow, fail};
use crate::connector::{Failure, Operation, Page, Unsure};
use crate::workflow::{Answer, Exchange, Purpose, Retry, Sending};

/// Pages of a list that are read to find out whether a write was carried out, at most.
const PAGES_MAX: u32 = 50;

impl Deciding<'_> {
    /// Makes sure that the last exchange at an address is settled; else says what to do about it.
    pub(super) fn settled(&mut self, address: &str, retry: &Retry, timeout: Option<Duration>) -> Result<(), Flow> {
        let Some(progress) = self.state.progress.get(address) else { return Ok(()) };
        if self.state.on_its_way.contains(address) {
            return Err(Flow::Blocked);
        }
        let due = match progress.paused_until_ms {
            Some(until_ms) if until_ms > self.now_ms => {
                return Err(self.wants(Next::Wait { until_ms, lets_go: false }));
            }
            Some(_) => true,
            None => false,
        };
        let Some(exchange) = progress.exchanges.last() else { return Ok(()) };
        let number = u32::try_from(progress.exchanges.len() - 1).unwrap_or(u32::MAX);
        let operation = self.operation(exchange).map_err(|failure| fail(address, failure))?;
        if let Some(look) = &exchange.look {
            return self.looked(address, number, &exchange.clone(), &look.clone(), retry, due, timeout);
        }
        let spread = || spread(&self.start.id, address, exchange.tries);
        let need = settle::need(exchange, (operation, self.renews(exchange)), retry, due, self.now_ms, &spread);
        let Some(need) = need else { return Ok(()) };
        let exchange = exchange.clone();
        match need {
            Need::Again => Err(self.again(address, number, &exchange, timeout)),
            Need::Pause { until_ms, why } => Err(self.pause(address, until_ms, why)),
            Need::GiveUp(failure) => Err(fail(address, failure)),
            Need::Deleted => {
                self.answered(address, number, exchange.attempt, Value::Null);
                Ok(())
            }
            Need::Look { operation } => {
                Err(self.look(address, number, &exchange, (&operation, &Page::default()), 1, timeout))
            }
        }
    }

    /// What the look-up of an exchange said: it was carried out after all, or it is sent again.
    #[expect(clippy::too_many_arguments, reason = "one place uses it")]
    fn looked(
        &mut self,
        address: &str,
        number: u32,
        exchange: &Exchange,
        look: &Exchange,
        retry: &Retry,
        due: bool,
        timeout: Option<Duration>,
    ) -> Result<(), Flow> {
        let operation = self.operation(look).map_err(|failure| fail(address, failure))?;
        let spread = || spread(&self.start.id, address, look.tries + 100);
        let not_found = look.failure().is_some_and(|failure| failure.name == "not_found");
        if !not_found {
            match settle::need(look, (operation, self.renews(look)), retry, due, self.now_ms, &spread) {
                None => {}
                Some(Need::Pause { until_ms, why }) => return Err(self.pause(address, until_ms, why)),
                _ => {
                    let same = (look.operation.as_str(), &look.page);
                    return Err(self.look(address, number, exchange, same, look.attempt + 1, timeout));
                }
            }
        }
        if let Some(failure) = look.failure().filter(|_| !not_found) {
            let message =
                format!("it is not known whether `{}` was carried out: {}", exchange.operation, failure.message);
            return Err(fail(address, Failure { name: "unknown".into(), message, ..failure.clone() }));
        }
        let found = look.value().and_then(|value| self.found_again(exchange, value));
        if let (None, Some(Answer::Done { next: Some(page), .. })) = (&found, &look.answer)
            && look.attempt < PAGES_MAX
        {
            return Err(self.look(address, number, exchange, (&look.operation, page), look.attempt + 1, timeout));
        }
        match found {
            Some(value) => {
                self.answered(address, number, exchange.attempt, value);
                Ok(())
            }
            // It was not carried out. What is not worth another try has failed, and the action hears of it.
            None if exchange.answer.is_some() && !settle::worth_another(exchange, retry, self.now_ms) => Ok(()),
            None => Err(self.again(address, number, exchange, timeout)),
        }
    }

    /// What an exchange came to, as it was found out.
    fn answered(&mut self, address: &str, exchange: u32, attempt: u32, value: Value) {
        let answer = Answer::Done { value, next: None };
        self.record(Fact::Answered { address: address.into(), exchange, attempt, look: false, status: None, answer });
    }

    /// The record that an unsure write made, in what the look-up found.
    fn found_again(&self, exchange: &Exchange, value: &Value) -> Option<Value> {
        let connector = self.plan.connector_of(&exchange.connection)?;
        let operation = connector.operation(&exchange.operation)?;
        let object = connector.object(operation.object.as_deref()?)?;
        let (look, same) = match &operation.if_unsure.then {
            Unsure::LookWith { operation, same } => (connector.operation(operation)?, same),
            _ => return None,
        };
        let fields: Vec<&String> =
            if same.is_empty() { object.identity.iter().collect() } else { same.iter().collect() };
        let account = self.plan.locale_of(&exchange.connection);
        let agrees = |record: &&Value| {
            let shaped = look.shape(connector, record, &Default::default());
            let (locale, own) =
                (account.of_country(shaped.get("country")), account.of_country(exchange.input.get("country")));
            let mut compared = 0;
            let all = fields.iter().all(|field| {
                let wanted = object.comparable(field, exchange.input.get(field.as_str()), &own);
                let found = object.comparable(field, shaped.get(field.as_str()), &locale);
                compared += usize::from(wanted.is_some());
                wanted.is_none() || (wanted == found) || (same.is_empty() && found.is_none())
            });
            // Only what is younger than the attempt can be its work; a minute is left for clocks that differ.
            let made = object.created_at.as_ref().or(object.changed_at.as_ref());
            let made = made.and_then(|field| shaped.get(field)).and_then(Value::as_str);
            let young = made.and_then(|text| crate::expr::read_time(text, &locale));
            let young =
                same.is_empty() || young.is_none_or(|at| at.timestamp_millis() >= exchange.first_sent_ms - 60_000);
            all && compared > 0 && young
        };
        match value {
            Value::Array(items) => items.iter().rev().find(agrees).cloned(),
            Value::Object(_) => Some(value).filter(|record| agrees(record)).cloned(),
            _ => None,
        }
    }

    fn pause(&mut self, address: &str, until_ms: i64, why: String) -> Flow {
        self.record(Fact::Paused { address: address.into(), until_ms, why });
        self.wants(Next::Wait { until_ms, lets_go: false })
    }

    fn again(&mut self, address: &str, number: u32, exchange: &Exchange, timeout: Option<Duration>) -> Flow {
        let send = self.sending(address, number, exchange.attempt + 1, exchange, timeout);
        self.wants(Next::Send(Box::new(send)))
    }

    fn look(
        &mut self,
        address: &str,
        number: u32,
        exchange: &Exchange,
        (operation, page): (&str, &Page),
        attempt: u32,
        timeout: Option<Duration>,
    ) -> Flow {
        let input = self.look_input(exchange, operation);
        let base = self.sending(address, number, attempt, exchange, timeout);
        let (operation, page, purpose) = (operation.into(), page.clone(), Purpose::LookUp { exchange: number });
        self.wants(Next::Send(Box::new(Send { look: true, purpose, operation, input: input.into(), page, ..base })))
    }

    /// What a look-up is given: the first identity field that the write had, and what its path needs.
    fn look_input(&self, exchange: &Exchange, look: &str) -> Value {
        let mut input = Map::new();
        let Some(connector) = self.plan.connector_of(&exchange.connection) else { return Value::Object(input) };
        let object = connector
            .operation(&exchange.operation)
            .and_then(|operation| connector.object(operation.object.as_deref()?));
        let Some((object, operation)) = object.zip(connector.operation(look)) else { return Value::Object(input) };
        for hole in operation.input_holes() {
            if let Some(value) = exchange.input.get(hole) {
                input.insert(hole.to_string(), value.clone());
            }
        }
        let account = self.plan.locale_of(&exchange.connection);
        let locale = account.of_country(exchange.input.get("country"));
        let identity = object
            .identity
            .iter()
            .find_map(|field| Some((field.clone(), object.comparable(field, exchange.input.get(field), &locale)?)));
        if !operation.lists {
            input.extend(identity);
        }
        Value::Object(input)
    }

    pub(super) fn send(
        &mut self,
        address: &str,
        exchanges: usize,
        sending: Sending,
        timeout: Option<Duration>,
        connection: &str,
    ) -> Flow {
        let number = u32::try_from(exchanges).unwrap_or(u32::MAX);
        let send = Send {
            address: address.into(),
            exchange: number,
            attempt: 1,
            tries: 0,
            look: false,
            purpose: sending.purpose,
            connection: connection.into(),
            operation: sending.operation,
            input: sending.input,
            page: sending.page,
            timeout,
            turns: sending.turns,
            idempotency_key: self.key(address, number),
        };
        self.wants(Next::Send(Box::new(send)))
    }

    fn sending(
        &self,
        address: &str,
        number: u32,
        attempt: u32,
        exchange: &Exchange,
        timeout: Option<Duration>,
    ) -> Send {
        Send {
            address: address.into(),
            exchange: number,
            attempt,
            tries: exchange.tries,
            look: false,
            purpose: exchange.purpose.clone(),
            connection: exchange.connection.clone(),
            operation: exchange.operation.clone(),
            input: exchange.input.clone(),
            page: exchange.page.clone(),
            timeout,
            turns: exchange.turns.clone(),
            idempotency_key: self.key(address, number),
        }
    }

    fn key(&self, address: &str, number: u32) -> String {
        format!("{}/{address}/{number}", self.start.id)
    }

    /// Is the token of its connection one that is renewed when it is refused?
    fn renews(&self, exchange: &Exchange) -> bool {
        let connection = self.plan.connection(&exchange.connection);
        let renews = connection.and_then(|connection| {
            Some(self.plan.connector(&connection.connector)?.renews(connection.auth.as_deref()))
        });
        renews.unwrap_or_default()
    }

    fn operation(&self, exchange: &Exchange) -> Result<&Operation, Failure> {
        let connector = self.plan.connector_of(&exchange.connection);
        connector.and_then(|connector| connector.operation(&exchange.operation)).ok_or_else(|| {
            Failure::new(
                "invalid",
                format!("connection `{}` has no operation `{}`", exchange.connection, exchange.operation),
            )
        })
    }
}

/// A number in 0..1 that differs from run to run and try to try, and is the same when decided again.
fn spread(run: &str, address: &str, tries: u32) -> f64 {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("{run}/{address}/{tries}").as_bytes());
    f64::from(u16::from_be_bytes([hash[0], hash[1]])) / f64::from(u16::MAX)
}
