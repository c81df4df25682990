//! A template that is text with values in it, and no helper and no block: most are. It is filled in by itself; whatever goes
//! wrong is left to the engine, which says why.

use handlebars::template::{Template as Parsed, TemplateElement};

use super::render::OUTPUT_MAX;
use crate::expr::Scope;
use crate::expr::helper::Argument;
use crate::expr::path::Path;

pub(super) struct Plain {
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    Value(Path),
}

impl Plain {
    /// `parsed` is the template as it was written; `shown` are the values in it, in their order.
    pub fn of(parsed: &Parsed, shown: &[Path]) -> Option<Plain> {
        let mut shown = shown.iter();
        let mut pieces = Vec::new();
        for element in &parsed.elements {
            match element {
                TemplateElement::RawString(text) => pieces.push(Piece::Text(text.clone())),
                TemplateElement::Comment(_) => {}
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call)
                    if call.params.is_empty() && call.hash.is_empty() =>
                {
                    pieces.push(Piece::Value(shown.next()?.clone()));
                }
                _ => return None,
            }
        }
        shown.next().is_none().then_some(Plain { pieces })
    }

    /// None: a value is missing or has no text, or there is too much of it.
    pub fn fill(&self, scope: &Scope<'_>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Value(path) => {
                    text.push_str(&Argument { value: path.find_one(scope), name: None }.text().ok()?);
                }
            }
            if text.len() > OUTPUT_MAX {
                return None;
            }
        }
        Some(text)
    }
}
