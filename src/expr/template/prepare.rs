//! Turns a parsed template into one that does only what it may, and lists what it reads.
//!
//! Every bare value becomes a call of `show`, which refuses what is no text, and every turn of `each` begins with a
//! `tick`, which spends from the budget of the rendering.

use std::collections::HashMap;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, Subexpression, TemplateElement};
use handlebars::{Path as Written, PathSeg, Template as Parsed};
use serde_json::Value;

use super::render::{SHOW, TICK};
use super::word;
use crate::expr::helper::{self, Helper};
use crate::expr::path::{Path, Step};
use crate::expr::{Problem, Read};

const BLOCKS: &[&str] = &["if", "unless", "each", "with"];

pub(super) struct Prepared {
    pub reads: Vec<Read>,
    /// All that is read, also of the items inside a block.
    pub paths: Vec<Path>,
    /// What is shown as it is, without a helper.
    pub shown: Vec<Path>,
    pub helpers: Vec<&'static Helper>,
}

pub(super) fn prepare(parsed: &mut Parsed, source: &str) -> Result<Prepared, Problem> {
    let (reads, paths, shown, helpers) = Default::default();
    let mut preparer = Preparer { source, reads, paths, shown, helpers, inside: Vec::new() };
    preparer.template(parsed)?;
    let Preparer { reads, paths, shown, helpers, .. } = preparer;
    Ok(Prepared { reads, paths, shown, helpers })
}

/// An `each` or `with` around a place.
struct Block {
    /// The names that it gives (`as |name|`); the first is the item's.
    given: Vec<String>,
    /// What the names inside begin with; none if that is made by a helper.
    here: Option<Vec<Step>>,
}

struct Preparer<'s> {
    source: &'s str,
    reads: Vec<Read>,
    paths: Vec<Path>,
    shown: Vec<Path>,
    helpers: Vec<&'static Helper>,
    /// The blocks around this place.
    inside: Vec<Block>,
}

