//! Objects: their fields, and the names by which they reach operations, events and each other.

use std::time::Duration;

use serde_json::{Value, json};

use super::operation::named;
use super::reader::{Reader, under};
use super::schema;
use crate::connector::address::{holes, request_line};
use crate::connector::written::{
    Document, KeyedListWritten, Named, NamesWritten, ObjectWritten, ParentWritten, PollWritten, ReferenceWritten,
    ScanWritten,
};
use crate::connector::{Change, Connector, Feed, KeyedList, Object, Reference, field};
use crate::expr::{FieldType, Path};
use crate::source::Diagnostic;

pub(super) fn read(
    reader: &mut Reader<'_>,
    pointer: &str,
    name: &str,
    written: &ObjectWritten,
    all: &Named<ObjectWritten>,
) -> Object {
    reader.check_name(pointer, "an object", name);
    let mut schema = schema::schema(reader, &under(pointer, "schema"), written.schema.as_ref());
    let mut read_only = written.read_only.clone();
    for field in schema::read_only(&schema) {
        if !read_only.contains(&field) {
            read_only.push(field);
        }
    }
    let keyed_lists: Vec<KeyedList> = written
        .keyed_lists
        .iter()
        .filter_map(|(list, keyed)| keyed_list(reader, &under(&under(pointer, "keyed_lists"), list), list, keyed))
        .collect();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for list in &keyed_lists {
            properties
                .entry(list.name.clone())
                .or_insert_with(|| json!({ "type": "object", "additionalProperties": true }));
        }
    }
    let fields = if schema.is_null() { FieldType::Any } else { FieldType::of_schema(&schema) };
    let references = references(reader, pointer, written, all);
    let parent = parent(reader, pointer, name, written, &references, all, &fields);
    let object = Object {
        name: name.to_owned(),
        schema,
        fields,
        id: written.id.clone().unwrap_or_else(|| "id".into()),
        created_at: written.created_at.clone(),
        changed_at: written.changed_at.clone(),
        identity: written.identity.clone(),
        normalize: written
            .normalize
            .iter()
            .map(|(field, rule)| (field.to_owned(), format!("{rule:?}").to_lowercase()))
            .collect(),
        read_only,
        create_only: written.create_only.clone(),
        whole_lists: written.whole_lists.clone(),
        confirm_writes: written.confirm_writes,
        parent,
        references,
        keyed_lists,
        fields_at: written.fields_at.clone(),
        operations: written.operations.iter().map(|(short, _)| format!("{name}.{short}")).collect(),
        changes: Change::default(),
        description: written.description.clone(),
    };
    check_fields(reader, pointer, written, &object);
    object
}

fn check_fields(reader: &mut Reader<'_>, pointer: &str, written: &ObjectWritten, object: &Object) {
    for (name, reference) in written.references.iter() {
        // The id is a field like any other; for `answers.asked` it lies in the items of the list.
        let (key, field) = match name.rsplit_once('.') {
            Some((list, _)) => (name, list),
            None => ("id", reference.id.as_str()),
        };
        if object.knows(name) == Some(true) {
            let message = format!("`{name}` is a field of `{}` and cannot also be a reference", object.name);
            let at = under(&under(pointer, "references"), name);
            reader.key_error("name-clash", &at, message, "choose another name for the reference");
        }
        let FieldType::Map { fields, open: false } = &object.fields else { continue };
        let first = field::names(field).into_iter().next().unwrap_or_default();
        if first != object.id && !fields.iter().any(|(known, _)| *known == first) {
            let at = under(&under(pointer, "references"), name);
            let at = if key == "id" { under(&at, "id") } else { at };
            unknown_field(reader, &at, object, field);
        }
    }
    let lists = [
        ("identity", &written.identity),
        ("read_only", &written.read_only),
        ("create_only", &written.create_only),
        ("whole_lists", &written.whole_lists),
    ];
    for (key, fields) in lists {
        for (index, name) in fields.iter().enumerate() {
            check_field(reader, &format!("{pointer}/{key}/{index}"), object, name);
        }
    }
    for (key, name) in [("created_at", &written.created_at), ("changed_at", &written.changed_at)] {
        if let Some(name) = name {
            check_field(reader, &under(pointer, key), object, name);
        }
    }
    for (name, _) in written.normalize.iter() {
        check_field_key(reader, &under(&under(pointer, "normalize"), name), object, name);
    }
}

