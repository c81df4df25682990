//! Before the first action: the record that the event hints at, what `include` names, and the names of keyed lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::decide::{Deciding, Next};
use super::entry::Fact;
use super::frame::Frame;
use super::known::{Compared, News, Told, compare};
use super::walk::{Flow, fail};
use crate::connector::{Connector, Failure, Names, Object, Operation, Page, Reference, join};
use crate::expr::{Roots, Scope, as_text};
use crate::trigger::Event;
use crate::workflow::action::undecided;
use crate::workflow::{Answer, Purpose, RecordRef, Retry, Sending, Starts, Workflow};

/// Pages that are read to find one record, at most.
const PAGES_MAX: usize = 50;

impl<'a> Deciding<'a> {
    /// Gives the roots of the context, with the trigger's record under its name, unless the run is about no record.
    pub(super) fn prepare(&mut self, frame: &mut Frame<'a>) -> Result<Roots<'a>, Flow> {
        self.names(frame)?;
        let workflow = frame.workflow;
        let record = self.event_record(workflow, frame)?;
        let mut roots = self.roots(frame, record);
        let Some(condition) = &workflow.trigger.only_if else { return Ok(roots) };
        if self.state.progress.contains_key("actions/0") || self.state.ending.is_some() {
            return Ok(roots);
        }
        roots.set("run", self.running(self.state.started_ms.unwrap_or(self.now_ms)));
        match condition.holds(&Scope::of(&roots, &self.plan.locale)) {
            Ok(true) => Ok(roots),
            Ok(false) => Err(Flow::Skipped("`only_if` of the trigger does not hold".into())),
            Err(fault) => Err(fail("trigger", undecided(&fault, "only_if"))),
        }
    }

    fn event_record(&mut self, workflow: &Workflow, frame: &Frame<'_>) -> Result<Option<(String, Value)>, Flow> {
        let start = self.start;
        let event = &start.event;
        let (Some(connection), Some(object)) = (&event.connection, &event.object) else { return Ok(None) };
        let Some(connector) = self.plan.connector_of(connection) else { return Ok(None) };
        let Some(object) = connector.object(object) else { return Ok(None) };
        let Some(alias) = alias_of(workflow, connection, frame) else { return Ok(None) };
        let name = workflow.trigger.record_name(&object.name).to_owned();
        let names = crate::workflow::Accounts::names(frame, &alias, &object.name);
        if workflow.reconciles() {
            self.gather(connector)?;
            return Ok(Some((name, self.hint(&alias, connector, object)?)));
        }
        let read_with = event.read_with.as_deref().or(event.from_operation.as_deref());
        let mut record = match &event.read_with {
            None => shaped(connector, object, event.from_operation.as_deref(), &event.record, &names),
            Some(operation) => {
                self.gather(connector)?;
                let operation = known_operation(connector, operation)?;
                let id = event.record_id.clone().unwrap_or_default();
                let input = self.read_input(object, operation, &event.record, &id)?;
                match self.read("event", &alias, operation, input, object, &id)? {
                    Some(_) if event.kind == "deleted" => {
                        return Err(Flow::Skipped(format!(
                            "the {} is there: a list has only left it out",
                            object.name
                        )));
                    }
                    None if event.kind == "deleted" => shaped(connector, object, None, &event.record, &names),
                    Some(found) => shaped(connector, object, Some(&operation.name), &found, &names),
                    None => return Err(Flow::Skipped(format!("the {} is gone", object.name))),
                }
            }
        };
        let from_list = read_with.and_then(|name| connector.operation(name)).is_some_and(|read| read.lists);
        let changed_at = object.changed_at.as_deref();
        let news = News { kind: &event.kind, record: &record, read_with, from_list, changed_at };
        self.compare(workflow, &alias, object, &news)?;
        if let Some(compared) = self.state.compared.as_ref().filter(|compared| compared.kind == "deleted") {
            let mut whole = compared.previous.clone();
            whole.extend(record.as_object().cloned().unwrap_or_default());
            record = Value::Object(whole);
        }
        let wanted = includes(workflow, object);
        for reference in wanted {
            self.include(&alias, connector, reference, &mut record, &names, object)?;
        }
        Ok(Some((name, record)))
    }

    /// The record of an event as far as a sync needs it, which reads both records when nobody else of us writes them: its id,
    /// and whose it is.
    fn hint(&mut self, alias: &str, connector: &Connector, object: &Object) -> Result<Value, Flow> {
        let event = &self.start.event;
        let known = |parent: &Reference| event.parent_id.is_some() || event.record.get(&parent.id).is_some();
        let id = event.record_id.clone().unwrap_or_default();
        let other = event.read_with.as_ref().filter(|name| **name != format!("{}.get", object.name));
        let (Some(name), false) = (other, object.parent.as_ref().is_none_or(known)) else {
            return Ok(event.record.clone());
        };
        let operation = known_operation(connector, name)?;
        let input = self.read_input(object, operation, &event.record, &id)?;
        let found = self.read("event", alias, operation, input, object, &id)?;
        let shaped = |found: &Value| shaped(connector, object, Some(&operation.name), found, &Names::default());
        Ok(found.as_ref().map_or_else(|| self.start.event.record.clone(), shaped))
    }

    /// A hint waits before its record is read: what the vendor tells of the record meanwhile is read with it. The run keeps
    /// its order key, so that the next one of the record finds what this one was told.
    fn gather(&mut self, connector: &Connector) -> Result<(), Flow> {
        let time = connector.webhooks.as_ref().and_then(|webhooks| webhooks.coalesce);
        // Of what a person asks for, nobody tells more.
        let is_hint = self.start.event.source != "manual" && !self.start.event.past;
        let Some(time) = time.filter(|_| is_hint) else { return Ok(()) };
        let until_ms = self.start.created_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        if self.now_ms >= until_ms || self.state.progress.contains_key("event") {
            return Ok(());
        }
        Err(self.wants(Next::Wait { until_ms, lets_go: false }))
    }

    /// What the event tells, compared once with what this workflow was told of the record before.
    fn compare(&mut self, workflow: &Workflow, alias: &str, object: &Object, news: &News<'_>) -> Result<(), Flow> {
        let event = &self.start.event;
        let (Some(connection), Some(id)) = (&event.connection, &event.record_id) else { return Ok(()) };
        if self.state.compared.is_none() {
            let of = RecordRef { connection: connection.clone(), object: object.name.clone(), id: id.clone() };
            let Some(known) = self.state.recalled.take() else { return Err(self.wants(Next::Recall { of })) };
            let (mut compared, kept) = compare(known.as_ref(), news, &self.plan.locale);
            if event.source == "manual" || event.replay_of.is_some() {
                // A person says that it is to happen, also to a record that has not changed.
                compared = Compared { kind: event.kind.clone(), nothing: None, ..compared };
            } else if compared.nothing.is_none() && !hears(workflow, alias, event, &compared.kind) {
                let message = format!("the {} is not new, and `{}` is not listened to", object.name, compared.kind);
                compared.nothing = Some(message);
            }
            let workflow = workflow.name.clone();
            self.kept.told = kept.map(|known| Told { workflow, of, known });
            self.record(Fact::Compared(Box::new(compared)));
        }
        match self.state.compared.as_ref().and_then(|compared| compared.nothing.clone()) {
            Some(why) => Err(Flow::Skipped(why)),
            None => Ok(()),
        }
    }

    /// Reads the records that a reference names, and puts them in their place.
    fn include(
        &mut self,
        alias: &str,
        connector: &Connector,
        reference: &Reference,
        record: &mut Value,
        names: &Names,
        of: &Object,
    ) -> Result<(), Flow> {
        let Some(other) = connector.object(&reference.object) else { return Ok(()) };
        let ids = ids_of(record, reference);
        let get = connector.operation(&format!("{}.get", other.name));
        let list = connector.operation(&format!("{}.list", other.name));
        let mut found = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let address = format!("include/{}/{index}", reference.name);
            let Some(operation) = get.or(list) else {
                let message = format!("`{}` of `{}` can be neither got nor listed", other.name, connector.name);
                return Err(fail("trigger", Failure::new("invalid", message)));
            };
            // One list answers for all ids.
            let address = if operation.lists { format!("include/{}", reference.name) } else { address };
            let mut input = Map::new();
            for hole in operation.input_holes().map(String::from) {
                let parent_id =
                    of.parent.as_ref().filter(|parent| parent.id == hole).and(self.start.event.parent_id.clone());
                let value = match hole.as_str() {
                    "id" => Some(Value::String(id.clone())),
                    _ => record.get(&hole).cloned().or(parent_id.map(Value::String)),
                };
                if let Some(value) = value {
                    input.insert(hole, value);
                }
            }
            if let Some(one) = self.read(&address, alias, operation, Value::Object(input), other, id)? {
                found.push(shaped(connector, other, Some(&operation.name), &one, &Names::default()));
            }
        }
        join(record, reference, &found);
        // Keyed lists may read what was joined.
        *record = of.shape(record, names);
        Ok(())
    }

