//! `kill -9` and restart, again and again, while the vendor keeps sending: nothing that was acknowledged is lost, nothing
//! is made twice. Then the gentle ways to end: SIGTERM, and a second program at the same store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use dovetail::run::{Answer, Ending, Entry, Fact, Purpose};
use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::random::Random;
use crate::stage::sender::Sender;
use crate::stage::{self, GHL, PEOPLE, QUIZ, Stage, until};

/// Kills, and contacts, each with its webhook and that of a note; the store is checked whole at each start.
const SHORT: (u32, usize) = (20, 500);
const LONG: (u32, usize) = (60, 3_000);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_that_was_acknowledged_and_make_nothing_twice() {
    let (rounds, contacts) = if stage::is_long() { LONG } else { SHORT };
    let mut random = Random::new();
    tell(&format!("SEED={}", random.seed));
    let mut stage = Stage::set().await;
    let events = fill(&stage, contacts).await;
    let mut serve = stage.serve().await;
    let sender = Sender::start(&stage, &events);
    for _ in 0..rounds {
        let life = Duration::from_millis(random.below(450));
        tokio::time::sleep(life).await;
        serve.kill();
        serve = stage.serve().await;
    }
    let acknowledged = sender.finish().await;
    let runs = stage.over().await;
    drop(serve);

    let seed = random.seed;
    let of_event: HashMap<&str, Vec<&Run>> = runs.iter().fold(HashMap::new(), |mut map, run| {
        map.entry(run.start.event.id.as_str()).or_insert_with(Vec::new).push(run);
        map
    });
    for id in &acknowledged {
        let runs = of_event.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(runs.len(), 1, "seed {seed}: the acknowledged event {id} has one run");
        assert!(matches!(runs[0].ending, Some(Ending::Completed { .. })), "seed {seed}: {id}: {:?}", runs[0].ending);
    }
    assert_eq!(acknowledged.len(), 2 * contacts);
    assert_eq!(runs.len(), 2 * contacts, "seed {seed}: no event started a second run");
    assert_each_once(&stage, "contact", "email", contacts, seed);
    assert_each_once(&stage, "note", "content", contacts, seed);

    // What the vendor was asked for, beside what the journals say about it.
    let mut asked: HashMap<String, usize> = HashMap::new();
    for operation in ["contact.create", "note.create"] {
        for request in stage.requests(PEOPLE, operation).await {
            let key = request["headers"]["idempotency-key"].as_str().expect("a create has a key").to_owned();
            *asked.entry(key).or_default() += 1;
        }
    }
    let mut again = 0;
    for run in &runs {
        let journal = stage.journal(&run.start.id).await;
        for (key, sent) in sendings(run, &journal) {
            let requests = asked.remove(&key).unwrap_or(0);
            assert!(requests <= sent, "seed {seed}: {key} was sent {requests} times, {sent} times on the record");
            again += requests.saturating_sub(1);
        }
    }
    assert!(asked.is_empty(), "seed {seed}: sent without a record: {asked:?}");
    tell(&format!("seed {seed}: {} events, {again} creates were asked for again", acknowledged.len()));
}

/// GoHighLevel knows no idempotency keys: whether a create was carried out is found out by looking.
#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_in_the_middle_of_creates_that_have_no_key_make_nothing_twice() {
    const PEOPLE_WHO_ANSWER: usize = 40;
    let mut random = Random::new();
    tell(&format!("SEED={}", random.seed));
    let mut stage = Stage::set().await;
    let poll = "changes: { poll: { with: list, by: timestamps.created, newest_first: true, every: 1s } }";
    let over = format!("connector: {QUIZ}\nlimits: []\nobjects: {{ response: {{ {poll} }} }}\n");
    stage.write("connectors/opinion-stage.override.yaml", &over);
    let mut serve = stage.serve().await;
    // A pass reads two lists: with the third, the first pass is stored, and what comes now is new.
    until("the past is known", async || (stage.requests(QUIZ, "response.list").await.len() > 2).then_some(())).await;
    let responses = (0..PEOPLE_WHO_ANSWER).map(|number| {
        let answers = json!([{ "question": "2001", "selection": [format!("p{number}@example.com")] }]);
        json!({ "item_id": "1001", "attributes": { "answers": answers, "result": { "title": "Ready now" } } })
    });
    stage.make(QUIZ, "response", responses.collect()).await;
    // Between a write and its answer is where it hurts.
    stage.fault(GHL, json!({ "at": "*", "delay_ms": 120, "times": 0 })).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150 + random.below(500))).await;
        serve.kill();
        serve = stage.serve().await;
    }
    let seed = random.seed;
    let runs = until("all have a run that is over", async || {
        let over = |runs: &Vec<Run>| runs.iter().all(|run| run.status != Status::Pending);
        Some(stage.runs().await).filter(|runs| over(runs) && runs.len() >= PEOPLE_WHO_ANSWER)
    })
    .await;
    drop(serve);
    for run in &runs {
        let journal = stage.journal(&run.start.id).await;
        assert!(matches!(run.ending, Some(Ending::Completed { .. })), "seed {seed}: {journal:#?}");
        sendings(run, &journal);
    }
    // What was made there also comes back as news, and is carried to the other side: not counted here.
    let of_quiz = runs.iter().filter(|run| run.start.workflow == "quiz-response-to-gohighlevel");
    assert_eq!(of_quiz.count(), PEOPLE_WHO_ANSWER, "seed {seed}");
    let contacts = stage.vendors[GHL].records("contact");
    assert_eq!(contacts.len(), PEOPLE_WHO_ANSWER, "seed {seed}");
    for object in ["note", "task"] {
        let of = stage.vendors[GHL].records(object);
        let different: HashSet<&str> = of.iter().filter_map(|record| record["contactId"].as_str()).collect();
        let counts = (of.len(), different.len());
        assert_eq!(counts, (PEOPLE_WHO_ANSWER, PEOPLE_WHO_ANSWER), "seed {seed}: {object}s, and contacts with one");
    }
    let looked = stage.requests(GHL, "note.list").await.len() + stage.requests(GHL, "task.list").await.len();
    tell(&format!("seed {seed}: {looked} notes and tasks were looked for"));
}

