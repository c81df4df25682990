//! From a base URL, a path with holes and a query to an absolute address, without a way out of any of them.
//!
//! Host and scheme are fixed by the connector and its connection's settings; data only ever fills one path segment or one
//! query value, percent-encoded (threat model 3.2).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::Failure;

/// All but RFC 3986's unreserved characters.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A piece of a path: text as it stands, or a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Hole(String),
}

/// `GET /contacts/{id}` as method and pieces.
///
/// # Errors
/// One sentence for the author, and what to do.
pub(super) fn request_line(text: &str) -> Result<(String, Vec<Piece>), (String, String)> {
    const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
    let form = || "write a method and a path: `GET /contacts/{id}`".to_owned();
    let Some((method, path)) = text.split_once(' ') else {
        return Err((format!("`{text}` is no request line"), form()));
    };
    if !METHODS.contains(&method) {
        return Err((format!("`{method}` is no method"), format!("one of {}", METHODS.join(", "))));
    }
    if !path.starts_with('/') {
        return Err((format!("the path `{path}` does not begin with `/`"), form()));
    }
    if path.contains('?') {
        return Err(("a request line holds no query".into(), "write the parameters under `query:`".into()));
    }
    let forbidden = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '#' | '\\' | '%');
    if let Some(letter) = path.chars().find(|letter| forbidden(*letter)) {
        return Err((format!("the path may not hold {letter:?}"), form()));
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(("the path may not hold `.` or `..`".into(), form()));
    }
    pieces(path).map(|pieces| (method.to_owned(), pieces)).ok_or_else(|| {
        (format!("the holes of `{path}` are not well formed"), "a hole is a name in braces: `{id}`".to_owned())
    })
}

/// A text with `{name}` holes; None if a brace is left over or a name is none.
pub(super) fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        let length = rest[start..].strip_prefix('{')?.find('}')?;
        let name = &rest[start + 1..start + 1 + length];
        let good = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || !name.chars().all(good) {
            return None;
        }
        if start > 0 {
            pieces.push(Piece::Text(rest[..start].to_owned()));
        }
        pieces.push(Piece::Hole(name.to_owned()));
        rest = &rest[start + length + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(pieces)
}

/// Names of the holes.
pub(super) fn holes(pieces: &[Piece]) -> impl Iterator<Item = &str> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Hole(name) => Some(name.as_str()),
        Piece::Text(_) => None,
    })
}

/// A path with its holes filled, each as one segment's part.
///
/// # Errors
/// A hole without a value; [`Failure::at`] names it.
pub(super) fn fill<'v>(pieces: &[Piece], value: impl Fn(&str) -> Option<&'v Value>) -> Result<String, Failure> {
    let mut path = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => path.push_str(text),
            Piece::Hole(name) => {
                let invalid = |message: String| invalid(format!("`{name}` {message}")).at(name.clone());
                let text = match value(name) {
                    None | Some(Value::Null) => return Err(invalid("is missing".to_owned())),
                    Some(value) => scalar(value)
                        .ok_or_else(|| invalid(format!("must be a text or a number, not {}", kind(value))))?,
                };
                if text.trim().is_empty() {
                    return Err(invalid("is empty".to_owned()));
                }
                path.extend(utf8_percent_encode(&text, RESERVED));
            }
        }
    }
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(invalid("a part of the path may not be `.` or `..`"));
    }
    Ok(path)
}

/// The base URL with the connection's settings filled in, without a slash at its end.
pub(super) fn base_url(written: &str, connection: &Value) -> Result<String, Failure> {
    let own = connection.get("base_url").and_then(Value::as_str).filter(|own| !own.trim().is_empty());
    let written = own.unwrap_or(written);
    let pieces = pieces(written).ok_or_else(|| invalid("the base URL's holes are not well formed"))?;
    let mut text = String::new();
    for piece in &pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Hole(name) => {
                let value = connection.get(name.as_str()).and_then(scalar);
                let value = value.filter(|value| !value.trim().is_empty());
                let value = value.ok_or_else(|| invalid(format!("the connection's setting `{name}` is missing")))?;
                if text.is_empty() {
                    text.push_str(value.trim().trim_end_matches('/'));
                } else if text.split_once("://").is_some_and(|(_, rest)| rest.contains('/')) {
                    text.extend(utf8_percent_encode(&value, RESERVED));
                } else if value.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.') {
                    text.push_str(&value);
                } else {
                    return Err(invalid(format!("the connection's setting `{name}` is no part of a host's name")));
                }
            }
        }
    }
    check_base(&text).map_err(invalid)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// What every base URL must be.
pub(super) fn check_base(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is no web address"))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(format!("`{text}` is no web address: it begins with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a base URL holds no user and no password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("the base URL `{text}` holds more than an origin and a path"));
    }
    match text.split('/').any(|segment| segment == "." || segment == "..") {
        true => Err(format!("the base URL `{text}` may not hold `..`")),
        false => Ok(()),
    }
}

/// A text, number or boolean as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => match number.as_f64() {
            // 42.0 is 42: JSON does not tell them apart.
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => Some(format!("{float:.0}")),
            _ => Some(number.to_string()),
        },
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A header's value, if it can be one.
pub(super) fn header_value(name: &str, value: &Value) -> Result<String, Failure> {
    let text = scalar(value).ok_or_else(|| invalid(format!("the header `{name}` may not be {}", kind(value))))?;
    match text.chars().all(|letter| (' '..='~').contains(&letter)) {
        true => Ok(text),
        false => Err(invalid(format!("the header `{name}` holds a character that no header may hold"))),
    }
}

/// Why a name is no header that a file may set; None if it is one.
pub(super) fn header_name_fault(name: &str) -> Option<String> {
    const OURS: [&str; 10] = [
        "authorization",
        "proxy-authorization",
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
    ];
    let token = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    if name.is_empty() || !name.chars().all(token) {
        return Some(format!("`{name}` is no header's name"));
    }
    if name.eq_ignore_ascii_case("authorization") {
        return Some("`Authorization` comes from `auth:` alone".into());
    }
    OURS.contains(&name.to_ascii_lowercase().as_str()).then(|| format!("the header `{name}` is not a file's to set"))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
        _ => "this",
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("invalid", message)
}
