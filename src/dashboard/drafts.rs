//! Recipes as they are being written: checked with all of the project, tried between pretend vendors, and saved.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::Window;
use super::ask::Ask;
use super::documents::Documents;
use super::problem::Problem;
use crate::project::{self, Loaded, Text};
use crate::rehearsal::{self, Trial, Tried};
use crate::server::control::Reloaded;
use crate::server::secret;
use crate::source::{File, Report, Severity};

/// Of a document, in characters.
pub const TEXT_MAX: usize = 200_000;
/// Of what it is tried with.
pub const SAMPLE_MAX: usize = 100_000;
/// Where recipes are; what sends secrets to somebody, connectors and connections, is changed in the folder alone.
pub const FOLDER: &str = "workflows/";
/// The version of a document that is not there yet.
pub const NEW: &str = "new";

/// How a version of a text is called.
pub fn version(text: &str) -> String {
    secret::hash(text)[..16].to_owned()
}

/// A recipe of the folder; None: there is none at this path.
pub async fn saved(ask: &Ask, path: String) -> Result<Option<Text>, Problem> {
    let is_recipe = path.starts_with(FOLDER);
    let found = at_work(ask, move |documents| Ok(own(documents)?.into_iter().find(|text| text.path == path))).await?;
    Ok(found.filter(|_| is_recipe))
}

