//! The machine that runs scripts: what it offers, and what bounds it.
//!
//! A bound on steps alone is no bound: one step may compare, copy or print a list of thousands. So whoever reads a
//! name also pays for all that lies under it. That bounds copies, and with them memory, too.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Module, Position, Scope, Shared};

use super::told::kind_of;

/// What one script may do: about one for each step, and for each part of a value that it looks at.
const WORK_MAX: u64 = 1_000_000;
/// This much text counts as one part.
const TEXT_PART: u64 = 32;
/// How deep the values of a script are nested: the machine walks through them by calling itself.
const VALUE_DEPTH_MAX: usize = 160;
/// How deep its expressions and blocks are nested, and its functions call each other.
const EXPRESSION_DEPTH_MAX: usize = 32;
const CALLS_MAX: usize = 8;
/// What one value of a script may hold, all in all: bytes of text, items of lists, fields of maps.
pub(super) const TEXT_MAX: usize = 256 * 1024;
pub(super) const ITEMS_MAX: usize = 10_000;
pub(super) const FIELDS_MAX: usize = 50_000;
const VARIABLES_MAX: usize = 32;
const FUNCTIONS_MAX: usize = 32;

/// All that scripts can call. What waits, ends, prints, tells the time or reads a script from a text is not among it.
static LIBRARY: LazyLock<[Shared<Module>; 9]> = LazyLock::new(|| {
    [
        ArithmeticPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
    ]
});

/// Words that Rhai knows and scripts do not have. `this` would be a way to values past [`Budget`].
const DISABLED: [&str; 4] = ["eval", "print", "debug", "this"];

/// An engine with every limit set. Cheap: the library is shared.
pub(super) fn bounded() -> Engine {
    let mut engine = Engine::new_raw();
    for module in LIBRARY.iter() {
        engine.register_global_module(module.clone());
    }
    for word in DISABLED {
        engine.disable_symbol(word);
    }
    // Rhai's own operators call what differs in type neither greater nor smaller.
    engine.set_fast_operators(false);
    engine.register_fn("<", |one: Dynamic, other: Dynamic| order(&one, &other).map(Ordering::is_lt));
    engine.register_fn("<=", |one: Dynamic, other: Dynamic| order(&one, &other).map(Ordering::is_le));
    engine.register_fn(">", |one: Dynamic, other: Dynamic| order(&one, &other).map(Ordering::is_gt));
    engine.register_fn(">=", |one: Dynamic, other: Dynamic| order(&one, &other).map(Ordering::is_ge));
    engine
        .set_max_operations(WORK_MAX)
        .set_max_call_levels(CALLS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, EXPRESSION_DEPTH_MAX)
        .set_max_string_size(TEXT_MAX)
        .set_max_array_size(ITEMS_MAX)
        .set_max_map_size(FIELDS_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX);
    engine
}

/// Runs a script on the roots that it reads.
pub(super) fn run(ast: &AST, roots: Map, budget: &Budget) -> Result<Dynamic, Box<EvalAltResult>> {
    let mut engine = bounded();
    let mut scope = Scope::new();
    for (name, value) in &roots {
        if !budget.spend(size(value, 0).ok_or(TOO_DEEP)?) {
            return Err(stopped());
        }
        scope.push_constant_dynamic(name.as_str(), value.clone());
    }
    // Functions have a scope of their own, which sees only parameters; the context is for them, too.
    let seen = if ast.has_functions() { roots } else { Map::new() };
    let steps = budget.clone();
    engine.on_progress(move |_| (!steps.spend(1)).then_some(Dynamic::UNIT));
    let reading = budget.clone();
    #[expect(deprecated, reason = "it is not: Rhai marks so what may change between its versions")]
    engine.on_var(move |name, _, context| {
        let own = context.scope().get(name);
        let Some(value) = own.or_else(|| seen.get(name)) else { return Ok(None) };
        if !reading.spend(size(value, 0).ok_or(TOO_DEEP)?) {
            return Err(stopped());
        }
        Ok(if own.is_some() { None } else { Some(value.clone()) })
    });
    engine.eval_ast_with_scope::<Dynamic>(&mut scope, ast)
}

const TOO_DEEP: &str = "a value is nested too deep";

/// The end, which a script cannot catch.
fn stopped() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// How many parts a value has; None if it is nested too deep.
fn size(value: &Dynamic, depth: usize) -> Option<u64> {
    if depth > VALUE_DEPTH_MAX {
        return None;
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().try_fold(1, |sum, item| Some(sum + size(item, depth + 1)?));
    }
    if let Ok(fields) = value.as_map_ref() {
        let keys = |name: &str| 1 + name.len() as u64 / TEXT_PART;
        return fields.iter().try_fold(1, |sum, (name, field)| Some(sum + keys(name) + size(field, depth + 1)?));
    }
    let text = value.as_immutable_string_ref().map_or(0, |text| text.len() as u64);
    Some(1 + text / TEXT_PART)
}

/// As in conditions, what differs in type is told, never quietly false.
fn order(one: &Dynamic, other: &Dynamic) -> Result<Ordering, Box<EvalAltResult>> {
    let number = |value: &Dynamic| value.as_float().or_else(|_| value.as_int().map(|whole| whole as f64)).ok();
    let text = |value: &Dynamic| (value.is_string() || value.is_char()).then(|| value.to_string());
    let order = match (one.as_int(), other.as_int()) {
        (Ok(one), Ok(other)) => Some(one.cmp(&other)),
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => one.partial_cmp(&other),
            _ => text(one).zip(text(other)).map(|(one, other)| one.cmp(&other)),
        },
    };
    order.ok_or_else(|| {
        let kinds = (kind_of(one.type_name()), kind_of(other.type_name()));
        format!("{} and {} cannot be compared", kinds.0, kinds.1).into()
    })
}

/// What is left of the work that a script may do.
#[derive(Clone)]
pub(super) struct Budget {
    left: Arc<AtomicU64>,
    most: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Budget {
        let most = most.min(WORK_MAX);
        Budget { left: Arc::new(AtomicU64::new(most)), most }
    }

    /// False if there is not so much left; then nothing is.
    fn spend(&self, work: u64) -> bool {
        let left = self.left.load(Relaxed).checked_sub(work);
        self.left.store(left.unwrap_or(0), Relaxed);
        left.is_some()
    }

    pub(super) fn spent(&self) -> u64 {
        self.most - self.left.load(Relaxed)
    }
}