    /// Reads one record by an operation that gives it, or by a list that holds it. None: there is none.
    fn read(
        &mut self,
        address: &str,
        alias: &str,
        operation: &Operation,
        input: Value,
        object: &Object,
        id: &str,
    ) -> Result<Option<Value>, Flow> {
        self.settled(address, Retry::standard(), None)?;
        let exchanges = self.state.exchanges(address);
        let mut page = Page::default();
        if let Some(last) = exchanges.last() {
            match &last.answer {
                Some(Answer::Failed(failure)) if failure.name == "not_found" => return Ok(None),
                Some(Answer::Failed(failure)) => return Err(fail(address, failure.clone())),
                Some(Answer::Done { value, next }) if !operation.lists => {
                    return Ok(Some(value.clone()).filter(|value| next.is_none() && !value.is_null()));
                }
                Some(Answer::Done { next, .. }) => {
                    let pages = exchanges.iter().filter_map(|exchange| exchange.value()?.as_array());
                    let hit =
                        pages.flatten().find(|item| item.get(&object.id).and_then(as_text).as_deref() == Some(id));
                    match (hit, next) {
                        (Some(hit), _) => return Ok(Some(hit.clone())),
                        (None, Some(next)) if exchanges.len() < PAGES_MAX => page = next.clone(),
                        _ => return Ok(None),
                    }
                }
                None => return Err(fail(address, Failure::new("unknown", "the last answer is missing"))),
            }
        }
        let (sent, start) = (exchanges.len(), self.start);
        let connection = start.connections.get(alias).map(String::as_str).unwrap_or_default();
        let name = operation.name.clone();
        let sending = Sending {
            purpose: Purpose::Read,
            alias: alias.into(),
            operation: name,
            input: input.into(),
            page,
            turns: Vec::new(),
        };
        Err(self.send(address, sent, sending, None, connection))
    }

