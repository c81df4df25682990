//! `wait`: nothing for some time, until an instant, or until something has happened. The run lets go of its order key
//! meanwhile.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{PROJECT, invalid, is_constant, undecided};
use crate::connector::Failure;
use crate::expr::{Expr, Fault, Locale, Read, Scope, parse_duration, read_time, shown};
use crate::workflow::trigger::read_heard;
use crate::workflow::{Heard, Reading};

/// Waits before the next action; survives restarts, and lets others with the same key go first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// `{ for: 2h }`, `{ until: $.task.dueDate }`, or `{ event: …, match: …, timeout: 7d }`.
    wait: WaitDocument,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`wait`")]
struct WaitDocument {
    /// How long, such as `90s`, `2h` or `"{{vars.days}}d"`.
    r#for: Option<Value>,
    /// Until when: a date or a date and time. An instant that is over does not wait.
    until: Option<Value>,
    /// For an event: `alias.object.changed`, as in a trigger. One that came since the run began counts.
    event: Option<String>,
    /// Fields of the event's record and the values that they must have: `{ email: $.contact.email }`.
    #[schemars(extend("x-takes" = "a map"))]
    r#match: Option<Value>,
    /// How long it waits for the event at most, such as `7d`; then the action's outcome is `timed_out`.
    timeout: Option<Value>,
}

#[derive(Debug)]
pub enum Wait {
    For(Expr),
    Until(Expr),
    Event(Box<Awaited>),
}

/// An event that is waited for.
#[derive(Debug)]
pub struct Awaited {
    pub event: Heard,
    /// Fields of its record, dotted, and what they must hold; none: any event will do.
    pub matches: Option<Expr>,
    pub timeout: Expr,
}

impl Awaited {
    /// The names of the fields, in the order of the alphabet.
    pub fn fields(&self) -> Vec<&str> {
        let fields = self.matches.as_ref().and_then(Expr::fields).unwrap_or_default();
        let mut names: Vec<&str> = fields.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// The instant at which the wait is given up, when it begins now.
    ///
    /// # Errors
    /// `invalid`: the value cannot be made, or is no duration.
    pub fn ends_ms(&self, scope: &Scope<'_>, now_ms: i64) -> Result<i64, Failure> {
        after(&self.timeout, "wait.timeout", scope, now_ms)
    }
}

impl Wait {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let mut reading = reading.child("wait");
        let wait = document.wait;
        let (matches, timeout) = (&wait.r#match, &wait.timeout);
        let alone = [("match", matches), ("timeout", timeout)].into_iter().find(|(_, value)| value.is_some());
        if let (Some((key, _)), None) = (alone, &wait.event) {
            let mut reading = reading.child(key);
            let found = reading.error("missing-key", format!("`{key}` belongs to a wait for an event"), "");
            found.help = Some("add `event: alias.object.changed`, or leave it out".into());
            return None;
        }
        match (&wait.r#for, &wait.until, &wait.event) {
            (Some(span), None, None) => Some(Self::For(read_span(span, &mut reading.child("for"))?)),
            (None, Some(instant), None) => {
                let mut reading = reading.child("until");
                if let Value::String(text) = instant
                    && is_constant(text)
                    && read_time(text, &Locale::default()).is_none()
                {
                    let found = reading.error("wrong-value", format!("`{text}` is no date or time"), "");
                    found.help = Some("write `2027-01-31`, `2027-01-31T09:00:00Z`, or a path to such a value".into());
                    return None;
                }
                Some(Self::Until(reading.expr(instant)))
            }
            (None, None, Some(event)) => read_event(event, matches.as_ref(), timeout.as_ref(), &mut reading),
            (None, None, None) => {
                reading.error("missing-key", "`wait` says neither how long, nor until when, nor for which event", "").help =
                    Some("write `wait: { for: 2h }`, `wait: { until: $.task.dueDate }` or `wait: { event: …, match: …, timeout: 7d }`".into());
                None
            }
            _ => {
                reading.error("bad-value", "`wait` has more than one of `for`, `until` and `event`", "").help =
                    Some("keep one of them; for whichever comes last write two actions".into());
                None
            }
        }
    }