/// What was written: of a recipe that is there, or of a new one.
///
/// # Errors
/// No recipe can be called so.
pub fn draft(path: &str, text: String) -> Result<Text, Problem> {
    let is_good = |part: &str| {
        !part.starts_with('.') && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let name = path.strip_prefix(FOLDER).filter(|name| name.split('/').all(|part| !part.is_empty() && is_good(part)));
    let is_yaml = name.is_some_and(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    if !is_yaml || path.ends_with(".sandbox.yaml") {
        return Err(Problem::bad(format!("`path` must be that of a recipe, such as `{FOLDER}welcome.yaml`")));
    }
    Ok(Text { path: path.to_owned(), text })
}

/// All findings about the project with a draft in it; those about the draft first.
pub async fn check(ask: &Ask, draft: Text) -> Result<Report, Problem> {
    at_work(ask, move |documents| {
        let path = draft.path.clone();
        let mut report = with(documents, Some(draft), true)?.loaded.report;
        report.diagnostics.sort_by_key(|found| found.primary.as_ref().is_none_or(|place| place.path != path));
        Ok(report)
    })
    .await
}

/// The project as it is in the folder now, and all findings about it.
#[derive(Default)]
pub struct Present {
    pub own: Vec<Text>,
    pub report: Arc<Report>,
}

/// What was found of the same documents is not looked for again.
pub async fn present(ask: &Ask) -> Result<Present, Problem> {
    let window = ask.window.clone();
    at_work(ask, move |documents| {
        let own = own(documents)?;
        let all: Vec<&str> = own.iter().flat_map(|text| [text.path.as_str(), text.text.as_str()]).collect();
        let hash = secret::hash(&all.join("\0"));
        let known = window.findings.lock().clone();
        let report = match known {
            (of, report) if of == hash => report,
            _ => {
                let (shipped, environment) = (documents.shipped(), documents.environment());
                let report = Arc::new(project::read_draft(&own, &shipped, environment.as_deref(), None).report);
                *window.findings.lock() = (hash, report.clone());
                report
            }
        };
        Ok(Present { own, report })
    })
    .await
}

/// A project with a draft in it.
struct Read {
    own: Vec<Text>,
    shipped: Vec<Text>,
    loaded: Loaded,
}

/// `is_active`: what is wrong with the draft is told although nobody has said that it is to run.
fn with(documents: &dyn Documents, draft: Option<Text>, is_active: bool) -> Result<Read, Problem> {
    let (mut own, shipped) = (own(documents)?, documents.shipped());
    let path = draft.as_ref().filter(|_| is_active).map(|draft| draft.path.clone());
    if let Some(draft) = draft {
        match own.iter_mut().find(|text| text.path == draft.path) {
            Some(text) => *text = draft,
            None => own.push(draft),
        }
    }
    let loaded = project::read_draft(&own, &shipped, documents.environment().as_deref(), path.as_deref());
    Ok(Read { own, shipped, loaded })
}

/// The project's documents, as they are now.
pub fn own(documents: &dyn Documents) -> Result<Vec<Text>, Problem> {
    documents.own().map_err(|why| Problem::conflict(format!("the project's folder cannot be read: {why}")))
}

/// What came of a trial, and what was tried.
pub struct Trying {
    pub sample: Value,
    pub came: Result<Came, Problem>,
}

pub enum Came {
    Tried(Tried),
    /// It must be put right first.
    Wrong(Report),
}

/// Tries a draft. Without a sample, with the latest event that started it, or else an example.
///
/// # Errors
/// What it is to be tried with cannot be read.
pub async fn try_out(ask: &Ask, draft: Text, sample: Option<&str>, given: Option<&str>) -> Result<Trying, Problem> {
    let given = match given.map(|text| read_value("given", text)).transpose()? {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(Problem::bad("`given` must be lists of records by `alias.object`")),
    };
    let name = name_of(&draft);
    let sample = match sample.map(|text| read_value("sample", text)).transpose()? {
        None => latest(ask, name.as_deref().unwrap_or_default()).await?,
        sample => sample,
    };
    at_work(ask, move |documents| {
        let Read { own, shipped, loaded } = with(documents, Some(draft.clone()), false)?;
        if loaded.plan.is_none() && loaded.unconnected.is_none() {
            return Ok(Trying { sample: sample.unwrap_or_default(), came: Ok(Came::Wrong(loaded.report)) });
        }
        let Some(name) = name else {
            return Err(Problem::bad("only a workflow or a sync can be tried"));
        };
        let scene = match documents.scene(&name, &loaded, &own, &shipped) {
            Ok(scene) => scene,
            Err(why) => {
                let report = with(documents, Some(draft), true)?.loaded.report;
                let came = if report.has_errors() { Ok(Came::Wrong(report)) } else { Err(Problem::bad(why)) };
                return Ok(Trying { sample: sample.unwrap_or_default(), came });
            }
        };
        let sample = sample.unwrap_or_else(|| rehearsal::sample(&scene));
        let trial = Trial { sample: sample.clone(), given };
        Ok(Trying { sample, came: rehearsal::try_out(&scene, trial).map(Came::Tried).map_err(Problem::bad) })
    })
    .await
}

/// What a document's workflow or sync is called.
pub fn name_of(document: &Text) -> Option<String> {
    let file = File::read(&document.path, &document.text).ok()?;
    let kind = file.first_key().filter(|kind| ["workflow", "sync"].contains(kind))?;
    file.value[kind].as_str().map(str::to_owned)
}

/// A value that somebody has written.
///
/// # Errors
/// It cannot be read.
pub fn read_value(name: &str, text: &str) -> Result<Value, Problem> {
    let read = File::read(name, text).map(|file| file.value);
    read.map_err(|found| {
        let first = found.diagnostics.first();
        let why = first.map_or_else(String::new, |found| {
            let place = found.primary.as_ref().map_or_else(String::new, |place| format!("line {}: ", place.line));
            format!(": {place}{}", found.message)
        });
        Problem::bad(format!("`{name}` is neither JSON nor YAML{why}"))
    })
}

/// What started it last.
async fn latest(ask: &Ask, workflow: &str) -> Result<Option<Value>, Problem> {
    let runs = ask.latest_of(workflow, 1).await?;
    let values = runs
        .into_iter()
        .next()
        .map(|run| [run.start.inputs, run.start.event.record, Arc::unwrap_or_clone(run.start.event.body)]);
    Ok(values.and_then(|values| values.into_iter().find(Value::is_object)))
}

/// What came of saving.
pub enum Saved {
    /// Whether it is served now, and what there is to say.
    Written(Reloaded),
    /// It is not saved: there are errors.
    Wrong(Report),
}

/// Saves a draft in place of the version that was seen, if nothing is wrong with it. Of one that is not active that is its shape:
/// it may wait for what it needs.
///
/// # Errors
/// It is not allowed; somebody has changed it meanwhile; it cannot be written.
pub async fn save(ask: &Ask, draft: Text, seen: String) -> Result<Saved, Problem> {
    if !ask.window.documents.may_be_changed() {
        let why = "recipes are changed in the project's folder: `dovetail serve --allow-edits` allows it here, too";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    let _one_at_a_time = ask.window.saving.lock().await;
    let wanted = draft.clone();
    let wrong = at_work(ask, move |documents| {
        let before = with(documents, None, false)?;
        let known = before.own.iter().find(|text| text.path == wanted.path);
        if known.map_or_else(|| NEW.to_owned(), |text| version(&text.text)) != seen {
            return Err(Problem::conflict(format!(
                "{} was changed meanwhile: open it anew, and put your changes in again",
                wanted.path
            )));
        }
        let path = wanted.path.clone();
        let after = with(documents, Some(wanted), false)?.loaded.report;
        let is_of_it = after.diagnostics.iter().any(|found| {
            found.severity == Severity::Error && found.primary.as_ref().is_some_and(|place| place.path == path)
        });
        // What is wrong elsewhere already is no reason to leave this as it is.
        let is_worse = after.count(Severity::Error) > before.loaded.report.count(Severity::Error);
        Ok((is_of_it || is_worse).then_some(after))
    })
    .await?;
    if let Some(report) = wrong {
        return Ok(Saved::Wrong(report));
    }
    ask.note("edit", draft.path.clone()).await?;
    let written = at_work(ask, move |documents| documents.write(&draft).map_err(Problem::conflict));
    written.await?;
    Ok(Saved::Written(ask.window.documents.take_up().await))
}

/// Does it where it holds up nobody; a few at a time.
pub async fn at_work<T: Send + 'static>(
    ask: &Ask,
    work: impl FnOnce(&dyn Documents) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let window: Arc<Window> = ask.window.clone();
    let stops = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the program is about to stop");
    let bench = window.benches.clone().acquire_owned().await.map_err(|_| stops())?;
    let done = tokio::task::spawn_blocking(move || {
        let _bench = bench;
        work(&*window.documents)
    });
    done.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log tells more"))?
}
