//! Budgets on a clock of their own.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::budget::*;
use crate::connector::{Limit, Response};
use crate::expr::Template;

/// `100/10s`, with the marks of a test.
fn limit(requests: u64, per_seconds: u64) -> Limit {
    Limit {
        requests,
        per: Duration::from_secs(per_seconds),
        remaining_header: None,
        reset_header: None,
        keep_for_live_events: 0.0,
        only_for: Vec::new(),
        each: None,
    }
}

fn burst_and_day() -> Vec<Limit> {
    let burst = Limit { remaining_header: Some("x-left".into()), ..limit(3, 10) };
    let day = Limit {
        remaining_header: Some("x-day-left".into()),
        reset_header: Some(("x-day-reset".into(), Duration::from_millis(1))),
        keep_for_live_events: 0.3,
        ..limit(10, 86_400)
    };
    vec![burst, day]
}

/// A clock, and the budgets of one connection `acme`.
struct Case {
    budgets: Budgets,
    limits: Vec<Limit>,
    start: Instant,
    seconds: u64,
}

impl Case {
    fn new(limits: Vec<Limit>) -> Case {
        Case { budgets: Budgets::default(), limits, start: Instant::now(), seconds: 0 }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.seconds)
    }

    /// Seconds to wait; 0 for Go.
    fn take_as(&self, operation: &str, input: &Value, urgency: Urgency) -> u64 {
        match self.budgets.take("acme", &self.limits, operation, input, urgency, self.now()) {
            Take::Go => 0,
            Take::Wait(length) => length.as_secs_f64().ceil() as u64,
        }
    }

    fn take(&self) -> u64 {
        self.take_as("contact.get", &Value::Null, Urgency::Live)
    }

    /// What was taken is sent at a second.
    fn sent(&mut self, taken: Instant, second: u64) {
        self.seconds = second;
        self.budgets.sent("acme", &self.limits, "contact.get", &Value::Null, taken, self.now());
    }

    fn learn(&self, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = Response { status, headers, body: Value::Null, not_kept: None };
        self.budgets.learn("acme", &self.limits, "contact.get", &response, self.now());
    }
}

#[test]
fn a_window_is_opened_by_its_first_request_and_ends_after_its_length() {
    let mut case = Case::new(vec![limit(2, 10)]);
    case.seconds = 7;
    assert_eq!((case.take(), case.take(), case.take()), (0, 0, 10));
    case.seconds = 16;
    assert_eq!(case.take(), 1, "opened at 7, ends at 17");
    case.seconds = 17;
    assert_eq!((case.take(), case.take(), case.take()), (0, 0, 10));
}

/// The vendor's window opens when its first request has arrived, and is still open when ours would have ended.
#[test]
fn a_window_lasts_as_much_longer_as_requests_are_on_their_way() {
    let mut case = Case::new(vec![limit(1, 10)]);
    case.budgets = Budgets::of_vendors();
    assert_eq!(case.take(), 0);
    case.seconds = 10;
    assert_eq!(case.take(), 1, "half a second, rounded up");
    case.seconds = 11;
    assert_eq!(case.take(), 0);
    let mut short = Case::new(vec![limit(1, 1)]);
    short.budgets = Budgets::of_vendors();
    short.take();
    let Take::Wait(wait) =
        short.budgets.take("acme", &short.limits, "contact.get", &Value::Null, Urgency::Live, short.now())
    else {
        panic!("it is used up")
    };
    assert_eq!(wait, Duration::from_millis(1_100), "never more than a tenth");
}

/// Between being counted and being sent a request is made durable, and the disk may be slow.
#[test]
fn a_window_lasts_as_much_longer_as_its_requests_were_held_before_they_went() {
    let mut case = Case::new(vec![limit(2, 10)]);
    assert_eq!((case.take(), case.take()), (0, 0));
    let taken = case.now();
    case.sent(taken, 3);
    case.sent(taken, 2);
    assert_eq!(case.take(), 13 - 2, "as the one that was held longest");
    case.seconds = 13;
    assert_eq!(case.take(), 0);
    case.sent(taken, 14);
    assert_eq!((case.take(), case.take()), (0, 9), "it was of the window before");
}

