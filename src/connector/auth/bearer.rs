//! `bearer`: a token in `Authorization: Bearer …` (RFC 6750).

use serde_json::Value;

use super::{Auth, secret};
use crate::connector::read::Reader;

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, token: Option<&Value>) -> Option<Auth> {
    Some(Auth::Bearer { token: secret(reader, pointer, token?)? })
}
