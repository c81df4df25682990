//! `wait`: nothing for some time, or until an instant. The run lets go of its order key meanwhile.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{invalid, is_constant};
use crate::connector::Failure;
use crate::expr::{Expr, Locale, Scope, parse_duration, read_time, shown};
use crate::workflow::Reading;

/// Waits before the next action; survives restarts, and lets others with the same key go first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// `{ for: 2h }` or `{ until: $.task.dueDate }`.
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
    /// For an event: `alias.object.changed`. Not available in this version.
    event: Option<Value>,
    /// Fields of the event's record and their values. Not available in this version.
    #[expect(dead_code, reason = "belongs to `event`")]
    r#match: Option<Value>,
    /// The longest wait for the event. Not available in this version.
    #[expect(dead_code, reason = "belongs to `event`")]
    timeout: Option<Value>,
}

#[derive(Debug)]
pub enum Wait {
    For(Expr),
    Until(Expr),
}

impl Wait {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let mut reading = reading.child("wait");
        if document.wait.event.is_some() {
            let mut reading = reading.child("event");
            let message = "a wait for an event is not available in this version";
            reading.error("not-yet", message, "").help =
                Some("let the event start a workflow of its own, or write `for` or `until`".into());
            return None;
        }
        match (&document.wait.r#for, &document.wait.until) {
            (Some(span), None) => {
                let mut reading = reading.child("for");
                match span {
                    Value::String(text) if is_constant(text) => {
                        reading.duration(text)?;
                    }
                    Value::Number(number) => {
                        reading.duration(&number.to_string())?;
                    }
                    _ => {}
                }
                Some(Self::For(reading.expr(span)?))
            }
            (None, Some(instant)) => {
                let mut reading = reading.child("until");
                if let Value::String(text) = instant
                    && is_constant(text)
                    && read_time(text, &Locale::default()).is_none()
                {
                    let found = reading.error("wrong-value", format!("`{text}` is no date or time"), "");
                    found.help = Some("write `2027-01-31`, `2027-01-31T09:00:00Z`, or a path to such a value".into());
                    return None;
                }
                Some(Self::Until(reading.expr(instant)?))
            }
            (None, None) => {
                reading.error("missing-key", "`wait` says neither how long nor until when", "").help =
                    Some("write `wait: { for: 2h }` or `wait: { until: $.task.dueDate }`".into());
                None
            }
            (Some(_), Some(_)) => {
                reading.error("bad-value", "`wait` has both `for` and `until`", "").help =
                    Some("keep one of them; for whichever comes last write two actions".into());
                None
            }
        }
    }

    pub fn value(&self) -> &Expr {
        match self {
            Self::For(value) | Self::Until(value) => value,
        }
    }

    /// The instant at which it is over, when it begins now.
    ///
    /// # Errors
    /// `invalid`: the value cannot be made, or says no time.
    pub fn ends_ms(&self, scope: &Scope<'_>, now_ms: i64) -> Result<i64, Failure> {
        let (key, wanted) = match self {
            Self::For(_) => ("wait.for", "duration such as `2h`"),
            Self::Until(_) => ("wait.until", "date or time"),
        };
        let value = self.value().eval(scope).map_err(|fault| invalid(&fault, key))?;
        let text = value.as_ref().and_then(Value::as_str);
        let ends = text.and_then(|text| match self {
            Self::For(_) => {
                let ms = i64::try_from(parse_duration(text)?.as_millis()).ok()?;
                now_ms.checked_add(ms)
            }
            Self::Until(_) => Some(read_time(text, scope.locale())?.timestamp_millis()),
        });
        ends.ok_or_else(|| {
            let found = value.as_ref().map_or_else(|| "nothing".to_string(), shown);
            Failure::new("invalid", format!("`{key}`: {found} is no {wanted}"))
        })
    }
}
