//! An OpenAPI document of any of its three forms: which form it is, and what its references mean.

use serde_json::{Map, Value};

use super::Refused;

/// `$ref` to a `$ref` to a `$ref`.
const CHAIN_MAX: usize = 32;

pub(super) struct Document<'d> {
    pub root: &'d Map<String, Value>,
    /// 2.0, or 3.x.
    pub is_two: bool,
    /// `OpenAPI 3.0.3`, `Swagger 2.0`.
    pub form: String,
}

/// Why a reference gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It leads to another file or to the network.
    Elsewhere,
    Nowhere,
    Circle,
}

impl<'d> Document<'d> {
    pub fn of(value: &'d Value) -> Result<Document<'d>, Refused> {
        let help = "an OpenAPI document says `openapi: 3.0.3` or `swagger: \"2.0\"` at its top";
        let Some(root) = value.as_object() else {
            return Err(Refused::new("this is no OpenAPI document: it is no map", help));
        };
        let version = |key: &str| root.get(key).map(text_of);
        let (is_two, form) = match (version("openapi"), version("swagger")) {
            (Some(version), _) if version.starts_with("3.") || version == "3" => (false, format!("OpenAPI {version}")),
            (None, Some(version)) if version.starts_with("2.") || version == "2" => {
                (true, format!("Swagger {version}"))
            }
            (Some(version), _) | (None, Some(version)) => {
                let message = format!("the document says version `{}`", short(&version));
                return Err(Refused::new(message, "versions 2.0, 3.0 and 3.1 can be read"));
            }
            (None, None) => return Err(Refused::new("this is no OpenAPI document", help)),
        };
        if root.get("paths").is_some_and(|paths| !paths.is_object() && !paths.is_null()) {
            return Err(Refused::new("`paths` is no map", "each path stands under `paths`, as `/contacts:`"));
        }
        Ok(Document { root, is_two, form: short(&form) })
    }

    pub fn version(&self) -> Option<String> {
        let version = self.root.get("info")?.get("version").filter(|version| !version.is_null())?;
        Some(short(&text_of(version))).filter(|version| !version.is_empty())
    }

    /// What the document calls its ways of auth, and what they are.
    pub fn ways_of_auth(&self) -> impl Iterator<Item = (&'d String, &'d Value)> {
        let schemes = match self.is_two {
            true => self.root.get("securityDefinitions"),
            false => self.root.get("components").and_then(|components| components.get("securitySchemes")),
        };
        schemes.and_then(Value::as_object).into_iter().flatten()
    }

    /// Headers that hold a key.
    pub fn key_headers(&self) -> impl Iterator<Item = &'d str> {
        let in_header = |way: &&Value| way.get("in").is_some_and(|place| place == "header");
        self.ways_of_auth().map(|(_, way)| way).filter(in_header).filter_map(|way| way.get("name")?.as_str())
    }

    pub fn info(&self, key: &str) -> Option<&'d str> {
        self.root.get("info")?.get(key)?.as_str()
    }

    /// What a value means: itself, or what its `$ref` leads to; with the last reference on the way.
    pub fn follow<'v>(&self, value: &'v Value) -> Result<(&'v Value, Option<&'v str>), Lost>
    where
        'd: 'v,
    {
        let (mut here, mut last) = (value, None);
        for _ in 0..CHAIN_MAX {
            let Some(Value::String(reference)) = here.get("$ref") else { return Ok((here, last)) };
            here = self.target(reference)?;
            last = Some(reference.as_str());
        }
        Err(Lost::Circle)
    }

    fn target(&self, reference: &str) -> Result<&'d Value, Lost> {
        let Some(pointer) = reference.strip_prefix('#') else { return Err(Lost::Elsewhere) };
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8().map_err(|_| Lost::Nowhere)?;
        let mut parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
        let Some(first) = parts.next() else { return Err(Lost::Nowhere) };
        let mut here = self.root.get(&first).ok_or(Lost::Nowhere)?;
        for part in parts {
            here = match here {
                Value::Array(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
                here => here.get(&part),
            }
            .ok_or(Lost::Nowhere)?;
        }
        Ok(here)
    }
}

/// The last name of a reference: `Contact` of `#/components/schemas/Contact`.
pub(super) fn last_name(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Versions are written as text and as numbers.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        value => value.to_string(),
    }
}

/// A piece of the document's text that fits into a message.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 80;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = text.chars().filter(|letter| super::yaml::is_shown(*letter)).take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        short.push('…');
    }
    short
}

/// The first sentence of a description, without markup; None if nothing is left.
pub(super) fn sentence(text: &str) -> Option<String> {
    const LONGEST: usize = 120;
    let mut plain = String::new();
    let mut tag = false;
    for letter in text.chars().take(2_000) {
        match letter {
            '<' => tag = true,
            '>' if tag => {
                tag = false;
                plain.push(' ');
            }
            _ if tag => {}
            letter if letter.is_whitespace() => plain.push(' '),
            letter if super::yaml::is_shown(letter) && letter != '`' && letter != '*' => plain.push(letter),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    let mut sentence = String::new();
    for word in words {
        if sentence.chars().count() + word.chars().count() > LONGEST {
            // A word alone may be longer than all that fits.
            sentence.push('…');
            break;
        }
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        if word.ends_with(['.', '!', '?']) && sentence.len() > 20 {
            break;
        }
    }
    // Where markup was, spaces are left.
    let sentence = sentence.replace(" .", ".").replace(" ,", ",");
    Some(sentence).filter(|sentence| !sentence.is_empty() && sentence != "…")
}
