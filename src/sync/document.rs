//! The document `sync:`, as written.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Delete, Mode, NoneFound, SeveralFound};

/// A sync as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a sync")]
pub(super) struct Document {
    /// The sync's name, in kebab-case: `contacts`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), extend("x-name" = "kebab-case"))]
    pub sync: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// Short names for connectors (or single connections): `{ crm: a-crm, shop: a-shop }`.
    pub uses: BTreeMap<String, String>,
    /// The two objects, by alias: `{ crm: contact, shop: customer }`. Conversions are written from the first to the second.
    #[schemars(with = "BTreeMap<String, String>", extend("minProperties" = 2, "maxProperties" = 2))]
    pub between: Map<String, Value>,
    /// Only records for which the side's condition holds: `{ crm: { $.tags: { contains: shop } } }`.
    #[serde(default)]
    pub only_if: BTreeMap<String, Value>,
    /// How a record finds its other half before the two are linked.
    pub r#match: Option<Match>,
    /// The fields that are kept alike.
    #[schemars(length(min = 1))]
    pub fields: Vec<Field>,
    /// Who wins when a field was changed differently on both sides.
    pub conflicts: Option<Conflicts>,
    /// What a create needs and no field gives, by the side that is created: `{ crm: { source: shop } }`.
    #[serde(default)]
    pub on_create: BTreeMap<String, Value>,
    /// What a delete on this side does to the other: `{ crm: archive, shop: unlink }`. Default: `ask`.
    #[serde(default)]
    pub deletes: BTreeMap<String, Delete>,
    /// More deletes than this at once are held for a person.
    pub delete_brake: Option<DeleteBrake>,
    /// What happens when it is first turned on.
    pub first_run: Option<FirstRun>,
    /// How often all pairs are compared: `24h`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub check_every: Option<String>,
    /// Objects that live under these two, kept alike in the same way.
    #[serde(default)]
    pub children: Vec<Child>,
}

/// Two objects under the two of the sync.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a child")]
pub(super) struct Child {
    /// The two objects, by the aliases of the sync.
    #[schemars(with = "BTreeMap<String, String>", extend("minProperties" = 2, "maxProperties" = 2))]
    pub between: Map<String, Value>,
    /// Only records for which the side's condition holds.
    #[serde(default)]
    pub only_if: BTreeMap<String, Value>,
    /// How a record finds its other half before the two are linked.
    pub r#match: Option<Match>,
    /// The fields that are kept alike.
    #[schemars(length(min = 1))]
    pub fields: Vec<Field>,
    /// Who wins when a field was changed differently on both sides. Default: as the sync says.
    pub conflicts: Option<Conflicts>,
    /// What a create needs and no field gives, by the side that is created.
    #[serde(default)]
    pub on_create: BTreeMap<String, Value>,
    /// What a delete on this side does to the other. Default: as the sync says.
    #[serde(default)]
    pub deletes: BTreeMap<String, Delete>,
}

/// How a record finds its other half.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`match`")]
pub(super) struct Match {
    /// Fields of `fields`, by the name of either side; each alone may find the record: `[email, phone]`.
    #[schemars(length(min = 1))]
    pub by: Vec<String>,
    /// What is done when several records fit: `ask` or `skip`. Default: `ask`.
    pub several_found: Option<SeveralFound>,
    /// What is done when none fits, by the side that lacks it: `create`, `ask` or `skip`. Default: `ask`.
    #[serde(default)]
    pub none_found: BTreeMap<String, NoneFound>,
}

/// One field on both sides: `{ crm: firstName, shop: first_name }`; the two further keys are the aliases.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "a field")]
pub(super) struct Field {
    /// A conversion from the first side's value to the second's: `lowercase`, `e164`, `date`, `epoch_ms`, `number`,
    /// `boolean`, `not`, `csv`, `set`, `{ map: { Lead: prospect } }`.
    pub r#as: Option<Value>,
    /// `union`: what one side has is added to the other and never taken away. For `as: set`.
    pub merge: Option<Merge>,
    /// Only this side's changes are carried over.
    pub owner: Option<String>,
    /// The field's name, by alias.
    #[serde(flatten)]
    pub sides: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Merge {
    Union,
}

/// Who wins.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`conflicts`")]
pub(super) struct Conflicts {
    /// `ask`, `newest`, or the alias of a side. Default: `ask`.
    pub default: Option<String>,
    /// The same for single fields, by the name of either side: `{ email: crm }`.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// When deletes are held.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`delete_brake`")]
pub(super) struct DeleteBrake {
    /// So many records at once.
    #[schemars(range(min = 1))]
    pub records: Option<u64>,
    /// Such a share of all pairs: `10%`.
    #[schemars(regex(pattern = r"^(100|[0-9]{1,2})%$"), extend("x-name" = "a share such as `10%`"))]
    pub share: Option<String>,
}

/// The first comparison of the two sides.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`first_run`")]
pub(super) struct FirstRun {
    /// `plan`: shown first, and done when a person says so; `apply`: done at once. Default: `plan`.
    pub mode: Option<Mode>,
    /// Who wins where linked records differ: `ask`, `newest`, or the alias of a side. Default: `ask`.
    pub on_difference: Option<String>,
}

/// The JSON Schema of the kind.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// To make it takes longer than to read a document.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Document).to_value());