    /// What reading the event's record needs: its id, and its parent's where the path asks for it.
    fn read_input(&self, object: &Object, operation: &Operation, hint: &Value, id: &str) -> Result<Value, Flow> {
        let mut input = Map::new();
        for hole in operation.input_holes().map(String::from) {
            let value = match hole.as_str() {
                "id" => Some(Value::String(id.into())),
                _ => {
                    let parent = object.parent.as_ref().filter(|parent| parent.id == hole);
                    let parent_id = parent.and(self.start.event.parent_id.clone());
                    let value =
                        hint.get(&hole).filter(|value| !value.is_null()).cloned().or(parent_id.map(Value::String));
                    if value.is_none() {
                        let message = format!("the event does not say `{hole}`, which `{}` needs", operation.name);
                        return Err(fail("event", Failure::new("invalid", message)));
                    }
                    value
                }
            };
            if let Some(value) = value {
                input.insert(hole, value);
            }
        }
        Ok(Value::Object(input))
    }

    /// Names of keyed lists that the workflow's values mention.
    pub(super) fn names(&mut self, frame: &mut Frame<'_>) -> Result<(), Flow> {
        let workflow = frame.workflow;
        for (alias, object_name) in workflow.objects(self.start.event.object.as_deref()) {
            let Some(connection) = frame.connections.get(&alias).cloned() else { continue };
            let Some(connector) = self.plan.connector_of(&connection) else { continue };
            let Some(object) = connector.object(&object_name) else { continue };
            let mut names = Names::default();
            for list in &object.keyed_lists {
                let settings = self.plan.connection(&connection).map(|known| &known.settings);
                if let Some(known) = settings.and_then(|settings| list.names_in(settings)) {
                    names.lists.insert(list.name.clone(), known);
                }
                let Some(operation) = list.names_from.as_ref().filter(|_| workflow.mentions(&list.name)) else {
                    continue;
                };
                let address = frame.at(&format!("names/{alias}/{object_name}/{}", list.name));
                let operation = known_operation(connector, operation)?;
                let of = (alias.as_str(), connection.as_str());
                let known = list.names_of(&self.names_records(&address, of, operation, (&list.name, false))?);
                let known = match workflow.unknown_names(&list.name, &known).is_empty() {
                    true => known,
                    false => {
                        let address = format!("{address}/fresh");
                        list.names_of(&self.names_records(&address, of, operation, (&list.name, true))?)
                    }
                };
                names.lists.insert(list.name.clone(), known);
            }
            frame.names.insert((alias, object_name), names);
        }
        Ok(())
    }

