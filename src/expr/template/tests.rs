//! Limits and robustness of templates; what they give is in `tests/cases/expr/templates.yaml`.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::expr::Locale;
use crate::source::worked;

fn render(text: &str, data: &Value) -> Result<String, Fault> {
    Template::compile(text).unwrap().render(&Scope::new(data, &Locale::default()))
}

#[test]
fn a_template_reads_what_it_names() {
    let text = "{{a.b}} {{default c.d.0.e \"-\"}} {{#each f.g as |x|}}{{x.y}}{{this}}{{z}}{{../h}}{{@root.i}}{{/each}} \
                {{#if (length j)}}{{upper (lower k.l)}}{{/if}}";
    let reads = Template::compile(text).unwrap().reads();
    let read: Vec<String> = reads.iter().map(|read| read.names.join(".")).collect();
    assert_eq!(read, ["a.b", "c.d", "f.g", "h", "i", "j", "k.l"]);
    assert_eq!(reads[1].text, "c.d.0.e");
}

#[test]
fn only_what_is_read_is_copied() {
    let template = Template::compile("{{contact.name}}{{vars.list.0}}").unwrap();
    let data =
        json!({ "contact": { "name": "Ada", "notes": ["long"] }, "vars": { "list": [1, 2], "x": 1 }, "event": 1 });
    let copied = template.inner.needs.of_scope(&Scope::new(&data, &Locale::default()));
    assert_eq!(Value::Object(copied), json!({ "contact": { "name": "Ada" }, "vars": { "list": [1, 2] } }));
}

#[test]
fn a_laid_over_name_is_seen() {
    let (data, item, locale) = (json!({ "item": { "a": 1 } }), json!({ "a": 2 }), Locale::default());
    let scope = Scope::new(&data, &locale);
    let template = Template::compile("{{item.a}}").unwrap();
    assert_eq!(template.render(&scope.with("item", &item)).unwrap(), "2");
}

#[test]
fn what_is_filled_in_without_the_engine_is_what_the_engine_gives() {
    let data = json!({
        "a": "ä {{b}}", "b": { "c": 1.0, "c d": true }, "n": 7, "list": ["x", { "y": "z" }], "e": "", "null": null,
    });
    let locale = Locale::default();
    let scope = Scope::new(&data, &locale);
    let filled = [
        "{{a}}",
        "{{a}} {{b.c}}!",
        "x \n{{~ a ~}} \n y",
        "{{{a}}}",
        "{{!-- said --}}\n{{n}}{{e}}",
        "{{b.[c d]}}",
        "{{b.c}}\n{{n}}\n",
        "{{this.a}}",
        "{{@root.a}}",
        "{{list.0}}",
        "{{list.1.y}}",
        "{{list.[0]}}",
    ];
    let refused = ["{{missing}}", "{{null}}", "{{b}}", "{{list}}", "{{list.7}}", "a\n{{b.missing}}", "{{n.x}}"];
    for text in filled.iter().chain(&refused) {
        let template = Template::compile(text).unwrap();
        let inner = &*template.inner;
        let data = Value::Object(inner.needs.of_scope(&scope));
        let by_engine = render::render(&inner.parsed, &inner.helpers, data, &locale);
        let plain = inner.plain.as_ref().unwrap_or_else(|| panic!("{text} is plain")).fill(&scope);
        match refused.contains(text) {
            false => assert_eq!(plain, by_engine.ok(), "{text}"),
            true => assert_eq!((plain, by_engine.is_err()), (None, true), "{text}"),
        }
    }
    for text in ["{{upper a}}", "{{#if a}}x{{/if}}", "{{default a \"-\"}}"] {
        assert!(Template::compile(text).unwrap().inner.plain.is_none(), "{text}");
    }
}

#[test]
fn what_is_inserted_is_never_evaluated_again() {
    assert_eq!(render("{{a}}", &json!({ "a": "{{b}} $.b", "b": "secret" })).unwrap(), "{{b}} $.b");
}

