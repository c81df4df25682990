//! Is an exchange settled? If not: try again, look whether it was carried out after all, wait, or give up.

use std::time::Duration;

use super::entry::Fact;
use super::state::State;
use crate::connector::{Failure, IfUnsure, Operation, Unsure};
use crate::project::Plan;
use crate::workflow::{Answer, Exchange, Retry};

/// What an exchange needs next.
#[derive(Debug, PartialEq)]
pub(super) enum Need {
    /// Send it again, now.
    Again,
    /// Ask the remote side whether it was carried out, with this operation.
    Look { operation: String },
    /// Nothing before this instant.
    Pause { until_ms: i64, why: String },
    /// There is nothing left to delete, since an earlier attempt may have done it: that is what was wanted.
    Deleted,
    /// It failed for good in a way that the answer alone does not tell.
    GiveUp(Failure),
}

/// So often a vendor is believed that says when its limit is over.
const BELIEVED: u32 = 5;

/// Judges an exchange; None: the action may look at its answer. `due`: a pause for it is over. `renews`: a refused token is renewed by then. `spread`: a number in 0..1.
pub(super) fn need(
    exchange: &Exchange,
    (operation, renews): (&Operation, bool),
    retry: &Retry,
    due: bool,
    now_ms: i64,
    spread: &dyn Fn() -> f64,
) -> Option<Need> {
    if exchange.again {
        return Some(again_by_hand(exchange, operation));
    }
    let failure = match &exchange.answer {
        Some(Answer::Done { .. }) => return None,
        Some(Answer::Failed(failure)) if is_deleted(&failure.name, exchange, operation) => return Some(Need::Deleted),
        Some(Answer::Failed(failure)) => failure.clone(),
        // The program ended between the request and its answer.
        None => Failure::new("timeout", "stopped before an answer came"),
    };
    if failure.name == "rate_limited" {
        return Some(match due {
            true => Need::Again,
            false => pause(limited_until(exchange, &failure, retry, now_ms, spread()), &failure),
        });
    }
    if failure.name == "auth" {
        // Only a person can help. It asks again now and then, and at once when the account is connected.
        return Some(match due || (renews && exchange.tries <= 1) {
            true => Need::Again,
            false => pause(now_ms.saturating_add(asks_again(exchange.tries)), &failure),
        });
    }
    let unsure = is_unsure(&failure.name, operation);
    if unsure && let Unsure::Ask = operation.if_unsure.then {
        let message = format!(
            "{}; it is not known whether `{}` was carried out: look, then retry or drop",
            failure.message, operation.name
        );
        return Some(Need::GiveUp(Failure { name: "unknown".into(), message, ..failure }));
    }
    if due {
        return Some(repeat(unsure, operation));
    }
    if exchange.answer.is_none() && !unsure {
        return Some(Need::Again);
    }
    let tries = exchange.tries.max(1);
    let next = retry.next(&failure.name, tries, exchange.since_ms, now_ms, spread());
    match next {
        Some(at) => Some(pause(not_before(at, unsure, &operation.if_unsure, &failure, now_ms), &failure)),
        // Out of tries, but the write may stand: look once more before giving up.
        None if unsure && exchange.look.is_none() => {
            Some(pause(now_ms.saturating_add(millis(operation.if_unsure.wait)), &failure))
        }
        None => None,
    }
}

fn is_deleted(failure: &str, exchange: &Exchange, operation: &Operation) -> bool {
    failure == "not_found" && exchange.maybe_done && operation.method == "DELETE"
}

/// A write was sent, and its failure does not say that it was not carried out.
pub(super) fn is_unsure(failure: &str, operation: &Operation) -> bool {
    !operation.reads
        && !matches!(operation.if_unsure.then, Unsure::SendAgain)
        && (failure == "timeout" || operation.if_unsure.after.iter().any(|name| name == failure))
}

/// What is to be recorded when an account is connected, or its vendor is well again; None: any. Who was told how long to wait
/// waits, and so does a write of which it is not sure whether it was carried out: a look-up would come too early.
pub fn resumed(plan: &Plan, state: &State, connection: Option<&str>, now_ms: i64) -> Vec<Fact> {
    let is_over = |exchange: &Exchange, failure: &Failure| match failure.name.as_str() {
        "auth" => true,
        _ if !failure.is_of_trouble() || failure.retry_after_ms.is_some() => false,
        name => {
            let connector = plan.connector_of(&exchange.connection);
            let operation = connector.and_then(|connector| connector.operation(&exchange.operation));
            operation.is_some_and(|operation| !is_unsure(name, operation))
        }
    };
    state.resumed(|progress| {
        let pauses = progress.paused_until_ms.is_some_and(|until_ms| until_ms > now_ms);
        progress.paused_for().filter(|_| pauses).is_some_and(|exchange| {
            let is_of = connection.is_none_or(|name| exchange.connection == name);
            is_of && exchange.failure().is_some_and(|failure| is_over(exchange, failure))
        })
    })
}

