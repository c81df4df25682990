//! Runs the cases of `tests/cases/expr/`: tables that anyone can read, of values, templates and conditions.
//!
//! A case has a `value` or a `condition`, and what comes of it: `gives`, `nothing`, `holds`, a `fault` when it is made,
//! or a `problem` (its code) when it is read. `says`, `helps` and `at` look closer at the last two.

use serde_json::{Value, json};

use super::{Condition, Expr, Fault, Locale, Problem, Scope};

#[test]
fn values() {
    run("values.yaml", include_str!("../../tests/cases/expr/values.yaml"));
}

#[test]
fn instructions() {
    run("instructions.yaml", include_str!("../../tests/cases/expr/instructions.yaml"));
}

#[test]
fn templates() {
    run("templates.yaml", include_str!("../../tests/cases/expr/templates.yaml"));
}

#[test]
fn conditions() {
    run("conditions.yaml", include_str!("../../tests/cases/expr/conditions.yaml"));
}

#[test]
fn scripts() {
    run("scripts.yaml", include_str!("../../tests/cases/expr/scripts.yaml"));
}

/// Every operator asked of every type: `yes`, `no`, `fault`, or `-` where it is refused when it is read.
#[test]
fn operators_by_type() {
    let file: Value = serde_yaml::from_str(include_str!("../../tests/cases/expr/operators.yaml")).unwrap();
    let scope = Scope::new(&file["scope"], &LONDON);
    let columns: Vec<&str> = file["columns"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let mut wrong = Vec::new();
    for row in file["rows"].as_array().unwrap() {
        let expected: Vec<&str> = row["is"].as_str().unwrap().split_whitespace().collect();
        assert_eq!(expected.len(), columns.len(), "{row}");
        for (column, expected) in columns.iter().zip(expected) {
            let answer = match Condition::compile(&json!({ *column: row["test"] })) {
                Err(_) => "-",
                Ok(condition) => match condition.holds(&scope) {
                    Ok(true) => "yes",
                    Ok(false) => "no",
                    Err(_) => "fault",
                },
            };
            if answer != expected {
                wrong.push(format!("{column}: {} is {answer}, not {expected}", row["test"]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const LONDON: Locale = Locale { timezone: chrono_tz::Tz::Europe__London, country: None };

fn run(name: &str, text: &str) {
    let file: Value = serde_yaml::from_str(text).unwrap();
    let locale = Locale { country: Some("GB".to_owned()), ..LONDON };
    let scope = Scope::new(&file["scope"], &locale).without_null();
    let wrong: Vec<String> = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|case| check(case, &scope).err().map(|message| format!("{case}\n    {message}")))
        .collect();
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

fn check(case: &Value, scope: &Scope<'_>) -> Result<(), String> {
    let known = ["value", "condition", "gives", "nothing", "holds", "fault", "problem", "says", "helps", "at", "why"];
    if let Some(stray) = case.as_object().unwrap().keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("a case has no key `{stray}`"));
    }
    match case.get("condition") {
        Some(written) => {
            let made =
                Condition::compile(written).map(|condition| condition.holds(scope).map(|held| Some(json!(held))));
            compare(case, made, case.get("holds").map(|holds| Some(holds.clone())))
        }
        None => {
            let made = Expr::compile(&case["value"]).map(|expr| expr.eval(scope));
            let nothing = case.get("nothing").map(|_| None);
            compare(case, made, case.get("gives").map(|gives| Some(gives.clone())).or(nothing))
        }
    }
}

type Made = Result<Result<Option<Value>, Fault>, Vec<Problem>>;

fn compare(case: &Value, made: Made, expected: Option<Option<Value>>) -> Result<(), String> {
    let has = |key: &str, text: &str| case.get(key).is_none_or(|part| text.contains(part.as_str().unwrap()));
    let at = |pointer: &str| case.get("at").is_none_or(|at| at == pointer);
    match (&made, expected) {
        (Ok(Ok(made)), Some(expected)) if *made == expected => Ok(()),
        (Ok(Err(fault)), None) if case.get("fault").is_some() => {
            let good = has("fault", &fault.message) && at(&fault.pointer);
            good.then_some(()).ok_or_else(|| format!("{fault:?}"))
        }
        (Err(problems), None) if case.get("problem").is_some() => {
            let problem = &problems[0];
            let helps = problem.help.as_deref().unwrap_or_default();
            let good = problems.len() == 1
                && case["problem"] == problem.code
                && has("says", &problem.message)
                && has("helps", helps)
                && at(&problem.pointer);
            good.then_some(()).ok_or_else(|| format!("{problems:?}"))
        }
        _ => Err(format!("{made:?}")),
    }
}