#[test]
fn a_request_is_taken_from_all_windows_or_from_none() {
    let mut case = Case::new(vec![limit(1, 10), limit(2, 60)]);
    assert_eq!((case.take(), case.take(), case.take()), (0, 10, 10), "refused ones take nothing from the minute");
    case.seconds = 10;
    assert_eq!((case.take(), case.take()), (0, 50));
}

#[test]
fn connections_operations_and_each_value_have_windows_of_their_own() {
    let per_channel = Limit {
        each: Some(Template::compile("{{input.channel}}").unwrap()),
        only_for: vec!["post".into()],
        ..limit(1, 1)
    };
    let case = Case::new(vec![per_channel]);
    let channel = |name: &str| json!({ "channel": name });
    assert_eq!(case.take_as("post", &channel("a"), Urgency::Live), 0);
    assert_eq!(case.take_as("post", &channel("a"), Urgency::Live), 1);
    assert_eq!(case.take_as("post", &channel("b"), Urgency::Live), 0);
    assert_eq!(case.take_as("other", &channel("a"), Urgency::Live), 0, "only_for");
    assert_eq!(case.budgets.take("else", &case.limits, "post", &channel("a"), Urgency::Live, case.now()), Take::Go);
}

#[test]
fn polls_leave_the_reserve_to_live_events() {
    let case = Case::new(vec![Limit { keep_for_live_events: 0.3, ..limit(10, 60) }]);
    for _ in 0..7 {
        assert_eq!(case.take_as("contact.list", &Value::Null, Urgency::Poll), 0);
    }
    assert_eq!(case.take_as("contact.list", &Value::Null, Urgency::Poll), 60);
    assert_eq!((case.take(), case.take(), case.take(), case.take()), (0, 0, 0, 60));
}

#[test]
fn the_reserve_of_a_small_limit_is_not_all_of_it() {
    let share = |share: f64| Case::new(vec![Limit { keep_for_live_events: share, ..limit(1, 60) }]);
    assert_eq!(share(0.3).take_as("contact.list", &Value::Null, Urgency::Poll), 0);
    assert_eq!(share(1.0).take_as("contact.list", &Value::Null, Urgency::Poll), 60);
}

#[test]
fn the_past_stands_back_while_live_work_waits() {
    let mut case = Case::new(vec![limit(1, 10)]);
    let take = |case: &Case, urgency| case.take_as("contact.get", &Value::Null, urgency);
    assert_eq!(take(&case, Urgency::Past), 0);
    assert_eq!((take(&case, Urgency::Past), take(&case, Urgency::Live)), (10, 10));
    case.seconds = 10;
    assert_eq!(take(&case, Urgency::Past), 1, "for a tenth of a second, rounded up");
    assert_eq!((take(&case, Urgency::Live), take(&case, Urgency::Past)), (0, 10));
    // Nobody waits any more.
    case.seconds = 20;
    assert_eq!(take(&case, Urgency::Past), 0);
    // A poll would be late for good.
    case.seconds = 25;
    assert_eq!(take(&case, Urgency::Live), 5);
    case.seconds = 30;
    assert_eq!(take(&case, Urgency::Poll), 0);
}

#[test]
fn an_answer_lowers_what_is_left_and_never_raises_it() {
    let mut case = Case::new(burst_and_day());
    assert_eq!(case.take(), 0);
    case.learn(200, &[("x-left", "99")]);
    case.learn(200, &[("x-left", "many")]);
    assert_eq!(case.take(), 0);
    case.learn(200, &[("x-left", "0")]);
    assert_eq!(case.take(), 10);
    case.learn(200, &[("x-left", "3")]);
    assert_eq!(case.take(), 10, "ours knows better");
    case.seconds = 10;
    case.learn(200, &[("x-left", "0")]);
    assert_eq!(case.take(), 0, "what is said about a window that has ended is about the past");
}

