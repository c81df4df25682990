//! Operations: the request line, what is sent, what is promised, and what to do when nothing is known.

use std::time::Duration;

use serde_json::Value;

use super::document::{HEADER, headers};
use super::reader::{Reader, Side, under};
use super::schema;
use crate::connector::address::{header_name_fault, holes, request_line};
use crate::connector::body::Shape;
use crate::connector::outcome::FAILURE_NAMES;
use crate::connector::page::{self, Pages};
use crate::connector::spelling::Spelling;
use crate::connector::written::{Document, IfUnsureWord, IfUnsureWritten, OperationWritten, SpellingWritten};
use crate::connector::{Connector, IfUnsure, Object, Operation, Unsure};
use crate::expr::Expr;
use crate::source::{Diagnostic, nearest};

/// An operation of an object, or of none.
pub(super) fn read(
    reader: &mut Reader<'_>,
    pointer: &str,
    name: &str,
    written: &OperationWritten,
    object: Option<&Object>,
) -> Option<Operation> {
    reader.check_name(pointer, "an operation", name);
    let full = object.map_or_else(|| name.to_owned(), |object| format!("{}.{name}", object.name));
    let line = match request_line(&written.request) {
        Ok(line) => Some(line),
        Err((message, help)) => {
            reader.error("bad-request-line", &under(pointer, "request"), message, help);
            None
        }
    };
    let query = query(reader, &under(pointer, "query"), written);
    let headers = headers(reader, &under(pointer, "headers"), &written.headers, Side::Request);
    let (spelling, spellings) = spellings(reader, &under(pointer, "spelling"), written);
    let body = written.body.as_ref().and_then(|body| reader.expr(&under(pointer, "body"), body, Side::Request));
    let add = written.add.as_ref().and_then(|add| reader.expr(&under(pointer, "add"), add, Side::Request));
    let returns = written.returns.as_ref().and_then(|path| reader.path(&under(pointer, "returns"), path));
    let items = written.items.as_ref().and_then(|path| reader.path(&under(pointer, "items"), path));
    if returns.is_some() && items.is_some() {
        reader.error(
            "one-kind",
            &under(pointer, "returns"),
            "an answer is one record or a list",
            "give either `returns` or `items`",
        );
    }
    let pages = written.pages.as_ref().and_then(|pages| page::read(reader, &under(pointer, "pages"), pages));
    if pages.is_some() && items.is_none() {
        let help = "say where the records stand: `items: $.contacts`";
        reader.key_error("missing-key", &under(pointer, "pages"), "pages of what? there is no `items`", help);
    }
    for (theirs, ours) in written.rename.iter() {
        if let Some(object) = object
            && object.knows(ours) == Some(false)
        {
            let at = under(&under(pointer, "rename"), theirs);
            super::object::unknown_field(reader, &at, object, ours);
        }
    }
    let (method, pieces) = line?;
    let elsewhere = query.iter().chain(&headers).flat_map(|(_, expr)| expr.reads());
    let sent_elsewhere = elsewhere.filter_map(|read| input_name(&read.names)).collect();
    let from_settings: Vec<String> = holes(&pieces)
        .filter(|hole| reader.settings.iter().any(|setting| setting == hole))
        .map(str::to_owned)
        .collect();
    let input_holes: Vec<&str> =
        holes(&pieces).filter(|hole| !from_settings.iter().any(|setting| setting == hole)).collect();
    let reads = written.reads || matches!(method.as_str(), "GET" | "HEAD");
    check_paging_is_used(reader, pointer, pages.as_ref(), &query, &headers, body.as_ref(), add.as_ref());
    check_body(reader, pointer, &method, written);
    let input = input(reader, pointer, name, written, object, &input_holes, reads);
    let output = schema::schema(reader, &under(pointer, "output"), written.output.as_ref());
    let idempotency_header = written.idempotency.as_ref().map(|idempotency| {
        if let Some(fault) = header_name_fault(&idempotency.header) {
            reader.error("bad-header", &under(&under(pointer, "idempotency"), "header"), fault, HEADER);
        }
        idempotency.header.clone()
    });
    let if_unsure = if_unsure(reader, pointer, written, &method, reads);
    Some(Operation {
        takes: Default::default(),
        name: full,
        object: object.map(|object| object.name.clone()),
        path: written.request.split_once(' ').map_or_else(String::new, |(_, path)| path.to_owned()),
        method,
        scope: written.scope.clone(),
        description: written.description.clone(),
        input,
        output,
        reads,
        lists: items.is_some(),
        paging: pages.as_ref().map(Pages::told),
        if_unsure,
        place: reader.file(pointer).place(pointer),
        pieces,
        from_settings,
        query,
        headers,
        body,
        add,
        shape: shape(written),
        sent_elsewhere,
        spellings,
        spelling,
        returns,
        items,
        pages,
        rename: written.rename.0.clone(),
        idempotency_header,
        expected: Default::default(),
    })
}

/// `name` of `$.input.name`.
fn input_name(names: &[String]) -> Option<String> {
    names.first().filter(|root| *root == "input").and(names.get(1)).cloned()
}

