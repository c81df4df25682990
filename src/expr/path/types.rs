//! Paths by type: of what type is what they find, and which can find nothing.

use serde_json::Value;

use super::{Kind, Path, Step};
use crate::expr::{FieldType, Problem, Types};

/// A step of which the type can be followed.
#[derive(Clone, Copy)]
pub(super) enum Link<'p> {
    Name(&'p str),
    Index(i64),
    /// Any number of the items, by `[*]`, a slice or a filter; as messages write it.
    Each(&'p str),
}

impl Path {
    /// What type it finds, as far as the schemas of the roots say.
    pub fn type_in<'s>(&self, root: impl FnOnce(&str) -> Option<&'s Value>) -> FieldType {
        self.found(self.schema_in(root).map(FieldType::of_known))
    }

    /// What is known of the value that it finds; of a plural path, of each of its values.
    pub fn schema_in<'s>(&self, root: impl FnOnce(&str) -> Option<&'s Value>) -> Option<&'s Value> {
        let (links, true) = self.links() else { return None };
        let (Link::Name(first), rest) = links.split_first()? else { return None };
        rest.iter().try_fold(root(first)?, |schema, link| link.schema(schema))
    }

    /// What type it finds in a root of that name, of which the type is known; None if it begins elsewhere.
    pub(crate) fn type_below(&self, root: &str, kind: &FieldType) -> Option<FieldType> {
        let (links, whole) = self.links();
        let (_, rest) = links.split_first().filter(|(first, _)| matches!(first, Link::Name(name) if *name == root))?;
        let found = rest.iter().try_fold(kind, |kind, link| link.inner(kind)).filter(|_| whole);
        Some(self.found(found.cloned()))
    }

    fn found(&self, kind: Option<FieldType>) -> FieldType {
        let kind = kind.unwrap_or(FieldType::Any);
        if self.is_singular() { kind } else { FieldType::List(Box::new(kind)) }
    }

    /// What is wrong from the first item on; the names before it are checked where they are known.
    pub(in crate::expr) fn misses(&self, types: &Types<'_>) -> Option<Problem> {
        let (links, _) = self.links();
        let at = links.iter().position(|link| !matches!(link, Link::Name(_)))?;
        if at == 0 && matches!(links[0], Link::Index(_)) {
            let message = format!("`{}` finds nothing: `$` holds names, and no items", self.text);
            return Some(Problem::new("bad-path", message).help("name what is read, such as `$.contact.tags[0]`"));
        }
        let names: Vec<&str> = links[..at].iter().filter_map(Link::name).collect();
        let before = names.iter().map(|name| Step::Name((*name).to_owned())).collect();
        let in_template = !self.text.starts_with('$');
        let mut owner = if in_template { names.join(".") } else { format!("$.{}", names.join(".")) };
        let mut here = types(&Path { text: owner.clone(), kind: Kind::Singular(before) });
        for link in &links[at..] {
            if matches!(here, FieldType::Any | FieldType::OneOf(_)) {
                return None;
            }
            let told = link.text(in_template);
            let Some(next) = link.inner(&here) else { return missed(*link, (&owner, &told), &here) };
            (owner, here) = (owner + &told, next.clone());
        }
        None
    }

    /// The steps up to the first whose type cannot be followed, and whether these are all.
    fn links(&self) -> (Vec<Link<'_>>, bool) {
        match &self.kind {
            Kind::Singular(steps) => (steps.iter().map(Step::link).collect(), true),
            Kind::Plural(plural) => plural.links(),
        }
    }
}

/// `told` is the step as it is written.
fn missed(link: Link<'_>, (owner, told): (&str, &str), kind: &FieldType) -> Option<Problem> {
    match (link, kind) {
        // All values of a map.
        (Link::Each(_), FieldType::Map { .. }) => None,
        (Link::Each(_) | Link::Index(_), kind) => {
            let message = format!("`{owner}` is {}, and has no items", kind.describe());
            Some(Problem::new("not-a-list", message).help(format!("leave `{told}` out, or name a list")))
        }
        (Link::Name(_), FieldType::Map { open: true, .. }) => None,
        (Link::Name(name), FieldType::Map { fields, .. }) => {
            let names = || fields.iter().map(|(known, _)| known.as_str());
            let known = format!("write one of `{}`", names().collect::<Vec<_>>().join("`, `"));
            let problem = Problem::new("unknown-field", format!("`{owner}` has no field `{name}`"));
            Some(problem.nearest(name, names(), known))
        }
        (Link::Name(name), kind) => {
            let message = format!("`{owner}` has no field `{name}`");
            Some(Problem::new("unknown-field", message).help(format!("it is {}", kind.describe())))
        }
    }
}

impl Step {
    fn link(&self) -> Link<'_> {
        match self {
            Step::Name(name) => Link::Name(name),
            Step::Index(index) => Link::Index(*index),
            Step::Each => Link::Each("[*]"),
        }
    }
}

impl<'p> Link<'p> {
    fn schema<'s>(&self, schema: &'s Value) -> Option<&'s Value> {
        match self {
            Link::Name(name) => schema.get("properties")?.get(name),
            Link::Index(_) | Link::Each(_) => schema.get("items"),
        }
    }

    fn inner<'t>(&self, kind: &'t FieldType) -> Option<&'t FieldType> {
        match (self, kind) {
            (Link::Name(name), FieldType::Map { fields, .. }) => {
                fields.iter().find(|(known, _)| known == name).map(|(_, kind)| kind)
            }
            (Link::Index(_) | Link::Each(_), FieldType::List(items)) => Some(items),
            _ => None,
        }
    }

    fn name(&self) -> Option<&'p str> {
        match self {
            Link::Name(name) => Some(name),
            Link::Index(_) | Link::Each(_) => None,
        }
    }

    fn text(&self, in_template: bool) -> String {
        match self {
            Link::Name(name) => format!(".{name}"),
            Link::Index(index) if in_template => format!(".{index}"),
            Link::Index(index) => format!("[{index}]"),
            Link::Each(written) => (*written).to_owned(),
        }
    }
}
