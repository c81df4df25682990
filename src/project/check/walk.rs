//! A walk through one workflow: trigger, then actions in order, with the names known at each place.

use serde_json::{Map, Value, json};

use super::fields::{field_names, has_field};
use super::names::{self, Names, is_reserved};
use super::others::Others;
use crate::connector::{Connector, Operation};
use crate::expr::{Expr, Read};
use crate::project::Plan;
use crate::source::{Diagnostic, FINDINGS_MAX, File, Report, nearest};
use crate::workflow::action::{Action, ForEach, Kind, OnError, Over, PROJECT};
use crate::workflow::{Heard, Starts, Workflow};

const NO_EVENT: &str = "write `alias.object.changed`, such as `crm.contact.changed`, or one of the vendor's own names";

/// `is_whole`: nothing of it is left out. What may be missing only because it could not be read is not told.
pub(super) fn walk(
    plan: &Plan,
    (workflow, file): (&Workflow, &File),
    is_whole: bool,
    others: &Others<'_>,
    report: &mut Report,
) {
    let mut walker = Walker { plan, workflow, file, is_whole, others, report, count: 0, ids: Vec::new(), about: None };
    let mut names = walker.roots();
    walker.vars();
    // What stands in for a trigger that cannot be read.
    let is_bare = matches!(&workflow.trigger.starts, Starts::Manual { inputs } if inputs.is_empty());
    if is_whole || !is_bare {
        walker.trigger(&mut names);
    } else {
        ["event", "inputs"].iter().for_each(|root| names.add(root, Value::Null));
    }
    walker.actions(&workflow.actions, &mut names);
    if let OnError::Actions(actions) = &workflow.on_error {
        names.add("error", names::error_schema());
        walker.actions(actions, &mut names);
    }
}

pub(super) struct Walker<'a> {
    pub plan: &'a Plan,
    pub workflow: &'a Workflow,
    pub file: &'a File,
    /// Nothing of the workflow was left out because of mistakes.
    is_whole: bool,
    pub others: &'a Others<'a>,
    report: &'a mut Report,
    /// Findings so far.
    count: usize,
    ids: Vec<String>,
    /// The name of the record that the run is about, which `link` may name.
    pub about: Option<String>,
}

impl<'a> Walker<'a> {
    fn roots(&self) -> Names {
        let mut names = Names::default();
        let vars: Vec<&String> = self.workflow.vars.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        names.add("vars", names::closed(&vars));
        let mut accounts = Map::new();
        for uses in &self.workflow.uses {
            accounts.insert(
                uses.alias.clone(),
                self.connector(&uses.alias).map_or(Value::Null, |found| found.settings.clone()),
            );
        }
        names.add("connection", json!({ "properties": accounts }));
        names.add("event", names::event_schema());
        names.add("run", names::run_schema());
        let ids: Vec<&str> = self.workflow.all_actions().iter().filter_map(|action| action.id.as_deref()).collect();
        names.add("outcome", names::outcome_schema(&ids));
        names.ids = ids.into_iter().map(String::from).collect();
        if !self.is_whole {
            names.unsure = true;
            ["vars", "outcome"].iter().for_each(|root| names.add(root, Value::Null));
        }
        names
    }

