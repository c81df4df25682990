//! The helpers of templates; what each example gives is computed.

use dovetail::expr::helpers;
use serde_json::Value;

use super::{Page, code, described, line, made, shown_sample, table};

pub fn page() -> Page {
    let mut text = String::from(
        "Text with `{{` and `}}` in it is a template; what stands between them is read from the [context](context.md), without\n\
         `$.`: `\"Hello, {{contact.firstName}}!\"`. A helper makes something of a value first. What it takes stands behind it, with\n\
         spaces between; a text in double quotes. A helper can stand within another one, in round brackets.\n\n\
         A value that is missing is an error, unless `default` says what to take. A template gives text, always; to keep a\n\
         number or a list, write a [path](values.md).\n\nThe results are those of this data:\n\n",
    );
    shown_sample(&mut text);
    let rows: Vec<Vec<String>> = helpers()
        .map(|word| {
            let given = made(&Value::String(described(word.name, Some(word.example)).into()));
            vec![code(word.name), described(word.name, Some(word.what)).into(), code(word.example), given]
        })
        .collect();
    table(&mut text, &["Helper", "Gives", "Example", "Result"], &rows);
    let nested = "{{upper (default contact.nickname contact.city)}}";
    let given = made(&Value::String(nested.into()));
    line(&mut text, &format!("One within another: {} gives {given}.\n", code(nested)));
    line(
        &mut text,
        "In YAML, put a template in quotes. Where it holds double quotes itself, put it in single ones: `'{{join contact.tags \" and \"}}'`.",
    );
    Page { name: "helpers", title: "Helpers in templates", about: "what `{{…}}` can do with a value", text }
}
