//! Whatever is asked of the API, it answers as its description says, and never fails. `SEED=… cargo test dashboard::fuzz` asks
//! the same once more.

use std::collections::BTreeMap;

use dovetail::dashboard::routes::{Kind, Method, Place, Route, TABLE, Taken};
use dovetail::store::Role;
use serde_json::{Value, json};

use super::payloads::PAYLOADS;
use super::visitor::token;
use super::{open, schema};
use crate::stage::GHL;

/// Requests of each route.
const ROUNDS: usize = 40;

/// The same numbers again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("it is small")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A value that may be one of this kind.
    fn value(&mut self, takes: &Taken) -> Value {
        match (self.below(5), takes) {
            (0, _) => json!(self.of(PAYLOADS.as_slice())),
            (1, _) => self.of(&[0, 1, 2, 4_711, -1, i64::MAX, i64::MIN]).into(),
            (2, _) => json!("x".repeat(self.of(&[1, 199, 200, 201, 5_000]))),
            (_, Taken::Number { .. }) => json!(self.of(&[1, 2, 3])),
            (_, Taken::OneOf(words)) => json!(self.of(words)),
            (_, Taken::When) => json!(self.of(&["2h", "2026-01-01", "soon", "99999999d"])),
            (_, Taken::Map) => json!({ "name": "Ada", "id": PAYLOADS[0] }),
            (_, Taken::Lines(_)) => {
                json!(self.of(&["workflow: x\nactions: []\n", "{", "a: [\n", "sync: contacts\n", "- 1\n"]))
            }
            (_, Taken::Text(_)) => {
                let known = [
                    "workflows/x.yaml",
                    "contacts",
                    "contact-to-opinion-stage",
                    "example-ghl",
                    "contact",
                    "1",
                    "new",
                    "read",
                ];
                json!(self.of(&known))
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(value: &Value) -> String {
    url::form_urlencoded::byte_serialize(text(value).as_bytes()).collect::<String>().replace('+', "%20")
}

/// A request of a route: where, and the body.
fn request(random: &mut Random, route: &Route) -> (String, Value) {
    let mut path = route.path.to_owned();
    let mut query = Vec::new();
    let mut body = BTreeMap::new();
    for field in route.takes {
        let value = random.value(&field.takes);
        let is_there = field.required || random.below(3) > 0;
        match field.place {
            Place::Path => path = path.replace(&format!("{{{}}}", field.name), &escaped(&value)),
            Place::Query if is_there && random.below(8) > 0 => {
                query.push(format!("{}={}", field.name, escaped(&value)))
            }
            Place::Body if is_there && random.below(8) > 0 => drop(body.insert(field.name, value)),
            _ => {}
        }
    }
    if random.below(10) == 0 {
        query.push("colour=red".into());
        body.insert("colour", json!([1]));
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    (format!("{path}{query}"), json!(body))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_never_fails_and_answers_nothing_that_is_not_described() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 | 1);
    let mut random = Random(seed);
    let (stage, serve, nobody) = open(Vec::new()).await;
    let contact = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &contact).await;
    stage.over().await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let document = program.get("/api/v1/openapi.json").await.json();
    let routes = TABLE.iter().filter(|route| route.kind() == Kind::Api && route.gives != "Happenings");
    for route in routes {
        let method = if route.method == Method::Get { "get" } else { "post" };
        let described = &document["paths"][route.path][method]["responses"];
        for _ in 0..ROUNDS {
            let (path, body) = request(&mut random, route);
            let said = match route.method {
                Method::Get => program.get(&path).await,
                Method::Post => program.post_json(&path, &body).await,
            };
            let called = format!("SEED={seed}: {method} {path} {body}: {said:?}");
            // A path with a slash in it, or one that is too long for the way, is another place or none.
            let is_elsewhere = [404, 405, 414, 431].contains(&said.status);
            assert!(said.status < 500 || said.status == 503, "{called}");
            let answer = &described[said.status.to_string()]["content"];
            assert!(answer.is_object() || is_elsewhere, "not described: {called}");
            let kind = if said.status == 200 { "application/json" } else { "application/problem+json" };
            if said.status == 200 || !is_elsewhere {
                let wrong = schema::wrong(&said.json(), &answer[kind]["schema"], &document);
                assert_eq!(wrong, Vec::<String>::new(), "{called}");
            }
        }
    }
    serve.term().await;
}
