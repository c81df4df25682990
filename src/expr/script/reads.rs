//! What a script reads of the context: the names that neither it nor one of its functions gives.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Position, Stmt};

use super::told::{offset, word};
use crate::expr::{Problem, Read};

/// All that is read; and where a function reads a variable of the script, which it cannot see.
pub(super) fn reads(ast: &AST, text: &str) -> (Vec<Read>, Vec<Problem>) {
    let functions: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
    // A closure does not see what the closure around it is given.
    let closures = ast.iter_functions().filter(|function| function.name.starts_with("anon$"));
    let mut own: BTreeSet<String> = closures.flat_map(|closure| closure.params).map(str::to_owned).collect();
    let mut inside: Vec<(String, Position)> = Vec::new();
    let mut reads: Vec<Read> = Vec::new();
    // The statements of the script come first, then those of its functions.
    let (statements, mut begun) = (ast.statements().len(), 0);
    ast.walk(&mut |path| {
        begun += usize::from(path.len() == 1);
        match path {
            [.., ASTNode::Stmt(Stmt::Var(given, ..))] => {
                own.insert(given.0.name.to_string());
            }
            [.., ASTNode::Stmt(Stmt::For(given, ..))] => {
                own.insert(given.0.name.to_string());
                own.extend(given.1.as_ref().map(|counter| counter.name.to_string()));
            }
            // A name that is given has its place on the stack.
            [before @ .., ASTNode::Expr(Expr::Variable(name, None, place))]
                if name.0.is_none() && !functions.contains(name.1.as_str()) =>
            {
                if begun > statements {
                    inside.push((name.1.to_string(), *place));
                }
                reads.push(read(&name.1, *place, before, text));
            }
            _ => {}
        }
        true
    });
    inside.retain(|(name, _)| own.contains(name));
    let hidden = inside.iter().map(|(name, place)| {
        let message = format!("a function cannot see `{name}`, which the script around it gives");
        Problem::new("bad-script", message)
            .of_part(word(text, offset(text, *place)))
            .help("a function sees its parameters and the context; write a `for` loop, or hand it over as a parameter")
    });
    let hidden: Vec<Problem> = hidden.collect();
    let mut told: BTreeSet<Vec<String>> = BTreeSet::new();
    let is_hidden = |read: &Read| inside.iter().any(|(name, _)| *name == read.names[0]);
    reads.retain(|read| !is_hidden(read) && told.insert(read.names.clone()));
    (reads, hidden)
}

/// The read of a name and of the fields that are named right behind it.
fn read(name: &str, place: Position, before: &[ASTNode<'_>], text: &str) -> Read {
    let start = offset(text, place);
    let mut part = start..start + name.len();
    let mut names = vec![name.to_owned()];
    let mut next = match before.last() {
        Some(ASTNode::Expr(Expr::Dot(chain, ..))) if is_at(&chain.lhs, place) => Some(&chain.rhs),
        _ => None,
    };
    while let Some(link) = next {
        let (field, rest) = match link {
            Expr::Dot(chain, ..) => (&chain.lhs, Some(&chain.rhs)),
            Expr::Index(chain, ..) => (&chain.lhs, None),
            other => (other, None),
        };
        let Expr::Property(property, place) = field else { break };
        names.push(property.2.to_string());
        part.end = offset(text, *place) + property.2.len();
        next = rest;
    }
    Read { pointer: String::new(), names, plural: false, text: text[part.clone()].to_owned(), part: Some(part) }
}

fn is_at(expression: &Expr, place: Position) -> bool {
    matches!(expression, Expr::Variable(_, _, at) if *at == place)
}
