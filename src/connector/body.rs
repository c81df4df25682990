//! What a request carries: JSON, a form, or parts of which some are files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::spelling::{Pair, Spelling, spell};
use super::{Failure, address};

/// Bytes of all parts together: as many as an answer may have.
const PARTS_BYTES_MAX: usize = 10 * 1024 * 1024;
const PARTS_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    Json(Value),
    Form(Vec<(String, String)>),
    /// `multipart/form-data` (RFC 7578).
    Multipart(Vec<Part>),
    /// Of a kind of its own, as it is.
    Bytes {
        kind: String,
        content: Vec<u8>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// The name of a file; None for a text field.
    pub file: Option<String>,
    pub kind: Option<String>,
    pub content: Vec<u8>,
}

/// How a body's fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Form,
    Multipart,
}

impl Body {
    /// What is sent, for people: of what is no text only how long it is.
    pub fn told(&self) -> Value {
        let bytes = |content: &[u8]| match std::str::from_utf8(content) {
            Ok(text) => json!(text),
            Err(_) => json!(format!("{} bytes", content.len())),
        };
        match self {
            Body::Json(value) => value.clone(),
            Body::Form(pairs) => pairs.iter().map(|(name, value)| json!([name, value])).collect(),
            Body::Multipart(parts) => parts.iter().map(|part| json!([part.name, bytes(&part.content)])).collect(),
            Body::Bytes { content, .. } => bytes(content),
        }
    }

    /// Its kind and its bytes, as they are sent.
    pub fn encoded(&self) -> (String, Vec<u8>) {
        match self {
            Body::Json(value) => ("application/json".into(), value.to_string().into_bytes()),
            Body::Form(pairs) => {
                let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                ("application/x-www-form-urlencoded".into(), text.into_bytes())
            }
            Body::Multipart(parts) => {
                let boundary = boundary(parts);
                (format!("multipart/form-data; boundary={boundary}"), joined(parts, &boundary))
            }
            Body::Bytes { kind, content } => (kind.clone(), content.clone()),
        }
    }
}

/// Made of the contents, so that none of them can hold it, and a repeated request is the same one.
fn boundary(parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(&part.content);
    }
    format!("dovetail-{}", hex::encode(&hash.finalize()[..16]))
}

fn joined(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes
            .extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name)).bytes());
        if let Some(file) = &part.file {
            bytes.extend(format!("; filename=\"{}\"", quoted(file)).bytes());
        }
        if let Some(kind) = &part.kind {
            bytes.extend(format!("\r\nContent-Type: {kind}").bytes());
        }
        bytes.extend(b"\r\n\r\n");
        bytes.extend(&part.content);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("--{boundary}--\r\n").bytes());
    bytes
}

/// What could end a quoted name is written as browsers write it (HTML, multipart form data).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// A body in the shape that the operation says. `takes`: the schema of its input, which tells what is a file.
///
/// # Errors
/// `invalid`: the fields do not fit into the shape.
pub(super) fn shaped(
    body: Value,
    shape: Shape,
    takes: &Value,
    spelling: impl Fn(&str) -> Spelling,
) -> Result<Body, Failure> {
    let fields = match (shape, body) {
        (Shape::Json, body) => return Ok(Body::Json(body)),
        (_, Value::Object(fields)) => fields,
        (..) => return Err(invalid("a form must be a map of fields")),
    };
    if shape == Shape::Form {
        let mut pairs = Vec::new();
        for (name, value) in &fields {
            spell(name, value, spelling(name), &mut pairs)?;
        }
        return Ok(Body::Form(pairs.into_iter().map(Pair::plain).collect()));
    }
    let mut parts = Vec::new();
    for (name, value) in &fields {
        let is_file = is_file(takes, name);
        let values = match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            parts.push(part(name, value, is_file)?);
        }
    }
    let size = parts.iter().map(|part| part.content.len()).fold(0, usize::saturating_add);
    if size > PARTS_BYTES_MAX || parts.len() > PARTS_MAX {
        let parts = parts.len();
        return Err(invalid(format!(
            "a form of {size} bytes in {parts} parts is too big: {PARTS_BYTES_MAX} bytes and {PARTS_MAX} parts are sent"
        )));
    }
    Ok(Body::Multipart(parts))
}

/// Does the schema say `format: binary`, of the field or of each of a list?
fn is_file(takes: &Value, name: &str) -> bool {
    let field = takes.get("properties").and_then(|fields| fields.get(name));
    let of = |schema: &Value| schema.get("format").is_some_and(|format| format == "binary");
    field.is_some_and(|field| of(field) || field.get("items").is_some_and(of))
}

fn part(name: &str, value: &Value, is_file: bool) -> Result<Part, Failure> {
    if let Value::Object(file) = value {
        return file_part(name, file);
    }
    let text = address::scalar(value).ok_or_else(|| invalid(format!("`{name}` may not hold a list in a list")))?;
    let file = is_file.then(|| name.to_owned());
    let kind = is_file.then(|| TEXT.to_owned());
    Ok(Part { name: name.to_owned(), file, kind, content: text.into_bytes() })
}

const TEXT: &str = "text/plain; charset=utf-8";
const KEYS: [&str; 4] = ["name", "type", "content", "encoding"];

/// `{ name, type, content, encoding: base64 }`. Content that is a map or a list is a part of JSON.
fn file_part(name: &str, file: &Map<String, Value>) -> Result<Part, Failure> {
    if let Some(stray) = file.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let keys = KEYS.join("`, `");
        return Err(invalid(format!("`{name}` is a file, of which `{keys}` are told, and not `{stray}`")));
    }
    let text = |key: &str| match file.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(invalid(format!("`{name}.{key}` must be a text"))),
    };
    let (content, kind) = match (file.get("content"), text("encoding")?) {
        (None | Some(Value::Null), _) => return Err(invalid(format!("`{name}` is a file without `content`"))),
        (Some(Value::String(packed)), Some("base64")) => (unpacked(name, packed)?, "application/octet-stream"),
        (Some(_), Some(_)) => return Err(invalid(format!("`{name}.encoding` is `base64`, of a text, or left out"))),
        (Some(content), None) => match address::scalar(content) {
            Some(text) => (text.into_bytes(), TEXT),
            None => (content.to_string().into_bytes(), "application/json"),
        },
    };
    let kind = text("type")?.unwrap_or(kind).to_owned();
    if !kind.contains('/') || !kind.chars().all(|letter| (' '..='~').contains(&letter)) {
        return Err(invalid(format!("`{name}.type` is no kind of content, such as `text/csv`")));
    }
    let is_json = matches!(file.get("content"), Some(Value::Array(_) | Value::Object(_)));
    let own = text("name")?.map(str::to_owned);
    Ok(Part {
        name: name.to_owned(),
        file: own.or_else(|| (!is_json).then(|| name.to_owned())),
        kind: Some(kind),
        content,
    })
}

fn unpacked(name: &str, packed: &str) -> Result<Vec<u8>, Failure> {
    let packed: String = packed.split_ascii_whitespace().collect();
    STANDARD.decode(packed).map_err(|_| invalid(format!("`{name}.content` is no base64")))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("invalid", message)
}
