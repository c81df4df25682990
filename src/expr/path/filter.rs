//! Filters of paths: refused where their work could not be bounded.
//!
//! The crate runs each test of a filter whole, so what it may cost is decided when the path is compiled.

use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Literal, Segment, Selector, SingularQuery,
    SingularQuerySegment, Test, TestFunction,
};
use jsonpath_rust::query::Query;
use jsonpath_rust::query::state::State;
use serde_json::Value;

use crate::expr::needs::Needs;

/// What a compiled regular expression may take, in bytes: it is compiled anew for each value.
const REGEX_SIZE_MAX: usize = 64 * 1024;
/// What a filter with a regular expression counts beside one without.
const REGEX_COST: usize = 50;
/// What a filter that looks below its values counts.
const DESCENT_COST: usize = 20;

/// What the filters of a path read of the roots.
///
/// # Errors
/// What a filter may not do, in words.
pub(super) fn check(segments: &[Segment]) -> Result<Needs, String> {
    let mut needs = Needs::default();
    for filter in segments.iter().flat_map(selectors).filter_map(as_filter) {
        check_filter(filter, &mut needs)?;
    }
    Ok(needs)
}

/// Does an item pass? `root` is what `$` means.
pub(super) fn passes<'a>(filter: &Filter, item: &'a Value, root: &'a Value) -> bool {
    match filter {
        Filter::Or(parts) => parts.iter().any(|part| passes(part, item, root)),
        Filter::And(parts) => parts.iter().all(|part| passes(part, item, root)),
        Filter::Atom(FilterAtom::Filter { expr, not }) => passes(expr, item, root) != *not,
        Filter::Atom(atom) => {
            let state = State { root, ..State::root(item) };
            atom.process(state).ok_val() == Some(Value::Bool(true))
        }
    }
}

/// How many steps of the walk's budget one value costs.
pub(super) fn cost(filter: &Filter) -> usize {
    match filter {
        Filter::Or(parts) | Filter::And(parts) => parts.iter().map(cost).sum(),
        Filter::Atom(FilterAtom::Filter { expr, .. }) => cost(expr),
        Filter::Atom(FilterAtom::Test { expr, .. }) => test_cost(expr),
        Filter::Atom(FilterAtom::Comparison(comparison)) => {
            let (left, right) = comparison.vals();
            comparable_cost(left) + comparable_cost(right)
        }
    }
}

fn selectors(segment: &Segment) -> &[Selector] {
    match segment {
        Segment::Descendant(inner) => selectors(inner),
        Segment::Selector(selector) => std::slice::from_ref(selector),
        Segment::Selectors(selectors) => selectors,
    }
}

fn as_filter(selector: &Selector) -> Option<&Filter> {
    match selector {
        Selector::Filter(filter) => Some(filter),
        _ => None,
    }
}

fn check_filter(filter: &Filter, needs: &mut Needs) -> Result<(), String> {
    match filter {
        Filter::Or(parts) | Filter::And(parts) => parts.iter().try_for_each(|part| check_filter(part, needs)),
        Filter::Atom(FilterAtom::Filter { expr, .. }) => check_filter(expr, needs),
        Filter::Atom(FilterAtom::Test { expr, .. }) => check_test(expr, needs),
        Filter::Atom(FilterAtom::Comparison(comparison)) => check_comparison(comparison, needs),
    }
}

fn check_comparison(comparison: &Comparison, needs: &mut Needs) -> Result<(), String> {
    let (left, right) = comparison.vals();
    for side in [left, right] {
        match side {
            Comparable::Literal(_) | Comparable::SingularQuery(SingularQuery::Current(_)) => {}
            Comparable::SingularQuery(SingularQuery::Root(segments)) => {
                let names = segments.iter().map_while(|segment| match segment {
                    SingularQuerySegment::Name(name) => Some(name.clone()),
                    SingularQuerySegment::Index(_) => None,
                });
                let names: Vec<String> = names.collect();
                if names.is_empty() {
                    return Err("a filter may read `$` only by the name of a root, as in `$.vars.limit`".to_owned());
                }
                needs.add(&names);
            }
            Comparable::Function(function) => check_function(function, needs)?,
        }
    }
    Ok(())
}

