//! A day of work from a seed: clock, network, order, failures of vendors and crashes. The documents and the kept seeds are in
//! `tests/cases/simulation/`, where the README tells how a day is played again.

#![expect(clippy::unwrap_used, reason = "a test may")]

pub mod hands;
mod story;

use std::collections::HashSet;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use dovetail::project::{Plan, Text, read};
use dovetail::store::{Filter, Status, Store};
use futures_util::FutureExt as _;
use hands::{Hands, Trouble};
use story::Story;

use crate::stage::random::{self, Random};

const FOLDER: &str = "tests/cases/simulation";
const BEGIN_MS: i64 = 1_800_000_000_000;
/// New days in each run of the test.
const DAYS: u64 = 40;
/// More steps than any day has.
const STEPS_MAX: usize = 20_000;

#[tokio::test]
async fn whatever_happens_nothing_is_lost_and_nothing_is_made_twice() {
    if let Some(seed) = random::given() {
        let (told, _) = day(seed).await.unwrap_or_else(|why| panic!("{why}"));
        tell(&told.join("\n"));
        return;
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("seeds.txt");
    let known: Vec<u64> = std::fs::read_to_string(&kept)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    let days = std::env::var("SEEDS").ok().and_then(|days| days.parse().ok()).unwrap_or(DAYS);
    let mut new = Random::new();
    tell(&format!("the seeds begin with {}", new.seed));
    let seeds = known.iter().copied().chain((0..days).map(|_| new.below(u64::from(u32::MAX))));
    let (mut wrong, mut deaths) = (Vec::new(), 0);
    for seed in seeds.collect::<Vec<_>>() {
        match day(seed).await {
            Ok((_, died)) => deaths += died,
            Err(why) => {
                if !known.contains(&seed) {
                    let mut file = std::fs::OpenOptions::new().append(true).open(&kept).unwrap();
                    writeln!(file, "{seed} {}", why.lines().next().unwrap_or_default()).unwrap();
                }
                wrong.push(format!("SEED={seed}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} days went wrong", wrong.join("\n"), wrong.len());
    assert!(days == 0 || deaths > 0, "nobody died");
    tell(&format!("{deaths} deaths"));
}

#[tokio::test]
async fn the_same_seed_is_the_same_day() {
    let (one, _) = day(7).await.unwrap();
    let (other, _) = day(7).await.unwrap();
    assert_eq!(one, other);
}

#[tokio::test]
async fn of_many_creates_with_a_tenth_of_the_answers_lost_none_is_made_twice() {
    // Eight creates each.
    let people: usize = if std::env::var_os("LONG").is_some() { 1_250 } else { 100 };
    let folder = std::env::temp_dir().join(format!("dovetail-simulation-{}", uuid::Uuid::now_v7()));
    let store = Store::open(&folder).unwrap();
    let mut hands = Hands::new(plan(), store.clone(), Random::new(), BEGIN_MS);
    tell(&format!("SEED={}", hands.random.seed));
    hands.trouble = Trouble { lost_creates: 100, ..Trouble::default() };
    let numbers: Vec<usize> = (0..people).collect();
    for some in numbers.chunks(20) {
        let mut story = Story::of(some, hands.now_ms);
        live(&mut hands, &mut story).await;
    }
    let lost = hands.told.iter().filter(|line| line.ends_with("TimeoutAfterWrite")).count();
    assert!(lost > people / 20, "{lost} answers were lost");
    for (object, field, count) in [("lead", "email", people), ("note", "text", 7 * people)] {
        let records = &hands.worlds["desk"].records[object];
        let different: HashSet<&str> = records.iter().filter_map(|record| record[field].as_str()).collect();
        assert_eq!((records.len(), different.len()), (count, count), "{object}s, and different ones");
    }
    drop(hands);
    store.close().await;
    let _ = std::fs::remove_dir_all(&folder);
}

/// Plays one day; gives what happened and how often the program died, or what is wrong.
async fn day(seed: u64) -> Result<(Vec<String>, usize), String> {
    let folder = std::env::temp_dir().join(format!("dovetail-simulation-{}", uuid::Uuid::now_v7()));
    let store = Store::open(&folder).unwrap();
    let mut hands = Hands::new(plan(), store.clone(), Random::of(seed), BEGIN_MS);
    let played = AssertUnwindSafe(play(&mut hands)).catch_unwind().await;
    let result = played.map(|()| (std::mem::take(&mut hands.told), hands.deaths)).map_err(|panic| {
        // Who plays one day wants to know how it came to this.
        random::given().into_iter().for_each(|_| tell(&hands.told.join("\n")));
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    });
    drop(hands);
    store.close().await;
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn play(hands: &mut Hands) {
    let mut story = Story::new(&mut hands.random, BEGIN_MS);
    hands.trouble = Trouble { faults: hands.random.below(400), lost_creates: 0, deaths: 25 };
    live(hands, &mut story).await;
    // The vendors are well again, and a person has what failed tried again.
    hands.trouble = Trouble { faults: 0, ..hands.trouble };
    for _ in 0..3 {
        let dead = Filter { status: Some(Status::Failed), limit: 10_000, ..Filter::default() };
        for run in hands.store.runs(dead).await.unwrap() {
            hands.retry(&run.start).await;
        }
        live(hands, &mut story).await;
    }
    story.judge(hands).await;
}

/// Until nothing is left to do.
async fn live(hands: &mut Hands, story: &mut Story) {
    for _ in 0..STEPS_MAX {
        story.go_on(hands).await;
        match hands.step().await {
            Ok(true) => hands.now_ms += i64::try_from(hands.random.below(50)).unwrap(),
            Ok(false) => {
                let deed = story.deeds.first().map(|(at_ms, _)| *at_ms);
                let Some(next_ms) = hands.next_ms().await.into_iter().chain(deed).min() else { return };
                hands.now_ms = hands.now_ms.max(next_ms);
            }
            Err(hands::Dead) => hands.start_again().await,
        }
    }
    panic!("the day never ends");
}

fn plan() -> Plan {
    let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
    let mut texts = vec![
        text("dovetail.yaml", include_str!("cases/simulation/dovetail.yaml")),
        text("connectors/crm.yaml", include_str!("cases/run/project/crm.yaml")),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("workflows");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        texts.push(text(&format!("workflows/{name}"), &std::fs::read_to_string(&path).unwrap()));
    }
    texts.sort_by(|one, other| one.path.cmp(&other.path));
    let loaded = read(&texts, &[], None);
    let files: Vec<_> = loaded.files.iter().collect();
    loaded.plan.unwrap_or_else(|| panic!("{}", dovetail::source::render_text(&loaded.report, &files, false)))
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
