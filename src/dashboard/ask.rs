//! What a route is asked, once the gate has let it pass: who asks, and what was given, all of it known and well formed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::problem::Problem;
use super::{LOOKED_AT_MAX, Window, now_ms};
use crate::engine::Engine;
use crate::store::{Deed, Filter, Role, Run, Store};
use crate::story::{self, Story, shown};

/// Something that a route takes. What it does not list is refused.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub place: Place,
    pub takes: Takes,
    pub required: bool,
    pub what: &'static str,
}

/// The name of a field that stands for whatever somebody else adds, which is not looked at.
pub const OTHERS: &str = "*";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    /// Of a form, or of JSON.
    Body,
}

#[derive(Debug)]
pub enum Takes {
    /// So many characters at most.
    Text(usize),
    /// A text of several lines, of so many characters at most, whatever they are.
    Lines(usize),
    /// Values by name: an object of JSON; of a form the fields that are called `name.` and something more.
    Map,
    Number {
        min: i64,
        max: i64,
    },
    OneOf(&'static [&'static str]),
    /// `2h` ago, a date, or an instant.
    When,
}

impl Field {
    pub const fn path(name: &'static str, takes: Takes, what: &'static str) -> Field {
        Field { name, place: Place::Path, takes, required: true, what }
    }

    pub const fn query(name: &'static str, takes: Takes, what: &'static str) -> Field {
        Field { name, place: Place::Query, takes, required: false, what }
    }

    pub const fn body(name: &'static str, takes: Takes, what: &'static str) -> Field {
        Field { name, place: Place::Body, takes, required: true, what }
    }

    /// The most bytes that it is sent in: each may be three of a form, or six of JSON.
    pub fn bytes_max(&self) -> usize {
        match self.takes {
            Takes::Lines(max) => max.saturating_mul(6),
            _ => 0,
        }
    }

    fn read(&self, text: &str) -> Result<Given, Problem> {
        let name = self.name;
        match self.takes {
            Takes::Text(max) | Takes::Lines(max) if text.chars().count() > max => {
                Err(Problem::bad(format!("`{name}` is longer than {max} characters")))
            }
            Takes::Text(_) if text.chars().any(|letter| shown::hides(letter) || letter == '\n') => {
                Err(Problem::bad(format!("`{name}` holds a character that cannot be seen")))
            }
            Takes::Text(_) => Ok(Given::Text(text.to_owned())),
            // Forms end lines as mail does.
            Takes::Lines(_) => Ok(Given::Text(text.replace("\r\n", "\n"))),
            Takes::Map => Err(Problem::bad(format!("`{name}` must be an object"))),
            Takes::Number { min, max } => {
                let number = text.parse().ok().filter(|number| (min..=max).contains(number));
                number.map(Given::Number).ok_or_else(|| {
                    let range = if max == i64::MAX { format!("from {min} on") } else { format!("from {min} to {max}") };
                    Problem::bad(format!("`{name}` must be a number {range}"))
                })
            }
            Takes::OneOf(words) => match words.contains(&text) {
                true => Ok(Given::Text(text.to_owned())),
                false => Err(Problem::bad(format!("`{name}` must be one of {}", words.join(", ")))),
            },
            Takes::When => {
                story::when(text).map(Given::Number).map_err(|help| Problem::bad(format!("`{name}`: {help}")))
            }
        }
    }
}

#[derive(Debug)]
enum Given {
    Text(String),
    Number(i64),
    Map(Map<String, Value>),
}

