//! A recipe as it is being written: checked, tried, saved.

use axum::response::Response;
use maud::{Markup, html};

use super::{csrf, page, part, said, trial, yaml};
use crate::dashboard::api;
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts::{self, Came, Saved, Trying};
use crate::dashboard::problem::Problem;
use crate::project::Text;
use crate::store::Role;

/// What a new recipe begins with.
const FIRST: &str = "workflow: new-recipe
description: What it is for, in a sentence.
trigger:
  manual:
    inputs:
      name: { type: string, default: world }
actions:
  - stop: \"Hello, {{inputs.name}}!\"
";

/// Lines of a draft that are seen at once.
const ROWS_MIN: usize = 10;
const ROWS_MAX: usize = 30;

/// A draft, and what it is tried with.
struct Desk {
    draft: Text,
    /// Of what it takes the place of.
    version: String,
    sample: String,
    given: String,
    came: Markup,
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let (draft, version) = match ask.owned("path") {
        None => (Text { path: format!("{}new-recipe.yaml", drafts::FOLDER), text: FIRST.into() }, drafts::NEW.into()),
        Some(path) => {
            let saved = drafts::saved(&ask, path).await?.ok_or_else(|| Problem::unknown("recipe"))?;
            let version = drafts::version(&saved.text);
            (saved, version)
        }
    };
    Ok(told(&ask, &Desk { draft, version, sample: String::new(), given: String::new(), came: html! {} }))
}

pub async fn work(ask: Ask) -> Result<Response, Problem> {
    let mut desk = desk(&ask)?;
    if ask.text("do") == Some("check") {
        let report = drafts::check(&ask, desk.draft.clone()).await?;
        desk.came = html! {
            (yaml::findings(&report, &desk.draft.path))
            (yaml::written(&desk.draft.text, &desk.draft.path, Some(&report)))
        };
        return Ok(told(&ask, &desk));
    }
    let trying = drafts::try_out(&ask, desk.draft.clone(), ask.text("sample"), ask.text("given")).await;
    desk.came = match trying {
        Err(problem) => refused(problem)?,
        Ok(Trying { sample, came }) => {
            if ask.text("sample").is_none() && !sample.is_null() {
                desk.sample = serde_json::to_string_pretty(&sample).unwrap_or_default();
            }
            match came {
                Err(problem) => refused(problem)?,
                Ok(Came::Tried(tried)) => trial::told(&tried),
                Ok(Came::Wrong(report)) => html! {
                    p.notice.bad { "It is tried when there are no errors." }
                    (yaml::findings(&report, &desk.draft.path))
                    (yaml::written(&desk.draft.text, &desk.draft.path, Some(&report)))
                },
            }
        }
    };
    Ok(told(&ask, &desk))
}

/// What cannot be done as it was written is told where it was written: it is not lost.
fn refused(problem: Problem) -> Result<Markup, Problem> {
    match problem.status.is_server_error() {
        true => Err(problem),
        false => Ok(html! { p.notice.bad { (said(&problem.detail)) } }),
    }
}

pub async fn save(ask: Ask) -> Result<Response, Problem> {
    let mut desk = desk(&ask)?;
    let saved = drafts::save(&ask, desk.draft.clone(), desk.version.clone()).await;
    desk.came = match saved {
        Err(problem) => refused(problem)?,
        Ok(Saved::Wrong(report)) => html! {
            p.notice.bad { "Not saved: put the errors right first." }
            (yaml::findings(&report, &desk.draft.path))
            (yaml::written(&desk.draft.text, &desk.draft.path, Some(&report)))
        },
        Ok(Saved::Written(came)) => {
            desk.version = drafts::version(&desk.draft.text);
            let name = drafts::name_of(&desk.draft);
            let plan = ask.engine().plan();
            let is_active = |name: &String| plan.recipes().any(|(known, _)| known == name);
            html! {
                @if came.present { p.notice.good { "Saved, and served from now on." } }
                @else { p.notice.bad { "Saved, and not served yet." } }
                pre { (said(&came.told)) }
                @match name {
                    Some(name) if is_active(&name) => { p { a href=(format!("/workflows/{}", part(&name))) { "To " (said(&name)) } } }
                    Some(name) => { p.notice.wait { (said(&name)) " is not active: " a href="/workflows" { "switch it on" } " when it is to run." } }
                    None => {}
                }
            }
        }
    };
    Ok(told(&ask, &desk))
}

fn desk(ask: &Ask) -> Result<Desk, Problem> {
    let text = |name: &str| ask.owned(name).unwrap_or_default();
    let (version, sample, given) = (text("version"), text("sample"), text("given"));
    Ok(Desk { draft: api::drafts::draft(ask)?, version, sample, given, came: html! {} })
}

fn told(ask: &Ask, desk: &Desk) -> Response {
    let Desk { draft, version, sample, given, came } = desk;
    let is_new = version == drafts::NEW;
    let may_save = ask.may(Role::Admin) && ask.window.documents.may_be_changed();
    let rows = (draft.text.lines().count() + 2).clamp(ROWS_MIN, ROWS_MAX);
    let title = if is_new { "A new recipe".to_owned() } else { format!("Edit {}", draft.path) };
    let content = html! {
        p.path { a href="/workflows" { "Workflows" } }
        h1 { (said(&title)) }
        form.desk method="post" action="/edit" data-desk="" {
            (csrf(ask.who.as_ref()))
            input type="hidden" name="version" value=(version);
            @if is_new {
                label { "Its file" input name="path" value=(draft.path) required maxlength="200"; }
            } @else {
                input type="hidden" name="path" value=(draft.path);
            }
            label.text { "The recipe" textarea name="text" rows=(rows) spellcheck="false" autocapitalize="off" autocomplete="off" required { "\n" (draft.text) } }
            details open[!sample.is_empty() || !given.is_empty()] {
                summary { "What it is tried with" }
                label.text {
                    "What starts it, as JSON or YAML"
                    textarea name="sample" rows="6" spellcheck="false" placeholder="Empty: the latest that there was, or an example" { "\n" (sample) }
                }
                label.text {
                    "Records that are there already, as lists by alias.object"
                    textarea name="given" rows="3" spellcheck="false" placeholder="os.contact: [{ id: p1, email: ada@example.com }]" { "\n" (given) }
                }
            }
            div.buttons {
                button name="do" value="check" { "Check" }
                button.plain name="do" value="try" { "Try it" }
                @if may_save { button.plain formaction="/edit/save" { "Save" } }
            }
            @if !may_save {
                p.quiet { "It is saved in the project's folder; or here, by an admin, where " code { "dovetail serve --allow-edits" } " allows it." }
            }
        }
        section.card #came aria-live="polite" hidden[came.0.is_empty()] { (came) }
    };
    page(ask, "/workflows", &title, false, content)
}
