//! How a list goes on; guessed from the names of its parameters and of what its answer holds.

use serde_json::{Map, Value, json};

use super::answer::field;
use super::call::{At, Call, Parameter};
use super::schema::Schemas;
use crate::connector::field::under;

/// A guess: what `pages:` says, and which parameters it fills.
#[derive(Debug)]
pub(super) struct Guess {
    pub pages: Value,
    /// Parameter → what it is filled with.
    pub filled: Vec<(String, String)>,
    pub because: String,
}

/// What came of looking.
#[derive(Debug)]
pub(super) enum Paging {
    Guessed(Guess),
    /// There are signs of pages, and nothing to go by.
    Unknown,
    None,
}

const SIZES: [&str; 14] = [
    "limit",
    "pagesize",
    "perpage",
    "size",
    "pagelimit",
    "maxresults",
    "count",
    "take",
    "top",
    "rows",
    "pagesizelimit",
    "maxitems",
    "numperpage",
    "resultsperpage",
];
const NUMBERS: [&str; 4] = ["page", "pagenumber", "pageno", "pagenum"];
const OFFSETS: [&str; 2] = ["offset", "skip"];
/// Offsets if they are numbers; times as often as not.
const STARTS: [&str; 3] = ["startindex", "startat", "start"];
const CURSORS: [&str; 14] = [
    "cursor",
    "after",
    "pagetoken",
    "nexttoken",
    "nextcursor",
    "nextpagetoken",
    "startafter",
    "startingafter",
    "pagecursor",
    "continuationtoken",
    "continuation",
    "token",
    "startafterid",
    "lastid",
];
/// Fields of an answer that hold what the next request says.
const NEXTS: [&str; 11] = [
    "nextcursor",
    "nextpagetoken",
    "nexttoken",
    "nextpagecursor",
    "endcursor",
    "continuationtoken",
    "cursor",
    "next",
    "nextpage",
    "after",
    "pagetoken",
];
const LASTS: [&str; 6] = ["totalpages", "lastpage", "pagecount", "pagestotal", "numpages", "totalpage"];
const METAS: [&str; 11] = [
    "meta",
    "pagination",
    "paging",
    "pageinfo",
    "page",
    "metadata",
    "responsemetadata",
    "links",
    "cursors",
    "traceid",
    "data",
];
const NUMBER_SIZE_MAX: u64 = 1_000;