    fn names_records(
        &mut self,
        address: &str,
        (alias, connection): (&str, &str),
        operation: &Operation,
        (list, fresh): (&str, bool),
    ) -> Result<Vec<Value>, Flow> {
        self.settled(address, Retry::standard(), None)?;
        let exchanges = self.state.exchanges(address);
        let mut page = Page::default();
        if let Some(last) = exchanges.last() {
            match &last.answer {
                Some(Answer::Failed(failure)) => return Err(fail(address, failure.clone())),
                Some(Answer::Done { next: Some(next), .. }) if exchanges.len() < PAGES_MAX => page = next.clone(),
                _ => {
                    let pages = exchanges.iter().filter_map(|exchange| exchange.value()?.as_array());
                    return Ok(pages.flatten().cloned().collect());
                }
            }
        }
        let sent = exchanges.len();
        let purpose = Purpose::Names { list: list.into(), fresh };
        let name = operation.name.clone();
        let input = Value::Object(Map::new());
        let sending =
            Sending { purpose, alias: alias.into(), operation: name, input: input.into(), page, turns: Vec::new() };
        Err(self.send(address, sent, sending, None, connection))
    }
}

/// The alias that stands for the event's connection.
fn alias_of(workflow: &Workflow, connection: &str, frame: &Frame<'_>) -> Option<String> {
    let mut aliases: Vec<&str> = match &workflow.trigger.starts {
        Starts::Event(heard) => heard.iter().map(|event| event.alias.as_str()).collect(),
        Starts::Poll { alias, .. } => vec![alias],
        _ => Vec::new(),
    };
    aliases.extend(workflow.uses.iter().map(|uses| uses.alias.as_str()));
    let stands = |alias: &&&str| frame.connections.get(**alias).is_some_and(|known| known == connection);
    aliases.iter().find(stands).map(|alias| (*alias).to_string())
}

/// Does the workflow listen to this kind of the event's object? A poll of its own hears all that its list shows.
fn hears(workflow: &Workflow, alias: &str, event: &Event, kind: &str) -> bool {
    let Starts::Event(heard) = &workflow.trigger.starts else { return true };
    heard.iter().any(|heard| {
        heard.alias == alias && heard.object == event.object && heard.kinds.iter().any(|known| known == kind)
    })
}

/// What `include` names, and what keyed lists need to be read at all.
fn includes<'o>(workflow: &Workflow, object: &'o Object) -> Vec<&'o Reference> {
    let all = object.parent.iter().chain(&object.references);
    all.filter(|reference| {
        workflow.trigger.include.contains(&reference.name)
            || object.keyed_lists.iter().any(|list| list.needs(&reference.name) && workflow.mentions(&list.name))
    })
    .collect()
}

/// The ids that a reference names in a record, each once.
fn ids_of(record: &Value, reference: &Reference) -> Vec<String> {
    let one = match reference.name.rsplit_once('.') {
        None => vec![record.get(&reference.id).and_then(as_text)],
        Some((list, _)) => {
            let items = record.get(list).and_then(Value::as_array).into_iter().flatten();
            items.map(|item| item.get(&reference.id).and_then(as_text)).collect()
        }
    };
    let mut seen = BTreeSet::new();
    one.into_iter().flatten().filter(|id| seen.insert(id.clone())).collect()
}

fn shaped(connector: &Connector, object: &Object, operation: Option<&str>, record: &Value, names: &Names) -> Value {
    match operation.and_then(|name| connector.operation(name)) {
        Some(operation) if operation.object.as_deref() == Some(&object.name) => {
            operation.shape(connector, record, names)
        }
        _ => object.shape(record, names),
    }
}

fn known_operation<'c>(connector: &'c Connector, operation: &str) -> Result<&'c Operation, Flow> {
    connector.operation(operation).ok_or_else(|| {
        let message = format!("connector `{}` has no operation `{operation}`", connector.name);
        fail("event", Failure::new("invalid", message))
    })
}
