//! A cluster that is played in this process, under a rehearsal's clock: our objects as Restate would call them.
//!
//! ```text
//!  message ─▶ line of the object ─ first ─▶ attempt: what a handler does is journalled, command by command
//!                                              │ dies: the process, or by chance the attempt alone
//!                                              └─▶ another attempt: what is journalled is played back, and must be the same
//! ```
//! It outlives the engines that serve it. A handler that takes another way when it is played back is found here: Restate would call
//! it for ever.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{Notify, oneshot};

use super::admin::UnderWay;
use super::ingress::Object;
use super::line::{Arriving, COME_IN, Desk, IN_LINE};
use super::objects::{self, LINE, Objects, SERVICES};
use super::steps::{Looks, Steps, Stopped};
use super::{budget, credential, feed, known, mail, pacts, pairs, places, plans, tokens, turns};
use crate::engine::{Engine, now_ms};
use crate::store::Error;

/// A cluster, and all that it keeps.
pub struct Played {
    kept: Mutex<Kept>,
    served: Mutex<Option<Arc<Served>>>,
    /// The feed was told something.
    pub(super) told: Notify,
    /// Of when attempts die; None: none does by chance.
    seed: Option<u64>,
}

/// Who lives through it.
struct Served {
    /// None: runs are being moved, and none is lived through.
    engine: Option<Engine>,
    objects: Arc<Objects>,
}

impl Served {
    /// A task that ends with the engine.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.engine {
            Some(engine) => engine.spawn(task),
            None => drop(tokio::spawn(task)),
        }
    }
}

#[derive(Default)]
struct Kept {
    /// What objects keep, as JSON, by name.
    states: HashMap<Object, BTreeMap<String, String>>,
    /// Who is called, one after the other, by object.
    lines: HashMap<Object, VecDeque<u64>>,
    calls: BTreeMap<u64, Call>,
    next: u64,
    /// What comes once only.
    known: HashSet<String>,
    /// The feed was read up to here.
    read: u64,
    /// A handler has taken another way.
    mismatch: Option<String>,
}

/// A handler is called.
struct Call {
    of: Object,
    handler: String,
    message: String,
    due_ms: i64,
    is_due: bool,
    journal: Vec<Command>,
    /// None: it is not over.
    answer: Option<Answer>,
    /// Those outside who want to know.
    asked: Vec<oneshot::Sender<Answer>>,
    /// A handler wants to know.
    is_awaited: bool,
}

/// JSON, or why there is none.
type Answer = Result<String, String>;

/// What a handler does; two of the same kind with the same words are the same.
#[derive(Clone, Debug)]
struct Command {
    /// What is done, to what, with what.
    what: String,
    came: Came,
}

#[derive(Clone, Debug)]
enum Came {
    Nothing,
    /// JSON.
    Value(String),
    /// Of a call.
    Of(u64),
}

/// A handler that ended without an answer is called again after so long.
const AGAIN: Duration = Duration::from_millis(50);
/// One command in so many is the last one of its attempt.
const DIES: u64 = 12;
/// With one call in so many it is not said what the object keeps.
const SAYS_NOT: u64 = 8;

impl Played {
    /// `seed`: of when attempts die.
    pub fn new(seed: u64) -> Arc<Played> {
        Played::of(Some(seed))
    }

    /// One where no attempt dies but with its program.
    pub fn in_peace() -> Arc<Played> {
        Played::of(None)
    }

    fn of(seed: Option<u64>) -> Arc<Played> {
        Arc::new(Played { kept: Mutex::default(), served: Mutex::default(), told: Notify::new(), seed })
    }

    /// Why what a handler does cannot be played back; None: so far all can.
    pub fn mismatch(&self) -> Option<String> {
        self.kept.lock().mismatch.clone()
    }

    /// Is nothing at work, nor in line, nor untold?
    pub(super) fn is_at_rest(&self) -> bool {
        let kept = self.kept.lock();
        let is_at_work = kept.calls.values().any(|call| call.is_due && call.answer.is_none());
        let is_in_line =
            kept.states.iter().any(|(object, state)| object.service == LINE && state.contains_key(IN_LINE));
        !is_at_work && !is_in_line && kept.read == feed::next(kept.states.get(&objects::feed()))
    }