fn check_test(test: &Test, needs: &mut Needs) -> Result<(), String> {
    match test {
        Test::RelQuery(segments) => check_below(segments),
        Test::AbsQuery(query) => check_absolute(query, needs),
        Test::Function(function) => check_function(function, needs),
    }
}

fn check_below(segments: &[Segment]) -> Result<(), String> {
    let wide = segments.iter().filter(|segment| !is_single(segment)).count();
    if segments.iter().flat_map(selectors).any(|selector| matches!(selector, Selector::Filter(_))) {
        return Err("a filter may not hold another filter".to_owned());
    }
    if wide > 1 || segments.iter().any(|segment| selectors(segment).len() > 1) {
        return Err(
            "a filter may look at the values below an item by one `*`, `..` or slice, not by several".to_owned()
        );
    }
    Ok(())
}

fn check_absolute(query: &JpQuery, needs: &mut Needs) -> Result<(), String> {
    let names = names(&query.segments);
    if names.is_empty() || !query.segments.iter().all(is_single) {
        return Err(
            "a filter may not search the whole document for each item; read one value, as in `$.vars.limit`".to_owned()
        );
    }
    needs.add(&names);
    Ok(())
}

/// The names with which a path begins.
pub(super) fn names(segments: &[Segment]) -> Vec<String> {
    let names = segments.iter().map_while(|segment| match segment {
        Segment::Selector(Selector::Name(name)) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

fn is_single(segment: &Segment) -> bool {
    matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_)))
}

fn check_function(function: &TestFunction, needs: &mut Needs) -> Result<(), String> {
    match function {
        TestFunction::Custom(name, _) => Err(format!(
            "there is no function `{name}`; a filter knows `length`, `count`, `value`, `match` and `search`"
        )),
        TestFunction::Length(argument) => check_argument(argument, needs),
        TestFunction::Value(argument) | TestFunction::Count(argument) => check_argument(argument, needs),
        TestFunction::Search(text, pattern) | TestFunction::Match(text, pattern) => {
            check_argument(text, needs)?;
            let FnArg::Literal(Literal::String(pattern)) = pattern else {
                return Err("the pattern of `match` and `search` must be constant text".to_owned());
            };
            regex::RegexBuilder::new(pattern)
                .size_limit(REGEX_SIZE_MAX)
                .build()
                .map(|_| ())
                .map_err(|_| format!("`{pattern}` is no regular expression, or too big a one"))
        }
    }
}

fn check_argument(argument: &FnArg, needs: &mut Needs) -> Result<(), String> {
    match argument {
        FnArg::Literal(_) => Ok(()),
        FnArg::Test(test) => check_test(test, needs),
        FnArg::Filter(_) => Err("a function in a filter takes a path or a constant".to_owned()),
    }
}

fn test_cost(test: &Test) -> usize {
    match test {
        Test::RelQuery(segments) if segments.iter().all(is_single) => 1,
        Test::RelQuery(_) => DESCENT_COST,
        Test::AbsQuery(_) => 1,
        Test::Function(function) => function_cost(function),
    }
}

fn comparable_cost(side: &Comparable) -> usize {
    match side {
        Comparable::Literal(_) | Comparable::SingularQuery(_) => 1,
        Comparable::Function(function) => function_cost(function),
    }
}

fn function_cost(function: &TestFunction) -> usize {
    match function {
        TestFunction::Custom(_, _) => 1,
        TestFunction::Length(argument) => argument_cost(argument),
        TestFunction::Value(argument) | TestFunction::Count(argument) => argument_cost(argument),
        TestFunction::Search(text, _) | TestFunction::Match(text, _) => REGEX_COST + argument_cost(text),
    }
}

fn argument_cost(argument: &FnArg) -> usize {
    match argument {
        FnArg::Literal(_) | FnArg::Filter(_) => 1,
        FnArg::Test(test) => test_cost(test),
    }
}