impl Preparer<'_> {
    /// Returns how many elements it has, blocks' included: what one pass through it costs.
    fn template(&mut self, template: &mut Parsed) -> Result<usize, Problem> {
        let mut size = template.elements.len();
        for element in &mut template.elements {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                    if call.params.is_empty() && call.hash.is_empty() {
                        let mut shown = call.name.clone();
                        let known = self.paths.len();
                        self.parameter(&mut shown)?;
                        if let Parameter::Path(_) = shown {
                            self.shown.extend(self.paths.get(known).cloned());
                        }
                        *element = built_in_call(SHOW, shown);
                    } else {
                        size += self.call(call)?;
                    }
                }
                TemplateElement::HelperBlock(block) => size += self.block(block)?,
                _ => return Err(bad("templates inside templates are not part of templates")),
            }
        }
        Ok(size)
    }

    /// A helper with its arguments.
    fn call(&mut self, call: &mut HelperTemplate) -> Result<usize, Problem> {
        let name = call.name.as_name().unwrap_or_default().to_owned();
        let helper = self.helper(&name)?;
        if !call.hash.is_empty() {
            return Err(bad(format!("`{name}` takes no named arguments")).help(format!("write `{}`", helper.usage)));
        }
        let mut size = 1;
        for parameter in &mut call.params {
            size += self.parameter(parameter)?;
        }
        let constants: Vec<Option<&Value>> = call.params.iter().map(constant).collect();
        helper.check(&constants).map_err(|message| bad(message).help(format!("write `{}`", helper.usage)))?;
        Ok(size)
    }

    fn helper(&mut self, name: &str) -> Result<&'static Helper, Problem> {
        let Some(helper) = helper::find(name) else {
            if BLOCKS.contains(&name) {
                return Err(
                    bad(format!("`{name}` is a block")).help(format!("write `{{{{#{name} …}}}}…{{{{/{name}}}}}`"))
                );
            }
            let known = format!("there are {}", helper::names().collect::<Vec<_>>().join(", "));
            let problem = Problem::new("unknown-helper", format!("there is no helper `{name}`"));
            return Err(self.placed(problem, name).nearest(name, helper::names(), known));
        };
        if !self.helpers.iter().any(|used| used.name == helper.name) {
            self.helpers.push(helper);
        }
        Ok(helper)
    }

    fn placed(&self, problem: Problem, name: &str) -> Problem {
        Problem { part: word(self.source, name), ..problem }
    }

    /// Returns how many helpers are called in it.
    fn parameter(&mut self, parameter: &mut Parameter) -> Result<usize, Problem> {
        match parameter {
            Parameter::Name(name) => Err(bad(format!("`{name}` cannot be read here"))),
            Parameter::Path(path) => self.path(path).map(|()| 0),
            Parameter::Literal(_) => Ok(0),
            Parameter::Subexpression(Subexpression { element, .. }) => match &mut **element {
                TemplateElement::Expression(call) if call.params.is_empty() && call.hash.is_empty() => {
                    let mut inner = call.name.clone();
                    let size = self.parameter(&mut inner)?;
                    *parameter = inner;
                    Ok(size)
                }
                TemplateElement::Expression(call) => self.call(call),
                _ => Err(bad("the brackets hold no helper")),
            },
            _ => Err(bad("something is written here that templates do not know")),
        }
    }

    fn block(&mut self, block: &mut HelperTemplate) -> Result<usize, Problem> {
        let name = block.name.as_name().unwrap_or_default().to_owned();
        if !BLOCKS.contains(&name.as_str()) {
            let problem = Problem::new("unknown-helper", format!("there is no block `{{{{#{name}}}}}`"));
            return Err(self.placed(problem, &name).nearest(
                &name,
                BLOCKS.iter().copied(),
                format!("there are {}", BLOCKS.join(", ")),
            ));
        }
        let zero = block.hash.keys().any(|key| key != "includeZero" || !matches!(name.as_str(), "if" | "unless"));
        if block.params.len() != 1 || zero {
            return Err(
                bad(format!("`{{{{#{name}}}}}` takes one value")).help(format!("write `{{{{#{name} contact.tags}}}}`"))
            );
        }
        let known = self.paths.len();
        let mut size = 0;
        for parameter in block.params.iter_mut().chain(block.hash.values_mut()) {
            size += self.parameter(parameter)?;
        }
        let opens = matches!(name.as_str(), "each" | "with");
        if opens {
            let over = self.paths.get(known).filter(|_| matches!(block.params[..], [Parameter::Path(_)]));
            let item = (name == "each").then_some(Step::Each);
            let here = over.map(|path| path.steps().iter().cloned().chain(item).collect());
            let given = block.block_param.as_ref().map(given_names).unwrap_or_default();
            self.inside.push(Block { given, here });
        }
        if let Some(template) = &mut block.template {
            let turn = self.template(template)?;
            size += turn;
            if name == "each" {
                begin_with_tick(template, turn);
            }
        }
        if opens {
            self.inside.pop();
        }
        if let Some(template) = &mut block.inverse {
            size += self.template(template)?;
        }
        Ok(size)
    }

    fn path(&mut self, path: &Written) -> Result<(), Problem> {
        let (segments, written) = match path {
            Written::Local((_, name, raw)) => {
                return match (name.as_str(), self.inside.is_empty()) {
                    ("index" | "key" | "first" | "last", false) => Ok(()),
                    (_, false) => {
                        Err(bad(format!("there is no `{raw}`")).help("there are @index, @key, @first and @last"))
                    }
                    (_, true) => Err(bad(format!("`{raw}` has a meaning only inside `{{{{#each}}}}`"))),
                };
            }
            Written::Relative((segments, written)) => (segments, written),
        };
        let mut names: Vec<String> = Vec::new();
        let mut up = 0;
        let mut from_root = false;
        for segment in segments {
            match segment {
                PathSeg::Named(name) => names.push(name.clone()),
                // The rule's type is private to the crate; its name is not.
                PathSeg::Ruled(rule) => match format!("{rule:?}").as_str() {
                    "path_up" => up += 1,
                    "path_root" => from_root = true,
                    _ => {}
                },
                _ => {}
            }
        }
        if up > self.inside.len() {
            return Err(bad("`../` leads out of the template").help("each `{{#each}}` and `{{#with}}` is one step"));
        }
        if names.first().is_some_and(|first| first == "$") {
            return Err(bad("`$.` inside `{{ }}`").help("leave it out: `{{contact.email}}`"));
        }
        let blocks = self.inside.iter().rev();
        if let Some((block, number)) = blocks.clone().find_map(|block| Some((block, block.number_of(names.first()?)?)))
        {
            // What else a block gives is the number or the name of the item.
            let path = block.path(written, &names[1..]).filter(|_| number == 0);
            self.paths.extend(path);
            return Ok(());
        }
        if let Some(block) = blocks.clone().nth(up).filter(|_| !from_root) {
            let path = block.path(written, &names);
            self.paths.extend(path);
            return Ok(());
        }
        if names.is_empty() {
            return Err(bad("`this` has a meaning only inside `{{#each}}` and `{{#with}}`"));
        }
        let text = names.join(".");
        self.paths.push(Path::of_steps(&text, names.iter().map(|name| step(name)).collect()));
        let is_index = |name: &String| matches!(step(name), Step::Index(_));
        let names = names.into_iter().take_while(|name| !is_index(name)).collect();
        self.reads.push(Read { pointer: String::new(), names, plural: false, text, part: None });
        Ok(())
    }
}

impl Block {
    fn number_of(&self, name: &str) -> Option<usize> {
        self.given.iter().position(|given| given == name)
    }

    /// The path of names inside it.
    fn path(&self, written: &str, names: &[String]) -> Option<Path> {
        let steps = self.here.iter().flatten().cloned().chain(names.iter().map(|name| step(name))).collect();
        self.here.as_ref().map(|_| Path::of_steps(written, steps))
    }
}

/// A number is an item's.
fn step(name: &str) -> Step {
    match name.parse() {
        Ok(index) if name.bytes().all(|byte| byte.is_ascii_digit()) => Step::Index(index),
        _ => Step::Name(name.to_owned()),
    }
}

fn bad(message: impl Into<String>) -> Problem {
    Problem::new("bad-template", message)
}

fn constant(parameter: &Parameter) -> Option<&Value> {
    match parameter {
        Parameter::Literal(value) => Some(value),
        _ => None,
    }
}

fn given_names(given: &BlockParam) -> Vec<String> {
    let parameters = match given {
        BlockParam::Single(one) => vec![one],
        BlockParam::Pair((one, other)) => vec![one, other],
        _ => Vec::new(),
    };
    parameters.into_iter().filter_map(|parameter| parameter.as_name().map(str::to_owned)).collect()
}

fn built_in_call(name: &str, argument: Parameter) -> TemplateElement {
    *Subexpression::new(Parameter::Name(name.to_owned()), vec![argument], HashMap::new()).element
}

fn begin_with_tick(template: &mut Parsed, turn: usize) {
    template.elements.insert(0, built_in_call(TICK, Parameter::Literal(Value::from(turn))));
    // The places of elements are kept beside them, by number.
    if let Some(first) = template.mapping.first().cloned() {
        template.mapping.insert(0, first);
    }
}