    pub fn connector(&self, alias: &str) -> Option<&'a Connector> {
        let name = self.workflow.connector_of(alias)?;
        self.plan.connector(name).or_else(|| self.plan.connector_of(name))
    }

    pub fn push(&mut self, found: Diagnostic) {
        self.count += 1;
        self.report.push(found);
    }

    fn trigger(&mut self, names: &mut Names) {
        let trigger = &self.workflow.trigger;
        match &trigger.starts {
            Starts::Event(heard) => {
                for event in heard {
                    self.heard(event);
                }
                if let Some(event) = heard.first().filter(|event| event.alias != PROJECT)
                    && let Some(object) = &event.object
                {
                    self.record(&event.alias, object, &event.pointer, names);
                }
                self.body_of_project(heard, names);
            }
            Starts::Manual { inputs } => {
                self.defaults(inputs);
                names.add("inputs", json!({ "properties": inputs }));
            }
            Starts::Webhook { schema, .. } => names.extend_field("event", "body", schema.clone()),
            Starts::Poll { alias, operation, with, .. } => {
                let pointer = "/trigger/poll";
                if let Some((connector, operation)) = self.operation(alias, operation, pointer) {
                    self.must_list(connector, operation, pointer);
                    self.with(with.as_ref(), connector, operation, None, ("/trigger", "poll"), names);
                    match &operation.object {
                        Some(object) => self.record(alias, object, pointer, names),
                        None => {
                            names.unsure = true;
                            self.of_no_object(operation, pointer);
                        }
                    }
                } else {
                    names.unsure = true;
                }
            }
            Starts::Schedule { .. } => {}
        }
        if self.about.is_none()
            && matches!(trigger.starts, Starts::Event(_) | Starts::Webhook { .. } | Starts::Schedule { .. })
        {
            names.about_nothing();
        }
        if let Some(name) = &trigger.name {
            self.free(name, "/trigger/as");
        }
        if let Some(condition) = &trigger.only_if {
            self.condition(condition, "/trigger/only_if", names);
        }
        if let Some(expr) = &trigger.in_order_by {
            self.value(expr, "/trigger/in_order_by", names);
        }
    }

    /// Does the event exist?
    pub fn heard(&mut self, event: &Heard) {
        if event.alias == PROJECT {
            return self.heard_of_project(event);
        }
        let Some(connector) = self.aliased(&event.alias, &event.pointer) else { return };
        let Some(object) = &event.object else {
            let name = event.kinds.first().map(String::as_str).unwrap_or_default();
            let events: Vec<&str> = connector
                .webhooks
                .iter()
                .flat_map(|webhooks| &webhooks.events)
                .map(|event| event.name.as_str())
                .collect();
            if !events.contains(&name) {
                let message = format!("connector `{}` sends no event `{name}`", connector.name);
                let found = Diagnostic::error("unknown-event", message).at(self.file, &event.pointer, "");
                let objects = connector.objects.iter().map(|object| object.name.as_str());
                self.push(match nearest(name, objects) {
                    Some(object) => found.help(format!("did you mean `{}.{object}.changed`?", event.alias)),
                    None => found.help(NO_EVENT).nearest(name, events),
                });
            }
            return;
        };
        match connector.object(object) {
            None => {
                let objects = connector.objects.iter().map(|object| object.name.as_str());
                let message = format!("connector `{}` has no object `{object}`", connector.name);
                self.push(
                    Diagnostic::error("unknown-object", message)
                        .at(self.file, &event.pointer, "")
                        .nearest(object, objects),
                );
            }
            Some(object) if object.changes.webhook.is_empty() && object.changes.feeds().next().is_none() => {
                let message =
                    format!("connector `{}` has no way to notice changes of `{}`", connector.name, object.name);
                let found = Diagnostic::error("no-changes", message).at(self.file, &event.pointer, "");
                self.push(found.help(format!("add `changes:` to object `{}` in the connector", object.name)));
            }
            Some(_) => {}
        }
    }

    /// The trigger's record becomes a name, with what `include` reads into it.
    fn record(&mut self, alias: &str, named: &str, pointer: &str, names: &mut Names) {
        let connector = self.connector(alias);
        let Some((connector, object)) = connector.and_then(|known| Some((known, known.object(named)?))) else {
            names.unsure = true;
            return;
        };
        let name = self.workflow.trigger.record_name(&object.name).to_owned();
        if self.workflow.trigger.name.is_none() && is_reserved(&name) {
            let message = format!("the object's name `{name}` has a meaning of its own: `$.{name}`");
            let found = Diagnostic::error("name-clash", message).at(self.file, pointer, "");
            self.push(found.help("add `as: another_name` to the trigger"));
        }
        let mut schema = object.schema.clone();
        for (index, include) in self.workflow.trigger.include.iter().enumerate() {
            let reference = object.parent.iter().chain(&object.references).find(|reference| reference.name == *include);
            match reference.and_then(|reference| Some((reference, connector.object(&reference.object)?))) {
                Some((reference, other)) if !reference.name.contains('.') && schema.is_object() => {
                    schema["properties"][&reference.name] = other.schema.clone();
                }
                Some((reference, other)) => include_in_items(&mut schema, &reference.name, &other.schema),
                None => {
                    let known = object.parent.iter().chain(&object.references).map(|reference| reference.name.as_str());
                    let message = format!("`{}` has no reference `{include}`", object.name);
                    let found = Diagnostic::error("unknown-reference", message);
                    let found = found.at(self.file, &format!("/trigger/include/{index}"), "");
                    self.push(found.nearest(include, known));
                    // What it would have brought is not missing as well.
                    if let Value::Object(schema) = &mut schema {
                        schema.insert("additionalProperties".into(), true.into());
                    }
                }
            }
        }
        self.about = Some(name.clone());
        if !is_reserved(&name) {
            names.add(&name, schema);
        }
    }

    /// A list of which no record has an id that is known.
    fn of_no_object(&mut self, operation: &Operation, pointer: &str) {
        if operation.lists {
            let message = format!("`{}` is of no object, so that its records cannot be told apart", operation.name);
            let found = Diagnostic::error("wrong-operation", message).at(self.file, pointer, "");
            self.push(found.help("make it the `list` of an object of the connector"));
        }
    }

    fn must_list(&mut self, connector: &Connector, operation: &Operation, pointer: &str) {
        if !operation.lists {
            let all = connector.operations();
            let mut lists: Vec<_> = all.iter().filter(|other| other.lists).collect();
            if lists.iter().any(|other| other.object == operation.object) {
                lists.retain(|other| other.object == operation.object);
            }
            let lists: Vec<&str> = lists.iter().map(|other| other.name.as_str()).collect();
            let found = Diagnostic::error("not-a-list", format!("`{}` gives no list", operation.name));
            self.push(found.at(self.file, pointer, "").one_of(&lists));
        }
    }

    fn actions(&mut self, actions: &[Action], names: &mut Names) {
        self.follows(actions);
        for action in actions {
            // More would not be told, and to look for the name that was meant takes time.
            if self.count >= FINDINGS_MAX {
                return self.report.leave_out(&self.file.path, 0);
            }
            self.action(action, names);
        }
    }

    fn action(&mut self, action: &Action, names: &mut Names) {
        let at = |key: &str| format!("{}/{key}", action.pointer);
        if let Some(condition) = &action.only_if {
            self.condition(condition, &at("only_if"), names);
        }
        let mut result = Value::Null;
        match &action.kind {
            Kind::Call(call) => {
                if let Some((connector, operation)) = self.operation(&call.alias, &call.operation, &at("call")) {
                    self.with(call.with.as_ref(), connector, operation, None, (&action.pointer, "call"), names);
                    result = result_schema(connector, operation);
                } else if let Some(with) = &call.with {
                    self.value(with, &at("with"), names);
                }
            }
            Kind::Upsert(upsert) => result = self.upsert(action, upsert, names),
            Kind::Set(set) => {
                self.value(&set.values, &at("set"), names);
                let fields = set.values.fields().unwrap_or_default();
                result = names::closed(&fields.iter().map(|(field, _)| *field).collect::<Vec<_>>());
            }
            Kind::If(choice) => {
                self.condition(&choice.condition, &at("if"), names);
                self.actions(&choice.then, names);
                self.actions(&choice.otherwise, names);
            }
            Kind::Switch(switch) => {
                self.value(&switch.value, &at("switch"), names);
                self.switch(switch, &action.pointer, names);
                for case in &switch.cases {
                    self.actions(&case.actions, names);
                }
                self.actions(&switch.default, names);
            }
            Kind::Parallel(parallel) => {
                // A branch does not know what the others do.
                let branches = parallel.branches.iter().enumerate().map(|(index, branch)| {
                    let mut inner = names.clone();
                    let others = parallel.branches.iter().enumerate().filter(|(other, _)| *other != index);
                    let actions = others.flat_map(|(_, other)| &other.actions);
                    inner.beside.extend(actions.filter_map(|action| action.id.clone()));
                    self.actions(&branch.actions, &mut inner);
                    inner
                });
                let branches: Vec<Names> = branches.collect();
                branches.into_iter().for_each(|branch| names.join(branch));
            }
            Kind::ForEach(each) => self.for_each(action, each, names),
            Kind::Wait(wait) => result = self.wait(action, wait, names),
            // Nobody writes it.
            Kind::Hear(_) | Kind::Reconcile(_) | Kind::Cascade(_) => {}
            Kind::Run(run) => self.run(action, run, names),
            Kind::Emit(emit) => self.emit(action, emit, names),
            Kind::Stop(stop) => self.value(&stop.value, &at("stop"), names),
            Kind::Fail(fail) => self.value(&fail.text, &at("fail"), names),
        }
        if let Some(id) = &action.id {
            if self.free(id, &at("id")) && names.has(id) {
                let message = format!("two things are called `{id}`");
                self.push(
                    Diagnostic::error("name-clash", message).at(self.file, &at("id"), "").help("choose another id"),
                );
            }
            self.ids.push(id.clone());
            names.add(id, result);
        }
        if let OnError::Actions(actions) = &action.on_error {
            let mut inner = names.clone();
            inner.add("error", names::error_schema());
            self.actions(actions, &mut inner);
            names.join(inner.without("error"));
        }
    }

    fn for_each(&mut self, action: &Action, each: &ForEach, names: &mut Names) {
        let pointer = format!("{}/for_each", action.pointer);
        let mut item = Value::Null;
        match &each.over {
            Over::List(list) => {
                self.value(list, &pointer, names);
                self.must_be_list(list, &pointer, names);
                item = list.as_path().and_then(|path| names.items_of(path)).cloned().unwrap_or(Value::Null);
            }
            Over::Operation { alias, operation, with } => {
                if let Some((connector, operation)) = self.operation(alias, operation, &pointer) {
                    self.must_list(connector, operation, &pointer);
                    self.with(with.as_ref(), connector, operation, None, (&action.pointer, "for_each"), names);
                    let object = operation.object.as_deref().and_then(|object| connector.object(object));
                    item = object.map_or(Value::Null, |object| object.schema.clone());
                }
            }
        }
        let written = self.file.value.pointer(&format!("{}/as", action.pointer)).is_some();
        let place = if written { format!("{}/as", action.pointer) } else { pointer };
        if !self.free(&each.name, &place) {
            item = Value::Null;
        } else if names.has(&each.name) {
            let found = Diagnostic::error("name-clash", format!("two things are called `{}`", each.name));
            self.push(found.at(self.file, &place, "").help("give the item another name: `as: other_name`"));
        }
        let mut inner = names.clone();
        inner.add(&each.name, item);
        self.actions(&each.actions, &mut inner);
    }

    fn upsert(&mut self, action: &Action, upsert: &crate::workflow::action::Upsert, names: &Names) -> Value {
        let at = |key: &str| format!("{}/{key}", action.pointer);
        if let Some(link) = &upsert.link {
            self.value(link, &at("link"), names);
            let path = link.reads().first().map(|read| read.names.join(".")).unwrap_or_default();
            let includes = &self.workflow.trigger.include;
            let included = |name: &String| {
                path == *name
                    || path
                        .strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix('.'))
                        .is_some_and(|rest| includes.iter().any(|known| known == rest))
            };
            let is_known = self.is_whole || self.about.is_some();
            if is_known && !self.about.as_ref().is_some_and(included) {
                let found = Diagnostic::error("bad-link", "`link` names the record that the run is about");
                let example = self.about.clone().unwrap_or_else(|| "contact".into());
                self.push(found.at(self.file, &at("link"), "").help(format!("write `link: $.{example}`")));
            }
        }
        let Some(connector) = self.aliased(&upsert.alias, &at("upsert")) else { return Value::Null };
        let Some(object) = connector.object(&upsert.object) else {
            let objects = connector.objects.iter().map(|object| object.name.as_str());
            let message = format!("connector `{}` has no object `{}`", connector.name, upsert.object);
            let found = Diagnostic::error("unknown-object", message).at(self.file, &at("upsert"), "");
            self.push(found.nearest(&upsert.object, objects));
            return Value::Null;
        };
        let fields = upsert.fields.as_ref().unwrap_or(&object.identity);
        let lacks = connector.lacks_for_upsert(object, !fields.is_empty());
        if !lacks.is_empty() {
            let lacks = lacks.join("`, `");
            let message = format!("`{}` cannot be upserted: its connector has no `{lacks}` for it", object.name);
            let found = Diagnostic::error("cannot-upsert", message).at(self.file, &at("upsert"), "");
            self.push(
                found.help("use `call` with an operation that there is, or describe the others in the connector"),
            );
        }
        let given = upsert.with.as_ref().and_then(Expr::fields);
        for (index, field) in fields.iter().enumerate() {
            let place = if upsert.fields.is_some() { at(&format!("match/{index}")) } else { at("upsert") };
            if !has_field(object, field) {
                let known = field_names(object);
                let message = format!("`{}` has no field `{field}`", object.name);
                let found = Diagnostic::error("unknown-field", message).at(self.file, &place, "");
                self.push(found.nearest(field, known));
            }
        }
        if let Some(given) = &given
            && !fields.is_empty()
            && fields.iter().all(|field| has_field(object, field))
            && !fields.iter().any(|field| given.iter().any(|(name, _)| name == field))
        {
            let list = fields.join("`, `");
            let message = format!("`with` gives none of the fields to find the record by: `{list}`");
            let found = Diagnostic::error("missing-field", message).at_key(self.file, &at("with"), "");
            self.push(
                found.help(format!("add `{}:` under `with`, or name a field that it gives in `match:`", fields[0])),
            );
        }
        if let Some(create) = connector.operation(&format!("{}.create", object.name)) {
            self.with(upsert.with.as_ref(), connector, create, Some(object), (&action.pointer, "upsert"), names);
        }
        object.schema.clone()
    }

    pub fn reads(&mut self, reads: &[Read], pointer: &str, names: &Names) {
        for read in reads {
            if let Some(found) = names.check(read, self.file, &format!("{pointer}{}", read.pointer)) {
                self.push(found);
            }
        }
    }

    /// The connector that an alias names, or a finding; what is wrong with an alias of `uses` is told there.
    fn aliased(&mut self, alias: &str, pointer: &str) -> Option<&'a Connector> {
        let connector = self.connector(alias);
        if self.workflow.connector_of(alias).is_none() {
            let aliases = self.workflow.uses.iter().map(|uses| uses.alias.as_str());
            let found =
                Diagnostic::error("unknown-alias", format!("`uses` has no `{alias}`")).at(self.file, pointer, "");
            // The connector's own name, or a connector that `uses` does not give an alias yet.
            let own = self.workflow.uses.iter().find(|uses| uses.name == alias);
            let names = self.plan.connectors.iter().map(|connector| connector.name.as_str());
            let name = nearest(alias, names).unwrap_or("name-of-a-connector");
            self.push(match own {
                Some(own) => found.help(format!("write its alias: `{}`", own.alias)),
                None => found.help(format!("add it: `uses: {{ {alias}: {name} }}`")).nearest(alias, aliases),
            });
        }
        connector
    }

    fn operation(&mut self, alias: &str, name: &str, pointer: &str) -> Option<(&'a Connector, &'a Operation)> {
        let connector = self.aliased(alias, pointer)?;
        if let Some(operation) = connector.operation(name) {
            return Some((connector, operation));
        }
        let all: Vec<&str> = connector.operations().iter().map(|operation| operation.name.as_str()).collect();
        let message = format!("connector `{}` has no operation `{name}`", connector.name);
        let found = Diagnostic::error("unknown-operation", message).at(self.file, pointer, "");
        // An object's name alone, or a wrong operation of a right object.
        let object = name.split('.').next().unwrap_or(name);
        if name.contains('.') && connector.object(object).is_none() {
            let objects = connector.objects.iter().map(|object| object.name.as_str());
            let message = format!("connector `{}` has no object `{object}`", connector.name);
            let found = Diagnostic::error("unknown-object", message).at(self.file, pointer, "");
            self.push(found.nearest(object, objects));
            return None;
        }
        let own: Vec<&str> =
            all.iter().copied().filter(|known| known.split_once('.').is_some_and(|(of, _)| of == object)).collect();
        self.push(match nearest(name, all.iter().copied()) {
            Some(_) if name.contains('.') => found.nearest(name, all),
            _ if own.is_empty() => found.nearest(name, all),
            _ => found.one_of(&own),
        });
        None
    }

    /// A name that documents choose must not have a meaning of its own.
    fn free(&mut self, name: &str, pointer: &str) -> bool {
        let taken = is_reserved(name);
        if taken {
            let message = format!("the name `{name}` has a meaning of its own: `$.{name}`");
            self.push(Diagnostic::error("name-clash", message).at(self.file, pointer, "").help("choose another name"));
        }
        !taken
    }
}

/// What a call's result looks like, as far as it is certain.
fn result_schema(connector: &Connector, operation: &Operation) -> Value {
    let Some(object) = operation.object.as_deref().and_then(|object| connector.object(object)) else {
        return Value::Null;
    };
    let standard = ["get", "create", "update"].iter().any(|name| operation.name == format!("{}.{name}", object.name));
    if standard { object.schema.clone() } else { Value::Null }
}

/// `answers.asked`: each item of the list `answers` gets a field `asked`.
fn include_in_items(schema: &mut Value, reference: &str, other: &Value) {
    let Some((list, name)) = reference.rsplit_once('.') else { return };
    if schema["properties"].get(list).is_some_and(|list| list.get("items").is_some()) {
        schema["properties"][list]["items"]["properties"][name] = other.clone();
    }
}
