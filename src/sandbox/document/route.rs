//! `routes:` of a sandbox file: what a request line does.

use serde::Deserialize;

use super::Check;
use crate::sandbox::made::{Made, Table, Test};

/// What one request line does. Exactly one of the behaviours; the rest says how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    // The behaviours: each names its object; `list_add` and `list_remove` name `object.field`.
    pub create: Option<String>,
    pub get: Option<String>,
    pub update: Option<String>,
    pub delete: Option<String>,
    pub upsert: Option<String>,
    pub list: Option<String>,
    pub find: Option<String>,
    pub search: Option<String>,
    pub list_add: Option<String>,
    pub list_remove: Option<String>,
    /// Changes nothing that is kept: only checks and answers.
    pub action: Option<bool>,
    /// Another behaviour for each item of a list.
    pub each: Option<Box<Each>>,
    /// OAuth's token endpoint.
    pub grant: Option<bool>,
    /// OAuth's authorize page, answered by a redirect with a code for a token with these values.
    pub authorize: Option<Table<Made>>,
    /// A token with these values, for the caller's own.
    pub mint: Option<Table<Made>>,

    /// Full name of the operation, `contact.create`: what faults and the log say. Default: the connector's.
    pub name: Option<String>,
    pub scope: Option<String>,
    pub class: Option<String>,
    /// No token asked for.
    #[serde(default)]
    pub open: bool,
    /// Taken of the object's `fields`; default all.
    pub takes: Option<Takes>,
    #[serde(default)]
    pub requires: Vec<String>,
    /// Id of the record; default the last hole of the path.
    pub id: Option<Made>,
    /// What is written, instead of the body.
    pub with: Option<Made>,
    /// Written besides.
    #[serde(default)]
    pub set: Table<Made>,
    /// Parent object → its id: must be there.
    #[serde(default)]
    pub within: Table<Made>,
    /// Field → value that a record must have, or a list of values; a value that is not there asks nothing.
    #[serde(default)]
    pub r#where: Table<Made>,
    #[serde(default)]
    pub checks: Vec<Check>,
    /// `find`: field → value, tried in order. `list_add`, `list_remove`: see `values`.
    #[serde(default)]
    pub by: Table<Made>,
    pub values: Option<Made>,
    /// `upsert`: creates without looking.
    pub always_create_if: Option<Test>,
    /// `upsert`: dropped when the record is there.
    #[serde(default)]
    pub create_only: Vec<String>,
    pub pages: Option<Pages>,
    pub filter: Option<Filter>,
    /// Header whose value makes a repeated request answer as the first did.
    pub idempotency: Option<String>,
    /// The view in the answer.
    pub show: Option<String>,
    /// How long the answer takes (a duration).
    pub delay: Option<Made>,
    pub answer: Option<Answer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    pub only: Option<Vec<String>>,
    #[serde(default)]
    pub without: Vec<String>,
    /// Understood but not stored, and of what kind.
    #[serde(default)]
    pub also: Table<String>,
    /// Whatever is sent.
    #[serde(default)]
    pub anything: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    pub r#in: Made,
    pub r#do: Route,
    /// An item's result when its route refused, over `$.item`, `$.refusal` (its name) and `$.refused` (its body).
    pub refused: Made,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub status: Option<u16>,
    #[serde(default)]
    pub headers: Table<Made>,
    pub body: Option<Made>,
}

/// How a list is cut. Exactly one of `number`, `offset`, `after`, or none: the first page is all there is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    pub size: Option<Made>,
    pub size_default: Option<usize>,
    pub size_max: Option<usize>,
    /// The number of the first page, 1 unless said otherwise; with `offset`, of the first record, 0 unless said otherwise.
    pub first: Option<usize>,
    /// The page's number.
    pub number: Option<Made>,
    /// How many to skip.
    pub offset: Option<Made>,
    /// The cursor: sort values and id of the last record, as `$.page.next` gave them.
    pub after: Option<Made>,
    /// The cursor is one opaque text.
    #[serde(default)]
    pub opaque: bool,
    /// Field of each shown record that holds the cursor after it.
    pub cursor_field: Option<String>,
    /// `number` and `offset` reach no further.
    pub reach: Option<usize>,
}

/// Filters, order and free text of `search` and `list`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The list of `{field, operator, value}` and `{group, filters}`.
    pub filters: Option<Made>,
    /// Which fields take which operators; `x.*` is any name below `x`.
    #[serde(default)]
    pub fields: Vec<FilterFields>,
    /// The vendor's operator → ours: `eq ne contains not_contains exists not_exists range`.
    #[serde(default)]
    pub operators: Table<String>,
    /// Longest value.
    pub longest: Option<usize>,
    /// The list of `{field, direction}`.
    pub sort: Option<Made>,
    #[serde(default)]
    pub sort_fields: Vec<String>,
    pub sort_most: Option<usize>,
    /// `[field, direction]` without `sort`.
    pub order: Option<(String, String)>,
    /// Free text, and where it is looked for.
    pub text: Option<Made>,
    #[serde(default)]
    pub text_fields: Vec<String>,
    /// Records as the index knows them, `index_lag` behind.
    #[serde(default)]
    pub indexed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterFields {
    pub names: Vec<String>,
    pub operators: Vec<String>,
}
