//! Two accounts that people edit at the same time, kept alike by a sync: webhooks come twice, late, in any order or not at all,
//! requests time out before and after they were carried out, and the program dies. Whatever happens, both are equal in the
//! end, and then it is quiet. Each day is a seed; see `tests/cases/simulation/README.md` for how one is played again.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use dovetail::project::{Plan, Text, read};
use dovetail::run::{Asking, RecordRef};
use dovetail::store::{Filter, Questions, Status, Store};
use dovetail::sync::{Choice, Which};
use dovetail::trigger::Event;
use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};

use crate::simulation::hands::{self, Hands, Trouble};
use crate::stage::random::{self, Random};

const BEGIN_MS: i64 = 1_800_000_000_000;
/// New days in each run of the test.
const DAYS: u64 = 25;
const EDITS: u64 = 25;
/// More steps than any day has.
const STEPS_MAX: usize = 40_000;
/// When an account is looked at, whatever it has told.
const POLL_MS: i64 = 600_000;

#[tokio::test]
async fn both_sides_are_equal_in_the_end_and_then_it_is_quiet() {
    days(Kind::Edits).await;
}

#[tokio::test]
async fn what_a_person_decides_is_what_both_sides_hold() {
    days(Kind::Asks).await;
}

#[tokio::test]
async fn what_was_deleted_is_deleted_on_both_sides_or_a_person_is_asked() {
    days(Kind::Deletes).await;
}

/// What a day is about.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Edits,
    /// People delete, too.
    Deletes,
    /// Who wins is said by a person.
    Asks,
}

/// Days that went wrong once are played for ever.
const KEPT: [u64; 5] = [1_151_802_733, 3_220_397_556, 2_330_640_457, 2_845_758_413, 4_118_918_339];

