//! A loop as its author reads it: the chain, action by action, and what to do.

use super::carry::Carry;
use super::part::Begins;
use super::scene::{Live, Scene, head};
use super::write::{Change, Effect, Target};
use super::{Cause, Link};
use crate::source::Diagnostic;
use crate::workflow::action::Kind;

/// Why a chain may end by itself.
enum End {
    /// A condition stands before an action.
    Condition,
    /// It goes on from record to record, such as from a task to the one before it.
    Elsewhere,
    /// An upsert, if nothing differs.
    Agreement,
}

/// None: the chain ends by itself.
pub(super) fn found(scene: &Scene<'_>, chain: &[Link], cause: &Cause) -> Option<Diagnostic> {
    let lives: Vec<&Live<'_>> = chain.iter().map(|link| &scene.lives[link.live]).collect();
    let first = *lives.first()?;
    if ends_by_deleting(scene, chain) || (matches!(cause, Cause::Renews { .. }) && settles(scene, chain)) {
        return None;
    }
    let end = end(scene, chain, &lives, cause);
    let mut names: Vec<String> = Vec::new();
    // What is run by another is a part of that one, and starts nothing.
    let is_run = |node: usize| matches!(scene.nodes[node].part.begins, Begins::Inputs);
    for live in lives.iter().filter(|live| !is_run(live.node)) {
        let name = format!("`{}`", scene.nodes[live.node].part.workflow.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let without_end = if end.is_some() { "perhaps without end" } else { "without end" };
    let message = match names.as_slice() {
        [own] => format!("workflow {own} starts itself, {without_end}"),
        [all @ .., last] => format!("workflows {} and {last} start each other, {without_end}", all.join(", ")),
        [] => return None,
    };
    let found = if end.is_some() { Diagnostic::warning("loop", message) } else { Diagnostic::error("loop", message) };
    let file = |live: &Live<'_>| scene.nodes[live.node].part.file;
    let mut found = found.at(file(first), &first.write.pointer(), label(scene, chain[0], true, cause));
    for (index, link) in chain.iter().enumerate() {
        let next = chain.get(index + 1);
        let number = scene.lives[next.unwrap_or(&chain[0]).live].node;
        let node = &scene.nodes[number];
        let heard = node.hears.iter().find(|(event, _)| *event == link.event);
        if let Some((_, heard)) = heard.filter(|_| !is_run(number)) {
            found = found.also(node.part.file, heard.pointer, format!("which starts `{}`", node.part.workflow.name));
        }
        if let Some(next) = next {
            let live = &scene.lives[next.live];
            found = found.also(file(live), &live.write.pointer(), label(scene, *next, false, cause));
        }
        // A workflow that is come through twice is started at one place.
        if let Some((last, others)) = found.related.split_last()
            && others.contains(last)
        {
            found.related.pop();
        }
    }
    Some(found.help(help(scene, chain, cause, end.as_ref())))
}

/// A record that is deleted cannot be deleted again, unless something in the chain makes new ones.
fn ends_by_deleting(scene: &Scene<'_>, chain: &[Link]) -> bool {
    let events: Vec<_> = chain.iter().map(|link| scene.events[link.event]).collect();
    events
        .iter()
        .filter(|(.., change)| *change == Change::Deleted)
        .any(|(connection, object, _)| !events.contains(&(*connection, *object, Change::Created)))
}

fn end(scene: &Scene<'_>, chain: &[Link], lives: &[&Live<'_>], cause: &Cause) -> Option<End> {
    if lives.iter().any(|live| live.write.is_guarded) {
        return Some(End::Condition);
    }
    if lives.iter().any(|live| live.write.is_elsewhere) || (0..chain.len()).any(|at| leads_elsewhere(scene, chain, at))
    {
        return Some(End::Elsewhere);
    }
    match cause {
        Cause::Grows { .. } | Cause::Trades { .. } | Cause::Renews { .. } => None,
        Cause::Turns { .. } => Some(End::Agreement),
        Cause::Disagrees { field } => {
            let is_constant = |live: &&Live<'_>| {
                let mut fields = live.write.fields.iter().flatten();
                fields.any(|known| known.name == *field && known.is_constant)
            };
            let mut writing = lives.iter().filter(|live| !live.write.starts());
            (!writing.all(is_constant)).then_some(End::Agreement)
        }
        Cause::Repeats => settles(scene, chain).then_some(End::Agreement),
    }
}

