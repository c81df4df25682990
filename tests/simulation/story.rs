//! What happens at the shop on a simulated day, who is told of it and when, and what must be true in the end.

use std::collections::{BTreeMap, BTreeSet};

use dovetail::run::{Ending, Fact};
use dovetail::store::{Filter, Status};
use dovetail::trigger::Event;
use serde_json::{Value, json};

use crate::simulation::hands::Hands;
use crate::stage::random::Random;

const HOUR_MS: u64 = 3_600_000;
/// People at the shop in one day.
const PEOPLE_MAX: u64 = 8;
/// What happens to one of them.
const CHANGES_MAX: u64 = 4;

/// What happens at an instant.
pub enum Deed {
    Make {
        id: String,
        name: String,
    },
    Rename {
        id: String,
        name: String,
    },
    Delete {
        id: String,
    },
    Deliver(Box<Event>),
    /// Somebody sets the clock, by so many milliseconds.
    SetClock(i64),
}

pub struct Story {
    /// In the order of time.
    pub deeds: Vec<(i64, Deed)>,
    /// Everything that was acknowledged.
    pub accepted: BTreeMap<String, String>,
    delivered: u64,
}

impl Story {
    pub fn new(random: &mut Random, begin_ms: i64) -> Story {
        let mut story = Story { deeds: Vec::new(), accepted: BTreeMap::new(), delivered: 0 };
        let mut at = |span: u64| begin_ms + i64::try_from(random.below(span)).unwrap();
        let mut people = Vec::new();
        for number in 0..=PEOPLE_MAX {
            people.push((format!("c{number}"), at(HOUR_MS)));
        }
        people.truncate(usize::try_from(1 + random.below(PEOPLE_MAX)).unwrap());
        for (id, made_ms) in people {
            let mut at_ms = made_ms;
            let mut deeds = vec![Deed::Make { id: id.clone(), name: "name 0".into() }];
            for number in 1..=random.below(CHANGES_MAX + 1) {
                deeds.push(Deed::Rename { id: id.clone(), name: format!("name {number}") });
            }
            if random.below(6) == 0 {
                deeds.push(Deed::Delete { id: id.clone() });
            }
            for deed in deeds {
                let kind = match &deed {
                    Deed::Make { .. } => "created",
                    Deed::Delete { .. } => "deleted",
                    _ => "updated",
                };
                story.deeds.push((at_ms, deed));
                story.tell(random, at_ms, &id, kind);
                // Often at once, sometimes much later.
                let span = if random.below(2) == 0 { 3_000 } else { 2 * HOUR_MS };
                at_ms += 1 + i64::try_from(random.below(span)).unwrap();
            }
        }
        if random.below(3) == 0 {
            let by = i64::try_from(random.below(HOUR_MS)).unwrap() - i64::try_from(HOUR_MS / 2).unwrap();
            story.deeds.push((begin_ms + i64::try_from(random.below(2 * HOUR_MS)).unwrap(), Deed::SetClock(by)));
        }
        story.deeds.sort_by_key(|(at_ms, _)| *at_ms);
        story
    }

    /// People who are made and told of at once, each once.
    pub fn of(numbers: &[usize], begin_ms: i64) -> Story {
        let mut story = Story { deeds: Vec::new(), accepted: BTreeMap::new(), delivered: 0 };
        for number in numbers {
            let id = format!("c{number}");
            story.deeds.push((begin_ms, Deed::Make { id: id.clone(), name: "name".into() }));
            let event = Event { id: format!("delivery of {id}"), ..event(&id, "created", begin_ms) };
            story.deeds.push((begin_ms, Deed::Deliver(Box::new(event))));
        }
        story
    }

    /// One to three deliveries, each late by chance.
    fn tell(&mut self, random: &mut Random, at_ms: i64, id: &str, kind: &str) {
        self.delivered += 1;
        let event = Event { id: format!("delivery-{}", self.delivered), ..event(id, kind, at_ms) };
        for _ in 0..=random.below(3) {
            let late = if random.below(4) == 0 { 10 * 60_000 } else { 2_000 };
            let due_ms = at_ms + i64::try_from(random.below(late)).unwrap();
            self.deeds.push((due_ms, Deed::Deliver(Box::new(event.clone()))));
        }
    }