/// What was given, by the names of the fields.
#[derive(Debug, Default)]
pub struct Values(BTreeMap<&'static str, Given>);

impl Values {
    /// Takes pairs of names and texts up. What is empty was not given.
    ///
    /// # Errors
    /// A name that the route does not list, one that comes twice, a value that is none.
    pub fn take(
        &mut self,
        fields: &'static [Field],
        place: Place,
        pairs: impl Iterator<Item = (String, String)>,
    ) -> Result<(), Problem> {
        for (name, text) in pairs {
            let within = fields.iter().filter(|field| field.place == place && matches!(field.takes, Takes::Map));
            let mut within =
                within.filter_map(|field| Some((field, name.strip_prefix(field.name)?.strip_prefix('.')?)));
            if let Some((field, key)) = within.next() {
                self.put(field, key, text.into())?;
                continue;
            }
            let known = fields.iter().find(|field| field.name == name && field.place == place);
            let others = fields.iter().any(|field| field.name == OTHERS && field.place == place);
            if known.is_none() && others {
                continue;
            }
            let Some(field) = known else {
                let names: Vec<&str> =
                    fields.iter().filter(|field| field.place == place).map(|field| field.name).collect();
                let names = if names.is_empty() { "nothing".into() } else { names.join(", ") };
                return Err(Problem::bad(format!(
                    "`{}` is not known here: it takes {names}",
                    story::shortened(&name, 40)
                )));
            };
            if text.is_empty() {
                continue;
            }
            if self.0.insert(field.name, field.read(&text)?).is_some() {
                return Err(Problem::bad(format!("`{name}` is given twice")));
            }
        }
        Ok(())
    }

    /// A value of a map, once; an empty text was not given.
    fn put(&mut self, field: &'static Field, key: &str, value: Value) -> Result<(), Problem> {
        let given = self.0.entry(field.name).or_insert_with(|| Given::Map(Map::new()));
        let Given::Map(map) = given else { return Ok(()) };
        if value != "" && map.insert(key.to_owned(), value).is_some() {
            let name = format!("{}.{}", field.name, story::shortened(key, 40));
            return Err(Problem::bad(format!("`{name}` is given twice")));
        }
        Ok(())
    }

    /// The same of a JSON object of texts, numbers and maps.
    pub fn take_json(&mut self, fields: &'static [Field], bytes: &[u8]) -> Result<(), Problem> {
        let object: BTreeMap<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| Problem::bad("the body is no JSON object"))?;
        let mut pairs = Vec::new();
        for (name, value) in object {
            let map = fields.iter().find(|field| field.name == name && matches!(field.takes, Takes::Map));
            if let (Some(field), Value::Object(values)) = (map, &value) {
                for (key, value) in values {
                    self.put(field, key, value.clone())?;
                }
                continue;
            }
            pairs.push(match value {
                Value::String(text) => (name, text),
                Value::Number(number) => (name, number.to_string()),
                _ => return Err(Problem::bad(format!("`{}` must be a text or a number", story::shortened(&name, 40)))),
            });
        }
        self.take(fields, Place::Body, pairs.into_iter())
    }

    pub fn all_that_is_needed(&self, fields: &[Field]) -> Result<(), Problem> {
        match fields.iter().find(|field| field.required && !self.0.contains_key(field.name)) {
            Some(field) => Err(Problem::bad(format!("`{}` is missing", field.name))),
            None => Ok(()),
        }
    }
}

/// Whoever asks.
#[derive(Clone, Debug)]
pub struct Who {
    pub name: String,
    pub role: Role,
    /// What forms say; empty of a program.
    pub csrf: String,
}

pub struct Ask {
    pub(in crate::dashboard) window: Arc<Window>,
    /// None where nobody need say who they are.
    pub who: Option<Who>,
    /// From where, for the audit.
    pub origin: String,
    /// The cookie of the session.
    pub cookie: Option<String>,
    pub values: Values,
}

impl Ask {
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.0.get(name) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The values of a map; none where it was not given.
    pub fn map(&self, name: &str) -> Map<String, Value> {
        match self.values.0.get(name) {
            Some(Given::Map(map)) => map.clone(),
            _ => Map::new(),
        }
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(Into::into)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        match self.values.0.get(name) {
            Some(Given::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// How many are wanted.
    pub fn limit(&self, otherwise: usize) -> usize {
        self.number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(otherwise)
    }

    pub fn engine(&self) -> &Engine {
        &self.window.engine
    }

    /// For looking only.
    pub fn store(&self) -> &Store {
        &self.window.store
    }

    /// Runs that are asked for, newest first, among those that are looked at for one page; and before which to look on.
    pub async fn runs(&self, filter: Filter) -> Result<(Vec<Run>, Option<i64>), Problem> {
        let most = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
        Ok(self.store().runs_within(filter, most).await?)
    }

    /// A run with all that was written down about it.
    pub async fn story(&self, run: Run) -> Result<Story, Problem> {
        let plan = self.window.version(&run.start.plan).await?;
        Ok(Story::of(self.store(), run, plan).await?)
    }

    /// The latest runs of a workflow.
    pub async fn latest_of(&self, workflow: &str, limit: usize) -> Result<Vec<Run>, Problem> {
        Ok(self.runs(Filter { workflow: Some(workflow.to_owned()), limit, ..Filter::default() }).await?.0)
    }

    /// Whom a change is told to be of.
    pub fn by(&self) -> String {
        let name = self.who.as_ref().map_or("somebody", |who| who.name.as_str());
        format!("{name}, at the dashboard")
    }

    pub fn may(&self, role: Role) -> bool {
        self.who.as_ref().is_some_and(|who| who.role >= role)
    }

    /// Writes down what is about to be done: first this, then that.
    pub async fn note(&self, what: &str, about: String) -> Result<(), Problem> {
        let who = self.who.as_ref().map_or("somebody", |who| who.name.as_str());
        self.note_of(who, what, about).await
    }

    /// The same of somebody who is known in another way.
    pub async fn note_of(&self, who: &str, what: &str, about: String) -> Result<(), Problem> {
        let (who, origin, what) = (who.to_owned(), self.origin.clone(), what.to_owned());
        let deed = Deed { number: 0, at_ms: now_ms(), who, origin, what, about };
        Ok(self.engine().note_deed(deed).await?)
    }
}
