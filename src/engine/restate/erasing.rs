//! Erasing what the cluster knows of a person.
//!
//! ```text
//!  the copy here says which records ─▶ all objects are looked through ─▶ each that holds something erases it
//!                                                                    └─▶ feed: every process erases it in its own copy
//! ```
//! What it is recognised by is not told to the feed, only what was found: ids, which stay. A crash before the end: some of it is
//! erased, and the same again does the rest. What is not over stays in its line, and with those who look.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::admin::Row;
use super::feed::{self, Note};
use super::ingress::Object;
use super::objects::{self, Objects};
use super::{known, mail, pacts};
use crate::run::RecordRef;
use crate::store::{Error, Found, Signs, Sought, Status, Store};

/// What an object is to erase.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Erasing {
    /// Names of values that it keeps.
    pub names: Vec<String>,
    /// Of the values that are lists, the things in them: messages by number, notes by what they are about.
    pub of: BTreeSet<String>,
}

/// Values that one call looks at: each is in its journal until it ends.
const AT_ONCE: usize = 16;

/// Erases what is sought wherever it is over. What is not over is left.
///
/// # Errors
/// The store's, or the cluster's: some of it is erased then.
pub(super) async fn erase(objects: &Objects, store: &Store, sought: &Sought) -> Result<(), Error> {
    let holding = store.holding(sought).await?;
    let signs = holding.signs(sought)?;
    let mut found = Found { records: signs.records.clone(), runs: holding.ids };
    for (service, look) in LOOKED_THROUGH {
        let mut pages = objects.ingress.pages(service);
        while let Some(rows) = pages.next().await? {
            let mut erasing: BTreeMap<String, Erasing> = BTreeMap::new();
            for row in rows {
                let Some(of) = look(&row, &signs)? else { continue };
                let one = erasing.entry(row.service_key).or_default();
                one.names.push(row.key);
                one.of.extend(of);
            }
            for (key, Erasing { names, mut of }) in erasing {
                if service == objects::FEED {
                    of = over(store, of).await?;
                    found.runs.extend(of.iter().cloned());
                }
                let object = Object { service, key };
                for names in names.chunks(AT_ONCE) {
                    let erasing = Erasing { names: names.to_vec(), of: of.clone() };
                    objects.ask(&object, "erase", &erasing).await?;
                }
            }
        }
    }
    objects.note(&Note::Erased(Box::new(found))).await?;
    store.erase(sought).await.map(drop)
}

/// What of a value is to be erased, if anything is.
type Look = fn(&Row, &Signs) -> Result<Option<Vec<String>>, Error>;

const LOOKED_THROUGH: [(&str, Look); 4] =
    [(objects::KNOWN, in_copy), (objects::PACTS, in_pact), (objects::MAIL, in_mail), (objects::FEED, in_feed)];

fn in_copy(row: &Row, signs: &Signs) -> Result<Option<Vec<String>>, Error> {
    let copy: known::Copy = row.value()?;
    let (_, connection, object, id): (String, String, String, String) = serde_json::from_str(&row.service_key)?;
    let is_of = signs.records.contains(&RecordRef { connection, object, id }) || signs.are_in(row.text());
    let is_there = !copy.known.record.is_null() || copy.before.is_some_and(|before| !before.record.is_null());
    Ok((is_of && is_there).then(Vec::new))
}

fn in_pact(row: &Row, signs: &Signs) -> Result<Option<Vec<String>>, Error> {
    let is_of = match row.key.split_once('/') {
        Some(("pact", _)) => row.value::<pacts::Agreed>()?.pair.iter().any(|of| signs.records.contains(of)),
        Some(("asked", _)) => signs.records.iter().any(|of| row.key == pacts::place("asked", of)),
        _ => return Ok(None),
    };
    Ok((is_of || signs.are_in(row.text())).then(Vec::new))
}

fn in_mail(row: &Row, signs: &Signs) -> Result<Option<Vec<String>>, Error> {
    if row.key != mail::MESSAGES {
        return Ok(None);
    }
    let is_in_key = signs.are_in(row.service_key.as_bytes());
    let mut numbers = Vec::new();
    for message in row.value::<Vec<mail::Message>>()? {
        if is_in_key || signs.are_in(&serde_json::to_vec(&message.left.record)?) {
            numbers.push(message.number.to_string());
        }
    }
    Ok((!numbers.is_empty()).then_some(numbers))
}

fn in_feed(row: &Row, signs: &Signs) -> Result<Option<Vec<String>>, Error> {
    if row.key == feed::HEAD {
        return Ok(None);
    }
    let mut about = Vec::new();
    for note in row.value::<feed::Page>()?.notes {
        let is_of = match serde_json::from_str(note.get()) {
            Ok(Note::Run(news)) => news.start.as_ref().is_some_and(|start| signs.are_of(&start.event)),
            Ok(Note::Said(asked)) => signs.records.contains(&asked.about),
            Ok(Note::Erased(_) | Note::Tokens | Note::Deed(_)) => continue,
            Err(_) => false,
        };
        if is_of || signs.are_in(note.get().as_bytes()) {
            about.extend(subject(&note));
        }
    }
    Ok((!about.is_empty()).then_some(about))
}

/// What a note is about: a run, or the record of which a person has said something. None: nobody is to lose it.
pub(super) fn subject(note: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Of {
        Run { run: String },
        Said { about: Value },
    }
    serde_json::from_str(note.get()).ok().map(|of| match of {
        Of::Run { run } => run,
        Of::Said { about } => about.to_string(),
    })
}

/// Without the runs that are not over, and dead letters.
async fn over(store: &Store, subjects: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let mut over = BTreeSet::new();
    for subject in subjects {
        let run = store.run(&subject).await?;
        if run.is_none_or(|run| !matches!(run.status, Status::Pending | Status::Failed)) {
            over.insert(subject);
        }
    }
    Ok(over)
}