/// A field must be one of the schema's, if there is a schema that knows them all; else it is worth a word.
pub(super) fn check_field(reader: &mut Reader<'_>, pointer: &str, object: &Object, name: &str) {
    if !knows(object, name) {
        unknown_field(reader, pointer, object, name);
    }
}

/// The same where the field is a key.
fn check_field_key(reader: &mut Reader<'_>, pointer: &str, object: &Object, name: &str) {
    if !knows(object, name) {
        let (message, names) = no_field(object, name);
        let found = Diagnostic::error("unknown-field", message).at_key(reader.file(pointer), pointer, "");
        reader.report.push(found.nearest(name, names));
    }
}

fn knows(object: &Object, name: &str) -> bool {
    let names = field::names(name);
    let Some(first) = names.first() else { return true };
    let FieldType::Map { fields, open } = &object.fields else { return true };
    let known = fields.iter().any(|(known, _)| known == first || known == name)
        || *first == object.id
        || object.references.iter().chain(&object.parent).any(|reference| reference.id == *first)
        || object.keyed_lists.iter().any(|list| list.name == *first || list.at == *first);
    known || *open
}

pub(super) fn unknown_field(reader: &mut Reader<'_>, pointer: &str, object: &Object, name: &str) {
    let (message, names) = no_field(object, name);
    reader.unknown("unknown-field", pointer, message, name, names);
}

fn no_field<'o>(object: &'o Object, name: &str) -> (String, Vec<&'o str>) {
    let names: Vec<&str> = match &object.fields {
        FieldType::Map { fields, .. } => fields.iter().map(|(known, _)| known.as_str()).collect(),
        _ => Vec::new(),
    };
    (format!("the schema of `{}` has no field `{name}`", object.name), names)
}

fn references(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &ObjectWritten,
    all: &Named<ObjectWritten>,
) -> Vec<Reference> {
    let mut references = Vec::new();
    for (name, reference) in written.references.iter() {
        let at = under(&under(pointer, "references"), name);
        references.push(reference_to(reader, &at, name, reference, all));
    }
    references
}

fn reference_to(
    reader: &mut Reader<'_>,
    pointer: &str,
    name: &str,
    written: &ReferenceWritten,
    all: &Named<ObjectWritten>,
) -> Reference {
    let other = all.iter().find(|(known, _)| *known == written.object);
    if other.is_none() {
        unknown_object(reader, &under(pointer, "object"), &written.object, all);
    }
    Reference {
        name: name.to_owned(),
        object: written.object.clone(),
        id: written.id.clone(),
        found_by: other.and_then(|(_, other)| other.id.clone()).unwrap_or_else(|| "id".into()),
    }
}

fn unknown_object(reader: &mut Reader<'_>, pointer: &str, name: &str, all: &Named<ObjectWritten>) {
    let names: Vec<&str> = all.iter().map(|(name, _)| name).collect();
    let found = Diagnostic::error("unknown-object", format!("there is no object `{name}`"));
    let found = found.at(reader.file(pointer), pointer, "").help(format!("describe `{name}` under `objects:`"));
    reader.report.push(found.nearest(name, names));
}

