//! What a sync knows of its pairs, for one tenant, and what it has asked people: an object.
//!
//! It keeps `pact/RECORD` by the first record of a pair, `first/RECORD` by the second one; `asked/RECORD` the questions about a
//! record or the pair whose first one it is; how many pairs there are, and when pairs were parted lately. Keeping the same once
//! more changes nothing. `src/store/pacts.rs` does the same with tables.

use serde::{Deserialize, Serialize};

use super::erasing::Erasing;
use super::feed::Note;
use super::ingress::Object;
use super::steps::{Looks, Steps, Stopped};
use crate::run::RecordRef;
use crate::store::Asked;
use crate::sync::{Answered, Choice, Pact, Question, Which};
use crate::workflow::{Looked, Synced};

/// What is parted within this counts as at once.
const HOUR_MS: i64 = 3_600_000;
/// Instants of partings that are kept, at most: more say no more.
const PARTED_MAX: usize = 10_000;

/// What is kept of one commit.
#[derive(Serialize, Deserialize)]
pub(super) struct Keeping {
    pub synced: Vec<Synced>,
    pub at_ms: i64,
}

/// What a run wants to know of a record, and of its pair.
#[derive(Serialize, Deserialize)]
pub(super) struct Wanted {
    pub of: RecordRef,
    pub side: Which,
    /// Its other half.
    pub found: Option<RecordRef>,
    pub now_ms: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Agreed {
    pub pair: [RecordRef; 2],
    pub pact: Pact,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub question: Question,
    pub choice: Option<Choice>,
    pub asked_ms: i64,
}

/// What was kept elsewhere so far.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Taking {
    pub agreed: Vec<Agreed>,
    /// All that is asked about each of these records.
    pub asked: Vec<(RecordRef, Vec<Open>)>,
}

const COUNT: &str = "count";
const PARTED: &str = "parted";

pub(super) fn place(of: &str, record: &RecordRef) -> String {
    format!("{of}/{}/{}/{}", record.connection, record.object, record.id)
}

pub(super) async fn keep<S: Steps>(steps: &S, Keeping { synced, at_ms }: Keeping) -> Result<(), Stopped> {
    for one in synced {
        keep_one(steps, one, at_ms).await?;
    }
    Ok(())
}

async fn keep_one<S: Steps>(steps: &S, synced: Synced, at_ms: i64) -> Result<(), Stopped> {
    let Synced { about, pair, pact, questions, .. } = synced;
    match &pair {
        Some(pair) => agree(steps, pair, pact).await?,
        None => forget(steps, &about).await?,
    }
    // By the first record a pair is known; both halves may have asked before they were one.
    let subjects: Vec<&RecordRef> = pair.iter().flatten().chain(pair.is_none().then_some(&about)).collect();
    for (number, subject) in subjects.into_iter().enumerate() {
        let before: Vec<Open> = steps.get(&place("asked", subject)).await?.unwrap_or_default();
        let wanted = if number == 0 { questions.as_slice() } else { &[] };
        let after: Vec<Open> = wanted.iter().map(|question| open(&before, question, at_ms)).collect();
        set_asked(steps, &place("asked", subject), before, after).await?;
    }
    Ok(())
}

/// The same question once more is left as it stands; another is asked anew.
fn open(before: &[Open], question: &Question, at_ms: i64) -> Open {
    let known = before.iter().find(|open| open.question == *question).cloned();
    known.unwrap_or_else(|| Open { question: question.clone(), choice: question.standing(), asked_ms: at_ms })
}

async fn set_asked<S: Steps>(steps: &S, name: &str, before: Vec<Open>, after: Vec<Open>) -> Result<(), Stopped> {
    if before == after {
        return Ok(());
    }
    let parted = |all: &[Open]| all.iter().find(|open| open.question == Question::Parted).map(|open| open.asked_ms);
    let (was, is) = (parted(&before), parted(&after));
    if was != is {
        let mut all: Vec<i64> = steps.get(PARTED).await?.unwrap_or_default();
        if let Some(at) = was.and_then(|was| all.iter().position(|one| *one == was)) {
            all.remove(at);
        }
        all.extend(is);
        all.sort_unstable();
        let latest = all.last().copied().unwrap_or_default();
        all.retain(|one| *one > latest - HOUR_MS);
        let first = all.len().saturating_sub(PARTED_MAX);
        steps.set(PARTED, all.split_off(first));
    }
    match after.is_empty() {
        true => steps.clear(name),
        false => steps.set(name, after),
    }
    Ok(())
}

