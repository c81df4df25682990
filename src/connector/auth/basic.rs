//! `basic`: a user and a password in `Authorization: Basic …` (RFC 7617); many APIs take a key as either of them.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Auth, secret};
use crate::connector::read::{Reader, Side, under};
use crate::expr::Expr;

/// HTTP Basic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`basic`")]
pub(in crate::connector) struct BasicWritten {
    /// The user, e.g. `$.secrets.key` or `$.connection.user`.
    pub user: Value,
    /// The password; `""` if there is none.
    #[serde(default)]
    pub password: Value,
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &BasicWritten) -> Option<Auth> {
    // A user name is no secret; a password is.
    let user = reader.expr(&under(pointer, "user"), &written.user, Side::Secret);
    let empty = Value::String(String::new());
    let given = if written.password.is_null() { &empty } else { &written.password };
    let password: Option<Expr> = secret(reader, &under(pointer, "password"), given);
    Some(Auth::Basic { user: user?, password: password? })
}