#[test]
fn an_answer_moves_the_end_of_its_window() {
    let mut case = Case::new(burst_and_day());
    assert_eq!(case.take(), 0);
    case.learn(200, &[("x-day-left", "0"), ("x-day-reset", "5000")]);
    assert_eq!(case.take(), 5, "milliseconds");
    case.learn(200, &[("x-day-reset", "1893456000000")]);
    case.learn(200, &[("x-day-reset", "-1")]);
    case.learn(200, &[("x-day-reset", "NaN")]);
    assert_eq!(case.take(), 5, "an epoch is no length");
    case.seconds = 4;
    case.learn(200, &[("x-day-left", "9"), ("x-day-reset", "86400000")]);
    assert_eq!(case.take(), 0, "the vendor's window has begun anew");
}

#[test]
fn a_429_closes_the_windows_that_count_it() {
    let mut case = Case::new(burst_and_day());
    case.take();
    case.learn(429, &[("retry-after", "30")]);
    assert_eq!(case.take(), 30);
    case.seconds = 30;
    assert_eq!(case.take(), 0);
    case.learn(429, &[]);
    assert_eq!(case.take(), 10, "without Retry-After until the shortest window ends");
    case.seconds = 40;
    case.learn(429, &[("retry-after", "999999")]);
    assert_eq!(case.take(), 86_400, "at most a day");
}

#[test]
fn a_429_closes_a_connection_without_limits_too() {
    let table = [
        (vec![("retry-after", "30")], 30),
        (vec![("retry-after", "0")], 1),
        (vec![("retry-after", "soon")], 1),
        (vec![], 1),
        (vec![("retry-after", "Tue, 24 Nov 2026 10:00:20 GMT"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")], 20),
        (vec![("retry-after", "Tue, 24 Nov 2026 10:00:20 GMT")], 1),
    ];
    for (headers, wait) in table {
        let case = Case::new(Vec::new());
        case.learn(429, &headers);
        assert_eq!(case.take(), wait, "{headers:?}");
    }
}

#[test]
fn an_answer_speaks_for_the_window_of_its_each_value() {
    let per_channel = Limit {
        each: Some(Template::compile("{{input.channel}}").unwrap()),
        remaining_header: Some("x-left".into()),
        ..limit(5, 10)
    };
    let case = Case::new(vec![per_channel]);
    let (here, there) = (json!({ "channel": "a" }), json!({ "channel": "b" }));
    let response =
        |status| Response { status, headers: vec![("x-left".into(), "0".into())], body: Value::Null, not_kept: None };
    assert_eq!((case.take_as("post", &here, Urgency::Live), case.take_as("post", &there, Urgency::Live)), (0, 0));
    case.budgets.learn_for("acme", &case.limits, "post", &here, &response(200), case.now());
    assert_eq!((case.take_as("post", &here, Urgency::Live), case.take_as("post", &there, Urgency::Live)), (10, 0));
    case.budgets.learn("acme", &case.limits, "post", &response(200), case.now());
    assert_eq!(
        case.take_as("post", &there, Urgency::Live),
        0,
        "without input it is not known of which value an answer speaks"
    );
    case.budgets.learn("acme", &case.limits, "post", &response(429), case.now());
    assert_eq!(case.take_as("post", &there, Urgency::Live), 1, "so a 429 closes the connection");
}

#[test]
fn memory_is_bounded_whatever_the_data_says() {
    let per_channel = Limit { each: Some(Template::compile("{{input.channel}}").unwrap()), ..limit(1, 10) };
    let mut case = Case::new(vec![per_channel]);
    for number in 0..WINDOWS_MAX {
        assert_eq!(case.take_as("post", &json!({ "channel": number }), Urgency::Live), 0);
    }
    assert_eq!(case.take_as("post", &json!({ "channel": "one more" }), Urgency::Live), 0, "the shared window");
    assert_eq!(case.take_as("post", &json!({ "channel": "and more" }), Urgency::Live), 10);
    assert_eq!(case.budgets.windows.lock().len(), WINDOWS_MAX + 1);
    case.seconds = 10;
    case.take_as("post", &json!({ "channel": "later" }), Urgency::Live);
    assert_eq!(case.budgets.windows.lock().len(), 1);
}
