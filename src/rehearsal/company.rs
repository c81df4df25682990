//! The played vendors together: they answer requests, send webhooks, and write down what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use super::random::Random;
use super::scene::Scene;
use super::story::{Exchange, Line, RunId};
use crate::clock;
use crate::connector::{Body, Request};
use crate::engine::{Answering, Door, Engine};
use crate::run::Send;
use crate::sandbox::{Asked, Inside, Receiver, Receiving};
use crate::trigger::Arrival;

/// How long a request or a webhook is on its way.
const WAY: Duration = Duration::from_millis(10);
/// Requests of one test, and so many more for each random edit; more are a loop.
const REQUESTS_MAX: usize = 1_000;
const REQUESTS_OF_EACH_MAX: usize = 50;
/// Requests that are kept whole.
const EXCHANGES_MAX: usize = 100;
/// Of so many writes one is the last thing that the program does, where it is to crash.
const CRASHES_EVERY: u64 = 4;
const CRASHES_MAX: usize = 40;

/// The vendors of a test, by connection.
pub struct Company {
    pub scene: Arc<Scene>,
    pub seen: Arc<Seen>,
    pub vendors: BTreeMap<String, Inside>,
    /// What is accepted and not kept.
    pub drops: Mutex<Vec<Dropped>>,
    crashes: Option<Mutex<(Random, usize)>>,
    /// More are a loop.
    pub requests_max: usize,
}

/// A field that a vendor does not keep.
pub struct Dropped {
    pub connection: String,
    /// None: of all.
    pub operation: Option<String>,
    pub field: String,
}

/// What happened so far.
#[derive(Default)]
pub struct Seen {
    /// None: the program is dead.
    pub engine: Mutex<Option<Engine>>,
    pub told: Mutex<Told>,
    /// The program is to die now.
    pub dies: Notify,
}

#[derive(Default)]
pub struct Told {
    pub lines: Vec<Line>,
    pub writes: Vec<Write>,
    pub changes: Vec<Change>,
    /// Requests of runs, by run.
    pub requests: BTreeMap<RunId, usize>,
    pub asked: usize,
    /// The first requests, whole.
    pub exchanges: Vec<Exchange>,
    /// When the last thing happened that was no poll.
    pub last_ms: i64,
    pub crashes: usize,
}

/// A request that was to change something.
#[derive(Clone, Debug)]
pub struct Write {
    pub run: RunId,
    pub connection: String,
}

/// A record that was changed: by a run, or by a step of the test.
#[derive(Clone, Debug)]
pub struct Change {
    pub at_ms: i64,
    pub by: Option<RunId>,
    pub connection: String,
    pub object: String,
    pub id: String,
}

impl Seen {
    pub fn tell(&self, run: Option<&str>, text: String) {
        let mut told = self.told.lock();
        told.last_ms = clock::now_ms();
        let line = Line { at_ms: told.last_ms, run: run.map(str::to_owned), text };
        told.lines.push(line);
    }

    /// Keeps a request with its answer, if there is still room.
    fn keep(&self, exchange: impl FnOnce(i64) -> Exchange) {
        let exchanges = &mut self.told.lock().exchanges;
        if exchanges.len() < EXCHANGES_MAX {
            exchanges.push(exchange(clock::now_ms()));
        }
    }

    pub fn engine(&self) -> Option<Engine> {
        self.engine.lock().clone()
    }
}