fn shape(written: &OperationWritten) -> Shape {
    match (written.form, written.multipart) {
        (_, true) => Shape::Multipart,
        (true, false) => Shape::Form,
        (false, false) => Shape::Json,
    }
}

fn query(reader: &mut Reader<'_>, pointer: &str, written: &OperationWritten) -> Vec<(String, Expr)> {
    let mut query = Vec::new();
    for (name, value) in written.query.iter() {
        if let Some(expr) = reader.expr(&under(pointer, name), value, Side::Request) {
            query.push((name.to_owned(), expr));
        }
    }
    query
}

/// One spelling for all, and those by name. A name that is no parameter would be one that is misspelt.
fn spellings(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &OperationWritten,
) -> (Option<Spelling>, Vec<(String, Spelling)>) {
    let named = match &written.spelling {
        None => return (None, Vec::new()),
        Some(SpellingWritten::All(all)) => return (Some(*all), Vec::new()),
        Some(SpellingWritten::Each(named)) => named,
    };
    for (name, _) in named.iter() {
        let known: Vec<&str> = written.query.iter().map(|(name, _)| name).collect();
        if !written.form && !known.contains(&name) {
            let message = format!("`query` has no `{name}` to spell");
            reader.unknown("unknown-field", &under(pointer, name), message, name, known);
        }
    }
    (None, named.0.clone())
}

/// A list whose request does not say which page it asks for would get the first one for ever.
fn check_paging_is_used(
    reader: &mut Reader<'_>,
    pointer: &str,
    pages: Option<&Pages>,
    query: &[(String, Expr)],
    headers: &[(String, Expr)],
    body: Option<&Expr>,
    add: Option<&Expr>,
) {
    let Some(part) = pages.and_then(Pages::must_read) else { return };
    let all = query.iter().chain(headers).map(|(_, expr)| expr).chain(body).chain(add);
    let used = all.flat_map(Expr::reads).any(|read| {
        read.names.first().is_some_and(|root| root == "page") && read.names.get(1).is_none_or(|name| name == part)
    });
    if !used {
        let message = format!("the request never says `$.page.{part}`, so that every page would be the first");
        let help = format!("e.g. `query: {{ page: $.page.{part} }}`, named as the API names it");
        reader.key_error("page-not-used", &under(pointer, "pages"), message, help);
    }
}

fn check_body(reader: &mut Reader<'_>, pointer: &str, method: &str, written: &OperationWritten) {
    let sends = matches!(method, "POST" | "PUT" | "PATCH") || written.body.is_some();
    for (key, given) in [("add", written.add.is_some()), ("form", written.form), ("multipart", written.multipart)] {
        if given && !sends {
            let help = "write `body:`, or put the values under `query:`";
            reader.key_error(
                "no-body",
                &under(pointer, key),
                format!("`{key}` is for a body, and {method} has none"),
                help,
            );
        }
    }
    if written.form && written.multipart {
        let help = "`multipart` is a form too, for files: remove `form`";
        reader.key_error("one-kind", &under(pointer, "form"), "a body is a form of one kind", help);
    }
    if method == "HEAD" && written.body.is_some() {
        reader.key_error("no-body", &under(pointer, "body"), "HEAD has no body", "put the values under `query:`");
    }
    if let Some(add) = &written.add
        && !add.is_object()
    {
        let help = "write one `field: value` per line below it";
        reader.error("wrong-type", &under(pointer, "add"), "`add` is a map of fields", help);
    }
}

fn input(
    reader: &mut Reader<'_>,
    pointer: &str,
    name: &str,
    written: &OperationWritten,
    object: Option<&Object>,
    holes: &[&str],
    reads: bool,
) -> Value {
    if let Some(given) = &written.input {
        let mut schema = schema::schema(reader, &under(pointer, "input"), Some(given));
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        for hole in holes {
            let known = schema.get("properties").is_some_and(|properties| properties.get(*hole).is_some());
            if closed && !known {
                let at = under(pointer, "request");
                let message = format!("nothing fills `{{{hole}}}`");
                let names: Vec<String> = schema
                    .get("properties")
                    .and_then(Value::as_object)
                    .map(|map| map.keys().cloned().collect())
                    .unwrap_or_default();
                let candidates = names.iter().map(String::as_str);
                let help = format!("add `{hole}` to the `properties` of `input`");
                let near = nearest(hole, candidates).map(|near| format!("did you mean `{{{near}}}`?"));
                reader.error("unfilled-hole", &at, message, near.unwrap_or(help));
            }
        }
        schema::add_holes(&mut schema, holes);
        return schema;
    }
    match object {
        Some(object) if !reads && matches!(name, "create" | "update" | "upsert") => {
            let mut left_out = object.read_only.clone();
            if name == "update" {
                left_out.extend(object.create_only.iter().cloned());
            }
            left_out.retain(|field| !holes.contains(&field.as_str()));
            let mut schema = schema::input(Some(&object.schema), &left_out, holes);
            if name == "create" {
                // The id comes from the API, whether it is marked so or not.
                left_out.push(object.id.clone());
                schema::require(&mut schema, &object.schema, &left_out);
            }
            schema
        }
        _ => schema::input(None, &[], holes),
    }
}