/// How often each exchange was sent, by idempotency key; what is answered or finished is never sent again, but for what was
/// only searched before the program ended: that is searched anew, and never covers a write.
fn sendings(run: &Run, journal: &[Entry]) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    let mut over: HashSet<String> = HashSet::new();
    let mut purposes: BTreeMap<String, Vec<Purpose>> = BTreeMap::new();
    for entry in journal {
        match &entry.fact {
            Fact::Sent(sending) => {
                let key = format!("{}/{}/{}", run.start.id, sending.address, sending.exchange);
                assert!(!over.contains(&key), "{key} was answered, and sent again: {journal:#?}");
                assert!(!over.contains(&sending.address), "{} was finished, and sent again", sending.address);
                purposes.entry(sending.address.clone()).or_default().push(sending.purpose.clone());
                *sent.entry(key).or_default() += 1;
            }
            Fact::Answered { address, exchange, answer: Answer::Done { .. }, look: false, .. } => {
                over.insert(format!("{}/{address}/{exchange}", run.start.id));
            }
            Fact::Forgot { address } => {
                assert!(!over.contains(address), "{address} was finished, and forgotten: {journal:#?}");
                let reads = |purpose: &Purpose| matches!(purpose, Purpose::Find { .. } | Purpose::Get);
                let sent = purposes.remove(address).unwrap_or_default();
                assert!(sent.iter().all(reads), "a write at {address} was forgotten: {journal:#?}");
                let prefix = format!("{}/{address}/", run.start.id);
                over.retain(|key| key.strip_prefix(&prefix).is_none_or(|rest| rest.contains('/')));
            }
            Fact::Finished { address, .. } => {
                assert!(over.insert(address.clone()), "{address} was finished twice: {journal:#?}");
            }
            _ => {}
        }
    }
    sent
}

