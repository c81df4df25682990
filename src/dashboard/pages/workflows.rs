//! The recipes that are active: workflows and syncs, each with its YAML and its latest runs.

use axum::response::Response;
use maud::{Markup, html};

use super::by_hand::{self, Tried};
use super::{csrf, cut, empty, may_operate, on_to, page, part, picture, runs, said, yaml};
use crate::dashboard::api;
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts::{self, Present, Saved};
use crate::dashboard::problem::Problem;
use crate::dashboard::switch::{self, Inactive};
use crate::project::Plan;
use crate::source::Place;
use crate::store::{Role, Run};
use crate::sync::Sync;
use crate::workflow::{Starts, Workflow};

/// Recipes on one page.
const LIMIT: usize = 200;
const RUNS_MAX: usize = 15;
/// Of why the folder cannot be read, in characters.
const WHY_MAX: usize = 600;

/// A document that people have written.
enum Recipe<'p> {
    Workflow(&'p Workflow),
    Sync(&'p Sync),
}

impl Recipe<'_> {
    fn name(&self) -> &str {
        match self {
            Recipe::Workflow(workflow) => &workflow.name,
            Recipe::Sync(sync) => &sync.name,
        }
    }

    fn place(&self) -> &Place {
        match self {
            Recipe::Workflow(workflow) => &workflow.place,
            Recipe::Sync(sync) => &sync.place,
        }
    }

    fn description(&self) -> Option<&str> {
        match self {
            Recipe::Workflow(workflow) => workflow.description.as_deref(),
            Recipe::Sync(sync) => sync.description.as_deref(),
        }
    }

    fn begins(&self) -> String {
        match self {
            Recipe::Workflow(workflow) => match &workflow.trigger.starts {
                Starts::Event(heard) => {
                    format!("when {}", heard.iter().map(|heard| heard.text.as_str()).collect::<Vec<_>>().join(", "))
                }
                Starts::Webhook { path, .. } => format!("when something comes to {path}"),
                Starts::Schedule { text, .. } => format!("by the schedule {text}"),
                Starts::Poll { alias, operation, .. } => format!("when {alias}.{operation} shows something new"),
                Starts::Manual { .. } => "by hand".into(),
            },
            Recipe::Sync(sync) => {
                let [first, second] = sync.pair.sides.each_ref().map(|side| format!("{}.{}", side.alias, side.object));
                format!("keeps {first} and {second} alike")
            }
        }
    }

    /// Its own name; of a sync, those of the workflows that it is made of.
    fn runs_as<'p>(&self, plan: &'p Plan) -> Vec<&'p str> {
        let start = format!("{}/", self.name());
        let names = plan.hearing().map(|workflow| workflow.name.as_str());
        names.filter(|name| *name == self.name() || name.starts_with(&start)).collect()
    }
}

/// All of a project, by name.
fn recipes(plan: &Plan) -> Vec<Recipe<'_>> {
    let workflows = plan.workflows.iter().map(Recipe::Workflow);
    let mut all: Vec<Recipe> = workflows.chain(plan.syncs.iter().map(|sync| Recipe::Sync(sync))).collect();
    all.sort_by(|one, two| one.name().cmp(two.name()));
    all
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let all = recipes(&plan);
    let from = usize::try_from(ask.number("cursor").unwrap_or_default()).unwrap_or_default();
    let inactive = if may_operate(&ask) && from == 0 { switch::inactive(&ask).await? } else { Vec::new() };
    let content = html! {
        h1 { "Workflows" }
        p.lead { "The recipes of this project that are active." }
        @if may_operate(&ask) { p.acts { a.button.plain href="/edit" { "Write a recipe" } } }
        section.card {
            @if all.is_empty() {
                (empty("Nothing is active", html! { "Name what is to run under " code { "active:" } " in dovetail.yaml." }))
            } @else {
                table.rows {
                    thead { tr { @for name in ["Recipe", "What it does", "File"] { th scope="col" { (name) } } } }
                    tbody { @for recipe in all.iter().skip(from).take(LIMIT) { (row(recipe)) } }
                }
            }
            @if from.saturating_add(LIMIT) < all.len() {
                p.more { a href=(format!("/workflows?cursor={}", from + LIMIT)) rel="next" { "More" } }
            }
        }
        @if !inactive.is_empty() {
            section.card {
                h2 { "Not active" }
                table.rows {
                    thead { tr { @for name in ["Recipe", "File", ""] { th scope="col" { (name) } } } }
                    tbody { @for one in inactive.iter().take(LIMIT) { (sleeping(&ask, one)) } }
                }
            }
        }
    };
    Ok(page(&ask, "/workflows", "Workflows", false, content))
}

fn sleeping(ask: &Ask, one: &Inactive) -> Markup {
    html! {
        tr {
            td { a href=(format!("/edit?path={}", part(&one.path))) { (said(&one.name)) } }
            td.wide { (said(&one.path)) }
            td.last { @if may_switch(ask) { (button(ask, &one.name, "on", "Switch on")) } }
        }
    }
}

fn may_switch(ask: &Ask) -> bool {
    ask.may(Role::Admin) && ask.window.documents.may_be_changed()
}

fn button(ask: &Ask, name: &str, verb: &str, what: &str) -> Markup {
    html! {
        form method="post" action=(format!("/workflows/{}/{verb}", part(name))) {
            (csrf(ask.who.as_ref()))
            button.plain { (what) }
        }
    }
}