fn if_unsure(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &OperationWritten,
    method: &str,
    reads: bool,
) -> IfUnsure {
    let mut unsure =
        IfUnsure { after: vec!["timeout".into(), "transient".into()], then: Unsure::Ask, wait: Duration::ZERO };
    let at = under(pointer, "if_unsure");
    match &written.if_unsure {
        Some(IfUnsureWritten::Word(IfUnsureWord::SendAgain)) => unsure.then = Unsure::SendAgain,
        Some(IfUnsureWritten::Word(IfUnsureWord::Ask)) => {}
        Some(IfUnsureWritten::Look(look)) => {
            if let Some(after) = &look.after {
                for (index, name) in after.iter().enumerate() {
                    if !FAILURE_NAMES.contains(&name.as_str()) {
                        let place = format!("{at}/after/{index}");
                        reader.unknown(
                            "unknown-error",
                            &place,
                            format!("`{name}` is no error's name"),
                            name,
                            FAILURE_NAMES,
                        );
                    }
                }
                unsure.after = after.clone();
            }
            if let Some(wait) = &look.wait {
                unsure.wait = reader.duration(&under(&at, "wait"), wait);
            }
            unsure.then = Unsure::LookWith { operation: look.look_with.clone(), same: look.same.clone() };
        }
        None if reads || matches!(method, "PUT" | "DELETE") || written.idempotency.is_some() => {
            unsure.then = Unsure::SendAgain;
        }
        None if method == "POST" => {
            let found = Diagnostic::warning(
                "unsure-create",
                "nothing says what to do when it is not known whether this was done",
            )
            .at_key(reader.file(pointer), pointer, "after a timeout a person has to decide")
            .help("say `if_unsure: { look_with: find }`, `if_unsure: send_again`, or `if_unsure: ask`");
            reader.report.push(found);
        }
        None => {}
    }
    unsure
}

/// Names of other operations, once all are known.
pub(super) fn check_links(reader: &mut Reader<'_>, document: &Document, connector: &mut Connector) {
    let mut found: Vec<(String, String)> = Vec::new();
    for (object, written) in document.objects.iter() {
        for (short, call) in written.operations.iter() {
            let pointer = under(&under(&under("/objects", object), "operations"), short);
            if let Some(full) = check_look_with(reader, &pointer, call, Some(object), connector) {
                found.push((format!("{object}.{short}"), full));
            }
        }
    }
    for (name, call) in document.operations.iter() {
        if let Some(full) = check_look_with(reader, &under("/operations", name), call, None, connector) {
            found.push((name.to_owned(), full));
        }
    }
    for (name, full) in found {
        let operation = connector.operations.iter_mut().find(|operation| operation.name == name);
        if let Some(Unsure::LookWith { operation, .. }) = operation.map(|operation| &mut operation.if_unsure.then) {
            *operation = full;
        }
    }
}

fn check_look_with(
    reader: &mut Reader<'_>,
    pointer: &str,
    call: &OperationWritten,
    object: Option<&str>,
    connector: &Connector,
) -> Option<String> {
    let Some(IfUnsureWritten::Look(look)) = &call.if_unsure else { return None };
    let at = under(pointer, "if_unsure");
    let full = named(reader, &under(&at, "look_with"), &look.look_with, object, connector)?;
    let with = connector.operation(&full)?;
    if !with.reads {
        let message = format!("`{full}` changes something: it cannot be used to look");
        reader.error("wrong-operation", &under(&at, "look_with"), message, "name an operation that reads");
    }
    if with.lists && with.short_name() != "find" && look.same.is_empty() {
        let help = "name the fields that tell the record: `same: [title, dueDate]`";
        reader.key_error("missing-key", &under(&at, "look_with"), "a list of records, and nothing to compare", help);
    }
    if let Some(object) = object.and_then(|name| connector.object(name)) {
        for (index, field) in look.same.iter().enumerate() {
            super::object::check_field(reader, &format!("{at}/same/{index}"), object, field);
        }
    }
    Some(full)
}

/// The full name of an operation that is named inside an object, shortly or in full.
pub(super) fn named(
    reader: &mut Reader<'_>,
    pointer: &str,
    name: &str,
    object: Option<&str>,
    connector: &Connector,
) -> Option<String> {
    let own = object.map(|object| format!("{object}.{name}"));
    let full = [own, Some(name.to_owned())].into_iter().flatten().find(|full| connector.operation(full).is_some());
    if full.is_none() {
        let prefix = object.map(|object| format!("{object}.")).unwrap_or_default();
        let names = connector
            .operations
            .iter()
            .map(|operation| operation.name.strip_prefix(&prefix).unwrap_or(&operation.name));
        let names: Vec<&str> = names.collect();
        reader.unknown("unknown-operation", pointer, format!("there is no operation `{name}`"), name, names);
    }
    full
}
