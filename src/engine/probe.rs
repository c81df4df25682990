//! Asks a live account a few times, only to read, so that its answers can be compared with what the connector says.
//!
//! Outside of any run, and within the connector's limits, which this process counts for itself. Operations that write are
//! never sent: what is chosen is `GET`, or says `reads: true`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Examiner;
use super::examine::told;
use crate::connector::probe::{Compared, Heard, Note, Override, compare, id_of, limits};
use crate::connector::{Connector, Failure, Names, Object, Operation, Outcome, Page, Response};
use crate::expr::as_text;
use crate::http::{Budgets, Take, Urgency};
use crate::project::Connection;

/// Pages of lists that are asked of one object.
const PAGES_MAX: usize = 3;
/// Requests of one probe.
const REQUESTS_MAX: usize = 150;
/// Records by which keyed lists are named.
const NAMES_MAX: usize = 1_000;
/// A limit is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of asking an account.
#[derive(Debug, Default, Serialize)]
pub struct Probed {
    pub objects: Vec<Found>,
    /// About the account as a whole.
    pub notes: Vec<Note>,
    pub left_out: Vec<Left>,
    #[serde(skip)]
    pub over: Override,
    pub requests: usize,
}

/// One object.
#[derive(Debug, Serialize)]
pub struct Found {
    pub object: String,
    pub asked: Vec<Asked>,
    #[serde(flatten)]
    pub compared: Compared,
}

/// An operation, and how often it was asked.
#[derive(Debug, Serialize)]
pub struct Asked {
    pub operation: String,
    pub requests: usize,
}

/// Operations that were not asked, and why.
#[derive(Debug, Serialize)]
pub struct Left {
    pub why: String,
    pub operations: Vec<String>,
}

impl Probed {
    /// Is everything that was compared as the connector says?
    pub fn is_as_said(&self) -> bool {
        self.objects.iter().flat_map(|found| &found.compared.notes).chain(&self.notes).all(|note| note.good)
    }
}

/// What a probe needs.
pub struct Prober<'p> {
    pub examiner: Examiner<'p>,
    pub connection: &'p Connection,
    pub connector: &'p Connector,
    /// The connector's document, with its override.
    pub written: Value,
    pub budgets: Budgets,
}

/// What is known while it goes on.
#[derive(Default)]
struct Progress<'c> {
    probed: Probed,
    answers: Vec<Heard<'c>>,
    /// A record of each object, by its id.
    ids: HashMap<&'c str, Value>,
    /// The account itself is refused: nothing more is asked.
    refused: bool,
}

impl<'p> Prober<'p> {
    /// Asks for each object, or for one: its lists, a record by its id, and what lies under a record.
    pub async fn probe(&self, only: Option<&str>) -> Probed {
        let mut progress = Progress::default();
        let wanted = |object: &&Object| only.is_none_or(|only| only == object.name);
        let is_child = |object: &Object| object.parent.is_some() && self.choose(object, None).is_empty();
        let all = &self.connector.objects;
        // Those that lie under others come after them; a parent that nobody asked for is only listed.
        let children: Vec<&Object> = all.iter().filter(wanted).filter(|object| is_child(object)).collect();
        for object in all.iter().filter(|object| !is_child(object)) {
            match wanted(&object) {
                true => self.object(object, &mut progress).await,
                false
                    if children.iter().any(|child| child.parent.as_ref().is_some_and(|p| p.object == object.name)) =>
                {
                    self.learn_id(object, &mut progress).await;
                }
                false => {}
            }
        }
        for object in children {
            self.object(object, &mut progress).await;
        }
        self.leave_out(all.iter().filter(wanted), &mut progress);
        let responses: Vec<&Response> =
            progress.answers.iter().flat_map(|heard| heard.pages.iter().map(|(_, response)| response)).collect();
        if !responses.is_empty() {
            let found = limits(self.connector, &responses, &self.written, &mut progress.probed.over);
            progress.probed.notes.extend(found);
        }
        progress.probed
    }

