//! What starts a run, as written and as meant.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Reading;
use crate::connector::{VerifyRule, read_verify};
use crate::expr::{Condition, Expr, FieldType, schema_faults};
use crate::source::{Place, nearest};
use crate::trigger::{Missed, Schedule};

/// A list is not looked at more often.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// A trigger as written: one verb, and what goes with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Document(serde_json::Map<String, Value>);

/// Keys of every trigger.
#[derive(Debug, Deserialize, JsonSchema)]
struct Common {
    /// Only when this condition holds; else the run ends at once as `skipped`.
    #[schemars(extend("x-takes" = "a condition"))]
    only_if: Option<Value>,
    /// Runs with the same key happen one after the other. Default: the parent's id, else the record's.
    in_order_by: Option<Value>,
    /// The name under which recipes see the record. Default: the object's name.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), extend("x-name" = "a name of small letters, digits and `_`"))]
    r#as: Option<String>,
}

/// Something was created, changed or deleted, as the connector notices it: `event: ghl.contact.changed`. A workflow hears what
/// happens after it was first served; `dovetail backfill` tells it of what was there before.
#[derive(Debug, Deserialize, JsonSchema)]
struct EventDocument {
    /// One event or a list: `alias.object.created`, `updated`, `deleted` or `changed` (created or updated).
    event: OneOrMany,
    /// References that are read before the run starts: `[item]`.
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(#[schemars(length(min = 1))] Vec<String>),
}

/// Somebody sends a POST request to a path of the workflow's own: `webhook: /new-order`.
#[derive(Debug, Deserialize, JsonSchema)]
struct WebhookDocument {
    /// The path below `/hooks`: `/new-order`.
    #[schemars(regex(pattern = r"^/[a-z0-9]+([-/][a-z0-9]+)*$"), extend("x-name" = "a path such as `/new-order`"))]
    webhook: String,
    /// How a delivery proves who sent it: rules as in a connector, or the word `none`.
    #[expect(dead_code, reason = "read by `read_verify`, with its places")]
    verify: Value,
    /// JSON Schema of the body: what recipes may read, checked on arrival.
    schema: Option<Value>,
    /// The delivery's id, so that a delivery that comes twice starts one run: `{ id: $.order_id }`.
    replay: Option<ReplayDocument>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`replay`")]
struct ReplayDocument {
    /// Path to the delivery's id in the body.
    id: String,
}

/// It is time: `schedule: "0 7 * * 1-5"`, at seven from Monday to Friday.
#[derive(Debug, Deserialize, JsonSchema)]
struct ScheduleDocument {
    /// Minute, hour, day of month, month, day of week: `"0 7 * * 1-5"`. When clocks are moved, a minute or hour that begins
    /// with `*` keeps its pace; any other time of day comes once, and if it is skipped, at the moment of the change.
    schedule: String,
    /// IANA name, `Europe/London`. Default: the project's.
    timezone: Option<String>,
    /// What happens after downtime: `run_once`, `skip` or `run_all`.
    #[serde(default)]
    missed: Missed,
}

/// A list is looked at regularly: `poll: os.response.list`. The record has the name of the object that is listed.
#[derive(Debug, Deserialize, JsonSchema)]
struct PollDocument {
    /// A list operation; each record that is new or different starts a run.
    poll: String,
    /// How often, e.g. `5m`; at least `1s`.
    #[schemars(extend("x-takes" = "a duration"))]
    every: String,
    /// What the operation is given.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
}

/// A person says `dovetail run NAME`, or another workflow runs it; `inputs` says what must be given.
#[derive(Debug, Deserialize, JsonSchema)]
struct ManualDocument {
    /// Nothing, or what must be given.
    manual: Option<ManualInputs>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`manual`")]
struct ManualInputs {
    /// What must be given, by name: `{ email: { type: string, title: E-mail } }`.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z][a-z0-9_]*$", "x-name": "a name of small letters, digits and `_`" }))]
    inputs: BTreeMap<String, InputDocument>,
}

/// One input of a `manual` trigger.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "an input")]
pub struct InputDocument {
    /// `string`, `integer`, `number`, `boolean`, `array` or `object`.
    #[serde(rename = "type")]
    #[schemars(rename = "type")]
    pub kind: InputKind,
    /// What a person is asked for: `E-mail address`.
    pub title: Option<String>,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// Taken when nothing is given; an input without a default is required.
    pub default: Option<Value>,
    /// `email`, `date`, `date-time`, `uri`.
    pub format: Option<String>,
    /// The only values that may be given.
    pub r#enum: Option<Vec<Value>>,
    /// Items of an `array`.
    pub items: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
}

impl JsonSchema for Document {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Trigger".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let verbs = json!({
            "event": generator.subschema_for::<EventDocument>(),
            "webhook": generator.subschema_for::<WebhookDocument>(),
            "schedule": generator.subschema_for::<ScheduleDocument>(),
            "poll": generator.subschema_for::<PollDocument>(),
            "manual": generator.subschema_for::<ManualDocument>(),
        });
        let mut schema = super::action::verb_schema("a trigger", generator.subschema_for::<Common>(), verbs);
        schema.insert("x-one".into(), "a second trigger is a second workflow".into());
        schema
    }
}