    /// What is at work, or about to be; not what is called at an instant to come.
    pub(super) fn under_way(&self) -> Vec<UnderWay> {
        let mut numbers: BTreeMap<(&str, String), u64> = BTreeMap::new();
        for call in self.kept.lock().calls.values().filter(|call| call.is_due && call.answer.is_none()) {
            *numbers.entry((call.of.service, call.handler.clone())).or_default() += 1;
        }
        let of = |((service, handler), number): ((&str, String), u64)| UnderWay {
            target_service_name: service.to_owned(),
            target_handler_name: handler,
            status: "played".into(),
            number,
            failure: None,
        };
        numbers.into_iter().map(of).collect()
    }

    /// From now on handlers are called in this engine. What was begun in another one is called again.
    pub(super) fn serve(self: &Arc<Self>, engine: Option<&Engine>, objects: &Arc<Objects>) {
        *self.served.lock() = Some(Arc::new(Served { engine: engine.cloned(), objects: Arc::clone(objects) }));
        let (scheduled, first) = {
            let kept = self.kept.lock();
            let scheduled = kept.calls.iter().filter(|(_, call)| !call.is_due);
            let scheduled: Vec<u64> = scheduled.map(|(id, _)| *id).collect();
            let mut first: Vec<u64> = kept.lines.values().filter_map(|line| line.front().copied()).collect();
            // In the same order each time.
            first.sort_unstable();
            (scheduled, first)
        };
        scheduled.into_iter().for_each(|id| self.schedule(id));
        first.into_iter().for_each(|id| self.begin(id));
    }

    /// Nobody is called any more.
    pub fn leave(&self) {
        *self.served.lock() = None;
    }

    /// What Restate's ingress does.
    pub(super) async fn ask(
        self: &Arc<Self>,
        path: &[&str],
        headers: &[(String, String)],
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let message = String::from_utf8(message).map_err(|error| Error::Failed(error.to_string()))?;
        let [service, key, handler, further @ ..] = path else {
            return Err(Error::Away("no such path is played".into()));
        };
        let known = SERVICES.iter().find(|known| *known == service);
        let service = *known.ok_or_else(|| Error::Failed(format!("{service} is not served")))?;
        let object = Object { service, key: (*key).to_owned() };
        if is_shared(service, handler) {
            let answer = self.look(&object, handler, &message).await;
            return said(answer.map_err(|_| "it stops".into()));
        }
        let once = headers.iter().find(|(name, _)| name == "idempotency-key").map(|(_, key)| key);
        let is_kept = matches!(*handler, "accept" | "take_over") && service == LINE;
        if let Some(once) = once.filter(|_| is_kept)
            && !self.kept.lock().known.insert(format!("{object:?} {handler} {once}"))
        {
            return said(Ok(json!({ "status": "PreviouslyAccepted" }).to_string()));
        }
        let id = self.keep(&object, handler, message, 0, false);
        let (tell, told) = oneshot::channel();
        let is_sent = !further.is_empty();
        if !is_sent && let Some(call) = self.kept.lock().calls.get_mut(&id) {
            call.asked.push(tell);
        }
        self.schedule(id);
        if is_sent {
            return said(Ok(json!({ "status": "Accepted" }).to_string()));
        }
        said(told.await.unwrap_or_else(|_| Err("it was forgotten".into())))
    }

    fn keep(&self, of: &Object, handler: &str, message: String, after_ms: u64, is_awaited: bool) -> u64 {
        let kept = &mut *self.kept.lock();
        let id = kept.next;
        kept.next += 1;
        let due_ms = now_ms().saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
        let call = Call {
            of: of.clone(),
            handler: handler.to_owned(),
            message,
            due_ms,
            is_due: false,
            journal: Vec::new(),
            answer: None,
            asked: Vec::new(),
            is_awaited,
        };
        kept.calls.insert(id, call);
        id
    }

    fn served(&self) -> Option<Arc<Served>> {
        self.served.lock().clone()
    }

    /// It gets in line when it is due.
    fn schedule(self: &Arc<Self>, id: u64) {
        let Some(due_ms) = self.kept.lock().calls.get(&id).map(|call| call.due_ms) else { return };
        let pause_ms = u64::try_from(due_ms - now_ms()).unwrap_or(0);
        if pause_ms == 0 {
            return self.line_up(id);
        }
        let Some(served) = self.served() else { return };
        let played = Arc::clone(self);
        served.spawn(async move {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            played.line_up(id);
        });
    }

    fn line_up(self: &Arc<Self>, id: u64) {
        let is_first = {
            let kept = &mut *self.kept.lock();
            let Some(call) = kept.calls.get_mut(&id).filter(|call| !call.is_due) else { return };
            call.is_due = true;
            let line = kept.lines.entry(call.of.clone()).or_default();
            line.push_back(id);
            line.len() == 1
        };
        if is_first {
            self.begin(id);
        }
    }

