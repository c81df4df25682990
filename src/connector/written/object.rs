//! An entry of `objects:` as written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Named, OperationWritten};

/// A kind of record that the API keeps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct ObjectWritten {
    /// What the record is, in a sentence.
    pub description: Option<String>,
    /// JSON Schema of the record as recipes see it, or the name of a file beside this one, e.g. `./contact.json`.
    pub schema: Option<Value>,
    /// The field that holds the record's id; `id` unless said otherwise.
    pub id: Option<String>,
    /// The field that holds the time of its creation.
    pub created_at: Option<String>,
    /// The field that holds the time of the last change.
    pub changed_at: Option<String>,
    /// Fields that tell whether two records are the same person or thing; an upsert looks by each alone.
    #[serde(default)]
    pub identity: Vec<String>,
    /// How values of a field are compared and looked up: `lowercase` or `e164`.
    #[serde(default)]
    pub normalize: Named<Normalization>,
    /// Fields that only the API sets.
    #[serde(default)]
    pub read_only: Vec<String>,
    /// Fields that may be given to a create and are refused by an update.
    #[serde(default)]
    pub create_only: Vec<String>,
    /// Lists that a write replaces as a whole: upserts read, merge and write them.
    #[serde(default)]
    pub whole_lists: Vec<String>,
    /// True: read back what was written, since the API can accept a write and drop a field.
    #[serde(default)]
    pub confirm_writes: bool,
    /// The object under which these records live.
    pub parent: Option<ParentWritten>,
    /// Other records whose ids these records hold, by the name that `include:` says.
    #[serde(default)]
    pub references: Named<ReferenceWritten>,
    /// Lists of keys and values that recipes see as maps, by the map's name.
    #[serde(default)]
    pub keyed_lists: Named<KeyedListWritten>,
    /// Where the fields stand if they are one level down, e.g. `attributes`.
    pub fields_at: Option<String>,
    /// The calls of this object. Standard names: `get list find create update delete archive`.
    #[serde(default)]
    pub operations: Named<OperationWritten>,
    /// How changes are noticed.
    pub changes: Option<ChangesWritten>,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::connector) enum Normalization {
    /// Upper and lower case are the same.
    Lowercase,
    /// Telephone numbers, however written.
    E164,
}

/// The parent's name, or a reference to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum ParentWritten {
    /// The parent object's name; its id stands where the list operation's request line names it.
    Name(String),
    /// The parent object, and the field that holds its id.
    Reference(ReferenceWritten),
}

/// Another record whose id a field holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct ReferenceWritten {
    /// The other record's object.
    pub object: String,
    /// The field that holds its id; for a name such as `answers.asked`, the field in each item of the list `answers`.
    pub id: String,
}

/// A list of keys and values that recipes see as a map.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct KeyedListWritten {
    /// The field that holds the list.
    pub at: String,
    /// Where an item has its key, e.g. `id` or `asked.title`.
    pub key: String,
    /// Where an item has its value, e.g. `value` or `"selection[0]"`.
    pub value: String,
    /// The value's field in writes, if it differs.
    pub write_value: Option<String>,
    /// A condition on an item, which is `$`: the others are no entries of the map.
    pub only_if: Option<Value>,
    /// Where the names of keys come from; without it the keys are the names.
    pub names: Option<NamesWritten>,
}

/// Where the names of keys come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum NamesWritten {
    /// A setting of the connection that maps keys to names, e.g. `$.connection.lead_names`.
    Setting(String),
    /// A list operation whose records name the keys.
    From(NamesFromWritten),
}

/// A list operation whose records name the keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`names`")]
pub(in crate::connector) struct NamesFromWritten {
    /// Full name of the list operation, e.g. `custom_field.list`.
    pub from: String,
    /// The field that holds the name.
    pub name: String,
    /// What names begin with and recipes leave out, e.g. `contact.`.
    pub strip: Option<String>,
}

/// How changes of an object are noticed; all ways are merged into one feed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`changes`")]
pub(in crate::connector) struct ChangesWritten {
    /// Names of webhook events.
    #[serde(default)]
    pub webhook: Vec<String>,
    /// Look for changes from time to time.
    pub poll: Option<PollWritten>,
    /// Compare the whole list from time to time.
    pub full_scan: Option<ScanWritten>,
}

/// Look for changes from time to time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`poll`")]
pub(in crate::connector) struct PollWritten {
    /// The list operation, e.g. `list`.
    pub with: String,
    /// The field that orders the records; without it whole lists are compared by content.
    pub by: Option<String>,
    /// True: the list begins with the newest record; a look stops at records that it has seen.
    #[serde(default)]
    pub newest_first: bool,
    /// How often, e.g. `10m`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub every: String,
    /// How far a look goes back behind the last one, for records that show up late.
    #[schemars(extend("x-takes" = "a duration"))]
    pub overlap: Option<String>,
}

/// Compare the whole list from time to time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`full_scan`")]
pub(in crate::connector) struct ScanWritten {
    /// The list operation; that of `poll`, else `list`, unless said otherwise.
    pub with: Option<String>,
    /// How often, e.g. `24h`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub every: String,
}
