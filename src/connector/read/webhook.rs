//! `webhooks:`: proof, replay, routing, events.

use std::time::Duration;

use super::operation::named;
use super::reader::{Reader, under};
use super::schema;
use super::verify::{rules, within};
use crate::connector::written::{Named, TextsWritten, WebhookEventWritten, WebhooksWritten};
use crate::connector::{Connector, Sign, WebhookEvent, Webhooks};
use crate::expr::Path;

const COALESCE_MAX: Duration = Duration::from_secs(600);

pub(super) fn read(reader: &mut Reader<'_>, written: &WebhooksWritten, connector: &Connector) -> Webhooks {
    let verify = rules(reader, "/webhooks/verify", &written.verify);
    let replay = written.replay.as_ref();
    let id = optional_path(reader, "/webhooks/replay/id", replay.and_then(|replay| replay.id.as_deref()));
    let time = optional_path(reader, "/webhooks/replay/time", replay.and_then(|replay| replay.time.as_deref()));
    let within = within(reader, "/webhooks/replay/within", replay.and_then(|replay| replay.within.as_deref()));
    let connection = signs(reader, "/webhooks/connection", &written.connection);
    let when_busy = written.when_busy.unwrap_or(503);
    if !(400..600).contains(&when_busy) {
        let message = format!("{when_busy} does not say that it did not work");
        reader.error(
            "wrong-value",
            "/webhooks/when_busy",
            message,
            "a status that this source retries, e.g. 429 or 503",
        );
    }
    let coalesce = written.coalesce.as_ref().map(|text| reader.duration("/webhooks/coalesce", text));
    if coalesce.is_some_and(|time| time > COALESCE_MAX) {
        let help = "a vendor that tells one change in several events does so within seconds, e.g. `2s`";
        reader.error("wrong-value", "/webhooks/coalesce", "every event would wait so long; the most is `10m`", help);
    }
    let body_max = written.body_max.unwrap_or(1_048_576);
    if body_max == 0 || body_max > 64 * 1_048_576 {
        let message = "a body has between 1 byte and 64 MiB";
        reader.error("wrong-value", "/webhooks/body_max", message, "leave it out for 1 MiB");
    }
    let events = events(reader, &written.events, connector);
    if written.name.is_none() && events.len() > 1 {
        let help = "say where a delivery names its event: `name: $.type`";
        reader.key_error("missing-key", "/webhooks/events", "nothing tells one event from another", help);
    }
    Webhooks {
        verify,
        id,
        time,
        within,
        connection,
        when_busy,
        event_name: optional_path(reader, "/webhooks/name", written.name.as_deref()),
        each: optional_path(reader, "/webhooks/each", written.each.as_deref()),
        record: optional_path(reader, "/webhooks/record", written.record.as_deref()),
        events,
        coalesce: coalesce.filter(|time| !time.is_zero()),
        body_max,
    }
}

fn signs(reader: &mut Reader<'_>, pointer: &str, written: &Named<TextsWritten>) -> Vec<Sign> {
    let mut signs = Vec::new();
    for (setting, paths) in written.iter() {
        let at = under(pointer, setting);
        reader.check_setting(&at, setting);
        if paths.each().is_empty() {
            reader.error("wrong-value", &at, "no path is given", "say where the delivery has it, e.g. `$.account`");
        }
        let paths = paths.each().into_iter().filter_map(|(below, path)| reader.path(&format!("{at}{below}"), path));
        let paths = paths.collect();
        signs.push(Sign { setting: setting.to_owned(), paths });
    }
    signs
}

fn optional_path(reader: &mut Reader<'_>, pointer: &str, text: Option<&str>) -> Option<Path> {
    text.and_then(|text| reader.path(pointer, text))
}

fn events(reader: &mut Reader<'_>, written: &Named<WebhookEventWritten>, connector: &Connector) -> Vec<WebhookEvent> {
    let mut events = Vec::new();
    for (name, event) in written.iter() {
        let pointer = under("/webhooks/events", name);
        let mut read_with = None;
        if let Some(object) = &event.object {
            match connector.object(object) {
                None => {
                    let names = connector.objects.iter().map(|object| object.name.as_str());
                    let message = format!("there is no object `{object}`");
                    reader.unknown("unknown-object", &under(&pointer, "object"), message, object, names);
                }
                Some(_) => {
                    if event.change.is_none() {
                        let help = "say what happened: `change: created`, `updated` or `deleted`";
                        reader.key_error(
                            "missing-key",
                            &pointer,
                            format!("what does `{name}` say about `{object}`?"),
                            help,
                        );
                    }
                    if let Some(with) = &event.read_with {
                        read_with = named(reader, &under(&pointer, "read_with"), with, Some(object), connector);
                        let full = read_with.as_deref().and_then(|full| connector.operation(full));
                        if full.is_some_and(|operation| !operation.reads) {
                            let message = format!("`{with}` changes something: it cannot be used to look");
                            reader.error(
                                "wrong-operation",
                                &under(&pointer, "read_with"),
                                message,
                                "name an operation that reads",
                            );
                        }
                    }
                    let deleted = event.change.is_some_and(|change| change.word() == "deleted");
                    let can_read = connector.operation(&format!("{object}.get")).is_some();
                    if !event.whole && !deleted && event.read_with.is_none() && !can_read {
                        let message = format!("`{object}` has no `get` to read the record that `{name}` hints at");
                        let help = "add `get`, or say `whole: true` or `read_with: list`";
                        reader.key_error("unreadable-event", &pointer, message, help);
                    }
                }
            }
        } else {
            for (key, given) in [
                ("change", event.change.is_some()),
                ("whole", event.whole),
                ("read_with", event.read_with.is_some()),
                ("record", event.record.is_some()),
            ] {
                if given {
                    let message = format!("`{key}` is about an object, and `{name}` names none");
                    reader.key_error("missing-key", &under(&pointer, key), message, "add `object:`");
                }
            }
        }
        if event.whole && event.read_with.is_some() {
            let help = "give either `whole` or `read_with`";
            reader.key_error("one-kind", &under(&pointer, "whole"), "the payload is the record, or it is read", help);
        }
        let record = optional_path(reader, &under(&pointer, "record"), event.record.as_deref());
        let at = under(&pointer, "connection");
        let connection = event.connection.as_ref().map(|written| signs(reader, &at, written));
        let named: Vec<String> =
            event.named.iter().flat_map(TextsWritten::each).map(|(_, name)| name.to_owned()).collect();
        for clash in named.iter().filter(|other| *other != name && written.iter().any(|(known, _)| known == *other)) {
            let message = format!("`{clash}` is an event of its own");
            reader.error("given-twice", &under(&pointer, "named"), message, "a body names one event");
        }
        events.push(WebhookEvent {
            named,
            record,
            connection,
            name: name.to_owned(),
            object: event.object.clone(),
            change: event.change.map(|change| change.word().to_owned()),
            whole: event.whole,
            read_with,
            schema: schema::schema(reader, &under(&pointer, "schema"), event.schema.as_ref()),
        });
    }
    events
}