pub async fn switch_on(ask: Ask) -> Result<Response, Problem> {
    switched(&ask, true).await
}

pub async fn switch_off(ask: Ask) -> Result<Response, Problem> {
    switched(&ask, false).await
}

async fn switched(ask: &Ask, is_on: bool) -> Result<Response, Problem> {
    match switch::switch(ask, ask.text("workflow").unwrap_or_default(), is_on).await? {
        Saved::Written(came) if came.present => Ok(on_to("/workflows")),
        Saved::Written(came) => {
            Err(Problem::conflict(format!("written, and not served yet: {}", cut(&came.told, 2_000))))
        }
        Saved::Wrong(report) => Err(api::drafts::wrong(&report)),
    }
}

fn row(recipe: &Recipe<'_>) -> Markup {
    html! {
        tr {
            td { a href=(format!("/workflows/{}", part(recipe.name()))) { (said(recipe.name())) } }
            td.wide {
                (said(&cut(&recipe.begins(), 200)))
                @if let Some(description) = recipe.description() { div.quiet { (said(&cut(description, 200))) } }
            }
            td.last { (said(&recipe.place().path)) }
        }
    }
}

pub async fn tell(ask: Ask) -> Result<Response, Problem> {
    again(ask, &Tried::default()).await
}

/// The same once more, with what somebody tried.
pub async fn again(ask: Ask, tried: &Tried) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let name = ask.owned("workflow").unwrap_or_default();
    let all = recipes(&plan);
    let found = all.iter().find(|recipe| recipe.name() == name).ok_or_else(|| Problem::unknown("active recipe"))?;
    let path = found.place().path.to_string();
    let documents = ask.store().plan(&plan.hash).await?.unwrap_or_default();
    let text = documents.into_iter().find(|(known, _)| *known == path).map(|(_, text)| text).unwrap_or_default();
    let latest = latest(&ask, found.runs_as(&plan)).await?;
    let drawn = match found {
        Recipe::Workflow(workflow) => picture::of(&ask, &plan, workflow, &found.begins()).await?,
        Recipe::Sync(sync) => picture::of_sync(sync),
    };
    let content = html! {
        p.path { a href="/workflows" { "Workflows" } }
        h1 { (said(&name)) }
        p.lead { (said(&cut(&found.begins(), 400))) ", written in " (said(&path)) }
        @if let Some(description) = found.description() { p { (said(&cut(description, 1_000))) } }
        @if may_operate(&ask) && path.starts_with(drafts::FOLDER) {
            div.acts {
                a.button.plain href=(format!("/edit?path={}", part(&path))) { "Edit or try" }
                @if may_switch(&ask) { (button(&ask, &name, "off", "Switch off")) }
                @if let Recipe::Sync(sync) = found { a.button.plain href=(format!("/plans?sync={}", part(&sync.name))) { "Plan its first run" } }
            }
        }
        (drawn)
        (as_written(&ask, &name, &path, &text).await?)
        @if let (Recipe::Workflow(workflow), true) = (found, may_operate(&ask)) { (by_hand::form(&ask, &plan, workflow, tried)) }
        section.card {
            h2 { "Latest runs" }
            (runs::table(&latest, html! { "None yet." }))
        }
    };
    let is_live = tried.is_nothing();
    Ok(page(&ask, "/workflows", &name, is_live, content))
}

/// As it is served, with what there is to say of it; and as it is in the folder, if that is something else.
async fn as_written(ask: &Ask, name: &str, path: &str, served: &str) -> Result<Markup, Problem> {
    // What is served is shown also where the folder cannot be read, or holds something else.
    let (present, unread) = match drafts::present(ask).await {
        Ok(present) => (present, None),
        Err(problem) => (Present::default(), Some(problem.detail)),
    };
    let Present { own, report } = present;
    let now = own.iter().find(|text| text.path == path).map(|text| text.text.as_str());
    let is_now = now == Some(served);
    let has_findings =
        report.diagnostics.iter().any(|found| found.primary.as_ref().is_some_and(|at| &*at.path == path));
    Ok(html! {
        @if !is_now {
            section.card {
                h2 { "As it is in the folder" }
                p.notice.wait {
                    "What is there is not served: "
                    @match (&unread, now) {
                        (Some(why), _) => { @if may_operate(ask) { (said(&cut(why, WHY_MAX))) "." } @else { "it cannot be read." } }
                        (None, Some(_)) => { "it has been changed since, and is not taken up. " code { "dovetail reload" } " takes it up, or says what hinders it." }
                        (None, None) => { "there is no such file any more. " code { "dovetail reload" } " takes that up, or says what hinders it." }
                    }
                }
                @if let (Some(now), true) = (now, may_operate(ask)) {
                    (yaml::findings(&report, path))
                    (yaml::written(now, path, Some(&report)))
                }
            }
        }
        section.card {
            h2 { @if is_now { "As it is written" } @else { "As it is served" } }
            @if is_now && has_findings { (yaml::findings(&report, path)) }
            (yaml::written(served, path, is_now.then_some(&*report)))
            p.more { a href=(format!("/workflows/{}/history", part(name))) { "How it was written before" } }
        }
    })
}

async fn latest(ask: &Ask, names: Vec<&str>) -> Result<Vec<Run>, Problem> {
    let mut all = Vec::new();
    for name in names {
        all.extend(ask.latest_of(name, RUNS_MAX).await?);
    }
    all.sort_by_key(|run| std::cmp::Reverse(run.seq));
    all.truncate(RUNS_MAX);
    Ok(all)
}
