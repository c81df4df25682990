//! The roots of a context, each shared by all contexts that have it: nothing is copied, or made, before it is looked at.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Names with values. A copy costs a pointer for each, however large they are.
pub struct Roots<'r> {
    each: Vec<(Cow<'r, str>, Root<'r>)>,
    /// All of them in one value, once it was asked for.
    whole: OnceCell<Value>,
}

/// What stands under a name.
#[derive(Clone)]
pub enum Root<'r> {
    Borrowed(&'r Value),
    Shared(Arc<Value>),
    Made(Rc<Made<dyn Fn() -> Value + 'r>>),
    /// An object, one of whose fields is large: the others are made together.
    Parts {
        large: (&'r str, &'r Value),
        others: Rc<Made<dyn Fn() -> Value + 'r>>,
        /// Both in one value, once it was asked for.
        whole: Rc<OnceCell<Value>>,
    },
}

/// A value, made when it is first looked at.
pub struct Made<F: ?Sized> {
    made: OnceCell<Value>,
    make: F,
}

impl<'r> Made<dyn Fn() -> Value + 'r> {
    fn value(&self) -> &Value {
        self.made.get_or_init(|| (self.make)())
    }
}

impl<'r> Root<'r> {
    pub fn made(make: impl Fn() -> Value + 'r) -> Root<'r> {
        Root::Made(Rc::new(Made { made: OnceCell::new(), make }))
    }

    /// An object of this field, and of those of the object that `others` makes; which may have a null in the place of it.
    pub fn parts(large: (&'r str, &'r Value), others: impl Fn() -> Value + 'r) -> Root<'r> {
        let others = Rc::new(Made { made: OnceCell::new(), make: others });
        Root::Parts { large, others, whole: Rc::default() }
    }

    fn value(&self) -> &Value {
        match self {
            Root::Borrowed(value) => value,
            Root::Shared(value) => value,
            Root::Made(made) => made.value(),
            Root::Parts { large: (name, value), others, whole } => whole.get_or_init(|| {
                let mut whole = others.value().as_object().cloned().unwrap_or_default();
                whole.insert((*name).to_owned(), (*value).clone());
                Value::Object(whole)
            }),
        }
    }

    fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Root::Parts { large: (known, value), .. } if *known == name => Some(value),
            Root::Parts { others, .. } => others.value().get(name),
            other => other.value().get(name),
        }
    }
}

impl<'r> Roots<'r> {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.root(name).map(Root::value)
    }

    /// What stands under a name of the value under a root's name, without looking at what stands beside it.
    pub(super) fn field(&self, root: &str, name: &str) -> Option<&Value> {
        self.root(root)?.field(name)
    }

    /// Is the value under this name put together only if it is looked at as a whole?
    pub(super) fn is_in_parts(&self, name: &str) -> bool {
        matches!(self.root(name), Some(Root::Parts { .. }))
    }

    /// Puts a value under a name, in place of another.
    pub fn set(&mut self, name: impl Into<Cow<'r, str>>, root: Root<'r>) {
        let name = name.into();
        self.whole.take();
        match self.each.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = root,
            None => self.each.push((name, root)),
        }
    }

    /// Changes the value under a name, where it is there.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let Some((_, root)) = self.each.iter_mut().find(|(known, _)| known == name) else { return };
        self.whole.take();
        if !matches!(root, Root::Shared(_)) {
            *root = Root::Shared(Arc::new(root.value().clone()));
        }
        if let Root::Shared(value) = root {
            change(Arc::make_mut(value));
        }
    }

    /// Takes over what has a name that is new here.
    pub fn add_new(&mut self, others: Roots<'r>) {
        for (name, root) in others.each {
            if self.root(&name).is_none() {
                self.set(name, root);
            }
        }
    }

    /// All of them in one object, in the order in which they came.
    pub fn whole(&self) -> &Value {
        self.whole.get_or_init(|| Value::Object(self.gathered()))
    }

    fn root(&self, name: &str) -> Option<&Root<'r>> {
        self.each.iter().find(|(known, _)| known == name).map(|(_, root)| root)
    }

    fn gathered(&self) -> Map<String, Value> {
        self.each.iter().map(|(name, root)| (name.to_string(), root.value().clone())).collect()
    }
}

impl Clone for Roots<'_> {
    fn clone(&self) -> Self {
        Roots { each: self.each.clone(), whole: OnceCell::new() }
    }
}

impl<'r, N: Into<Cow<'r, str>>> FromIterator<(N, Root<'r>)> for Roots<'r> {
    fn from_iter<I: IntoIterator<Item = (N, Root<'r>)>>(each: I) -> Self {
        Roots { each: each.into_iter().map(|(name, root)| (name.into(), root)).collect(), whole: OnceCell::new() }
    }
}

impl fmt::Debug for Roots<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.each.iter().map(|(name, root)| (name, root.value()))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::expr::{Expr, Locale, Scope};

    #[test]
    fn nothing_is_made_before_it_is_looked_at_and_then_once() {
        let (body, locale, made) = (json!({ "id": "c-1", "tags": ["new"] }), Locale::default(), Cell::new(0));
        let tell = || {
            made.set(made.get() + 1);
            json!({ "kind": "paid", "body": null, "time": 7 })
        };
        let mut roots = Roots::from_iter([("event", Root::parts(("body", &body), tell))]);
        roots.set("vars", Root::Shared(Arc::new(json!({ "limit": 3 }))));
        let eval = |roots: &Roots<'_>, written: Value| {
            Expr::compile(&written).unwrap().eval(&Scope::of(roots, &locale)).unwrap().unwrap_or_default()
        };
        for (written, expected) in [
            (json!("$.event.body.id"), json!("c-1")),
            (json!("$.event.body.tags[*]"), json!(["new"])),
            (json!("{{upper event.body.id}} {{vars.limit}}"), json!("C-1 3")),
            (json!("$.event.body.tags[?@ == $.event.body.tags[0]]"), json!(["new"])),
            (json!({ "$script": "event.body.tags.len() + vars.limit" }), json!(4)),
        ] {
            assert_eq!(eval(&roots, written), expected);
        }
        assert_eq!(made.get(), 0);
        let branch = roots.clone();
        assert_eq!(eval(&branch, json!("$.event.kind")), json!("paid"));
        assert_eq!(eval(&roots, json!("{{event.kind}} {{lower event.kind}}")), json!("paid paid"));
        assert_eq!(eval(&roots, json!("$..id")), json!(["c-1"]));
        let event = r#"{"kind":"paid","body":{"id":"c-1","tags":["new"]},"time":7}"#;
        assert_eq!(eval(&roots, json!("$.event")).to_string(), event);
        assert_eq!(made.get(), 1);
    }

    #[test]
    fn a_whole_is_that_of_what_is_there_now() {
        let mut roots = Roots::from_iter([("one", Root::made(|| json!(1)))]);
        assert_eq!(roots.whole(), &json!({ "one": 1 }));
        let mut branch = roots.clone();
        assert!(std::ptr::eq(branch.get("one").unwrap(), roots.get("one").unwrap()));
        branch.set("two", Root::Shared(Arc::new(json!(2))));
        branch.set("one", Root::Shared(Arc::new(json!("other"))));
        assert_eq!((branch.whole(), roots.whole()), (&json!({ "one": "other", "two": 2 }), &json!({ "one": 1 })));
        roots.add_new(branch);
        assert_eq!(roots.whole(), &json!({ "one": 1, "two": 2 }));
    }
}