/// A trigger, read.
#[derive(Debug)]
pub struct Trigger {
    pub starts: Starts,
    pub only_if: Option<Condition>,
    pub in_order_by: Option<Expr>,
    /// `as:`, if written.
    pub name: Option<String>,
    pub include: Vec<String>,
    pub place: Place,
}

/// What a run starts from.
#[derive(Debug)]
pub enum Starts {
    Event(Vec<Heard>),
    Webhook {
        path: String,
        verify: Vec<VerifyRule>,
        schema: Value,
        /// What `schema` says.
        fields: FieldType,
        id: Option<crate::expr::Path>,
    },
    /// Compiled with the project's time zone when none is written: see [`Starts::schedule`].
    Schedule {
        text: String,
        timezone: Option<Tz>,
        missed: Missed,
    },
    Poll {
        alias: String,
        operation: String,
        every: Duration,
        with: Option<Expr>,
    },
    Manual {
        inputs: BTreeMap<String, InputDocument>,
    },
}

/// An event that is listened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub alias: String,
    /// None: an event of no object, by the vendor's own name.
    pub object: Option<String>,
    /// `created`, `updated`, `deleted`; or the vendor's own name.
    pub kinds: Vec<String>,
    pub text: String,
    pub place: Place,
    pub pointer: String,
}

impl Trigger {
    /// The name under which the record of an event, or of a poll, is read.
    pub fn record_name<'n>(&'n self, object: &'n str) -> &'n str {
        self.name.as_deref().unwrap_or(object)
    }

    /// Is it an event, or a poll, of this alias alone? The alias stands for whichever connection that comes from.
    pub fn comes_from(&self, alias: &str) -> bool {
        match &self.starts {
            Starts::Event(heard) => heard.iter().all(|heard| heard.alias == alias),
            Starts::Poll { alias: polled, .. } => polled == alias,
            Starts::Webhook { .. } | Starts::Schedule { .. } | Starts::Manual { .. } => false,
        }
    }

    /// In place of one that cannot be read.
    pub(super) fn by_hand(place: Place) -> Trigger {
        let starts = Starts::Manual { inputs: BTreeMap::new() };
        Trigger { starts, only_if: None, in_order_by: None, name: None, include: Vec::new(), place }
    }

