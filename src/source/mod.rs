//! A file's text, places in it, and what to tell its author.
//!
//! One parse of a YAML text gives a [`File`]: the plain JSON value and, beside it, a map from JSON pointer to the
//! places of its key and value. Nothing here knows what the text means.

mod diagnostic;
mod file;
mod nearest;
mod read;
mod refusal;
mod render;
mod scalar;
mod shape;
mod syntax;
mod tolerant;
mod within;
#[cfg(test)]
mod work;

pub use diagnostic::{Diagnostic, Label, Report, Severity};
pub use file::{File, Place, Span, go_down, lay_over, under};
pub use nearest::nearest;
pub use refusal::{FINDINGS_MAX, TEXT_BYTES_MAX, VALUES_MAX};
pub use render::{render_json, render_text};
pub use shape::check_shape;
pub use tolerant::tolerant;
pub use within::Written;
#[cfg(test)]
pub(crate) use work::worked;