/// The parent, and the field that holds its id: as written, as a reference to the same object says, or as the list
/// operation's request line names it.
fn parent(
    reader: &mut Reader<'_>,
    pointer: &str,
    own: &str,
    written: &ObjectWritten,
    references: &[Reference],
    all: &Named<ObjectWritten>,
    fields: &FieldType,
) -> Option<Reference> {
    let at = under(pointer, "parent");
    let name = match written.parent.as_ref()? {
        ParentWritten::Reference(reference) => {
            return Some(reference_to(reader, &at, &reference.object, reference, all));
        }
        ParentWritten::Name(name) => name,
    };
    if !all.iter().any(|(known, _)| known == name) {
        unknown_object(reader, &at, name, all);
        return None;
    }
    if let Some(reference) =
        references.iter().find(|reference| reference.object == *name && !reference.name.contains('.'))
    {
        return Some(reference.clone());
    }
    let own_id = written.id.as_deref().unwrap_or("id");
    let settings = &reader.settings;
    let mut candidates: Vec<String> = Vec::new();
    let list_first = written.operations.iter().filter(|(short, _)| *short == "list");
    for (_, call) in list_first.chain(written.operations.iter()) {
        let Ok((_, pieces)) = request_line(&call.request) else { continue };
        let names = holes(&pieces).filter(|hole| *hole != own_id && !settings.iter().any(|setting| setting == hole));
        candidates.extend(names.map(str::to_owned));
    }
    if let FieldType::Map { fields, .. } = fields {
        let usual = [format!("{name}_id"), format!("{name}Id")];
        candidates.extend(usual.into_iter().filter(|usual| fields.iter().any(|(known, _)| known == usual)));
    }
    let Some(id) = candidates.into_iter().next() else {
        let message = format!("no field of `{own}` is known to hold the id of its `{name}`");
        let help = format!("write `parent: {{ object: {name}, id: {name}_id }}`");
        reader.error("unknown-field", &at, message, help);
        return None;
    };
    Some(reference_to(reader, &at, name, &ReferenceWritten { object: name.clone(), id }, all))
}

fn keyed_list(reader: &mut Reader<'_>, pointer: &str, name: &str, written: &KeyedListWritten) -> Option<KeyedList> {
    let key = inside(reader, &under(pointer, "key"), &written.key);
    let value = inside(reader, &under(pointer, "value"), &written.value);
    let only_if = written.only_if.as_ref().and_then(|value| reader.condition(&under(pointer, "only_if"), value));
    let plain = |name: &str| !name.contains(['.', '[', '$']);
    let value_field = written.write_value.as_deref().unwrap_or(&written.value);
    let write = (plain(&written.key) && plain(value_field)).then(|| (written.key.clone(), value_field.to_owned()));
    let (mut names_from, mut names_setting, mut name_path, mut strip) = (None, None, None, None);
    let at = under(pointer, "names");
    match &written.names {
        Some(NamesWritten::Setting(text)) => match text.strip_prefix("$.connection.") {
            Some(setting) => {
                reader.check_setting(&at, setting);
                names_setting = Some(setting.to_owned());
            }
            None => reader.error(
                "wrong-value",
                &at,
                "names come from a setting or from a list",
                "e.g. `$.connection.lead_names`",
            ),
        },
        Some(NamesWritten::From(from)) => {
            names_from = Some(from.from.clone());
            name_path = inside(reader, &under(&at, "name"), &from.name);
            strip = from.strip.clone();
        }
        None => {}
    }
    Some(KeyedList {
        name: name.to_owned(),
        at: written.at.clone(),
        names_from,
        names_setting,
        key: key?,
        value: value?,
        write,
        only_if,
        name_path,
        strip,
    })
}

/// `asked.title` or `selection[0]`: a path whose beginning is left out, since it can only be inside the item.
fn inside(reader: &mut Reader<'_>, pointer: &str, text: &str) -> Option<Path> {
    match text {
        text if text.starts_with('$') => reader.path(pointer, text),
        text if text.starts_with('[') => reader.path(pointer, &format!("${text}")),
        text => reader.path(pointer, &format!("$.{text}")),
    }
}

