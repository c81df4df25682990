//! What an expression can see: the roots of the context, with a few names laid over them.

use serde_json::Value;

use super::Locale;

/// The context of one evaluation. Cheap to make; [`Scope::with`] lays one more name over it (`item`, `error`).
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// A map of roots: `contact`, `event`, `vars`, ids of actions …; for a connector's answers any value (`$` itself).
    root: &'a Value,
    over: Vec<(&'a str, &'a Value)>,
    locale: &'a Locale,
    without_null: bool,
}

impl<'a> Scope<'a> {
    pub fn new(root: &'a Value, locale: &'a Locale) -> Self {
        Self { root, over: Vec::new(), locale, without_null: false }
    }

    /// The same scope, whose values are read without the nulls in them: in what comes in, null and absent are the same.
    /// Not for what a connector sends: there a null in the input is one that the author wrote.
    pub fn without_null(mut self) -> Self {
        self.without_null = true;
        self
    }

    pub(crate) fn is_without_null(&self) -> bool {
        self.without_null
    }

    /// The same scope with one more name, which hides an equal one below.
    pub fn with(&self, name: &'a str, value: &'a Value) -> Scope<'a> {
        let mut scope = self.clone();
        scope.over.push((name, value));
        scope
    }

    pub fn locale(&self) -> &'a Locale {
        self.locale
    }

    /// The value under a root's name.
    pub fn root(&self, name: &str) -> Option<&'a Value> {
        self.over.iter().rev().find(|(over, _)| *over == name).map(|(_, value)| *value).or_else(|| self.root.get(name))
    }

    /// All that lies below the names laid over it: what `$` alone reads.
    pub(crate) fn whole(&self) -> &'a Value {
        self.root
    }

    /// Some names are laid over the roots.
    pub(crate) fn is_overlaid(&self) -> bool {
        !self.over.is_empty()
    }
}