pub(super) fn guess(schemas: &mut Schemas<'_>, call: &Call<'_>, answer: Option<&Value>) -> Paging {
    let query: Vec<&Parameter<'_>> = call.parameters.iter().filter(|parameter| parameter.at == At::Query).collect();
    let called =
        |names: &[&str]| query.iter().find(|parameter| names.contains(&plain(parameter.name).as_str())).copied();
    let fields = answer.map(|answer| fields(schemas, answer)).unwrap_or_default();
    let size = called(&SIZES);
    let amount = size.and_then(|size| amount(schemas, size));
    let sized = |filled: &mut Vec<(String, String)>| {
        if let (Some(size), Some(_)) = (size, amount) {
            filled.push((size.name.to_owned(), "$.page.size".into()));
        }
    };
    // Of several values that say where to go on, one alone would say it wrongly.
    let cursors = query.iter().filter(|parameter| CURSORS.contains(&plain(parameter.name).as_str())).count();
    if cursors > 1 {
        let parts: Vec<&str> = query
            .iter()
            .map(|parameter| parameter.name)
            .filter(|name| CURSORS.contains(&plain(name).as_str()))
            .collect();
        let mut found: Vec<(&str, &String)> = Vec::new();
        for name in &parts {
            found.extend(fields.iter().find(|(known, _)| *known == plain(name)).map(|(_, path)| (*name, path)));
        }
        let is_name = |name: &&str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if found.len() == parts.len() && parts.iter().all(is_name) {
            let told = |(name, _): &(&str, &String)| ((*name).to_owned(), format!("$.page.next.{name}"));
            return Paging::Guessed(Guess {
                pages: json!({ "cursor": found.iter().copied().collect::<std::collections::BTreeMap<_, _>>() }),
                filled: found.iter().map(told).collect(),
                because: format!("from the parameters {}, which the answer has too", parts.join(", ")),
            });
        }
    }
    if let Some(cursor) = called(&CURSORS).filter(|_| cursors == 1) {
        let own = plain(cursor.name);
        let found = fields.iter().find(|(name, _)| NEXTS.contains(&name.as_str()) || *name == own);
        if let Some((_, path)) = found.filter(|(name, _)| name != "next" || called(&NUMBERS).is_none()) {
            return Paging::Guessed(Guess {
                pages: json!({ "cursor": path }),
                filled: vec![(cursor.name.to_owned(), "$.page.next".into())],
                because: format!("from the parameter {} and the answer's {path}", cursor.name),
            });
        }
    }
    if let Some(number) = called(&NUMBERS) {
        let from_one = counts_from_one(schemas, number);
        let mut filled = vec![(number.name.to_owned(), "$.page.number".into())];
        let mut page = Map::new();
        let last = fields.iter().find(|(name, _)| LASTS.contains(&name.as_str()));
        if !from_one {
            page.insert("first".into(), 0.into());
        }
        if let Some((name, path)) = last {
            let key = if from_one || name == "lastpage" { "last" } else { "count" };
            page.insert(key.into(), path.as_str().into());
        }
        if let Some(amount) = amount {
            page.insert("size".into(), amount.into());
        }
        sized(&mut filled);
        let because = format!("from the parameter {}; counted from {}", number.name, u8::from(from_one));
        return Paging::Guessed(Guess { pages: json!({ "page": page }), filled, because });
    }
    let mut starts = query.iter().copied().filter(|parameter| STARTS.contains(&plain(parameter.name).as_str()));
    let offset = called(&OFFSETS).or_else(|| starts.find(|start| is_number(schemas, start)));
    if let Some(offset) = offset {
        let mut filled = vec![(offset.name.to_owned(), "$.page.offset".into())];
        sized(&mut filled);
        let because = match amount {
            Some(_) => format!("from the parameter {}", offset.name),
            None => format!("from the parameter {}; how many records a page holds is not known", offset.name),
        };
        return Paging::Guessed(Guess { pages: json!({ "offset": amount.unwrap_or(20) }), filled, because });
    }
    let linked = call.answer.as_ref().and_then(|answer| answer.headers);
    if linked.is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("link"))) {
        return Paging::Guessed(Guess {
            pages: json!({ "link": "next" }),
            filled: Vec::new(),
            because: "from the answer's header Link".into(),
        });
    }
    let signs = size.is_some() || called(&CURSORS).is_some() || called(&NUMBERS).is_some();
    if signs { Paging::Unknown } else { Paging::None }
}

/// `page_size`, `pageSize` and `page[size]` are one name.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// How many records a request may ask for: the most, else what comes by itself.
fn amount(schemas: &mut Schemas<'_>, size: &Parameter<'_>) -> Option<u64> {
    let schema = schemas.seen(&size.schema)?;
    let whole = |key: &str| {
        let value = schema.get(key)?;
        value
            .as_u64()
            .or_else(|| value.as_str()?.trim().parse().ok())
            .filter(|value| (1..=NUMBER_SIZE_MAX).contains(value))
    };
    whole("maximum").or_else(|| whole("default"))
}

fn is_number(schemas: &mut Schemas<'_>, parameter: &Parameter<'_>) -> bool {
    let schema = schemas.seen(&parameter.schema);
    schema.is_some_and(|schema| schema.get("type").is_some_and(|kind| kind == "integer" || kind == "number"))
}

/// Unless the document says that the first page is 0, it is 1.
fn counts_from_one(schemas: &mut Schemas<'_>, number: &Parameter<'_>) -> bool {
    let Some(schema) = schemas.seen(&number.schema) else { return true };
    let is_zero = |key: &str| schema.get(key).is_some_and(|value| value == 0 || value == "0");
    !is_zero("default") && !is_zero("minimum")
}

/// The answer's fields by their plain names, those one level down included.
fn fields(schemas: &mut Schemas<'_>, answer: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some(top) = schemas.seen(answer).map(std::borrow::Cow::into_owned) else { return found };
    let names = |map: &Map<String, Value>| -> Vec<String> {
        let fields = map.get("properties").and_then(Value::as_object);
        fields.into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| super::yaml::is_data(name)).collect()
    };
    for name in names(&top) {
        let Some(inside) = field(&top, &name).and_then(|inside| Some(schemas.seen(inside)?.into_owned())) else {
            continue;
        };
        let is_map = inside.contains_key("properties");
        let is_list = inside.get("type").is_some_and(|kind| kind == "array");
        if is_map && METAS.contains(&plain(&name).as_str()) {
            for deeper in names(&inside) {
                found.push((plain(&deeper), under(&under("$", &name), &deeper)));
            }
        } else if !is_map && !is_list {
            found.push((plain(&name), under("$", &name)));
        }
    }
    found
}
