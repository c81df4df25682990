//! Paths that can find nothing, by the types of what they go through.

use super::{Kind, Path, Step};
use crate::expr::{FieldType, Problem, Types};

impl Path {
    /// What is wrong from the first index on; the names before it are checked where they are known.
    pub(in crate::expr) fn misses(&self, types: &Types<'_>) -> Option<Problem> {
        let Kind::Singular(steps) = &self.kind else { return None };
        let at = steps.iter().position(|step| matches!(step, Step::Index(_)))?;
        if at == 0 {
            let message = format!("`{}` finds nothing: `$` holds names, and no items", self.text);
            return Some(Problem::new("bad-path", message).help("name what is read, such as `$.contact.tags[0]`"));
        }
        let mut owner = steps[..at].iter().filter_map(Step::name).fold("$".to_owned(), |text, name| text + "." + name);
        let mut here = types(&Path { text: owner.clone(), kind: Kind::Singular(steps[..at].to_vec()) });
        for step in &steps[at..] {
            if matches!(here, FieldType::Any | FieldType::OneOf(_)) {
                return None;
            }
            let Some(next) = step.inner(&here) else { return missed(step, &owner, &here) };
            (owner, here) = (owner + &step.text(), next.clone());
        }
        None
    }
}

fn missed(step: &Step, owner: &str, kind: &FieldType) -> Option<Problem> {
    match (step, kind) {
        (Step::Index(_), kind) => {
            let message = format!("`{owner}` is {}, and has no items", kind.describe());
            Some(Problem::new("not-a-list", message).help(format!("leave `{}` out, or name a list", step.text())))
        }
        (Step::Name(_), FieldType::Map { open: true, .. }) => None,
        (Step::Name(name), FieldType::Map { fields, .. }) => {
            let names = || fields.iter().map(|(known, _)| known.as_str());
            let known = format!("write one of `{}`", names().collect::<Vec<_>>().join("`, `"));
            let problem = Problem::new("unknown-field", format!("`{owner}` has no field `{name}`"));
            Some(problem.nearest(name, names(), known))
        }
        (Step::Name(name), kind) => {
            let message = format!("`{owner}` has no field `{name}`");
            Some(Problem::new("unknown-field", message).help(format!("it is {}", kind.describe())))
        }
    }
}

impl Step {
    fn text(&self) -> String {
        match self {
            Step::Name(name) => format!(".{name}"),
            Step::Index(index) => format!("[{index}]"),
        }
    }
}
