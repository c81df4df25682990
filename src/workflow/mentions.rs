//! What a workflow mentions: the objects that it is about, and the names of keyed lists that its values read or write.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Kind;
use super::{Starts, Workflow};
use crate::expr::{Expr, Read};
use crate::sync::Pair;

impl Workflow {
    /// (alias, object) of the trigger and of every action; `polled` is the object that a trigger's own poll finds.
    pub fn objects(&self, polled: Option<&str>) -> BTreeSet<(String, String)> {
        let mut objects = BTreeSet::new();
        if let Starts::Event(heard) = &self.trigger.starts {
            objects.extend(heard.iter().filter_map(|event| Some((event.alias.clone(), event.object.clone()?))));
        }
        if let (Starts::Poll { alias, .. }, Some(object)) = (&self.trigger.starts, polled) {
            objects.insert((alias.clone(), object.to_owned()));
        }
        for pair in self.reconciled() {
            objects.extend(pair.sides.iter().map(|side| (side.alias.clone(), side.object.clone())));
        }
        for (alias, name) in self.all_actions().into_iter().filter_map(|action| action.uses()) {
            let object = name.split('.').next().unwrap_or(name);
            objects.insert((alias.into(), object.into()));
        }
        objects
    }

    /// The pairs of objects that its actions bring into line.
    fn reconciled(&self) -> impl Iterator<Item = &Pair> {
        self.actions.iter().filter_map(|action| match &action.kind {
            Kind::Reconcile(reconcile) => Some(reconcile.pair()),
            _ => None,
        })
    }

    /// Does any value read or write below this name of a keyed list?
    pub fn mentions(&self, list: &str) -> bool {
        !self.mentioned(list).is_empty()
    }

    /// The names of a keyed list that it mentions and that an account does not know; `known` is key → name.
    pub fn unknown_names(&self, list: &str, known: &BTreeMap<String, String>) -> Vec<String> {
        let is_known = |name: &String| known.contains_key(name) || known.values().any(|known| known == name);
        self.mentioned(list).into_iter().flatten().filter(|name| !is_known(name)).collect()
    }

    /// The names below this one that any value reads or writes; None stands for all of them at once.
    fn mentioned(&self, list: &str) -> BTreeSet<Option<String>> {
        let mut names = BTreeSet::new();
        let mut read = |reads: Vec<Read>| {
            for read in reads {
                if let Some(at) = read.names.iter().position(|name| name == list) {
                    names.insert(read.names.get(at + 1).cloned());
                }
            }
        };
        let trigger = &self.trigger;
        read(trigger.only_if.as_ref().map(|condition| condition.reads()).unwrap_or_default());
        read(trigger.in_order_by.as_ref().map(|expr| expr.reads()).unwrap_or_default());
        let actions = self.all_actions();
        actions.iter().filter(|action| !matches!(action.kind, Kind::Hear(_))).for_each(|action| read(action.reads()));
        for action in actions {
            let fields: Vec<&str> = match &action.kind {
                Kind::Hear(hear) => hear.fields.iter().map(String::as_str).collect(),
                Kind::Reconcile(reconcile) => {
                    reconcile.pair().fields.iter().flat_map(|field| field.names.iter().map(String::as_str)).collect()
                }
                _ => {
                    let writes = action.with().and_then(Expr::fields).unwrap_or_default();
                    for (_, value) in writes.iter().filter(|(field, _)| *field == list) {
                        let inside = value.fields().unwrap_or_default();
                        names.insert(None);
                        names.extend(inside.into_iter().map(|(name, _)| Some(name.to_owned())));
                    }
                    writes.into_iter().map(|(field, _)| field).collect()
                }
            };
            for field in fields {
                match field.strip_prefix(list) {
                    Some(rest) if rest.starts_with('[') => names.extend([None]),
                    rest => {
                        names.extend(rest.and_then(|rest| rest.strip_prefix('.')).map(|name| Some(name.to_owned())))
                    }
                }
            }
        }
        names
    }
}
