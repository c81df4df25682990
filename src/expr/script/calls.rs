//! What a script calls: each must be a function of the library or one of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::engine;
use super::told::{offset, word};
use crate::expr::Problem;

/// What Rhai answers itself.
const BUILT_IN: [&str; 5] = ["Fn", "call", "curry", "type_of", "is_def_var"];

/// How many values each function of the library takes; a method's first is what it is called on.
static LIBRARY: LazyLock<BTreeMap<String, BTreeSet<usize>>> = LazyLock::new(|| {
    let mut library: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let all = engine::bounded().collect_fn_metadata(
        None,
        |function| Some((function.metadata.name.to_string(), function.metadata.num_params)),
        true,
    );
    for (name, count) in all.into_iter().filter(|(name, _)| is_name(name)) {
        library.entry(name).or_default().insert(count);
    }
    library
});

/// Calls of something that there is not, or with more or fewer values than it takes.
pub(super) fn calls(ast: &AST, text: &str) -> Vec<Problem> {
    let mut own: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for function in ast.iter_functions() {
        own.entry(function.name).or_default().insert(function.params.len());
    }
    let (mut called, mut kept): (Vec<Call>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    ast.walk(&mut |path| {
        match path {
            [.., ASTNode::Expr(Expr::FnCall(call, place))] | [.., ASTNode::Stmt(Stmt::FnCall(call, place))] => {
                called.push(Call::new(call, *place, false));
            }
            [.., ASTNode::Expr(Expr::MethodCall(call, place))] => called.push(Call::new(call, *place, true)),
            // A field can hold a function, which is called like a method.
            [.., ASTNode::Expr(Expr::Map(fields, _))] => {
                kept.extend(fields.0.iter().map(|(field, _)| field.name.to_string()))
            }
            [.., ASTNode::Expr(Expr::Property(property, _))] => {
                kept.insert(property.2.to_string());
            }
            [.., ASTNode::Expr(Expr::StringConstant(name, _))] => {
                kept.insert(name.to_string());
            }
            _ => {}
        }
        true
    });
    let wrong = called.iter().filter(|call| is_name(&call.name) && !BUILT_IN.contains(&call.name.as_str()));
    wrong
        .filter(|call| !(call.is_method && kept.contains(&call.name)))
        .filter_map(|call| call.wrong(&own))
        .map(|(place, problem)| problem.of_part(word(text, offset(text, place))))
        .collect()
}

struct Call {
    name: String,
    /// How many values stand between its brackets.
    count: usize,
    is_method: bool,
    place: Position,
}

impl Call {
    fn new(call: &FnCallExpr, place: Position, is_method: bool) -> Call {
        Call { name: call.name.to_string(), count: call.args.len(), is_method, place }
    }

    fn wrong(&self, own: &BTreeMap<&str, BTreeSet<usize>>) -> Option<(Position, Problem)> {
        let Call { name, count, is_method, place } = self;
        let (mine, library) = (own.get(name.as_str()), LIBRARY.get(name));
        let takes: BTreeSet<usize> = mine
            .into_iter()
            .flatten()
            .copied()
            .chain(library.into_iter().flatten().filter_map(|taken| taken.checked_sub(usize::from(*is_method))))
            .collect();
        if takes.contains(count) {
            return None;
        }
        let problem = if mine.or(library).is_none() {
            let names = own.keys().copied().filter(|name| is_name(name)).chain(LIBRARY.keys().map(String::as_str));
            let help = "`dovetail explain unknown-function` names what is called most";
            Problem::new("unknown-function", format!("a script has no function `{name}`")).nearest(name, names, help)
        } else {
            let taken = match takes.iter().map(usize::to_string).collect::<Vec<_>>().as_slice() {
                [] => "is no method".to_owned(),
                [one] if one == "0" => "takes no value".to_owned(),
                [one] if one == "1" => "takes 1 value".to_owned(),
                counts => format!("takes {} values", counts.join(" or ")),
            };
            let message = format!("`{name}` {taken}, and is given {count}");
            let help = "count the values between the brackets, without the one that a method is called on";
            Problem::new("unknown-function", message).help(help)
        };
        Some((*place, problem))
    }
}

/// Operators are functions, too; so are those without a name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