/// Names of operations and events, once all are known.
pub(super) fn check_links(reader: &mut Reader<'_>, document: &Document, connector: &mut Connector) {
    for (name, written) in document.objects.iter() {
        let pointer = under("/objects", name);
        for (list, keyed) in written.keyed_lists.iter() {
            let Some(NamesWritten::From(from)) = &keyed.names else { continue };
            let at = format!("{}/names/from", under(&under(&pointer, "keyed_lists"), list));
            if let Some(full) = named(reader, &at, &from.from, None, connector) {
                must_list(reader, &at, &full, connector);
            }
        }
        let Some(changes) = &written.changes else { continue };
        let at = under(&pointer, "changes");
        check_events(reader, &under(&at, "webhook"), name, &changes.webhook, connector);
        let poll = changes.poll.as_ref().and_then(|poll| feed(reader, &under(&at, "poll"), name, poll, connector));
        let scan = changes.full_scan.as_ref();
        let scan =
            scan.and_then(|scan| full_scan(reader, &under(&at, "full_scan"), name, scan, poll.as_ref(), connector));
        if let Some(object) = connector.objects.iter_mut().find(|object| object.name == name) {
            object.changes = Change { webhook: changes.webhook.clone(), poll, scan };
        }
    }
}

fn check_events(reader: &mut Reader<'_>, pointer: &str, object: &str, names: &[String], connector: &Connector) {
    let events = connector.webhooks.as_ref().map_or(&[][..], |webhooks| &webhooks.events);
    for (index, name) in names.iter().enumerate() {
        let at = format!("{pointer}/{index}");
        match events.iter().find(|event| event.name == *name) {
            None => {
                let known = events.iter().map(|event| event.name.as_str());
                reader.unknown("unknown-event", &at, format!("`webhooks.events` has no `{name}`"), name, known);
            }
            Some(event) if event.object.as_deref() != Some(object) => {
                let message = format!("the event `{name}` is not about `{object}`");
                let there = under("/webhooks/events", name);
                let found = Diagnostic::error("wrong-event", message).at(reader.file(&at), &at, "");
                let found = found.also(reader.file(&there), &there, "what it is about");
                reader.report.push(found);
            }
            Some(_) => {}
        }
    }
}

fn feed(
    reader: &mut Reader<'_>,
    pointer: &str,
    object: &str,
    poll: &PollWritten,
    connector: &Connector,
) -> Option<Feed> {
    let every = reader.duration(&under(pointer, "every"), &poll.every);
    let overlap = match &poll.overlap {
        Some(text) => reader.duration(&under(pointer, "overlap"), text),
        None => Duration::ZERO,
    };
    if let (Some(by), Some(object)) = (&poll.by, connector.object(object)) {
        check_field(reader, &under(pointer, "by"), object, by);
    }
    if poll.newest_first && poll.by.is_none() {
        let help = "say by which field: `by: timestamps.created`";
        reader.key_error("missing-key", &under(pointer, "newest_first"), "newest by what?", help);
    }
    let at = under(pointer, "with");
    let full = named(reader, &at, &poll.with, Some(object), connector)?;
    must_list(reader, &at, &full, connector)?;
    Some(Feed { operation: full, by: poll.by.clone(), newest_first: poll.newest_first, full: false, every, overlap })
}

/// The list that `poll` looks at, or the object's `list`, compared as a whole.
fn full_scan(
    reader: &mut Reader<'_>,
    pointer: &str,
    object: &str,
    scan: &ScanWritten,
    poll: Option<&Feed>,
    connector: &Connector,
) -> Option<Feed> {
    let every = reader.duration(&under(pointer, "every"), &scan.every);
    let operation = match (&scan.with, poll) {
        (Some(with), _) => named(reader, &under(pointer, "with"), with, Some(object), connector)?,
        (None, Some(poll)) => poll.operation.clone(),
        (None, None) => {
            let own = format!("{object}.list");
            if connector.operation(&own).is_none() {
                let help = "name it: `with: all`";
                reader.key_error("missing-key", pointer, format!("`{object}` has no `list` to scan"), help);
                return None;
            }
            own
        }
    };
    must_list(reader, pointer, &operation, connector)?;
    Some(Feed { operation, by: None, newest_first: false, full: true, every, overlap: Duration::ZERO })
}

fn must_list(reader: &mut Reader<'_>, pointer: &str, full: &str, connector: &Connector) -> Option<()> {
    if connector.operation(full)?.lists {
        return Some(());
    }
    reader.error("wrong-operation", pointer, format!("`{full}` is no list"), "name an operation with `items:`");
    None
}
