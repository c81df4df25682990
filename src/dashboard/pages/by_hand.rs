//! A workflow that is started by hand: a form of what it takes.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{csrf, cut, on_to, part, said};
use crate::dashboard::api;
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts;
use crate::dashboard::problem::Problem;
use crate::project::Plan;
use crate::workflow::action::PROJECT;
use crate::workflow::{InputDocument, InputKind, Starts, Workflow};

/// Of a line that helps.
const HELP_MAX: usize = 300;
const CHOICES_MAX: usize = 200;

pub async fn run(ask: Ask) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let name = ask.text("workflow").unwrap_or_default();
    let given = ask.map("inputs");
    let inputs = plan.workflows.iter().find(|workflow| workflow.name == name).map(|workflow| typed(workflow, &given));
    let came = match inputs.unwrap_or_else(|| Ok(given.clone())) {
        Ok(inputs) => api::workflows::started(&ask, inputs).await,
        Err(problem) => Err(problem),
    };
    match came {
        Ok(run) => Ok(on_to(&format!("/runs/{}", run.seq))),
        Err(problem) if problem.status.as_u16() == 400 => {
            super::workflows::again(ask, &Tried { given: Some(given), why: Some(problem.detail) }).await
        }
        Err(problem) => Err(problem),
    }
}

/// Forms hold texts: what is a list or an object is written as JSON or YAML.
fn typed(workflow: &Workflow, given: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut inputs = given.clone();
    let Starts::Manual { inputs: wanted } = &workflow.trigger.starts else { return Ok(inputs) };
    for (name, input) in wanted {
        let is_tree = matches!(input.kind, InputKind::Array | InputKind::Object);
        if let Some(Value::String(text)) = inputs.get(name).filter(|_| is_tree) {
            let value = drafts::read_value(name, text)?;
            inputs.insert(name.clone(), value);
        }
    }
    Ok(inputs)
}

/// What somebody has filled in, and why it did not start.
#[derive(Default)]
pub struct Tried {
    given: Option<Map<String, Value>>,
    why: Option<String>,
}

impl Tried {
    pub fn is_nothing(&self) -> bool {
        self.given.is_none() && self.why.is_none()
    }
}

/// The form; nothing where it cannot be started by hand from a page.
pub fn form(ask: &Ask, plan: &Plan, workflow: &Workflow, tried: &Tried) -> Markup {
    let nothing = Map::new();
    let given = tried.given.as_ref().unwrap_or(&nothing);
    let fields = match &workflow.trigger.starts {
        Starts::Manual { inputs } => html! { @for (name, input) in inputs { (field(name, input, given.get(name))) } },
        Starts::Event(heard) => {
            let Some(heard) = heard.first().filter(|heard| heard.alias != PROJECT) else { return html! {} };
            let connector = workflow.connector_of(&heard.alias).unwrap_or_default();
            let object = heard.object.as_deref().and_then(|name| plan.connector(connector)?.object(name));
            let Some(object) = object else { return html! {} };
            let parent = object.parent.as_ref().map(|parent| parent.id.as_str());
            let known: Vec<&str> =
                plan.connections.iter().filter(|one| one.stands_for(connector)).map(|one| one.name.as_str()).collect();
            html! {
                @for id in [object.id.as_str()].into_iter().chain(parent) { (plain(&name_of(id), id, given.get(id), true, &format!("of the {}", object.name))) }
                @if known.len() > 1 { (choice("connection", "The account", &known)) }
            }
        }
        Starts::Schedule { .. } => html! {},
        Starts::Webhook { .. } | Starts::Poll { .. } => return html! {},
    };
    let tenants: Vec<&str> = plan.tenants_of(workflow).into_iter().flatten().collect();
    html! {
        section.card #by-hand {
            h2 { "Run it by hand" }
            @if let Some(why) = &tried.why { p.notice.bad { (said(&cut(why, 1_000))) } }
            form.inputs method="post" action=(format!("/workflows/{}/run", part(&workflow.name))) {
                (csrf(ask.who.as_ref()))
                (fields)
                @if tenants.len() > 1 { (choice("tenant", "The tenant", &tenants)) }
                div.buttons { button { "Run" } }
            }
        }
    }
}

fn name_of(field: &str) -> String {
    format!("inputs.{field}")
}

fn plain(name: &str, title: &str, value: Option<&Value>, required: bool, help: &str) -> Markup {
    html! {
        label {
            span { (said(title)) @if !help.is_empty() { " " small { (said(&cut(help, HELP_MAX))) } } }
            input name=(name) value=[value.and_then(Value::as_str)] required[required] autocomplete="off";
        }
    }
}

fn choice(name: &str, title: &str, known: &[&str]) -> Markup {
    html! {
        label { (title) select name=(name) { @for one in known.iter().take(CHOICES_MAX) { option { (said(one)) } } } }
    }
}

fn field(name: &str, input: &InputDocument, given: Option<&Value>) -> Markup {
    let title = input.title.as_deref().unwrap_or(name);
    let kind = serde_json::to_value(input.kind).unwrap_or_default();
    let kind = input.format.as_deref().or(kind.as_str()).unwrap_or_default().to_owned();
    let default = input.default.as_ref().map(|value| super::value(value, 60));
    let default = default.map_or_else(String::new, |value| format!(", {value} if it is left empty"));
    let help = match &input.description {
        Some(description) => format!("{description} ({kind}{default})"),
        None => format!("{kind}{default}"),
    };
    let required = input.default.is_none();
    let (name, typed) = (name_of(name), given.and_then(Value::as_str));
    let choices: Option<Vec<String>> = match (&input.r#enum, input.kind) {
        (Some(all), _) => Some(all.iter().take(CHOICES_MAX).map(|value| super::value(value, 200)).collect()),
        (None, InputKind::Boolean) => Some(vec!["true".into(), "false".into()]),
        _ => None,
    };
    if let Some(choices) = choices {
        return html! {
            label {
                span { (said(title)) " " small { (said(&cut(&help, HELP_MAX))) } }
                select name=(name) {
                    @if !required { option value="" { "" } }
                    @for one in &choices { option value=(one) selected[typed == Some(one)] { (said(one)) } }
                }
            }
        };
    }
    match input.kind {
        InputKind::Array | InputKind::Object => html! {
            label {
                span { (said(title)) " " small { (said(&cut(&help, HELP_MAX))) ", as JSON or YAML" } }
                textarea name=(name) rows="3" spellcheck="false" required[required] { "\n" (typed.unwrap_or_default()) }
            }
        },
        _ => plain(&name, title, given, required, &help),
    }
}
