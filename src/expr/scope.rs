//! What an expression can see: the roots of the context, with a few names laid over them.

use serde_json::Value;

use super::{Locale, Roots};

/// The context of one evaluation. Cheap to make; [`Scope::with`] lays one more name over it (`item`, `error`).
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    ground: Ground<'a>,
    over: Vec<(&'a str, &'a Value)>,
    locale: &'a Locale,
    without_null: bool,
}

/// What names are laid over.
#[derive(Clone, Copy, Debug)]
enum Ground<'a> {
    /// `$` itself: a map of roots, or any value, such as a connector's answer.
    Value(&'a Value),
    /// `contact`, `event`, `vars`, ids of actions …
    Roots(&'a Roots<'a>),
}

impl<'a> Scope<'a> {
    pub fn new(root: &'a Value, locale: &'a Locale) -> Self {
        Self::on(Ground::Value(root), locale)
    }

    pub fn of(roots: &'a Roots<'a>, locale: &'a Locale) -> Self {
        Self::on(Ground::Roots(roots), locale)
    }

    fn on(ground: Ground<'a>, locale: &'a Locale) -> Self {
        Self { ground, over: Vec::new(), locale, without_null: false }
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
        self.laid_over(name).or_else(|| match self.ground {
            Ground::Value(value) => value.get(name),
            Ground::Roots(roots) => roots.get(name),
        })
    }

    /// The value under a name of the one under a root's name. Of a root that is large, only this is looked at.
    pub(crate) fn field(&self, root: &str, name: &str) -> Option<&'a Value> {
        match (self.laid_over(root), self.ground) {
            (None, Ground::Roots(roots)) => roots.field(root, name),
            (over, _) => over.or_else(|| self.root(root))?.get(name),
        }
    }

    /// Is the value under a root's name put together only if it is looked at as a whole?
    pub(crate) fn is_in_parts(&self, root: &str) -> bool {
        matches!(self.ground, Ground::Roots(roots) if self.laid_over(root).is_none() && roots.is_in_parts(root))
    }

    fn laid_over(&self, name: &str) -> Option<&'a Value> {
        self.over.iter().rev().find(|(over, _)| *over == name).map(|(_, value)| *value)
    }

    /// All that lies below the names laid over it: what `$` alone reads.
    pub(crate) fn whole(&self) -> &'a Value {
        match self.ground {
            Ground::Value(value) => value,
            Ground::Roots(roots) => roots.whole(),
        }
    }

    /// `$` itself, if it is one value and no name is laid over it.
    pub(crate) fn bare(&self) -> Option<&'a Value> {
        match self.ground {
            Ground::Value(value) if self.over.is_empty() => Some(value),
            _ => None,
        }
    }
}