    /// Records of an object as recipes see them, in the order of their ids: so many at most.
    ///
    /// # Errors
    /// Why they cannot be listed, in words.
    pub async fn records(&self, object: &'p Object, most: usize) -> Result<Vec<Value>, String> {
        let mut progress = Progress::default();
        let names = self.names(object, &mut progress).await?;
        let mut records = Vec::new();
        for base in self.above(object, most, &mut progress).await? {
            let operation = self.choose(object, Some(&base)).first().copied();
            let operation = operation.ok_or_else(|| format!("nothing lists every `{}`", object.name))?;
            let left = most - records.len();
            for mut record in self.listed(operation, &needed(operation, &base), left, &mut progress).await? {
                let parent = object.parent.as_ref().and_then(|parent| base.get(&parent.id)).and_then(as_text);
                parent.iter().for_each(|parent| object.put_parent(&mut record, parent));
                let mut shaped = operation.shape(self.connector, &record, &names);
                // The vendor's own list, of which recipes see the names.
                for list in &object.keyed_lists {
                    if let (Some(shaped), Some(own)) = (shaped.as_object_mut(), record.get(&list.at)) {
                        shaped.entry(list.at.clone()).or_insert_with(|| own.clone());
                    }
                }
                records.push(shaped);
            }
            if records.len() >= most {
                break;
            }
        }
        records.sort_by_cached_key(|record| record.get(&object.id).and_then(as_text));
        Ok(records)
    }

    /// What lists of an object are given: nothing, or each of the records under which it lives.
    async fn above(&self, object: &Object, most: usize, progress: &mut Progress<'p>) -> Result<Vec<Value>, String> {
        let parent = object.parent.as_ref().filter(|_| self.choose(object, None).is_empty());
        let Some(parent) = parent else { return Ok(vec![json!({})]) };
        let above = self.connector.object(&parent.object).ok_or("its parent is unknown")?;
        let operation = self.choose(above, None).first().copied();
        let operation = operation.ok_or_else(|| format!("nothing lists every `{}`", above.name))?;
        let records = self.listed(operation, &json!({}), most, progress).await?;
        Ok(records.iter().filter_map(|record| Some(json!({ parent.id.clone(): record.get(&above.id)? }))).collect())
    }

    /// The names of an object's keyed lists.
    async fn names(&self, object: &Object, progress: &mut Progress<'p>) -> Result<Names, String> {
        let mut names = Names::default();
        for list in &object.keyed_lists {
            if let Some(known) = list.names_in(&self.connection.settings) {
                names.lists.insert(list.name.clone(), known);
            }
            let from = list.names_from.as_ref().and_then(|from| self.connector.operation(from));
            if let Some(operation) = from {
                let records = self.listed(operation, &json!({}), NAMES_MAX, progress).await?;
                names.lists.insert(list.name.clone(), list.names_of(&records));
            }
        }
        Ok(names)
    }

    async fn listed(
        &self,
        operation: &'p Operation,
        input: &Value,
        most: usize,
        progress: &mut Progress<'p>,
    ) -> Result<Vec<Value>, String> {
        let (mut records, mut page) = (Vec::new(), Page::default());
        loop {
            let response = self.send(operation, input, &page, progress).await;
            let response = response.map_err(|failure| self.failed(operation, &failure, input).told)?;
            match self.connector.outcome(operation, input, &self.connection.settings, &page, response) {
                Outcome::Failed(failure) => return Err(self.failed(operation, &failure, input).told),
                Outcome::Done { value, next } => {
                    records.extend(value.as_array().cloned().unwrap_or_default());
                    match next.filter(|_| records.len() < most) {
                        Some(next) => page = next,
                        None => break,
                    }
                }
            }
        }
        records.truncate(most);
        Ok(records)
    }