    /// Does what is due.
    pub async fn go_on(&mut self, hands: &mut Hands) {
        while self.deeds.first().is_some_and(|(at_ms, _)| *at_ms <= hands.now_ms) {
            let (_, deed) = self.deeds.remove(0);
            let people = hands.worlds.get_mut("shop").unwrap().records.entry("contact".into()).or_default();
            let at = |people: &Vec<Value>, id: &str| people.iter().position(|person| person["id"] == id).unwrap();
            match deed {
                Deed::Make { id, name } => {
                    people.push(json!({ "id": id, "email": format!("{id}@example.com"), "name": name }));
                }
                Deed::Rename { id, name } => {
                    let at = at(people, &id);
                    people[at]["name"] = json!(name);
                }
                Deed::Delete { id } => {
                    let at = at(people, &id);
                    people.remove(at);
                }
                Deed::Deliver(event) => {
                    let (id, kind) = (event.id.clone(), event.kind.clone());
                    let is_new = hands.accept(*event).await;
                    hands.told.push(format!("{} {id} ({kind}) is accepted: {is_new}", hands.now_ms));
                    assert_eq!(is_new, self.accepted.insert(id, kind).is_none(), "an event is accepted once");
                }
                Deed::SetClock(by) => {
                    hands.told.push(format!("{} the clock is set by {by} ms", hands.now_ms));
                    hands.now_ms += by;
                    self.deeds.iter_mut().for_each(|(at_ms, _)| *at_ms += by);
                }
            }
        }
    }

    /// What must be true when nothing is left to do.
    pub async fn judge(&self, hands: &Hands) {
        let runs = hands.store.runs(Filter { limit: 100_000, ..Filter::default() }).await.unwrap();
        let mut started: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for run in &runs {
            let over = matches!(run.status, Status::Completed | Status::Skipped);
            assert!(over, "{} ended otherwise: {:?}", run.start.id, run.ending);
            *started.entry((run.start.workflow.as_str(), run.start.event.id.as_str())).or_default() += 1;
        }
        assert!(started.values().all(|count| *count == 1), "an event has one run of a workflow: {started:?}");
        for (id, kind) in &self.accepted {
            let has_started = started.keys().any(|(_, event)| event == id);
            // Nobody listens for deletions.
            assert!(has_started || kind == "deleted", "{id} was acknowledged and started nothing");
        }
        for run in &runs {
            self.judge_journal(hands, &run.start.id).await;
        }
        self.judge_records(hands, &runs);
    }

    /// Each request is of a new attempt, and nothing is sent for what is over.
    async fn judge_journal(&self, hands: &Hands, run: &str) {
        let journal = hands.store.journal(run).await.unwrap();
        let (mut sent, mut finished) = (BTreeSet::new(), BTreeSet::new());
        for entry in &journal {
            match &entry.fact {
                Fact::Sent(one) => {
                    assert!(!finished.contains(&one.address), "{run}: {} was over, and is asked again", one.address);
                    let key = (one.address.clone(), one.exchange, one.attempt);
                    let looks = matches!(one.purpose, dovetail::run::Purpose::LookUp { .. });
                    assert!(looks || sent.insert(key.clone()), "{run}: a request is recorded twice: {key:?}");
                }
                Fact::Finished { address, .. } => drop(finished.insert(address.clone())),
                Fact::Forgot { address } => sent.retain(|(at, ..)| at != address),
                Fact::Retried { .. } => (finished, sent) = Default::default(),
                _ => {}
            }
        }
        assert!(matches!(journal.last().map(|entry| &entry.fact), Some(Fact::Ended { .. })), "{run} has no end");
    }

    fn judge_records(&self, hands: &Hands, runs: &[dovetail::store::Run]) {
        let of = |world: &str, object: &str| hands.worlds[world].records.get(object).cloned().unwrap_or_default();
        let (people, leads, notes) = (of("shop", "contact"), of("desk", "lead"), of("desk", "note"));
        for (what, records, field) in [("lead", &leads, "email"), ("note", &notes, "text")] {
            let mut seen = BTreeSet::new();
            for record in records {
                assert!(seen.insert(record[field].to_string()), "a {what} was made twice: {record}");
            }
        }
        for person in &people {
            let lead = leads.iter().find(|lead| lead["email"] == person["email"]);
            let lead = lead.unwrap_or_else(|| panic!("{person} is not at the desk"));
            assert_eq!(lead["name"], person["name"], "the desk has an old name of {person}");
        }
        let completed = |workflow: &str| {
            let of = runs.iter().filter(|run| run.start.workflow == workflow);
            of.filter(|run| matches!(run.ending, Some(Ending::Completed { .. }))).count()
        };
        let count = |begin: &str| {
            notes.iter().filter(|note| note["text"].as_str().is_some_and(|text| text.starts_with(begin))).count()
        };
        for begin in ["first reminder", "second reminder"] {
            assert_eq!(count(begin), completed("remind"), "each run of `remind` wrote its {begin}");
        }
        assert_eq!(completed("reminded"), completed("remind"), "what is emitted starts one run");
        assert_eq!(count("copy"), 3 * completed("reminded"), "each run of `reminded` wrote three notes");
        assert_eq!(count("done") + count("timed_out"), completed("answer"), "each run of `answer` wrote one note");
    }
}

fn event(id: &str, kind: &str, time_ms: i64) -> Event {
    Event {
        source: "shop".into(),
        kind: kind.into(),
        time_ms,
        connection: Some("shop".into()),
        object: Some("contact".into()),
        record_id: Some(id.into()),
        record: json!({ "id": id }),
        read_with: (kind != "deleted").then(|| "contact.get".into()),
        ..Event::default()
    }
}
