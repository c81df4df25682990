//! A fact from outside, with an id.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Traceparent;

/// What a run is about. Stored whole before anything is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique per source and connection: the delivery id, `poll:<object>:<record>:<content hash>`,
    /// `schedule:<workflow>:<instant>` …
    pub id: String,
    /// Connector's name for its webhooks and polls; `schedule`, `manual`, or a workflow's webhook path.
    pub source: String,
    /// `created`, `updated`, `deleted`, or the vendor's own name when it is no object's.
    #[serde(rename = "type")]
    pub kind: String,
    /// Milliseconds since 1970, the sender's time if it says one, else arrival.
    pub time_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// The id of the parent record, if the payload says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The record as far as the source gave it, in the vendor's form.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub record: Value,
    /// `record` is a hint: the run reads the record first, with this operation's full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_with: Option<String>,
    /// The operation whose answer `record` is from, if it is from one: some answer in another shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_operation: Option<String>,
    /// The raw webhook body.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Arc<Value>,
    /// The id of the event that it is a replay of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Where its sender stands in a trace, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// How many events of the project led to this one, each by an `emit` of the run of the one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    /// Was it there before anybody listened, or does it come once more? Live work goes before it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub past: bool,
}

/// The source of the event that tells that a workflow has not run for too long. `time_ms` is when it last did.
pub const SILENCE: &str = "silence";
/// The source of the events that tell a workflow of what there was before it was first served.
pub const BACKFILL: &str = "backfill";
/// More hops than this are taken for a loop.
pub const HOPS_MAX: u32 = 20;
/// What an event of the project may tell, as JSON.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(truth: &bool) -> bool {
    !truth
}