    /// It is first in its line.
    fn begin(self: &Arc<Self>, id: u64) {
        let Some(served) = self.served() else { return };
        let (played, serving) = (Arc::clone(self), Arc::clone(&served));
        served.spawn(async move { played.attempt(&serving, id).await });
    }

    async fn attempt(self: &Arc<Self>, served: &Served, id: u64) {
        for number in 0.. {
            let Some((of, handler, message)) = self.called(id) else { return };
            // By what is called, not by who is called when: what happens at the same instant has no order.
            let mut chance = DefaultHasher::new();
            (self.seed, &of, &handler, &message, number).hash(&mut chance);
            let chance = self.seed.map(|_| chance.finish());
            let (at, is_dead) = (AtomicUsize::new(0), AtomicBool::new(false));
            let attempt = Attempt { played: Arc::clone(self), id, of, at, is_dead, chance };
            let came = attempt.act(served, &handler, &message).await;
            match came {
                _ if attempt.is_dead.load(Ordering::Relaxed) => {}
                Ok(answer) => return self.end(id, Ok(answer)),
                Err(Stopped::Cancelled(why)) => return self.end(id, Err(why)),
                Err(Stopped::Elsewhere) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn called(&self, id: u64) -> Option<(Object, String, String)> {
        let kept = self.kept.lock();
        let call = kept.calls.get(&id)?;
        Some((call.of.clone(), call.handler.clone(), call.message.clone()))
    }

    fn end(self: &Arc<Self>, id: u64, answer: Answer) {
        let next = {
            let kept = &mut *self.kept.lock();
            let Some(mut call) = kept.calls.remove(&id) else { return };
            for asked in call.asked.drain(..) {
                // Who has asked may be gone.
                let _ = asked.send(answer.clone());
            }
            // What came of its own calls is in its journal, which is over.
            for command in &call.journal {
                if let Came::Of(other) = command.came {
                    kept.calls.remove(&other);
                }
            }
            let of = call.of.clone();
            if call.is_awaited {
                kept.calls.insert(id, Call { answer: Some(answer), journal: Vec::new(), ..call });
            }
            let line = kept.lines.entry(of.clone()).or_default();
            line.pop_front();
            let next = line.front().copied();
            if next.is_none() {
                kept.lines.remove(&of);
            }
            next
        };
        if let Some(next) = next {
            self.begin(next);
        }
    }

    async fn look(&self, of: &Object, handler: &str, message: &str) -> Result<String, Stopped> {
        let state = self.kept.lock().states.get(of).cloned().unwrap_or_default();
        let looks = Still(state);
        match (of.service, handler) {
            (objects::FEED, _) => {
                let from = read(message)?;
                let page = feed::read(&looks, from).await?;
                if page.next == from {
                    self.kept.lock().read = from;
                }
                write(&page)
            }
            (objects::KNOWN, _) => write(&known::recall(&looks, &read::<String>(message)?).await?),
            (objects::PAIRS, _) => write(&pairs::look(&looks, &read(message)?).await?),
            (objects::PLACE, _) => write(&places::get(&looks).await?),
            (objects::PACTS, _) => write(&pacts::look(&looks, read(message)?).await?),
            (objects::MAIL, _) => write(&mail::first(&looks, &read(message)?).await?),
            (objects::CREDENTIAL, _) => write(&credential::get(&looks).await?),
            (objects::PLAN, _) => write(&plans::read(&looks).await?),
            (service, handler) => Err(Stopped::Cancelled(format!("{service} has no {handler}"))),
        }
    }
}

/// A handler that only looks, beside others.
fn is_shared(service: &str, handler: &str) -> bool {
    matches!(
        (service, handler),
        (objects::FEED | objects::PLAN, "read")
            | (objects::KNOWN, "recall")
            | (objects::PAIRS | objects::PACTS, "look")
            | (objects::PLACE | objects::CREDENTIAL, "get")
            | (objects::MAIL, "first")
    )
}

fn said(answer: Answer) -> Result<Vec<u8>, Error> {
    answer.map(String::into_bytes).map_err(|why| Error::Away(format!("Restate answered 500 {why}")))
}

fn read<T: DeserializeOwned>(message: &str) -> Result<T, Stopped> {
    serde_json::from_str(message).map_err(|error| Stopped::Cancelled(error.to_string()))
}

fn write<T: Serialize>(answer: &T) -> Result<String, Stopped> {
    serde_json::to_string(answer).map_err(|error| Stopped::Cancelled(error.to_string()))
}

/// What an object keeps at one moment.
struct Still(BTreeMap<String, String>);

impl Looks for Still {
    async fn get<T: DeserializeOwned + 'static>(&self, name: &str) -> Result<Option<T>, Stopped> {
        self.0.get(name).map(|value| read(value)).transpose()
    }
}

/// A handler is at work.
struct Attempt {
    played: Arc<Played>,
    id: u64,
    of: Object,
    /// Which of its commands is next.
    at: AtomicUsize,
    /// Nobody hears it any more.
    is_dead: AtomicBool,
    /// None: it does not die by chance.
    chance: Option<u64>,
}

impl Attempt {
    async fn act(&self, served: &Served, handler: &str, message: &str) -> Result<String, Stopped> {
        let desk = || Desk { steps: self, engine: served.engine.as_ref(), objects: &served.objects, this: &self.of };
        match (self.of.service, handler) {
            (LINE, "accept") => write(&desk().accept(read(message)?).await?),
            (LINE, "begin") => write(&desk().accept(Arriving::New(read(message)?)).await?),
            (LINE, "go_on") => write(&desk().go_on(read(message)?).await?),
            (LINE, COME_IN) => write(&desk().come_in(read(message)?).await?),
            (LINE, "take_over") => write(&desk().take_over(read(message)?).await?),
            (LINE, "retry") => write(&desk().retry(read(message)?).await?),
            (LINE, "drop_dead") => write(&desk().drop_dead(read(message)?).await?),
            (LINE, "cancel") => write(&desk().cancel(read(message)?).await?),
            (objects::FEED, "keep") => write(&feed::keep(self, read(message)?).await?),
            (objects::KNOWN, "take_over") => write(&known::take_over(self, read(message)?)),
            (objects::KNOWN, "tell") => write(&known::tell(self, read(message)?).await?),
            (objects::PAIRS, "keep") => write(&pairs::keep(self, &read(message)?).await?),
            (objects::TURN, "take") => write(&turns::take(self, read(message)?).await?),
            (objects::TURN, "release") => write(&turns::release(self, read(message)?).await?),
            (objects::PLACE, "set") => write(&places::set(self, read(message)?)),
            (objects::PLACE, "begin") => write(&places::begin(self, read(message)?).await?),
            (objects::DUTY, "take") => write(&places::take(self, read(message)?).await?),
            (objects::PACTS, "take_over") => write(&pacts::take_over(self, read(message)?).await?),
            (objects::PACTS, "keep") => write(&pacts::keep(self, read(message)?).await?),
            (objects::PACTS, "tell") => write(&pacts::tell(self, &objects::feed(), read(message)?).await?),
            (objects::MAIL, "take_over") => write(&mail::take_over(self, read(message)?).await?),
            (objects::MAIL, "leave") => write(&mail::leave(self, read(message)?).await?),
            (objects::MAIL, "wait") => write(&mail::wait(self, read(message)?).await?),
            (objects::CREDENTIAL, "put") => write(&credential::put(self, read(message)?).await?),
            (objects::CREDENTIAL, "lease") => write(&credential::lease(self, read(message)?).await?),
            (objects::CREDENTIAL, "release") => write(&credential::release(self, read(message)?).await?),
            (objects::BUDGET, "lease") => write(&budget::lease(self, read(message)?).await?),
            (objects::PLAN, "keep") => write(&plans::keep(self, read(message)?).await?),
            (objects::PLAN, "serve") => write(&plans::serve(self, read(message)?)),
            (objects::PLAN, "forget") => write(&plans::forget(self, read(message)?).await?),
            (objects::TOKENS, "merge") => write(&tokens::merge(self, read(message)?).await?),
            (service, handler) => Err(Stopped::Cancelled(format!("{service} has no {handler}"))),
        }
    }

    /// What came of its next command when it was done before; None: it is new. `Err`: it is dead.
    fn played_back(&self, what: &str) -> Result<Option<Came>, Stopped> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(Stopped::Elsewhere);
        }
        let at = self.at.fetch_add(1, Ordering::Relaxed);
        let kept = &mut *self.played.kept.lock();
        let Some(call) = kept.calls.get(&self.id) else { return Err(self.die()) };
        match call.journal.get(at) {
            None => Ok(None),
            Some(known) if known.what == what => Ok(Some(known.came.clone())),
            Some(known) => {
                let (of, handler) = (&self.of, &call.handler);
                kept.mismatch.get_or_insert_with(|| {
                    format!("{of:?} {handler} did `{}` as its command {at}, and does `{what}` now", known.what)
                });
                Err(self.die())
            }
        }
    }