#[test]
fn texts_that_would_cost_too_much_are_refused_at_once() {
    let nested = |count: usize| format!("{}x{}", "{{#if a}}".repeat(count), "{{/if}}".repeat(count));
    let brackets = |count: usize| format!("{{{{upper {}a{}}}}}", "(upper ".repeat(count), ")".repeat(count));
    let texts = [
        nested(33),
        nested(3000),
        "{{#if a}}".repeat(5000),
        brackets(33),
        brackets(5000),
        format!("{{{{upper {}", "(".repeat(60_000)),
        format!("{{{{upper {}", "(f \")\" ".repeat(8_000)),
        format!("{{{{upper {}", "[".repeat(60_000)),
        format!("{{{{upper {}", "{\"a\":".repeat(10_000)),
        format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(4000)),
        "{{".repeat(32_000),
        "{{!".repeat(20_000),
        "x".repeat(SOURCE_MAX + 1),
    ];
    let (_, took) = worked(|| {
        for text in &texts {
            assert!(Template::compile(text).is_err(), "{}…", &text[..60]);
        }
    });
    assert!(took < Duration::from_secs(5), "{took:?}");
    let both = nested(32).replace('x', &brackets(31));
    for text in [nested(32), brackets(31), both, "x".repeat(SOURCE_MAX)] {
        assert!(Template::compile(&text).is_ok(), "{}…", &text[..60]);
    }
}

#[test]
fn work_is_bounded() {
    let list: Vec<String> = (0..3000).map(|number| format!("item {number}")).collect();
    let long = "x".repeat(600_000);
    let data = json!({ "a": list, "long": long });
    let hostile = [
        ("{{#each a}}{{#each ../a}}{{/each}}{{/each}}", "too long"),
        ("{{#each a}}{{#each ../a}}{{#each ../../a}}{{#if this}}{{/if}}{{/each}}{{/each}}{{/each}}", "too long"),
        ("{{#each a}}{{#if (length (join ../a))}}{{/if}}{{/each}}", "too long"),
        ("{{#each a}}{{../long}}{{/each}}", "more than"),
        ("{{long}}{{long}}", "more than"),
        ("{{length (replace long \"x\" \"xx\")}}", "more than"),
    ];
    let (_, took) = worked(|| {
        for (text, part) in hostile {
            let fault = render(text, &data).expect_err(text);
            assert!(fault.message.contains(part), "{text}: {}", fault.message);
        }
    });
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(
        render("{{#each a}}{{this}}{{/each}}", &data).unwrap(),
        data["a"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect::<String>()
    );
}

fn tag() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("a.b"),
        Just("b.[c d]"),
        Just("this"),
        Just("../a"),
        Just("@index"),
        Just("@root.a"),
        Just("\"x\""),
        Just("'y'"),
        Just("5"),
        Just("true"),
        Just("null"),
        Just("(upper a)"),
        Just("(length b)"),
        Just("as |x|"),
        Just("upper"),
        Just("default"),
        Just("join"),
        Just("each"),
        Just("if"),
        Just("with"),
        Just("else"),
        Just("~"),
        Just("x=1"),
        Just("["),
        Just(")"),
        Just("."),
    ];
    let words = prop::collection::vec(word, 0..4).prop_map(|words| words.join(" "));
    let kind = prop_oneof![
        Just("{{"),
        Just("{{#if "),
        Just("{{#each "),
        Just("{{#with "),
        Just("{{/if"),
        Just("{{/each"),
        Just("{{else "),
        Just("{{else"),
        Just("{{^"),
        Just("{{{"),
        Just("{{&"),
        Just("{{!"),
        Just("{{~"),
        Just("{{>"),
        Just("{{* "),
        Just("\\{{"),
    ];
    (kind, words, prop_oneof![Just("}}"), Just("}}}"), Just("~}}"), Just("}")])
        .prop_map(|(kind, words, end)| format!("{kind}{words}{end}"))
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = Template::compile(&text);
    }

    #[test]
    fn no_tags_panic(tags in prop::collection::vec(prop_oneof![tag(), "[ a\\n]{0,3}"], 0..8)) {
        if let Ok(template) = Template::compile(&tags.concat()) {
            let data = json!({ "a": { "b": [1, "x", null] }, "b": [{ "c d": 1 }, {}], "x": "y" });
            let _ = (template.render(&Scope::new(&data, &Locale::default())), template.reads());
        }
    }

    /// Text without tags is itself, and a value comes through unharmed.
    #[test]
    fn text_comes_through(before in "[^{\\\\]{0,12}", value in ".{1,12}") {
        let text = format!("{before}{{{{a}}}}");
        prop_assert_eq!(render(&text, &json!({ "a": value })).unwrap(), format!("{before}{value}"));
    }
}