impl Company {
    /// Fills in the records, by connection and object. Within a runtime.
    ///
    /// # Errors
    /// Records that are wrong.
    pub fn new(
        scene: &Arc<Scene>,
        given: &BTreeMap<String, Value>,
        edits: u32,
        crashes: Option<Random>,
    ) -> Result<Arc<Company>, String> {
        let seen = Arc::new(Seen::default());
        let mut vendors = BTreeMap::new();
        for (connection, role) in &scene.roles {
            let connector = scene.plan.connection(connection).map(|one| one.connector.clone()).unwrap_or_default();
            let receiver = Mailbox { seen: Arc::clone(&seen), scene: Arc::clone(scene), connector };
            let seed = vendors.len() as u64 + 1;
            let secret = format!("webhook-secret-of-{connection}");
            let vendor = Inside::play(role, seed, secret, given.get(connection), Arc::new(receiver));
            let vendor = vendor.map_err(|error| format!("{}: {error}", scene.alias(connection)))?;
            vendors.insert(connection.clone(), vendor);
        }
        let objects = given.values().filter_map(Value::as_object).flat_map(|objects| objects.values());
        let records: usize = objects.filter_map(Value::as_array).map(Vec::len).sum();
        let requests_max = REQUESTS_MAX + REQUESTS_OF_EACH_MAX * (edits as usize + records);
        let crashes = crashes.map(|random| Mutex::new((random, 0)));
        let (scene, drops) = (Arc::clone(scene), Mutex::default());
        Ok(Arc::new(Company { scene, seen, vendors, drops, crashes, requests_max }))
    }

    /// Was more asked than any test needs?
    pub fn is_flooded(&self) -> bool {
        self.seen.told.lock().asked > self.requests_max
    }

    pub fn is_delivering(&self) -> bool {
        self.vendors.values().any(Inside::is_delivering)
    }

    /// Records by alias and object: what a test's paths see.
    pub fn records(&self) -> Value {
        let scene = &self.scene;
        let of = |(alias, connection): (&String, &String)| {
            let vendor = self.vendors.get(connection)?;
            let shown = |object: String| {
                let records = super::records::shaped(scene.connector(connection), vendor, &object);
                (object, Value::Array(records))
            };
            Some((alias.clone(), Value::Object(vendor.objects().into_iter().map(shown).collect())))
        };
        Value::Object(scene.aliases.iter().filter_map(of).collect())
    }

    /// Carries a request out, and tells of it. True: that was the last thing that the program did.
    fn ask(&self, send: &Send, mut request: Request) -> (Option<Asked>, bool) {
        let run: RunId = send.idempotency_key.split('/').next().unwrap_or_default().to_owned();
        let Some(vendor) = self.vendors.get(&send.connection) else { return (None, false) };
        self.drop_fields(send, &mut request);
        let operation = self.scene.connector(&send.connection).and_then(|known| known.operation(&send.operation));
        let reads = operation.is_none_or(|operation| operation.reads);
        {
            let mut told = self.seen.told.lock();
            told.asked += usize::from(!run.is_empty());
            if !run.is_empty() {
                *told.requests.entry(run.clone()).or_default() += 1;
            }
            if told.asked > self.requests_max {
                return (None, true);
            }
        }
        let asked = vendor.ask(&request);
        if !run.is_empty() {
            self.seen.keep(|at_ms| Exchange {
                at_ms,
                run: run.clone(),
                connection: self.scene.alias(&send.connection).to_owned(),
                operation: send.operation.clone(),
                reads,
                request,
                answer: asked.response.clone(),
            });
        }
        let status = match &asked.response {
            None if asked.changed.is_empty() => "no answer".to_owned(),
            None => "carried out, no answer".to_owned(),
            Some(response) if response.status >= 400 => format!("{} {}", response.status, response.body),
            Some(response) => response.status.to_string(),
        };
        let is_quiet = run.is_empty() && asked.response.as_ref().is_some_and(|response| response.status < 400);
        if !is_quiet {
            let alias = self.scene.alias(&send.connection);
            let again = if send.attempt > 1 { format!(" (attempt {})", send.attempt) } else { String::new() };
            let text = format!("{alias}.{} {}{again} → {status}", send.operation, send.input);
            self.seen.tell((!run.is_empty()).then_some(run.as_str()), text);
        }
        if !reads {
            let mut told = self.seen.told.lock();
            told.writes.push(Write { run: run.clone(), connection: send.connection.clone() });
            let change = |(object, id): &(String, String)| Change {
                at_ms: clock::now_ms(),
                by: Some(run.clone()),
                connection: send.connection.clone(),
                object: object.clone(),
                id: id.clone(),
            };
            told.changes.extend(asked.changed.iter().map(change));
        }
        let dies = !asked.changed.is_empty() && self.dies();
        (Some(asked), dies)
    }