    fn journal(&self, what: String, came: Came) {
        if let Some(call) = self.played.kept.lock().calls.get_mut(&self.id) {
            call.journal.push(Command { what, came });
        }
    }

    fn die(&self) -> Stopped {
        self.is_dead.store(true, Ordering::Relaxed);
        Stopped::Elsewhere
    }

    /// After a command: it may have been the last one.
    fn lives_on(&self) -> Result<(), Stopped> {
        let Some(seed) = self.chance else { return Ok(()) };
        let mut chance = DefaultHasher::new();
        (seed, self.at.load(Ordering::Relaxed)).hash(&mut chance);
        if chance.finish().is_multiple_of(DIES) { Err(self.die()) } else { Ok(()) }
    }

    fn state(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        change(self.played.kept.lock().states.entry(self.of.clone()).or_default());
    }
}

impl Looks for Attempt {
    async fn get<T: DeserializeOwned + 'static>(&self, name: &str) -> Result<Option<T>, Stopped> {
        let what = format!("get {name}");
        let found = match self.played_back(&what)? {
            Some(Came::Value(value)) => Some(value),
            Some(_) => None,
            None => {
                let found = self.played.kept.lock().states.get(&self.of).and_then(|state| state.get(name).cloned());
                self.journal(what, found.clone().map_or(Came::Nothing, Came::Value));
                self.lives_on()?;
                found
            }
        };
        found.map(|value| read(&value)).transpose()
    }
}