/// May a write that was not carried out, as the look-up said, be sent once more?
pub(super) fn worth_another(exchange: &Exchange, retry: &Retry, now_ms: i64) -> bool {
    let failure = exchange.failure().map_or("timeout", |failure| failure.name.as_str());
    exchange.again || retry.next(failure, exchange.tries.max(1), exchange.since_ms, now_ms, 1.0).is_some()
}

fn repeat(unsure: bool, operation: &Operation) -> Need {
    match &operation.if_unsure.then {
        Unsure::LookWith { operation, .. } if unsure => Need::Look { operation: operation.clone() },
        _ => Need::Again,
    }
}

fn again_by_hand(exchange: &Exchange, operation: &Operation) -> Need {
    let may_stand = |failure: &Failure| {
        is_unsure(&failure.name, operation) || matches!(failure.name.as_str(), "unknown" | "not_accepted")
    };
    let unsure = exchange.failure().is_none_or(may_stand);
    // A person who has looked decides that it is sent again.
    repeat(unsure && !operation.reads, operation)
}

/// A minute after the first refusal, then twice as long each time, an hour at most.
fn asks_again(tries: u32) -> i64 {
    (60_000_i64 << tries.saturating_sub(1).min(6)).min(3_600_000)
}

fn pause(until_ms: i64, failure: &Failure) -> Need {
    Need::Pause { until_ms, why: failure.to_string() }
}

/// Whoever is told when is believed some times; then, and where nothing is told, the pauses grow: a limit that never ends must not
/// fill the journal.
fn limited_until(exchange: &Exchange, failure: &Failure, retry: &Retry, now_ms: i64, spread: f64) -> i64 {
    let told = failure.retry_after_ms.and_then(|ms| i64::try_from(ms).ok());
    let times = exchange.attempt.saturating_sub(exchange.tries);
    let growth = times.saturating_sub(if told.is_some() { BELIEVED } else { 1 });
    let own = retry.wait_min.max(Duration::from_secs(1));
    let own = own.saturating_mul(2u32.saturating_pow(growth)).min(retry.wait_max.max(own));
    #[expect(clippy::cast_possible_truncation, reason = "at most half a second")]
    let spread_ms = (spread * 500.0) as i64;
    let pause_ms = told.map_or(millis(own), |told| if growth == 0 { told } else { told.max(millis(own)) });
    now_ms.saturating_add(pause_ms).saturating_add(spread_ms)
}

fn not_before(at_ms: i64, unsure: bool, if_unsure: &IfUnsure, failure: &Failure, now_ms: i64) -> i64 {
    let told = failure.retry_after_ms.and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
    let lag = if unsure { millis(if_unsure.wait) } else { 0 };
    at_ms.max(now_ms.saturating_add(told)).max(now_ms.saturating_add(lag))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::connector::Page;
    use crate::workflow::Purpose;

    /// After so many limited answers in a row, the pause in seconds.
    fn pause_s(attempt: u32, told_s: Option<u64>) -> i64 {
        let exchange = Exchange {
            purpose: Purpose::Read,
            connection: String::new(),
            operation: String::new(),
            input: Value::Null.into(),
            page: Page::default(),
            attempt,
            tries: 0,
            first_sent_ms: 0,
            since_ms: 0,
            maybe_done: false,
            turns: Vec::new(),
            answer: None,
            look: None,
            again: false,
        };
        let failure = Failure { retry_after_ms: told_s.map(|s| s * 1_000), ..Failure::new("rate_limited", "") };
        limited_until(&exchange, &failure, &Retry::default(), 0, 0.0) / 1_000
    }

    #[test]
    fn a_limit_that_never_ends_is_asked_about_less_and_less() {
        let pauses: Vec<i64> = [1, 2, 3, 5, 12, 1_000].map(|attempt| pause_s(attempt, None)).into();
        assert_eq!(pauses, [2, 4, 8, 32, 3_600, 3_600]);
        let pauses: Vec<i64> = [1, 5, 6, 7, 20].map(|attempt| pause_s(attempt, Some(1))).into();
        assert_eq!(pauses, [1, 1, 4, 8, 3_600], "whoever says when is believed five times");
        assert_eq!(pause_s(1, Some(86_400)), 86_400);
        assert_eq!(pause_s(100, Some(86_400)), 86_400);
    }
}