/// Where a workflow hands on what names the record: does another one come back to the workflow that heard it?
fn leads_elsewhere(scene: &Scene<'_>, chain: &[Link], at: usize) -> bool {
    let live = &scene.lives[chain[at].live];
    let Some(object) = live.write.object() else { return false };
    let mut from: Vec<(&str, &str)> =
        live.write.named.from.iter().map(|(name, from)| (name.as_str(), from.as_str())).collect();
    if !live.write.named.is_read || scene.nodes[live.node].part.object().is_some() {
        return false;
    }
    for back in 1..chain.len() {
        let before = &scene.lives[chain[(at + chain.len() - back) % chain.len()].live];
        if !before.write.starts() {
            return false;
        }
        let mut given = Vec::new();
        for (name, from) in from {
            let steps = before.write.steps.iter().filter(|step| step.to == from);
            given.extend(steps.map(|step| (name, step.from.as_str())));
        }
        from = given;
        let node = &scene.nodes[before.node];
        if node.part.object().is_some() {
            let is_same = |(event, _): &(usize, _)| {
                let (connection, name, _) = scene.events[*event];
                connection == live.connection && name == object.name
            };
            return node.hears.iter().any(is_same) && !from.iter().any(|(name, from)| name == from);
        }
    }
    false
}

/// Is there an upsert to which nothing comes that is another each time?
fn settles(scene: &Scene<'_>, chain: &[Link]) -> bool {
    let mut moving: Vec<&str> = Vec::new();
    // What is new on one way round arrives on the next.
    for way in 0..2 {
        for link in chain {
            let write = scene.lives[link.live].write;
            let change = scene.events[link.event].2;
            // What a conversion makes of it, such as its day, may be the same again.
            let steps = write.steps_to(change).filter(|step| step.carry != Carry::Changed);
            let steps = steps.filter(|step| moving.contains(&step.from.as_str()));
            moving = steps.map(|step| step.to.as_str()).collect();
            match &write.effect {
                Effect::New { field } => moving.push(field),
                Effect::Starts { new } => moving.extend(new.iter().map(String::as_str)),
                _ => {}
            }
            if way == 1 && moving.is_empty() && !write.starts() && !write.repeats(change) && change != Change::Deleted {
                return true;
            }
        }
    }
    false
}

/// A few words beside an action.
fn label(scene: &Scene<'_>, link: Link, is_first: bool, cause: &Cause) -> String {
    let live = &scene.lives[link.live];
    let write = live.write;
    let written = match write.target {
        Target::Record { alias, object } => format!("{alias}.{}", object.name),
        Target::Event(name) | Target::Workflow(name) => name.to_owned(),
    };
    let writes = |field: &String| write.fields.iter().flatten().any(|known| known.name == *field);
    match (cause, &write.effect) {
        (Cause::Grows { field }, Effect::Starts { .. }) if writes(field) => {
            format!("hands on `{}`, which is more each time", as_given(field, live))
        }
        (Cause::Renews { field }, _) if is_first => {
            format!("hands on `{}`, which is another in each run", as_given(field, live))
        }
        (_, Effect::Starts { .. }) => match write.target {
            Target::Workflow(_) => format!("runs `{written}`"),
            _ => format!("emits `{written}`"),
        },
        (Cause::Grows { field }, _) if writes(field) => format!("writes `{field}`, which is more each time"),
        (Cause::Turns { field }, _) if writes(field) => format!("writes `{field}`, which is made into another value"),
        (Cause::Disagrees { field }, _) if is_first => format!("gives `{field}` one value"),
        (Cause::Disagrees { field }, _) => format!("gives `{field}` another value"),
        (Cause::Trades { one, other }, _) if writes(one) || writes(other) => {
            format!("writes `{one}` and `{other}`, which trade places")
        }
        (_, Effect::Deletes) => format!("deletes a `{written}`"),
        (_, Effect::New { field }) => format!("writes `{written}` each time: `{field}` is another in each run"),
        (_, Effect::Settles) => format!("writes `{written}` where it differs"),
        (_, Effect::Repeats) => match scene.events[link.event].2 {
            Change::Created => format!("creates a `{written}` each time"),
            Change::Updated => format!("writes `{written}` each time"),
            Change::Deleted => format!("deletes a `{written}`"),
            Change::Started => format!("starts `{written}`"),
        },
    }
}

