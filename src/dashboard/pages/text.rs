//! Text of others: what cannot be seen, or turns its surroundings around, is made visible.

use std::borrow::Cow;

use maud::{Render, html};
use serde_json::Value;

use crate::story::shown;

/// A text that may say anything.
pub struct Said<'t>(&'t str);

pub fn said(text: &str) -> Said<'_> {
    Said(text)
}

impl Render for Said<'_> {
    fn render_to(&self, buffer: &mut String) {
        let mut plain = String::new();
        for letter in self.0.chars() {
            if shown::hides(letter) {
                flush(&mut plain, buffer);
                let code = format!("U+{:04X}", u32::from(letter));
                html! { span.code-point title="a character that cannot be seen" { (code) } }.render_to(buffer);
            } else {
                plain.push(letter);
            }
        }
        flush(&mut plain, buffer);
    }
}

/// The beginning of a text that may be long. What is made visible takes more room.
pub fn cut(text: &str, room: usize) -> Cow<'_, str> {
    let mut left = room;
    for (at, letter) in text.char_indices() {
        let Some(rest) = left.checked_sub(if shown::hides(letter) { 12 } else { 1 }) else {
            return Cow::Owned(format!("{}…", &text[..at]));
        };
        left = rest;
    }
    Cow::Borrowed(text)
}

/// A value, as people read it: a text as it is, all else with its lines.
pub fn value(value: &Value, room: usize) -> String {
    let text = match shown::concealed(value) {
        Value::String(text) => text,
        Value::Null => "(nothing)".into(),
        other => serde_json::to_string_pretty(&other).unwrap_or_default(),
    };
    cut(&text, room).into_owned()
}

fn flush(plain: &mut String, buffer: &mut String) {
    plain.as_str().render_to(buffer);
    plain.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_and_what_hides_is_shown() {
        let shown = |text: &str| said(text).render().into_string();
        assert_eq!(shown("<b a=\"1\">'&"), "&lt;b a=&quot;1&quot;&gt;'&amp;");
        let span =
            |code: &str| format!("<span class=\"code-point\" title=\"a character that cannot be seen\">{code}</span>");
        assert_eq!(shown("a\u{202e}b\0<"), format!("a{}b{}&lt;", span("U+202E"), span("U+0000")));
        assert_eq!(shown("Zoë 👩‍💻\n\tok"), "Zoë 👩‍💻\n\tok");
        assert_eq!((cut("Zoë", 3), cut("Zoë", 2)), ("Zoë".into(), "Zo…".into()));
        assert_eq!(cut(&"\u{202e}".repeat(100), 30), "\u{202e}\u{202e}…");
    }
}
