//! `api_key`: a key in a header or, where the API knows no better, in a query parameter.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Auth, check_header, secret};
use crate::connector::read::{Reader, under};

/// A key in a header or a query parameter; exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`api_key`")]
pub(in crate::connector) struct ApiKeyWritten {
    /// The header's name, e.g. `X-API-Key`.
    pub header: Option<String>,
    /// The query parameter's name.
    pub query: Option<String>,
    /// The key, e.g. `$.secrets.key`.
    pub value: Value,
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &ApiKeyWritten) -> Option<Auth> {
    if written.header.is_some() == written.query.is_some() {
        reader.key_error("one-kind", pointer, "a key goes into one place", "give either `header` or `query`");
    }
    if let Some(header) = &written.header {
        check_header(reader, &under(pointer, "header"), header);
    }
    let value = secret(reader, &under(pointer, "value"), &written.value)?;
    Some(Auth::ApiKey { header: written.header.clone(), query: written.query.clone(), value })
}
