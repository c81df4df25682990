//! A request as data, and an answer as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Body;

/// Everything but the credential, which `http/` attaches for the connection's origin only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub method: String,
    /// Absolute, query included, without credentials.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Body>,
}

/// An answer within the size limits. A body that is no JSON is a text; an empty one is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// A body that is neither JSON nor text is not kept: what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