    fn dies(&self) -> bool {
        let Some(crashes) = &self.crashes else { return false };
        let (random, count) = &mut *crashes.lock();
        let dies = *count < CRASHES_MAX && random.once_in(CRASHES_EVERY);
        *count += usize::from(dies);
        dies
    }

    fn drop_fields(&self, send: &Send, request: &mut Request) {
        let Some(Body::Json(body)) = &mut request.body else { return };
        for dropped in self.drops.lock().iter() {
            let is_meant = dropped.operation.as_ref().is_none_or(|operation| *operation == send.operation);
            if is_meant && dropped.connection == send.connection {
                super::records::take(body, &dropped.field);
            }
        }
    }
}

/// The company behind a door.
pub struct Desk(pub Arc<Company>);

impl Door for Desk {
    fn answer(&self, send: &Send, request: Request) -> Answering {
        let (company, send) = (Arc::clone(&self.0), send.clone());
        Box::pin(async move {
            tokio::time::sleep(WAY).await;
            let (asked, dies) = company.ask(&send, request);
            if dies {
                company.seen.dies.notify_one();
                return std::future::pending().await;
            }
            tokio::time::sleep(WAY + asked.as_ref().map(|asked| asked.delay).unwrap_or_default()).await;
            match asked.and_then(|asked| asked.response) {
                Some(response) => Ok(response),
                // Whoever waits gives up.
                None => std::future::pending().await,
            }
        })
    }
}

/// Where a vendor's webhooks arrive.
struct Mailbox {
    seen: Arc<Seen>,
    scene: Arc<Scene>,
    connector: String,
}

impl Receiver for Mailbox {
    fn receive(&self, request: Request) -> Receiving {
        let (seen, connector) = (Arc::clone(&self.seen), self.connector.clone());
        let name = self.scene.plan.connector(&connector).and_then(|known| known.webhooks.as_ref());
        let name = name.and_then(|webhooks| webhooks.event_name.as_ref());
        let name = match (&request.body, name) {
            (Some(Body::Json(body)), Some(path)) => path.get_in(body),
            _ => None,
        };
        let what = name.as_ref().and_then(Value::as_str).unwrap_or("a webhook").to_owned();
        Box::pin(async move {
            tokio::time::sleep(WAY).await;
            // Nobody is there: as where a server does not answer.
            let Some(engine) = seen.engine() else { return 503 };
            let body = request.body.as_ref().map(|body| body.encoded().1).unwrap_or_default();
            deliver(&seen, &engine, &connector, &what, (&request.headers, &body)).await
        })
    }
}

/// Hands a webhook to the engine, and tells of it.
pub async fn deliver(
    seen: &Seen,
    engine: &Engine,
    connector: &str,
    what: &str,
    (headers, body): (&[(String, String)], &[u8]),
) -> u16 {
    let path = format!("/hooks/{connector}");
    let token = token(engine, &path).await;
    let header = |name: &str| match name {
        name if name.eq_ignore_ascii_case("content-type") => Some("application/json".to_owned()),
        name if name.eq_ignore_ascii_case("host") => Some("localhost".to_owned()),
        name => {
            let mut found = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.clone())
        }
    };
    let taken = engine.webhook(connector, token.as_deref(), Arrival { header: &header, body, path: &path }).await;
    let runs = if taken.runs == 1 { "1 run".to_owned() } else { format!("{} runs", taken.runs) };
    seen.tell(None, format!("webhook {what} of {connector} → {} {}, {runs}", taken.status, taken.word));
    taken.status
}

/// The secret part of a URL, where a webhook has no signature.
pub async fn token(engine: &Engine, path: &str) -> Option<String> {
    let hooks = engine.hooks().await;
    hooks.into_iter().find_map(|hook| Some(hook.path.strip_prefix(path)?.strip_prefix('/')?.to_owned()))
}