fn assert_each_once(stage: &Stage, object: &str, field: &str, count: usize, seed: u64) {
    let records = stage.vendors[PEOPLE].records(object);
    let different: HashSet<&str> = records.iter().filter_map(|record| record[field].as_str()).collect();
    assert_eq!((records.len(), different.len()), (count, count), "seed {seed}: {object}s, and different ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_what_is_under_way_and_leaves_nothing_unknown() {
    let mut stage = Stage::set().await;
    let events = fill(&stage, 40).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 200, "times": 0 })).await;
    let serve = stage.serve().await;
    for (name, record) in &events {
        stage.tell(name, record).await;
    }
    until("a create is under way", async || {
        let asked = !stage.requests(PEOPLE, "contact.create").await.is_empty();
        asked.then_some(())
    })
    .await;
    let (status, said) = serve.term().await;
    assert_eq!(status.code(), Some(0), "{said}");
    let mut pending = 0;
    for run in stage.runs().await {
        let journal = stage.journal(&run.start.id).await;
        if stage::cluster::nodes_asked_for().is_none_or(|nodes| nodes == 1) {
            let answers = journal.iter().filter(|entry| matches!(entry.fact, Fact::Answered { .. })).count();
            let sent = journal.iter().filter(|entry| matches!(entry.fact, Fact::Sent(_))).count();
            assert_eq!(sent, answers, "{journal:#?}");
        }
        // A node of a cluster that gives a line to another one ends an attempt: that is asked again before.
        let answered: HashSet<(&str, u32)> = journal
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::Answered { address, exchange, .. } => Some((address.as_str(), *exchange)),
                _ => None,
            })
            .collect();
        let sent = journal
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::Sent(sent) => Some((sent.address.as_str(), sent.exchange)),
                _ => None,
            })
            .collect();
        assert_eq!(answered, sent, "{journal:#?}");
        pending += usize::from(run.status == Status::Pending);
    }
    assert!(pending > 0, "it was stopped in the middle");
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let _serve = stage.serve().await;
    assert!(stage.over().await.iter().all(|run| run.status == Status::Completed));
    let creates = stage.requests(PEOPLE, "contact.create").await;
    let keys: HashSet<&str> =
        creates.iter().filter_map(|create| create["headers"]["idempotency-key"].as_str()).collect();
    assert_eq!(keys.len(), 40, "each create has one key");
    assert_eq!(creates.len(), 40, "no create was asked for again");
    assert_each_once(&stage, "contact", "email", 40, 0);
    assert_each_once(&stage, "note", "content", 40, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_at_work_goes_before_a_dead_letter_that_is_retried() {
    let mut stage = Stage::set().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 1 })).await;
    let serve = stage.serve().await;
    stage.list_is_read().await;
    stage.tell("ContactCreate", &ada).await;
    assert_eq!(stage.over().await[0].status, Status::Failed);
    let ada = stage.change(GHL, "contact", ada["id"].as_str().expect("an id"), json!({ "firstName": "Ada B." })).await;
    stage.tell("ContactUpdate", &ada).await;
    until("the second creates", async || {
        let asked = stage.requests(PEOPLE, "contact.create").await.len() == 2;
        asked.then_some(())
    })
    .await;
    serve.kill();
    // What a cluster keeps is decided beside a process that serves.
    let serve = if stage.cluster.is_some() { Some(stage.serve().await) } else { None };
    let retry = stage::command().args(["dead", "retry", "1", "--data"]).arg(stage.data()).output().expect("it runs");
    assert!(retry.status.success(), "{}", String::from_utf8_lossy(&retry.stderr));
    let _serve = match serve {
        Some(serve) => serve,
        None => stage.serve().await,
    };
    let runs = stage.over().await;
    // What the poll noticed as well was told already.
    assert!(runs[..2].iter().all(|run| run.status == Status::Completed), "{runs:#?}");
    let retried = stage.journal(&runs[0].start.id).await;
    let anew =
        retried.iter().skip_while(|entry| !matches!(entry.fact, Fact::Retried { .. })).nth(1).expect("it went on");
    assert!(anew.at_ms >= runs[1].ended_ms.expect("it ended"), "{retried:#?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_serve_at_one_store_is_refused_and_looking_is_not() {
    let mut stage = Stage::set().await;
    let events = fill(&stage, 30).await;
    let serve = stage.serve().await;
    let mut second = stage::command();
    second.arg("serve").arg("--project").arg(stage.project()).arg("--data").arg(stage.data());
    let second = second.args(["--listen", "127.0.0.1:0"]).output().expect("it runs");
    assert_eq!(second.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is in use by another process"));
    for (name, record) in &events {
        stage.tell(name, record).await;
        let mut list = stage::command();
        let list = list.args(["runs", "list", "--json", "--data"]).arg(stage.data()).output().expect("it runs");
        assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
        let runs: Vec<Value> = serde_json::from_slice(&list.stdout).expect("JSON");
        assert!(!runs.is_empty());
    }
    assert!(stage.over().await.iter().all(|run| run.status == Status::Completed));
    assert_eq!(serve.term().await.0.code(), Some(0));
}

/// Contacts with a note each, at the pretend vendor; and the webhooks that it would send, in their order.
async fn fill(stage: &Stage, count: usize) -> Vec<(&'static str, Value)> {
    let contacts: Vec<Value> = (0..count)
        .map(|number| json!({ "id": format!("contact{number:013}"), "firstName": "C", "email": format!("c{number}@example.com") }))
        .collect();
    let notes: Vec<Value> = (0..count)
        .map(|number| {
            let contact = format!("contact{number:013}");
            json!({ "id": format!("note{number:016}"), "contactId": contact, "body": format!("note {number}") })
        })
        .collect();
    stage.make(GHL, "contact", json!(contacts)).await;
    stage.make(GHL, "note", json!(notes)).await;
    let pairs = contacts.into_iter().zip(notes);
    pairs.flat_map(|(contact, note)| [("ContactCreate", contact), ("NoteCreate", note)]).collect()
}

#[expect(clippy::print_stderr, reason = "shown when the test fails, so that it can be played again")]
fn tell(text: &str) {
    eprintln!("{text}");
}
