//! Which recipes are active, changed in the project's own document, checked whole, and served.

use std::collections::HashSet;

use axum::http::StatusCode;
use serde_json::Value;

use super::ask::Ask;
use super::documents::Documents;
use super::drafts::{self, Saved, at_work, own};
use super::problem::Problem;
use crate::project::{self, Text, with_active};
use crate::source::{File, Severity};

/// What the project's own document is called.
const MAIN: [&str; 2] = ["dovetail.yaml", "dovetail.yml"];

/// A recipe of the folder that does not run.
pub struct Inactive {
    pub name: String,
    pub path: String,
}

/// Those that do not run, by name.
pub async fn inactive(ask: &Ask) -> Result<Vec<Inactive>, Problem> {
    let plan = ask.engine().plan();
    at_work(ask, move |documents| {
        // What is active need not be read anew.
        let active: HashSet<&str> = plan.recipes().map(|(_, place)| &*place.path).collect();
        let mut own = own(documents)?;
        own.retain(|text| !active.contains(text.path.as_str()));
        let mut all = recipes(&own);
        all.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(all)
    })
    .await
}

fn recipes(own: &[Text]) -> Vec<Inactive> {
    let of = |text: &Text| Some(Inactive { name: drafts::name_of(text)?, path: text.path.clone() });
    own.iter().filter(|text| text.path.starts_with(drafts::FOLDER)).filter_map(of).collect()
}

/// Has a recipe run from now on, or run no more. Runs that have begun end as they began.
///
/// # Errors
/// It is not allowed; there is none of this name; a person must write it.
pub async fn switch(ask: &Ask, name: &str, is_on: bool) -> Result<Saved, Problem> {
    if !ask.window.documents.may_be_changed() {
        let why =
            "what is active is said in dovetail.yaml: `dovetail serve --allow-edits` allows to change it here, too";
        return Err(Problem::new(StatusCode::FORBIDDEN, why));
    }
    let _one_at_a_time = ask.window.saving.lock().await;
    let name = name.to_owned();
    let what = if is_on { "switches on" } else { "switches off" };
    let about = name.clone();
    let changed = at_work(ask, move |documents| changed(documents, &name, is_on)).await?;
    let document = match changed {
        Ok(document) => document,
        Err(report) => return Ok(Saved::Wrong(report)),
    };
    ask.note(what, about).await?;
    at_work(ask, move |documents| documents.write(&document).map_err(Problem::conflict)).await?;
    Ok(Saved::Written(ask.window.documents.take_up().await))
}

/// The project's own document as it would be; or what would be wrong then.
fn changed(documents: &dyn Documents, name: &str, is_on: bool) -> Result<Result<Text, crate::source::Report>, Problem> {
    let (mut own, shipped) = (own(documents)?, documents.shipped());
    let all: Vec<String> = recipes(&own).into_iter().map(|recipe| recipe.name).collect();
    if !all.iter().any(|known| known == name) {
        return Err(Problem::unknown("recipe"));
    }
    let by_hand = |why: &str| Problem::conflict(format!("{why}: say under `active:` in dovetail.yaml what is to run"));
    let Some(at) = own.iter().position(|text| MAIN.contains(&text.path.as_str())) else {
        return Err(by_hand("the project has no document of its own"));
    };
    let file = File::read(&own[at].path, &own[at].text).map_err(|_| by_hand("dovetail.yaml cannot be read"))?;
    if let Some(environment) = documents.environment()
        && file.value["environments"][&environment].get("active").is_some()
    {
        return Err(by_hand(&format!("the environment `{environment}` says what is active")));
    }
    let known = file.value.get("active").and_then(Value::as_array);
    let known = known.map(|known| known.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    // Without a list all are.
    let mut wanted = known.unwrap_or(all);
    wanted.retain(|known| known != name);
    if is_on {
        wanted.push(name.to_owned());
    }
    let environment = documents.environment();
    let before = project::read(&own, &shipped, environment.as_deref()).report.count(Severity::Error);
    let text = with_active(&own[at].path, &own[at].text, &wanted);
    own[at].text = text.ok_or_else(|| by_hand("the list of what is active cannot be changed from here"))?;
    let report = project::read(&own, &shipped, environment.as_deref()).report;
    Ok(if report.count(Severity::Error) > before { Err(report) } else { Ok(own.swap_remove(at)) })
}
