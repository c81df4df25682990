//! The value rule, instructions and conversions; what each example gives is computed.

use dovetail::expr::{Conversion, FieldType, Word, conversions, convert, instructions};
use serde_json::{Value, json};

use super::{Page, code, described, example, line, locale, made, shown_sample, table};

pub fn page() -> Page {
    let mut text = String::from("Whatever is sent, set or compared is a value, and follows this rule:\n\n");
    let rule = [
        ["`$.contact.email`", "text that begins with `$.` or `$[` is a path: it reads a value, which keeps its type"],
        ["`\"Hello, {{contact.firstName}}!\"`", "text with `{{` is a [template](helpers.md): it makes text, always"],
        [
            "`{ $from: $.contact.email, $as: lowercase }`",
            "a map with a key that begins with `$` is an instruction, see below",
        ],
        [
            "`Ada`, `42`, `true`, `[vip]`, `{ a: b }`",
            "anything else is itself; in lists and maps each value follows this rule",
        ],
    ];
    let rule: Vec<Vec<String>> = rule.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
    table(&mut text, &["Written", "Means"], &rule);
    example(
        &mut text,
        "values",
        "email: $.contact.email\ngreeting: \"Hello, {{default contact.firstName \\\"friend\\\"}}!\"\n\
         address: { $from: $.contact.email, $as: lowercase }\ntags: [quiz, $.contact.source]\nprice: { $literal: \"$.50\" }",
    );
    line(
        &mut text,
        "Paths are JSONPath: `$.contact.tags[0]` is the first tag, `$.contact['a b']` a field with an odd name. A path that can\n\
         find several values gives a list, whatever it finds: `$.order.lines[*].name`.\n\n\
         **Nothing is nothing.** In what is read, `null` and absent are the same. Where a path finds nothing, the field is not sent;\n\
         in a list, the item is left out. Only a `null` that you write yourself, also as `$otherwise: null`, is sent, and clears\n\
         the field. A key of data that begins with `$` is written `$$`.\n\n\
         ## Instructions\n\n\
         An instruction begins with one of `$from`, `$first`, `$each`, `$script` and `$literal`. The others are done after it, in\n\
         this order: `$as`, `$map`, `$add`, `$otherwise`. The results are those of this data:\n",
    );
    shown_sample(&mut text);
    let rows: Vec<Vec<String>> = instructions()
        .map(|word| {
            let written: Value = serde_yaml::from_str(described(word.name, Some(word.example))).expect("YAML");
            assert!(written.get(word.name).is_some(), "the example of `{}` does not use it", word.name);
            vec![code(word.name), described(word.name, Some(word.what)).into(), code(word.example), made(&written)]
        })
        .collect();
    table(&mut text, &["Key", "What it does", "Example", "Result"], &rows);
    line(&mut text, "## Conversions for `$as`\n");
    let rows: Vec<Vec<String>> = conversions().map(|word| conversion(&word)).collect();
    table(&mut text, &["Name", "What it does", "From", "To"], &rows);
    line(
        &mut text,
        "`$as: { map: { Lead: prospect } }` puts values in place of others, too; in workflows `$map` says the same.\n\n\
         ## What a field takes\n\n\
         The field that a value goes to decides. A value is converted by itself where nothing is lost, and else refused: by\n\
         `dovetail check` if it stands in the file, when the run gets there if it comes from outside. (Time zone here:\n\
         Europe/London.)\n",
    );
    types(&mut text);
    line(
        &mut text,
        "One value never becomes a list by itself, nor a list one value. A field of which no schema is known takes everything as\n\
         it is.",
    );
    Page {
        name: "values",
        title: "Values",
        about: "paths, templates, instructions (`$from`, `$each` …), conversions",
        text,
    }
}

fn conversion(word: &Word) -> Vec<String> {
    let conversion = Conversion::compile(&json!(word.name)).expect("it is known");
    let from: Value = serde_json::from_str(described(word.name, Some(word.example))).expect("JSON");
    let to = conversion.apply(&from, &locale()).unwrap_or_else(|message| panic!("`{}`: {message}", word.name));
    let what = described(word.name, Some(word.what)).to_owned();
    vec![code(word.name), what, code(&from.to_string()), code(&to.to_string())]
}

/// A row for each value, a column for each type: what becomes of it.
fn types(text: &mut String) {
    let types = [
        FieldType::Text,
        FieldType::Integer,
        FieldType::Number,
        FieldType::Boolean,
        FieldType::DateTime,
        FieldType::Date,
        FieldType::List(Box::new(FieldType::Text)),
    ];
    let values = [
        json!("abc"),
        json!("42"),
        json!("4.5"),
        json!("true"),
        json!("2026-07-20"),
        json!("2026-07-20T10:00:00Z"),
        json!(42),
        json!(4.5),
        json!(true),
        json!(["vip", 7]),
    ];
    let heads: Vec<String> = types.iter().map(FieldType::describe).collect();
    let columns: Vec<&str> = std::iter::once("Given").chain(heads.iter().map(String::as_str)).collect();
    let row = |value: &Value| {
        let cell = |kind: &FieldType| match convert(value, kind, &locale()) {
            Ok(made) => code(&made.to_string()),
            Err(_) => "refused".into(),
        };
        std::iter::once(code(&value.to_string())).chain(types.iter().map(cell)).collect()
    };
    table(text, &columns, &values.iter().map(row).collect::<Vec<_>>());
}