    pub fn read(document: &Document, reading: &mut Reading<'_>) -> Option<Trigger> {
        let value = Value::Object(document.0.clone());
        let common: Common = reading.parse(&value)?;
        let only_if = reading.guard(common.only_if.as_ref());
        let in_order_by = common.in_order_by.as_ref().map(|value| reading.child("in_order_by").expr(value));
        let mut include = Vec::new();
        let starts = if document.0.contains_key("event") {
            let event: EventDocument = reading.parse(&value)?;
            include = event.include;
            read_event(&event.event, &mut reading.child("event"))
        } else if document.0.contains_key("webhook") {
            read_webhook(reading.parse(&value)?, reading)?
        } else if document.0.contains_key("schedule") {
            read_schedule(reading.parse(&value)?, reading)?
        } else if document.0.contains_key("poll") {
            read_poll(reading.parse(&value)?, reading)?
        } else {
            let manual: ManualDocument = reading.parse(&value)?;
            Starts::Manual { inputs: manual.manual.unwrap_or_default().inputs }
        };
        Some(Trigger { starts, only_if, in_order_by, name: common.r#as, include, place: reading.place() })
    }
}

fn read_event(event: &OneOrMany, reading: &mut Reading<'_>) -> Starts {
    let texts: Vec<(String, &String)> = match event {
        OneOrMany::One(text) => vec![(String::new(), text)],
        OneOrMany::Many(texts) => texts.iter().enumerate().map(|(index, text)| (index.to_string(), text)).collect(),
    };
    let mut heard: Vec<Heard> = Vec::new();
    for (step, text) in texts {
        let mut reading = if step.is_empty() { reading.same() } else { reading.child(&step) };
        let Some(event) = read_heard(text, &mut reading) else { continue };
        if let Some(first) = heard.first()
            && first.object != event.object
        {
            let found = reading.error("mixed-events", "a list of events is of one object", "another object");
            found.help = Some("write a second workflow for the other object".into());
        }
        heard.push(event);
    }
    Starts::Event(heard)
}

/// Reads the name of one event: `alias.object.changed`, or `alias.name` for one of no object.
pub(super) fn read_heard(text: &str, reading: &mut Reading<'_>) -> Option<Heard> {
    let parts: Vec<&str> = text.split('.').collect();
    let (alias, object, kinds) = match parts.as_slice() {
        [alias, name] => (*alias, None, vec![(*name).to_string()]),
        [alias, object, "changed"] => (*alias, Some(*object), vec!["created".into(), "updated".into()]),
        [alias, object, kind @ ("created" | "updated" | "deleted")] => {
            (*alias, Some(*object), vec![(*kind).to_string()])
        }
        [_, _, kind] => {
            let near = nearest(kind, ["created", "updated", "deleted", "changed"]);
            let help = near.map(|near| format!("did you mean `{near}`?"));
            let found = reading.error("unknown-event", format!("no event is called `{kind}`"), "");
            found.help = help.or_else(|| Some("write `created`, `updated`, `deleted` or `changed`".into()));
            return None;
        }
        _ => {
            let found = reading.error("unknown-event", format!("`{text}` is no event"), "");
            found.help = Some("write `alias.object.changed`, such as `crm.contact.changed`".into());
            return None;
        }
    };
    Some(Heard {
        alias: alias.into(),
        object: object.map(Into::into),
        kinds,
        text: text.into(),
        place: reading.place(),
        pointer: reading.pointer.clone(),
    })
}

fn read_webhook(document: WebhookDocument, reading: &mut Reading<'_>) -> Option<Starts> {
    let file = reading.file;
    let pointer = format!("{}/verify", reading.pointer);
    let verify = read_verify(file, &pointer, reading.report);
    let id = match &document.replay {
        None => None,
        Some(replay) => match crate::expr::Path::compile(&replay.id) {
            Ok(path) => Some(path),
            Err(problem) => {
                let mut replay = reading.child("replay");
                replay.child("id").error(problem.code, problem.message, "").help = problem.help;
                None
            }
        },
    };
    if let Some(schema) = &document.schema {
        reading.child("schema").problems(schema_faults(schema));
    }
    let schema = document.schema.unwrap_or(Value::Null);
    let fields = FieldType::of_schema(&schema);
    Some(Starts::Webhook { path: document.webhook, verify: verify?, schema, fields, id })
}

fn read_schedule(document: ScheduleDocument, reading: &mut Reading<'_>) -> Option<Starts> {
    let timezone = match &document.timezone {
        None => None,
        Some(name) => match name.parse::<Tz>() {
            Ok(timezone) => Some(timezone),
            Err(_) => {
                let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
                let help = near.map_or_else(
                    || "write an IANA name such as `Europe/London`".to_string(),
                    |near| format!("did you mean `{near}`?"),
                );
                let mut reading = reading.child("timezone");
                reading.error("unknown-timezone", format!("no time zone is called `{name}`"), "").help = Some(help);
                None
            }
        },
    };
    let message = match Schedule::compile(&document.schedule, timezone.unwrap_or(Tz::UTC)) {
        Ok(schedule) if schedule.after(DateTime::UNIX_EPOCH).is_some() => None,
        Ok(_) => Some(format!("`{}` never comes: no such month has that day", document.schedule)),
        Err(message) => Some(message),
    };
    if let Some(message) = message {
        let mut reading = reading.child("schedule");
        reading.error("bad-schedule", message, "").help =
            Some("five fields: minute, hour, day of month, month, day of week, as in `0 7 * * 1-5`".into());
        return None;
    }
    Some(Starts::Schedule { text: document.schedule, timezone, missed: document.missed })
}

fn read_poll(document: PollDocument, reading: &mut Reading<'_>) -> Option<Starts> {
    let every = reading.child("every").duration_within(&document.every, (EVERY_MIN, Duration::MAX))?;
    let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
    let Some((alias, operation)) = document.poll.split_once('.') else {
        let mut reading = reading.child("poll");
        let found = reading.error("unknown-operation", format!("`{}` is no operation", document.poll), "");
        found.help = Some("write `alias.object.operation`, such as `os.response.list`".into());
        return None;
    };
    Some(Starts::Poll { alias: alias.into(), operation: operation.into(), every, with })
}