async fn agree<S: Steps>(steps: &S, pair: &[RecordRef; 2], pact: Pact) -> Result<(), Stopped> {
    let [first, second] = pair;
    match steps.get::<Agreed>(&place("pact", first)).await? {
        Some(before) if before.pair == *pair && before.pact == pact => return Ok(()),
        Some(before) if before.pair[1] != *second => steps.clear(&place("first", &before.pair[1])),
        Some(_) => {}
        None => count(steps, 1).await?,
    }
    steps.set(&place("first", second), first.clone());
    steps.set(&place("pact", first), Agreed { pair: pair.clone(), pact });
    Ok(())
}

/// A record is in no pair any more, or never was.
async fn forget<S: Steps>(steps: &S, of: &RecordRef) -> Result<(), Stopped> {
    let first = steps.get::<RecordRef>(&place("first", of)).await?.unwrap_or_else(|| of.clone());
    if let Some(Agreed { pair: [first, second], .. }) = steps.get(&place("pact", &first)).await? {
        steps.clear(&place("pact", &first));
        steps.clear(&place("first", &second));
        count(steps, -1).await?;
    }
    Ok(())
}

async fn count<S: Steps>(steps: &S, more: i64) -> Result<(), Stopped> {
    let known: i64 = steps.get(COUNT).await?.unwrap_or_default();
    steps.set(COUNT, (known + more).max(0));
    Ok(())
}

/// All that is known of a record and its pair; not whether the sync has begun.
pub(super) async fn look<S: Looks>(steps: &S, asked: Wanted) -> Result<Looked, Stopped> {
    let Wanted { of, side, found, now_ms } = asked;
    let subject = match (side, &found) {
        (Which::Second, Some(first)) => first,
        _ => &of,
    };
    let mut looked = Looked::default();
    if found.is_some() {
        let agreed = steps.get::<Agreed>(&place("pact", subject)).await?;
        looked.pact = agreed.map(|agreed| Box::new(agreed.pact));
    }
    let parted: Vec<i64> = steps.get(PARTED).await?.unwrap_or_default();
    let parted = parted.iter().filter(|at_ms| **at_ms > now_ms.saturating_sub(HOUR_MS)).count() as u64;
    if parted > 0 {
        let left: i64 = steps.get(COUNT).await?.unwrap_or_default();
        looked.parted = Some((parted, parted + left.unsigned_abs()));
    }
    let open: Vec<Open> = steps.get(&place("asked", subject)).await?.unwrap_or_default();
    let answers = open.into_iter().filter_map(|open| Some(Answered { question: open.question, choice: open.choice? }));
    looked.answers = answers.collect();
    Ok(looked)
}

/// Keeps what was kept elsewhere.
pub(super) async fn take_over<S: Steps>(steps: &S, Taking { agreed, asked }: Taking) -> Result<(), Stopped> {
    for Agreed { pair, pact } in agreed {
        agree(steps, &pair, pact).await?;
    }
    for (subject, after) in asked {
        let before: Vec<Open> = steps.get(&place("asked", &subject)).await?.unwrap_or_default();
        set_asked(steps, &place("asked", &subject), before, after).await?;
    }
    Ok(())
}

/// The two of a pair are compared anew when one of them changes.
pub(super) async fn erase<S: Steps>(steps: &S, Erasing { names, .. }: Erasing) -> Result<(), Stopped> {
    for name in names {
        if name.starts_with("pact/") {
            if let Some(Agreed { pair: [first, _], .. }) = steps.get(&name).await? {
                forget(steps, &first).await?;
            }
        } else {
            let before: Vec<Open> = steps.get(&name).await?.unwrap_or_default();
            set_asked(steps, &name, before, Vec::new()).await?;
        }
    }
    Ok(())
}

/// A person has said something, to a question or without one; those who look are told.
pub(super) async fn tell<S: Steps>(steps: &S, feed: &Object, asked: Asked) -> Result<(), Stopped> {
    let before: Vec<Open> = steps.get(&place("asked", &asked.about)).await?.unwrap_or_default();
    let key = asked.question.key();
    let mut after: Vec<Open> = before.iter().filter(|open| open.question.key() != key).cloned().collect();
    let (question, choice) = (asked.question.clone(), asked.choice.clone());
    after.push(Open { question, choice, asked_ms: asked.asked_ms });
    set_asked(steps, &place("asked", &asked.about), before, after).await?;
    steps.send(feed, "keep", [Note::Said(Box::new(asked))], 0);
    Ok(())
}