    async fn object(&self, object: &'p Object, progress: &mut Progress<'p>) {
        let mut heard: Vec<Heard<'p>> = Vec::new();
        let mut failed = Vec::new();
        let mut left = PAGES_MAX;
        let parent = object.parent.as_ref().and_then(|parent| progress.ids.get(parent.object.as_str()));
        let base = match (&object.parent, parent) {
            (Some(parent), Some(id)) => json!({ parent.id.clone(): id }),
            _ => json!({}),
        };
        let lists = self.choose(object, Some(&base));
        for (place, operation) in lists.iter().enumerate() {
            let pages = if lists.len() > place + 1 { left.saturating_sub(1).min(2) } else { left };
            if pages == 0 || progress.refused {
                break;
            }
            let input = needed(operation, &base);
            let (one, failure) = self.pages(operation, &input, pages, progress).await;
            left = left.saturating_sub(one.pages.len().max(1));
            heard.push(one);
            failed.extend(failure.map(|failure| self.failed(operation, &failure, &input)));
        }
        if let Some(id) = heard.iter().find_map(|heard| id_of(self.connector, object, heard)) {
            if let Some(get) = self.get(object, &base).filter(|_| !progress.refused) {
                let mut input = needed(get, &base);
                for hole in missing(get, &base) {
                    input[hole] = id.clone();
                }
                let (one, failure) = self.pages(get, &input, 1, progress).await;
                heard.push(one);
                failed.extend(failure.map(|failure| self.failed(get, &failure, &input)));
            }
            progress.ids.insert(&object.name, id);
        }
        if heard.is_empty() {
            return;
        }
        let asked = heard
            .iter()
            .map(|heard| Asked { operation: heard.operation.name.clone(), requests: heard.pages.len().max(1) });
        let asked = asked.collect();
        heard.retain(|heard| !heard.pages.is_empty());
        let mut compared = Compared::default();
        if !heard.is_empty() {
            compared = compare(self.connector, object, &heard, &self.written, &mut progress.probed.over);
        }
        compared.notes.splice(0..0, failed);
        progress.probed.objects.push(Found { object: object.name.clone(), asked, compared });
        progress.answers.extend(heard);
    }

    /// Lists a parent, only to know one of its records.
    async fn learn_id(&self, object: &'p Object, progress: &mut Progress<'p>) {
        let Some(operation) = self.choose(object, None).first().copied() else { return };
        let (heard, _) = self.pages(operation, &json!({}), 1, progress).await;
        let id = Some(&heard).filter(|heard| !heard.pages.is_empty());
        if let Some(id) = id.and_then(|heard| id_of(self.connector, object, heard)) {
            progress.ids.insert(&object.name, id);
        }
    }

