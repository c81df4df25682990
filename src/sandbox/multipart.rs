//! A form in parts (RFC 7578), read as the body that a recipe would have written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const PARTS_MAX: usize = 1_000;

/// Text fields as texts, files as maps of `name`, `type`, `content` and, where they are no text, `encoding`; a repeated
/// name becomes a list. None: it is no such form.
pub fn read(kind: &str, body: &[u8]) -> Option<Value> {
    let boundary = parameter(kind, "boundary")?;
    let between = format!("\r\n--{boundary}");
    // The first boundary has no line before it.
    let mut rest = body.strip_prefix(&between.as_bytes()[2..])?;
    let mut map = Map::new();
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Some(Value::Object(map));
        }
        let part = rest.strip_prefix(b"\r\n")?;
        let end = find(part, between.as_bytes())?;
        let (name, value) = field(&part[..end])?;
        match map.get_mut(&name) {
            None => drop(map.insert(name, value)),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
        rest = &part[end + between.len()..];
    }
    None
}

fn field(part: &[u8]) -> Option<(String, Value)> {
    let end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let content = &part[end + 4..];
    let header = |wanted: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition").filter(|text| text.starts_with("form-data"))?;
    let name = parameter(disposition, "name")?;
    let Some(file) = parameter(disposition, "filename") else {
        return Some((name, Value::from(std::str::from_utf8(content).ok()?)));
    };
    let mut told = json!({ "name": file, "type": header("content-type").unwrap_or("text/plain") });
    match std::str::from_utf8(content) {
        Ok(text) => told["content"] = text.into(),
        Err(_) => {
            told["content"] = STANDARD.encode(content).into();
            told["encoding"] = "base64".into();
        }
    }
    Some((name, told))
}

/// `name="…"` or `name=…` after a semicolon.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let start = header.find(&format!("; {wanted}="))? + wanted.len() + 3;
    let value = match header[start..].strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => header[start..].split(';').next()?.trim(),
    };
    Some(value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
