//! `objects:` of a sandbox file: how records are kept and shown.

use serde::Deserialize;

use super::Check;
use crate::sandbox::made::{Made, Table, Test};

/// An entry of `objects:`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRules {
    /// Form of ids: `alphanumeric-20`, `hex-24`, `uuid`, `number`.
    #[serde(default)]
    pub ids: Option<String>,
    #[serde(default)]
    pub id_field: Option<String>,
    /// What may be written, and of what kind: `text boolean number time date phone email list map any`.
    #[serde(default)]
    pub fields: Table<String>,
    /// Given on create where the sender gave nothing.
    #[serde(default)]
    pub new: Table<Made>,
    /// Set by every write.
    #[serde(default)]
    pub touch: Table<Made>,
    /// Made whenever the record is shown, over `$.record`.
    #[serde(default)]
    pub computed: Table<Made>,
    #[serde(default)]
    pub keyed_lists: Table<KeyedListRule>,
    /// Field names, in order, that no two records may share.
    #[serde(default)]
    pub unique: Option<Made>,
    /// Fields that must be equal for two records to be duplicates.
    #[serde(default)]
    pub unique_within: Vec<String>,
    #[serde(default)]
    pub duplicates_allowed: Option<Test>,
    /// Asked whenever a request names a record, over `$.named`.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Field that holds the parent's id, and the parent: deleted with it.
    #[serde(default)]
    pub parent: Option<Parent>,
    #[serde(default)]
    pub views: Table<View>,
}

impl ObjectRules {
    /// Where a record shows this field, is it as it was kept?
    pub fn shows_as_kept(&self, field: &str, view: Option<&str>) -> bool {
        let view = self.views.get(view.unwrap_or("default"));
        let is_made = |view: &View| view.rename.iter().any(|(_, to)| to == field) || view.add.get(field).is_some();
        !field.contains('.') && self.computed.get(field).is_none() && !view.is_some_and(is_made)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub object: String,
    pub field: String,
}

/// A list of `{key, value}` whose items are written one by one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedListRule {
    pub key: String,
    pub value: String,
    /// Names under which a value may be sent, in order.
    #[serde(default)]
    pub written_as: Vec<String>,
    /// An item may name its key instead: looked up in another object.
    #[serde(default)]
    pub named: Option<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The item's field.
    pub by: String,
    pub object: String,
    /// The field of that object, and a prefix of it that may be left out.
    pub field: String,
    #[serde(default)]
    pub strip: String,
}

/// How a stored record is shown. In this order: `rename`, `without`, `only`, `nulls`, `add`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    #[serde(default)]
    pub rename: Table<String>,
    #[serde(default)]
    pub without: Vec<String>,
    #[serde(default)]
    pub only: Option<Vec<String>>,
    /// Shown as null where there is nothing.
    #[serde(default)]
    pub nulls: Vec<String>,
    #[serde(default)]
    pub add: Table<Made>,
}
