//! Nothing. Rhai keeps its texts in `compact_str` here; it still names this crate, whose licence is not one of ours.