    /// The values that are read when it begins.
    pub fn reads(&self) -> Vec<Read> {
        match self {
            Self::For(value) | Self::Until(value) => value.reads(),
            Self::Event(awaited) => {
                let matches = awaited.matches.as_ref().map(Expr::reads).unwrap_or_default();
                matches.into_iter().chain(awaited.timeout.reads()).collect()
            }
        }
    }

    /// The event that is waited for, if it is one.
    pub fn awaited(&self) -> Option<&Awaited> {
        match self {
            Self::Event(awaited) => Some(awaited),
            Self::For(_) | Self::Until(_) => None,
        }
    }

    /// The instant at which it is over, when it begins now.
    ///
    /// # Errors
    /// `invalid`: the value cannot be made, or says no time.
    pub fn ends_ms(&self, scope: &Scope<'_>, now_ms: i64) -> Result<i64, Failure> {
        let instant = match self {
            Self::For(span) => return after(span, "wait.for", scope, now_ms),
            Self::Event(awaited) => return awaited.ends_ms(scope, now_ms),
            Self::Until(instant) => instant,
        };
        let value = instant.eval(scope).map_err(|fault| invalid(&fault, "wait.until"))?;
        let text = value.as_ref().and_then(Value::as_str);
        let ends = text.and_then(|text| Some(read_time(text, scope.locale())?.timestamp_millis()));
        ends.ok_or_else(|| not(value.as_ref(), "wait.until", "date or time"))
    }
}

/// A duration that is written out, or a value that will be one.
fn read_span(span: &Value, reading: &mut Reading<'_>) -> Option<Expr> {
    match span {
        Value::String(text) if is_constant(text) => {
            reading.duration(text)?;
        }
        Value::Number(number) => {
            reading.duration(&number.to_string())?;
        }
        _ => {}
    }
    Some(reading.expr(span))
}

fn read_event(
    event: &str,
    matches: Option<&Value>,
    timeout: Option<&Value>,
    reading: &mut Reading<'_>,
) -> Option<Wait> {
    let event = read_heard(event, &mut reading.child("event"));
    let matches = match matches {
        Some(Value::Object(fields)) if fields.is_empty() => {
            let mut reading = reading.child("match");
            reading.error("missing-key", "`match` names no field", "").help = Some(MATCH_EXAMPLE.into());
            return None;
        }
        Some(fields) => Some(reading.child("match").expr(fields)),
        None => None,
    };
    let timeout = match timeout {
        Some(span) => read_span(span, &mut reading.child("timeout")),
        None => {
            let mut reading = reading.child("event");
            reading.error("missing-key", "`wait` does not say how long it waits for the event at most", "").help =
                Some("add `timeout: 7d`; after that the action's outcome is `timed_out`".into());
            None
        }
    };
    let event = event?;
    if matches.is_none() && event.alias != PROJECT && event.object.is_some() {
        let mut reading = reading.child("event");
        reading.error("missing-key", "`wait` does not say whose event it waits for", "").help =
            Some(MATCH_EXAMPLE.into());
        return None;
    }
    Some(Wait::Event(Box::new(Awaited { event, matches, timeout: timeout? })))
}

const MATCH_EXAMPLE: &str = "add `match: { field: value }`, a field of the event's record and what it must hold, such as `match: { email: $.contact.email }`";

/// The instant that lies so much later, a duration.
fn after(span: &Expr, key: &str, scope: &Scope<'_>, now_ms: i64) -> Result<i64, Failure> {
    let value = span.eval(scope).map_err(|fault| invalid(&fault, key))?;
    let text = value.as_ref().and_then(Value::as_str);
    let ends = text.and_then(|text| now_ms.checked_add(i64::try_from(parse_duration(text)?.as_millis()).ok()?));
    ends.ok_or_else(|| not(value.as_ref(), key, "duration such as `2h`"))
}

fn not(value: Option<&Value>, key: &str, wanted: &str) -> Failure {
    let found = value.map_or_else(|| "nothing".to_string(), shown);
    undecided(&Fault::new(format!("{found} is no {wanted}")), key)
}