impl Steps for Attempt {
    fn sees_none(&self, name: &str) -> bool {
        // Now and then it is not known, as when an object keeps much.
        let is_known = self.chance.is_none_or(|chance| chance.rotate_left(32) % SAYS_NOT != 0);
        let kept = self.played.kept.lock();
        is_known && kept.states.get(&self.of).is_none_or(|state| !state.contains_key(name))
    }

    fn set<T: Serialize + 'static>(&self, name: &str, value: T) {
        let value = serde_json::to_string(&value).unwrap_or_default();
        let what = format!("set {name} {value}");
        if let Ok(None) = self.played_back(&what) {
            self.state(|state| drop(state.insert(name.to_owned(), value)));
            self.journal(what, Came::Nothing);
            if self.of.service == objects::FEED {
                self.played.told.notify_one();
            }
            let _ = self.lives_on();
        }
    }

    fn clear(&self, name: &str) {
        let what = format!("clear {name}");
        if let Ok(None) = self.played_back(&what) {
            self.state(|state| drop(state.remove(name)));
            self.journal(what, Came::Nothing);
            let _ = self.lives_on();
        }
    }

    async fn step<T, F>(&self, name: &str, work: F) -> Result<T, Stopped>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let what = format!("step {name}");
        if let Some(Came::Value(outcome)) = self.played_back(&what)? {
            return read(&outcome);
        }
        // Who dies here may have sent something: that is for a test that says so.
        let outcome = write(&work.await)?;
        self.journal(what, Came::Value(outcome.clone()));
        read(&outcome)
    }

    async fn call<T, A>(&self, of: &Object, handler: &str, message: T) -> Result<A, Stopped>
    where
        T: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let message = write(&message)?;
        let what = format!("call {of:?} {handler} {message}");
        let known = self.played_back(&what)?;
        let is_new = known.is_none();
        let id = match known {
            Some(Came::Of(id)) => id,
            _ => {
                let id = self.played.keep(of, handler, message, 0, true);
                self.journal(what, Came::Of(id));
                self.played.schedule(id);
                id
            }
        };
        let (tell, told) = oneshot::channel();
        {
            let kept = &mut *self.played.kept.lock();
            match kept.calls.get_mut(&id) {
                None => return Err(self.die()),
                Some(Call { answer: Some(answer), .. }) => drop(tell.send(answer.clone())),
                Some(call) => call.asked.push(tell),
            }
        }
        let answer = told.await.map_err(|_| self.die())?;
        if is_new {
            self.lives_on()?;
        }
        read(&answer.map_err(Stopped::Cancelled)?)
    }

    fn send<T: Serialize + 'static>(&self, to: &Object, handler: &str, message: T, after_ms: u64) {
        let message = serde_json::to_string(&message).unwrap_or_default();
        let what = format!("send {to:?} {handler} {message}");
        if let Ok(None) = self.played_back(&what) {
            let id = self.played.keep(to, handler, message, after_ms, false);
            self.journal(what, Came::Nothing);
            self.played.schedule(id);
            let _ = self.lives_on();
        }
    }
}