async fn days(kind: Kind) {
    let days = if std::env::var_os("LONG").is_some() { 100 * DAYS } else { DAYS };
    let days = std::env::var("SEEDS").ok().and_then(|days| days.parse().ok()).unwrap_or(days);
    let mut new = Random::new();
    let seeds: Vec<u64> = match random::given() {
        Some(seed) => vec![seed],
        None => KEPT.into_iter().chain((0..days).map(|_| new.below(u64::from(u32::MAX)))).collect(),
    };
    tell(&format!("the seeds begin with {}", new.seed));
    let (mut wrong, mut edits, mut writes, mut deaths) = (Vec::new(), 0, 0, 0);
    for seed in seeds {
        match day(seed, kind).await {
            Ok(counts) => {
                edits += counts.edits;
                writes += counts.writes;
                deaths += counts.deaths;
            }
            Err(why) => wrong.push(format!("SEED={seed}: {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{} days went wrong", wrong.join("\n"), wrong.len());
    tell(&format!("{edits} edits by people, {writes} writes by the sync, {deaths} deaths"));
}

#[derive(Default)]
struct Counts {
    edits: usize,
    writes: usize,
    deaths: usize,
}

async fn day(seed: u64, kind: Kind) -> Result<Counts, String> {
    let folder = std::env::temp_dir().join(format!("dovetail-convergence-{}", uuid::Uuid::now_v7()));
    let store = Store::open(&folder).unwrap();
    let mut day = Day::new(Hands::new(plan(kind), store.clone(), Random::of(seed), BEGIN_MS), kind);
    let played = AssertUnwindSafe(day.play()).catch_unwind().await;
    let result = played.map_err(|panic| {
        random::given().into_iter().for_each(|_| tell(&day.hands.told.join("\n")));
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    drop(day);
    store.close().await;
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// The records of one account by id.
type Records = BTreeMap<String, Value>;

struct Day {
    hands: Hands,
    kind: Kind,
    /// What the accounts were when it was last looked whether something is to be told.
    told: BTreeMap<&'static str, Records>,
    /// What has changed since the last poll, which sees when a record was changed.
    changed: BTreeSet<(&'static str, String)>,
    /// Deliveries to come, each with its instant.
    coming: Vec<(i64, Event)>,
    /// Edits to come.
    edits: Vec<i64>,
    made: u64,
    poll_ms: i64,
    counts: Counts,
}

const ACCOUNTS: [&str; 2] = ["shop", "desk"];

impl Day {
    fn new(mut hands: Hands, kind: Kind) -> Day {
        hands.worlds.values_mut().for_each(|world| world.unique = Some("email"));
        let edits = (0..EDITS).map(|_| BEGIN_MS + i64::try_from(hands.random.below(1_800_000)).unwrap()).collect();
        let told = ACCOUNTS.map(|account| (account, Records::new())).into();
        let (counts, changed) = (Counts::default(), BTreeSet::new());
        let poll_ms = BEGIN_MS + POLL_MS;
        Day { hands, kind, told, changed, coming: Vec::new(), edits, made: 0, poll_ms, counts }
    }

    async fn play(&mut self) -> Counts {
        self.hands.trouble = Trouble { faults: self.hands.random.below(300), lost_creates: 0, deaths: 15 };
        self.live().await;
        // All is well again, and a person has what failed tried again.
        self.hands.trouble = Trouble { faults: 0, ..self.hands.trouble };
        for _ in 0..3 {
            let dead = Filter { status: Some(Status::Failed), limit: 10_000, ..Filter::default() };
            for run in self.hands.store.runs(dead).await.unwrap() {
                self.hands.retry(&run.start).await;
            }
            self.poll().await;
            self.live().await;
        }
        while self.kind == Kind::Asks && self.decide().await {
            self.live().await;
        }
        self.judge().await;
        if self.kind == Kind::Deletes {
            // As `check_every` does: who was asked about a record that is free since then may have it now.
            self.tell_all().await;
        }
        let writes = self.writes();
        for _ in 0..2 {
            self.tell_all().await;
        }
        assert_eq!(self.writes(), writes, "it is not quiet");
        self.judge().await;
        Counts { writes, deaths: self.hands.deaths, ..std::mem::take(&mut self.counts) }
    }

    /// Everything is told once more.
    async fn tell_all(&mut self) {
        for account in ACCOUNTS {
            self.changed.extend(self.records(account).into_keys().map(|id| (account, id)));
        }
        self.poll().await;
        self.live().await;
    }

    /// A person says who wins. False: there is nothing to say.
    async fn decide(&mut self) -> bool {
        let questions = self.hands.store.questions(Questions::All, 1_000).await.unwrap();
        for asked in &questions {
            let choice = Choice::Side(Which::BOTH[self.chance(2)]);
            self.hands.told.push(format!("{} a person says {choice:?} to {:?}", self.hands.now_ms, asked.question));
            assert!(self.hands.store.answer(asked.number, &choice).await.unwrap());
            self.made += 1;
            let event = event(&asked.about.connection, &asked.about.id, "updated", &format!("answer-{}", self.made));
            self.hands.accept(event).await;
        }
        !questions.is_empty()
    }

    fn writes(&self) -> usize {
        let is_write = |line: &&String| {
            ["contact.create", "contact.update", "contact.delete"]
                .iter()
                .any(|name| line.contains(&format!("sends {name} ")))
        };
        self.hands.told.iter().filter(is_write).count()
    }

    fn records(&self, account: &str) -> Records {
        let all = self.hands.worlds[account].records.get("contact").cloned().unwrap_or_default();
        all.into_iter().map(|record| (record["id"].as_str().unwrap().to_owned(), record)).collect()
    }

    async fn live(&mut self) {
        for _ in 0..STEPS_MAX {
            let now_ms = self.hands.now_ms;
            while let Some(at) = self.edits.iter().position(|at_ms| *at_ms <= now_ms) {
                self.edits.remove(at);
                self.edit();
            }
            self.listen();
            while let Some(at) = self.coming.iter().position(|(at_ms, _)| *at_ms <= now_ms) {
                let (_, event) = self.coming.remove(at);
                self.hands.accept(event).await;
            }
            if self.poll_ms <= now_ms && !self.edits.is_empty() {
                self.poll().await;
            }
            match self.hands.step().await {
                Ok(true) => self.hands.now_ms += i64::try_from(self.hands.random.below(50)).unwrap(),
                Ok(false) => {
                    let due = self.hands.next_ms().await.into_iter();
                    let due = due.chain(self.coming.iter().map(|(at_ms, _)| *at_ms)).chain(self.edits.iter().copied());
                    let Some(next_ms) = due.min() else { return };
                    self.hands.now_ms = now_ms.max(next_ms);
                }
                Err(hands::Dead) => self.hands.start_again().await,
            }
        }
        panic!("the day never ends");
    }

    /// A person makes, changes or deletes a record.
    fn edit(&mut self) {
        self.counts.edits += 1;
        let (account, chance) = (ACCOUNTS[self.chance(2)], self.chance(10));
        let records = self.records(account);
        let ids: Vec<String> = records.keys().cloned().collect();
        self.made += 1;
        let fresh = self.made;
        let email = format!("person-{}@example.com", self.chance(6));
        let is_known = records
            .values()
            .any(|record| record["email"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(&email)));
        let world = self.hands.worlds.get_mut(account).unwrap();
        if ids.is_empty() || (chance < 3 && !is_known) {
            let email = if chance == 0 { email.to_uppercase() } else { email };
            world.make(
                "contact",
                json!({ "email": email, "name": format!("Name {fresh}"), "tags": [format!("t{fresh}")] }),
            );
            return self.hands.told.push(format!("{} someone makes {email} at {account}", self.hands.now_ms));
        }
        let id = ids[self.chance(ids.len())].clone();
        let edit = match chance {
            3 if self.kind == Kind::Deletes => None,
            3 | 4 => Some(("phone", json!(format!("+4420794600{:02}", fresh % 100)))),
            5 => Some(("tags", json!([format!("t{fresh}")]))),
            6 => Some(("address", json!({ "city": format!("City {fresh}") }))),
            7 => Some(("name", Value::Null)),
            _ => Some(("name", json!(format!("Name {fresh}")))),
        };
        self.hands.told.push(format!("{} someone edits {id} at {account}: {edit:?}", self.hands.now_ms));
        let all = self.hands.worlds.get_mut(account).unwrap().records.get_mut("contact").unwrap();
        match edit {
            None => all.retain(|record| record["id"] != id.as_str()),
            Some((field, value)) => all.iter_mut().find(|record| record["id"] == id.as_str()).unwrap()[field] = value,
        }
    }

    fn chance(&mut self, end: usize) -> usize {
        usize::try_from(self.hands.random.below(end as u64)).unwrap()
    }

    /// The accounts tell of what has changed: once, twice, late, or not at all.
    fn listen(&mut self) {
        for account in ACCOUNTS {
            let now = self.records(account);
            let before = std::mem::replace(self.told.get_mut(account).unwrap(), now.clone());
            for (id, kind) in differences(&before, &now) {
                self.made += 1;
                self.changed.insert((account, id.clone()));
                let event = event(account, &id, kind, &format!("webhook-{}", self.made));
                for _ in 0..[0, 1, 1, 1, 1, 1, 2, 2][self.chance(8)] {
                    let late = [0, 10, 500, 5_000, 400_000][self.chance(5)];
                    let at_ms = self.hands.now_ms + i64::try_from(self.hands.random.below(100)).unwrap() + late;
                    self.coming.push((at_ms, event.clone()));
                }
            }
        }
    }

    /// What no webhook has told is found.
    async fn poll(&mut self) {
        self.poll_ms = self.hands.now_ms + POLL_MS;
        self.listen();
        for (account, id) in std::mem::take(&mut self.changed) {
            self.made += 1;
            let kind = if self.records(account).contains_key(&id) { "updated" } else { "deleted" };
            self.hands.accept(event(account, &id, kind, &format!("poll-{}", self.made))).await;
        }
    }

    /// Is the city of a record at the desk one that the shop, whose it is, never had? It is left as it was when they were matched.
    async fn is_left(&self, id: &str) -> bool {
        let of = RecordRef { connection: "desk".into(), object: "contact".into(), id: id.into() };
        let asking = Asking {
            address: String::new(),
            of,
            connection: "shop".into(),
            object: "contact".into(),
            turns: Vec::new(),
            sync: Some(("people".into(), Which::Second)),
            now_ms: self.hands.now_ms,
        };
        let looked = self.hands.store.look(None, &asking).await.unwrap();
        let agreed = looked.pact.and_then(|pact| pact.agreed.get("address.city").cloned());
        agreed.is_some_and(|[shop, desk]| shop.is_null() && !desk.is_null())
    }

    /// Both accounts hold the same people.
    async fn judge(&self) {
        let dead = Filter { status: Some(Status::Failed), limit: 10, ..Filter::default() };
        let dead = self.hands.store.runs(dead).await.unwrap();
        assert!(dead.is_empty(), "{:?}", dead.iter().map(|run| run.ending.clone()).collect::<Vec<_>>());
        let questions = self.hands.store.questions(Questions::All, 1_000).await.unwrap();
        assert!(self.kind == Kind::Deletes || questions.is_empty(), "{questions:?}");
        // Of these a person has not said yet what becomes of them, or they were left on purpose.
        let is_open = |account: &str, id: &str| {
            questions.iter().any(|asked| {
                let records = asked.pair.iter().flatten().chain([&asked.about]);
                records.into_iter().any(|record| record.connection == account && record.id == id)
            })
        };
        let mut sides = Vec::new();
        for account in ACCOUNTS {
            let mut all = Vec::new();
            for (id, record) in self.records(account).into_iter().filter(|(id, _)| !is_open(account, id)) {
                let mut content = content(&record);
                if account == "desk" && self.is_left(&id).await {
                    content["city"] = Value::Null;
                }
                all.push(content);
            }
            all.sort_by_key(Value::to_string);
            sides.push(all);
        }
        assert_eq!(sides[0], sides[1]);
    }
}

/// What the sync keeps alike, without regard to how a side writes it.
fn content(record: &Value) -> Value {
    let mut tags: Vec<&str> = record["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    tags.sort_unstable();
    let fields = [
        ("email", record["email"].as_str().map(str::to_lowercase).into()),
        ("name", record["name"].clone()),
        ("phone", record["phone"].clone()),
        ("tags", json!(tags)),
        ("city", record["address"]["city"].clone()),
    ];
    Value::Object(Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value))))
}

fn differences(before: &Records, now: &Records) -> Vec<(String, &'static str)> {
    let mut all: Vec<(String, &str)> = Vec::new();
    all.extend(now.iter().filter(|(id, _)| !before.contains_key(*id)).map(|(id, _)| (id.clone(), "created")));
    let is_other = |(id, record): &(&String, &Value)| before.get(*id).is_some_and(|known| known != *record);
    all.extend(now.iter().filter(is_other).map(|(id, _)| (id.clone(), "updated")));
    all.extend(before.keys().filter(|id| !now.contains_key(*id)).map(|id| (id.clone(), "deleted")));
    all
}

fn event(account: &str, id: &str, kind: &str, number: &str) -> Event {
    Event {
        id: number.to_owned(),
        source: "crm".into(),
        kind: kind.into(),
        connection: Some(account.into()),
        object: Some("contact".into()),
        record_id: Some(id.into()),
        record: json!({ "id": id }),
        ..Event::default()
    }
}

fn plan(kind: Kind) -> Plan {
    let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/convergence");
    let people = std::fs::read_to_string(folder.join("people.yaml")).unwrap();
    let people = match kind {
        Kind::Asks => {
            people.replace("default: desk", "default: ask").replace("on_difference: desk", "on_difference: ask")
        }
        _ => people,
    };
    let project = std::fs::read_to_string(folder.join("dovetail.yaml")).unwrap();
    let texts = [
        text("connectors/crm.yaml", include_str!("cases/run/project/crm.yaml")),
        text("dovetail.yaml", &project),
        text("workflows/people.yaml", &people),
    ];
    let loaded = read(&texts, &[], None);
    let files: Vec<_> = loaded.files.iter().collect();
    loaded.plan.unwrap_or_else(|| panic!("{}", dovetail::source::render_text(&loaded.report, &files, false)))
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
