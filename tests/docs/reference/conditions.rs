//! The operators of conditions; what each may be asked of is tried out.

use dovetail::expr::{Condition, Scope, Word, operators};
use serde_json::{Value, json};

use super::{Page, code, described, example, line, locale, table};

pub fn page() -> Page {
    let words: Vec<Word> = operators().collect();
    let rows: Vec<Vec<String>> = words
        .iter()
        .map(|word| vec![code(word.name), described(word.name, Some(word.what)).into(), asked_of(word.name)])
        .collect();
    let mut text = String::from(
        "A condition stands under `only_if` of a trigger or an action, and under `if`. It is a map of lines; every line must\n\
         hold. On the left stands a path, on the right a test: a value (it is equal), a list (it is one of these), or operators,\n\
         which must all hold.\n\n",
    );
    example(
        &mut text,
        "condition",
        "$.contact.country: GB\n$.contact.source: [Fair, Quiz]\n$.contact.dateAdded: { gte: 2026-07-01, lt: 2026-08-01 }",
    );
    line(&mut text, "## Operators\n");
    table(&mut text, &["Operator", "Holds when", "May be asked of"], &rows);
    line(&mut text, "Each of them once:\n");
    let lines = words.iter().map(|word| format!("- {}\n", described(word.name, Some(word.example))));
    example(&mut text, "condition", &lines.collect::<String>());
    line(
        &mut text,
        "The right side is any [value](values.md), also a path: `$.contact.email: { ne: $.event.previous.email }`. Only\n`type` and \
         `changed` take nothing but a constant.\n\n\
         ## What is absent, and what is of another type\n\n\
         What is absent (or `null`) makes a test false, except `exists: false`, `blank: true`, `ne` and `not_in`, which then hold.\n\
         Comparing values of different types, such as a text with a number, is an error: the action fails, and is never quietly\n\
         skipped. Texts that read as times compare as times, so that `2026-07-20T10:00:00Z` equals\n\
         `2026-07-20T11:00:00+01:00`. Text has no order: `gt` and the like are for numbers and times.\n",
    );
    let gathering: Vec<String> =
        words.iter().filter(|word| may_gather(word.name)).map(|word| code(word.name)).collect();
    line(
        &mut text,
        &format!(
            "A path that gathers a list, such as `$.order.lines[*].name`, may be asked {}.\n\n\
             ## Several conditions\n\n\
             `all` is a map or a list of which everything must hold, `any` a list of which one must, `not` a map that must not. A\n\
             list instead of a map, where one path is tested twice:\n",
            gathering.join(", ")
        ),
    );
    example(
        &mut text,
        "condition",
        "any:\n  - $.contact.tags: { contains: vip }\n  - all:\n      - $.contact.email: { contains: ada }\n      - $.contact.email: { ends_with: \"@example.com\" }\n  - not: { $.contact.country: GB }",
    );
    line(&mut text, "## What has changed\n");
    line(
        &mut text,
        "`changed` compares with what this workflow was last told of the record. Of a new record, every field that is there\n\
         counts as changed. Of a record that is not new, the first time that the workflow hears of it, none does.\n\n\
         A few lines of [script](../guides/scripts.md) can be a condition, too: `$script: \"contact.tags.len() > 1\"`.",
    );
    Page {
        name: "conditions",
        title: "Conditions",
        about: "when something is done: every operator, `any`, `all`, `not`",
        text,
    }
}

/// Values by the words that people have for their types.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("text", json!("abc")),
        ("numbers", json!(5)),
        ("true and false", json!(true)),
        ("lists", json!(["abc"])),
        ("maps", json!({ "k": "v" })),
        ("times", json!("2026-07-20T10:00:00Z")),
    ]
}

/// Everything that could stand on the right.
fn rights() -> Vec<Value> {
    let single: Vec<Value> = kinds().into_iter().map(|(_, value)| value).collect();
    let lists: Vec<Value> = single.iter().map(|value| json!([value])).collect();
    single.into_iter().chain(lists).chain([json!("text")]).collect()
}

/// The types that an operator answers for, with some right side.
fn asked_of(operator: &str) -> String {
    let kinds = kinds();
    let answers = |left: &Value| {
        let root = json!({ "left": left });
        rights().iter().any(|right| {
            let condition = Condition::compile(&json!({ "$.left": { operator: right } }));
            condition.is_ok_and(|condition| condition.holds(&Scope::new(&root, &locale())).is_ok())
        })
    };
    let able: Vec<&str> = kinds.iter().filter(|(_, value)| answers(value)).map(|(name, _)| *name).collect();
    // A time is written as text.
    let able: Vec<&str> = able.iter().filter(|name| **name != "times" || !able.contains(&"text")).copied().collect();
    if able.len() == kinds.len() - 1 { "anything".into() } else { able.join(", ") }
}

fn may_gather(operator: &str) -> bool {
    rights().iter().any(|right| Condition::compile(&json!({ "$.list[*].name": { operator: right } })).is_ok())
}
