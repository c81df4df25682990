//! Takes a credential out of the answer to its own request: some servers repeat in an error what they were sent, and answers are
//! kept, logged and shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Credential;

/// What stands in its place.
const INSTEAD: &str = "[redacted]";
/// A shorter one is too likely to be a word of something else.
const SHORTEST: usize = 8;

/// Texts that must not come back.
#[derive(Default)]
pub struct Hidden {
    texts: Vec<Zeroizing<String>>,
}

impl Hidden {
    /// Texts of 8 bytes and more.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Hidden {
        let mut hidden = Hidden::default();
        texts.into_iter().for_each(|text| hidden.add(text));
        hidden
    }

    /// What a credential consists of.
    pub(super) fn of(credential: &Credential) -> Hidden {
        let mut hidden = Hidden::default();
        for (name, value) in &credential.headers {
            let value = value.expose_secret();
            let (scheme, proof) = match value.split_once(' ') {
                Some(parts) if name.eq_ignore_ascii_case("authorization") => parts,
                _ => ("", value),
            };
            hidden.add(proof);
            if scheme.eq_ignore_ascii_case("basic")
                && let Ok(pair) = STANDARD.decode(proof).map(Zeroizing::new)
                && let Ok(pair) = std::str::from_utf8(&pair)
            {
                hidden.add(pair.split_once(':').map_or(pair, |(_, password)| password));
            }
        }
        credential.query.iter().for_each(|(_, value)| hidden.add(value.expose_secret()));
        credential.signer.iter().flat_map(|signer| signer.secrets()).for_each(|secret| hidden.add(secret));
        hidden
    }

    fn add(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        self.texts.push(Zeroizing::new(text.to_owned()));
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        if encoded != text {
            self.texts.push(Zeroizing::new(encoded));
        }
    }

    /// Could any of it be in these bytes, however they are written? Quick, since nearly none is.
    pub(super) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.texts.iter().any(|text| {
            // What no JSON text writes in another way.
            let plain = text.split(|letter: char| !letter.is_ascii_alphanumeric()).max_by_key(|part| part.len());
            plain.is_some_and(|plain| memchr::memmem::find(bytes, plain.as_bytes()).is_some())
        })
    }

    pub fn hide(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.hide_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(map) => {
                let shown = std::mem::take(map).into_iter().map(|(mut key, mut value)| {
                    self.hide_text(&mut key);
                    self.hide(&mut value);
                    (key, value)
                });
                *map = shown.collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn hide_text(&self, text: &mut String) {
        for hidden in &self.texts {
            if text.contains(hidden.as_str()) {
                *text = text.replace(hidden.as_str(), INSTEAD);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    fn credential(headers: &[(&str, &str)], query: &[(&str, &str)]) -> Hidden {
        let secret = |(name, value): &(&str, &str)| ((*name).to_owned(), SecretString::from(*value));
        Hidden::of(&Credential {
            origin: "https://example.com".into(),
            headers: headers.iter().map(secret).collect(),
            query: query.iter().map(secret).collect(),
            signer: None,
        })
    }

    #[test]
    fn a_credential_is_taken_out_wherever_it_is_repeated() {
        let hidden = credential(&[("authorization", "Bearer abc/def+ghi")], &[("key", "a b&c d e")]);
        let body =
            r#"{ "said": "no abc\/def+ghi", "url": "/x?key=a+b%26c+d+e", "abc/def+ghi": ["a b&c d e"], "n": 1 }"#;
        assert!(hidden.may_be_in(body.as_bytes()));
        let mut value = serde_json::from_str(body).expect("JSON");
        hidden.hide(&mut value);
        let shown = json!({
            "said": "no [redacted]", "url": "/x?key=[redacted]", "[redacted]": ["[redacted]"], "n": 1
        });
        assert_eq!(value, shown);
    }

    #[test]
    fn a_password_is_taken_out_by_itself_too() {
        let encoded = STANDARD.encode("ada:correct horse");
        let hidden = credential(&[("authorization", &format!("Basic {encoded}"))], &[]);
        let mut text = format!("ada: `correct horse` is wrong ({encoded})");
        hidden.hide_text(&mut text);
        assert_eq!(text, "ada: `[redacted]` is wrong ([redacted])");
    }

    #[test]
    fn what_is_short_is_left() {
        let hidden = credential(&[("x-key", "id")], &[]);
        let mut text = "id".to_owned();
        hidden.hide_text(&mut text);
        assert_eq!(text, "id");
        assert!(!hidden.may_be_in(b"id"));
    }
}