/// A field as it stands in `with`: those of an event are known by where its hearers see them.
fn as_given<'f>(field: &'f str, live: &Live<'_>) -> &'f str {
    let is_event = matches!(live.write.target, Target::Event(_));
    field.strip_prefix("body.").filter(|_| is_event).unwrap_or(field)
}

fn help(scene: &Scene<'_>, chain: &[Link], cause: &Cause, end: Option<&End>) -> String {
    let first = &scene.lives[chain[0].live];
    let condition = chain.iter().find_map(|link| condition(scene, &scene.lives[link.live]));
    let way = match (cause, &first.write.effect) {
        (Cause::Grows { field }, _) => format!("copy `{}` as it is, without adding to it", as_given(field, first)),
        (Cause::Trades { one, other }, _) => format!("take `{one}` or `{other}` out of `with`"),
        (Cause::Turns { field }, _) => format!("copy `{field}` as it is, or turn it back by the opposite `$map`"),
        (Cause::Disagrees { field }, _) => format!("write `{field}` in one place, or the same value in both"),
        (Cause::Renews { field }, _) | (_, Effect::New { field }) => {
            format!("leave `{}` out, or give it a value that comes from the record", as_given(field, first))
        }
        (_, Effect::Repeats) if hears_only_deleted(scene, first) => "leave alone what was deleted".to_owned(),
        (_, Effect::Repeats) if matches!(first.write.action.kind, Kind::Upsert(_)) => {
            "let `match:` name a field that finds the record which is there".to_owned()
        }
        (_, Effect::Starts { .. }) => "take one of these actions out".to_owned(),
        _ => "write with `upsert`, which writes only what differs".to_owned(),
    };
    match end {
        None => format!("{way}; or {}", condition.unwrap_or_else(|| ONCE.to_owned())),
        Some(End::Condition) => {
            let surely = condition.map(|condition| format!(", or {condition}")).unwrap_or_default();
            format!("make sure that the condition does not hold the second time{surely}; else {way}")
        }
        Some(End::Elsewhere) => format!("make sure that the chain of records comes to an end; else {way}"),
        Some(End::Agreement) => {
            format!("it ends only when both sides agree: {way}; or {}", condition.unwrap_or_else(|| ONCE.to_owned()))
        }
    }
}

fn hears_only_deleted(scene: &Scene<'_>, live: &Live<'_>) -> bool {
    scene.nodes[live.node].hears.iter().all(|(event, _)| scene.events[*event].2 == Change::Deleted)
}

const ONCE: &str = "add a condition that does not hold the second time";

/// A condition that surely ends it: it asks for a change of a field that no action here writes. None where the workflow
/// does not hear of changes.
fn condition(scene: &Scene<'_>, first: &Live<'_>) -> Option<String> {
    let node = &scene.nodes[first.node];
    let (event, _) = node.hears.iter().find(|(event, _)| scene.events[*event].2 == Change::Updated)?;
    let (connection, object, _) = scene.events[*event];
    let written: Vec<&str> = scene
        .lives
        .iter()
        .filter(|live| {
            live.connection == connection && live.write.object().is_some_and(|written| written.name == object)
        })
        .flat_map(|live| live.write.fields.iter().flatten())
        .map(|field| head(&field.name))
        .collect();
    let object = node.part.object()?;
    let is_free = |field: &&str| {
        let mut ids = object.references.iter().chain(&object.parent).map(|reference| &reference.id).chain([&object.id]);
        let set_by_vendor = object.changed_at.as_deref() == Some(*field) || ids.any(|id| id == field);
        !written.contains(field) && !set_by_vendor && object.writable_on_update(field)
    };
    let known = object.schema.get("properties").and_then(serde_json::Value::as_object);
    let known = known.into_iter().flatten().map(|(field, _)| field.as_str());
    let field = object.identity.iter().map(String::as_str).chain(known).find(is_free)?;
    let name = &node.part.workflow.name;
    Some(format!(
        "let the trigger of `{name}` ask for a change that no workflow makes: \
         `only_if: {{ $.event.changed: {{ contains: {field} }} }}`"
    ))
}
