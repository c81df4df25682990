//! Renders a prepared template within a budget.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use handlebars::template::Template as Parsed;
use handlebars::{
    Context, Handlebars, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason, Renderable,
    ScopedJson, no_escape,
};
use serde_json::Value;

use crate::expr::helper::{self, Argument, Call, Helper};
use crate::expr::{Fault, Locale};

/// The longest text that a template makes, in bytes.
pub(super) const OUTPUT_MAX: usize = 1024 * 1024;
/// What a rendering may spend: about one for each byte touched.
const BUDGET: u64 = 32 * 1024 * 1024;
/// What calling a helper, or passing an element of a template, costs besides.
const STEP: u64 = 32;

/// Names of our own calls; no author can write them.
pub(super) const SHOW: &str = "(show)";
pub(super) const TICK: &str = "(tick)";

/// One engine for all: it holds the built-in blocks and no templates.
static ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = Handlebars::new();
    engine.register_escape_fn(no_escape);
    engine.set_strict_mode(true);
    engine
});

pub(super) fn render(
    parsed: &Parsed,
    helpers: &[&'static Helper],
    data: Value,
    locale: &Locale,
) -> Result<String, Fault> {
    let budget = Budget { left: AtomicU64::new(BUDGET) };
    let context = Context::from(data);
    let mut out = Bounded { text: String::new() };
    let mut calls = RenderContext::new(None);
    calls.register_local_helper(SHOW, Box::new(Show));
    calls.register_local_helper(TICK, Box::new(Tick { budget: &budget }));
    for helper in helpers {
        calls.register_local_helper(helper.name, Box::new(Bound { helper, budget: &budget, locale }));
    }
    parsed.render(&ENGINE, &context, &mut calls, &mut out).map_err(|error| Fault::new(told(&error)))?;
    Ok(out.text)
}

/// Counts down; atomic only since the crate asks helpers to be `Sync`.
struct Budget {
    left: AtomicU64,
}

impl Budget {
    fn spend(&self, cost: u64) -> Result<(), RenderError> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(cost);
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        left.map(|_| ()).ok_or_else(|| refused("the template takes too long: it goes over its data too often"))
    }
}

/// Writes a bare value, `{{contact.email}}`.
struct Show;

impl HelperDef for Show {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let Some(value) = call.param(0) else { return Ok(()) };
        let argument = Argument { value: Some(value.value()), name: value.relative_path().map(String::as_str) };
        out.write(&argument.text().map_err(refused)?)?;
        Ok(())
    }
}

/// Begins a turn of `each`.
struct Tick<'r> {
    budget: &'r Budget,
}

impl HelperDef for Tick<'_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> HelperResult {
        let elements = call.param(0).and_then(|elements| elements.value().as_u64()).unwrap_or(1);
        self.budget.spend(STEP.saturating_mul(elements.saturating_add(1)))
    }
}

/// One of our helpers with what it needs in this rendering.
struct Bound<'r> {
    helper: &'static Helper,
    budget: &'r Budget,
    locale: &'r Locale,
}

impl Bound<'_> {
    fn value(&self, call: &handlebars::Helper<'_>) -> Result<Value, RenderError> {
        let arguments: Vec<Argument<'_>> = call
            .params()
            .iter()
            .map(|param| Argument { value: Some(param.value()), name: param.relative_path().map(String::as_str) })
            .collect();
        let touched = arguments.iter().filter_map(|argument| argument.value).map(helper::weight).sum::<u64>();
        self.budget.spend(STEP.saturating_add(touched))?;
        let value = (self.helper.run)(&Call { arguments: &arguments, locale: self.locale }).map_err(refused)?;
        self.budget.spend(helper::weight(&value))?;
        Ok(value)
    }
}

impl HelperDef for Bound<'_> {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        call: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        self.value(call).map(ScopedJson::Derived)
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &handlebars::Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = self.value(call)?;
        let argument = Argument {
            value: Some(&value),
            name: call.param(0).and_then(|first| first.relative_path()).map(String::as_str),
        };
        out.write(&argument.text().map_err(refused)?)?;
        Ok(())
    }
}

/// The text made so far; refuses to grow too long.
struct Bounded {
    text: String,
}

impl Output for Bounded {
    fn write(&mut self, part: &str) -> Result<(), std::io::Error> {
        if self.text.len() + part.len() > OUTPUT_MAX {
            return Err(std::io::Error::other(format!("the template makes more than {OUTPUT_MAX} bytes of text")));
        }
        self.text.push_str(part);
        Ok(())
    }
}

fn refused(message: impl Into<String>) -> RenderError {
    RenderErrorReason::Other(message.into()).into()
}

/// The engine's complaint in plain words.
fn told(error: &RenderError) -> String {
    let message = match error.reason() {
        RenderErrorReason::Other(message) => message.clone(),
        RenderErrorReason::IOError(error) => error.to_string(),
        RenderErrorReason::MissingVariable(Some(name)) => helper::missing(Some(name)),
        RenderErrorReason::MissingVariable(None) => helper::missing(None),
        RenderErrorReason::InvalidJsonIndex(name) => format!("a list has no field `{name}`"),
        _ => "the template cannot be filled in".to_owned(),
    };
    match error.line_no {
        Some(line) if line > 1 => format!("{message} (line {line} of the template)"),
        _ => message,
    }
}