    /// Lists that need nothing but what is given, the usual ones first.
    fn choose(&self, object: &Object, given: Option<&Value>) -> Vec<&'p Operation> {
        let nothing = json!({});
        let given = given.unwrap_or(&nothing);
        let own = self.connector.operations().into_iter().filter(|operation| {
            operation.object.as_deref() == Some(&object.name)
                && operation.reads
                && operation.lists
                && missing(operation, given).is_empty()
        });
        let polled = |operation: &Operation| object.changes.feeds().any(|feed| feed.operation == operation.name);
        let mut lists: Vec<&Operation> = own.collect();
        lists.sort_by_key(|operation| match operation.short_name() {
            "list" => 0,
            _ if polled(operation) => 1,
            "search" => 2,
            _ => 3,
        });
        lists
    }

    /// The operation that reads one record by its id.
    fn get(&self, object: &Object, given: &Value) -> Option<&'p Operation> {
        let get = self.connector.operation(object.operation("get")?)?;
        (get.reads && !get.lists && get.returns_record() && missing(get, given).len() == 1).then_some(get)
    }

    /// One page after the other; why there are no more, if a request failed.
    async fn pages(
        &self,
        operation: &'p Operation,
        input: &Value,
        most: usize,
        progress: &mut Progress<'p>,
    ) -> (Heard<'p>, Option<Failure>) {
        let mut heard = Heard { operation, pages: Vec::new(), ended: None };
        let mut page = Page::default();
        while heard.pages.len() < most {
            let response = match self.send(operation, input, &page, progress).await {
                Ok(response) => response,
                Err(failure) => return (heard, Some(failure)),
            };
            let refused = self.connector.refusal(&response);
            if let Some(failure) = refused {
                progress.refused |= failure.name == "auth";
                return (heard, Some(failure));
            }
            let settings = &self.connection.settings;
            let outcome = self.connector.outcome(operation, input, settings, &page, response.clone());
            heard.pages.push((page, response));
            match outcome {
                Outcome::Done { next: Some(next), .. } => page = next,
                Outcome::Done { next: None, .. } => break,
                // The list itself is at fault; where it is not found at all, it is looked for.
                Outcome::Failed(failure) if failure.name == "invalid" => {
                    heard.ended = Some(failure.message);
                    break;
                }
                Outcome::Failed(_) => break,
            }
        }
        (heard, None)
    }

    async fn send(
        &self,
        operation: &Operation,
        input: &Value,
        page: &Page,
        progress: &mut Progress<'_>,
    ) -> Result<Response, Failure> {
        if progress.probed.requests >= REQUESTS_MAX {
            return Err(Failure::new("rate_limited", format!("{REQUESTS_MAX} requests were made: give one --object")));
        }
        let (name, limits) = (&self.connection.name, &self.connector.limits);
        let mut waited = Duration::ZERO;
        while let Take::Wait(pause) =
            self.budgets.take(name, limits, &operation.name, input, Urgency::Poll, Instant::now())
        {
            waited += pause;
            if waited > PATIENCE {
                return Err(Failure::new("rate_limited", "the limit is used up just now"));
            }
            tokio::time::sleep(pause).await;
        }
        progress.probed.requests += 1;
        let response = self.examiner.ask_for(self.connection, self.connector, operation, input, page).await;
        if let Err(failure) = &response {
            progress.refused |= failure.name == "auth";
        }
        let response = response?;
        self.budgets.learn_for(name, limits, &operation.name, input, &response, Instant::now());
        Ok(response)
    }

    /// A failure in words, without the ids that the vendor may repeat in its own.
    fn failed(&self, operation: &Operation, failure: &Failure, input: &Value) -> Note {
        let asked = format!("{} ({} {})", operation.name, operation.method, operation.path);
        let sign = told(&asked, failure, self.connection, operation);
        let help = sign.help.map_or_else(String::new, |help| format!("; {help}"));
        let mut told = sign.told;
        let ids = input.as_object().into_iter().flatten().filter_map(|(_, value)| as_text(value));
        // A shorter one says nothing, and would be found everywhere.
        for id in ids.filter(|id| id.len() > 3) {
            told = told.replace(&id, "…");
        }
        Note { what: "answer", good: false, told: format!("{told}{help}") }
    }

    /// Says of every operation that was not asked why it was not.
    fn leave_out<'o>(&self, objects: impl Iterator<Item = &'o Object>, progress: &mut Progress<'_>) {
        let names: Vec<&str> = objects.map(|object| object.name.as_str()).collect();
        let mut left: Vec<Left> = Vec::new();
        for operation in self.connector.operations() {
            let is_asked = progress
                .probed
                .objects
                .iter()
                .any(|found| found.asked.iter().any(|asked| asked.operation == operation.name));
            let is_wanted = operation.object.as_deref().is_some_and(|object| names.contains(&object));
            if is_asked || !is_wanted {
                continue;
            }
            let lacks = missing(operation, &json!({}));
            let why = match (operation.reads, operation.lists, lacks.as_slice()) {
                (false, ..) => "it writes".to_owned(),
                (true, _, [first, ..]) => format!("it needs `{first}`"),
                (true, false, []) => "it gives no list".to_owned(),
                (true, true, []) if progress.refused => "the account is refused".to_owned(),
                (true, true, []) => format!("{PAGES_MAX} pages of the object were asked for already"),
            };
            match left.iter_mut().find(|known| known.why == why) {
                Some(known) => known.operations.push(operation.name.clone()),
                None => left.push(Left { why, operations: vec![operation.name.clone()] }),
            }
        }
        progress.probed.left_out = left;
    }
}

/// What an operation needs and is not given.
fn missing<'o>(operation: &'o Operation, given: &Value) -> Vec<&'o str> {
    let required = operation.input.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let mut names: Vec<&str> = operation.input_holes().chain(required).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| given.get(name).is_none());
    names
}

/// What is given of what an operation needs.
fn needed(operation: &Operation, given: &Value) -> Value {
    let nothing = json!({});
    let fields = missing(operation, &nothing).into_iter();
    Value::Object(fields.filter_map(|name| Some((name.to_owned(), given.get(name)?.clone()))).collect::<Map<_, _>>())
}
