//! Out of a cluster: what is under way is written down, and all that is kept is read, written here, and forgotten there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::super::admin::Row;
use super::super::credential::{self, Kept};
use super::super::feed;
use super::super::known::{self, Copy};
use super::super::line::{Held, IN_LINE};
use super::super::mail::{self, Message};
use super::super::objects::{CREDENTIAL, Calls, KNOWN, LINE, MAIL, Objects, PACTS, PAIRS, PLACE};
use super::super::pacts::{Agreed, Open};
use super::super::places;
use super::super::tokens;
use super::{ASKED, DOOR, Door, IDS_MS, Moved, Phase, empty, quiet};
use crate::clock;
use crate::engine::now_ms;
use crate::run::{Correlation, Ending, Entry, Fact, Known, Link, RecordRef, Told};
use crate::store::{Agreement, Asked, Back, Credentials, Error, Keeper, Left, Sealed, Store};

pub(super) async fn move_out(
    objects: &Objects,
    store: &Store,
    folder: &Path,
    tell: impl Fn(&str),
) -> Result<Moved, Error> {
    let door = Door::read(objects).await?;
    let ours = store.moved_as().await?;
    let is_ours = door.as_ref().is_some_and(|door| ours.as_ref() == Some(&door.name));
    let phase = door.as_ref().map(|door| door.phase);
    if store.keeper().await? == Keeper::Moving && !is_ours {
        // It was interrupted before anything was given away.
        store.set_keeper(Keeper::Own).await?;
        return Ok(Moved::default());
    }
    if is_ours && phase == Some(Phase::Entering) {
        // Not all is there, and all is here: nobody has gone on with it.
        objects.calls.send_replace(Calls::Forgotten);
        quiet(objects, &tell).await?;
        empty(objects).await?;
        Door::set(objects, Phase::Left, &ours.unwrap_or_default()).await?;
        store.set_keeper(Keeper::Own).await?;
        return Ok(Moved::default());
    }
    if !is_ours && matches!(phase, Some(Phase::Entering | Phase::Leaving | Phase::Left)) {
        return Err(Error::Refused(OTHERS.into()));
    }
    let name = match ours {
        Some(name) if is_ours => name,
        _ => clock::id().to_string(),
    };
    if phase.is_none_or(|phase| phase == Phase::Within) && is_another(objects, store).await? {
        return Err(Error::Refused(ANOTHER.into()));
    }
    let mut moved = Moved::default();
    if phase != Some(Phase::Left) {
        store.set_moved_as(&name).await?;
        Door::set(objects, Phase::Leaving, &name).await?;
        objects.calls.send_replace(Calls::MovingOut);
        // Whoever was forgotten and serves still asks the door meanwhile.
        tokio::time::sleep(ASKED * 3 / 2).await;
        let mut head = None;
        loop {
            quiet(objects, &tell).await?;
            let now = catch_up(objects, store).await?;
            if head == Some(now) {
                break;
            }
            // What came meanwhile is read as well.
            head = Some(now);
            moved = Moving { objects, store }.all(folder).await?;
            tokens::share(store, objects).await?;
        }
        store.press().await?;
        Door::set(objects, Phase::Left, &name).await?;
    }
    empty(objects).await?;
    store.set_keeper(Keeper::Own).await?;
    Ok(moved)
}

const OTHERS: &str = "the runs of the cluster are moved into, or out to, another data folder: do it with that one";

const ANOTHER: &str = "the cluster has told less than the data folder knows: it is not the one that keeps the runs of this folder. Look at \
                       --ingress and --data";

/// Does the folder know more than the cluster has ever told?
async fn is_another(objects: &Objects, store: &Store) -> Result<bool, Error> {
    let known = feed::read_to(store).await?;
    Ok(known > 0 && objects.read_feed(known).await?.next < known)
}

/// Reads the feed to its end; gives where that is.
async fn catch_up(objects: &Objects, store: &Store) -> Result<u64, Error> {
    while feed::read_on(store, objects).await? {}
    feed::read_to(store).await
}

struct Moving<'m> {
    objects: &'m Objects,
    store: &'m Store,
}

/// What is said of runs that are not over, or have failed.
#[derive(Default)]
struct Unfinished {
    /// Each with whether what it was told of its record is written down.
    runs: HashMap<String, bool>,
    plans: HashSet<String>,
    /// The highest number of a message that one of them has received.
    received: i64,
}

impl Moving<'_> {
    async fn all(&self, folder: &Path) -> Result<Moved, Error> {
        let mut moved = Moved::default();
        let unfinished = self.runs(&mut moved).await?;
        self.plans(&unfinished, &mut moved).await?;
        self.copies(&unfinished, &mut moved).await?;
        self.links(&mut moved).await?;
        self.pacts(&mut moved).await?;
        self.messages(&unfinished, &mut moved).await?;
        self.cursors(&mut moved).await?;
        self.accounts(folder, &mut moved).await?;
        moved.untold = self.store.end_others(unfinished.runs.into_keys().collect()).await? as u64;
        moved.ids = self.store.count_events(now_ms() - IDS_MS).await?;
        Ok(moved)
    }

    async fn rows(&self, service: &str) -> Result<Vec<Row>, Error> {
        let mut all = Vec::new();
        let mut pages = self.objects.ingress.pages(service);
        while let Some(rows) = pages.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }

    async fn runs(&self, moved: &mut Moved) -> Result<Unfinished, Error> {
        let mut unfinished = Unfinished::default();
        let mut pages = self.objects.ingress.pages(LINE);
        // A line may go on in the next page.
        let mut open: Option<(String, Line)> = None;
        loop {
            let rows = pages.next().await?;
            let is_last = rows.is_none();
            let mut lines = Vec::new();
            for row in rows.into_iter().flatten() {
                let is_same = open.as_ref().is_some_and(|(key, _)| *key == row.service_key);
                if !is_same && let Some((_, line)) = open.replace((row.service_key.clone(), Line::default())) {
                    lines.push(line.back());
                }
                if let Some((_, line)) = &mut open {
                    line.take(&row)?;
                }
            }
            if is_last && let Some((_, line)) = open.take() {
                lines.push(line.back());
            }
            for run in lines.iter().flatten() {
                unfinished.note(run);
                match run.ending {
                    Some(_) => moved.dead_letters += 1,
                    None => moved.runs += 1,
                }
            }
            if !lines.is_empty() {
                self.store.take_back_runs(lines).await?;
            }
            if is_last {
                return Ok(unfinished);
            }
        }
    }

    async fn plans(&self, unfinished: &Unfinished, moved: &mut Moved) -> Result<(), Error> {
        for hash in &unfinished.plans {
            moved.plans += 1;
            if self.store.plan(hash).await?.is_none()
                && let Some(documents) = self.objects.documents(hash).await?
            {
                self.store.keep_plan(hash, &documents).await?;
            }
        }
        Ok(())
    }

    async fn copies(&self, unfinished: &Unfinished, moved: &mut Moved) -> Result<(), Error> {
        let mut pages = self.objects.ingress.pages(KNOWN);
        while let Some(rows) = pages.next().await? {
            let mut told = Vec::new();
            for row in rows.iter().filter(|row| row.key == known::COPY) {
                let (workflow, connection, object, id) = serde_json::from_str(&row.service_key)?;
                let Copy { known, run, before } = row.value()?;
                // A run that has died before it wrote down what it was told is to be told again.
                let known = match unfinished.runs.get(&run) {
                    Some(false) => before.unwrap_or_default(),
                    _ => known,
                };
                moved.copies += u64::from(known != Known::default());
                told.push(Told { workflow, of: RecordRef { connection, object, id }, known });
            }
            self.store.take_back_told(told).await?;
        }
        Ok(())
    }

    async fn links(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut links = Vec::new();
        for row in self.rows(PAIRS).await? {
            type Side = (String, String);
            let (tenant, one, other): (Option<String>, Side, Side) = serde_json::from_str(&row.service_key)?;
            let Some(left) = record("of", &row.key) else { continue };
            let side = (left.connection.clone(), left.object.clone());
            let id: String = row.value()?;
            // Each pair is there from both sides.
            let is_first = if one == other { left.id < id } else { side == one };
            if is_first {
                let right = RecordRef { connection: other.0, object: other.1, id };
                links.push(Link { tenant, left, right });
            }
        }
        moved.pairs = links.len() as u64;
        self.store.take_back_links(links).await
    }

    async fn pacts(&self, moved: &mut Moved) -> Result<(), Error> {
        let (mut agreements, mut asked, mut pairs) = (Vec::new(), Vec::new(), HashMap::new());
        for row in self.rows(PACTS).await? {
            let (sync, tenant): (String, Option<String>) = serde_json::from_str(&row.service_key)?;
            if record("pact", &row.key).is_some() {
                let Agreed { pair, pact } = row.value()?;
                pairs.insert((sync.clone(), tenant.clone(), pair[0].clone()), pair.clone());
                agreements.push(Agreement { sync, tenant, pair, pact });
            } else if let Some(about) = record("asked", &row.key) {
                for Open { question, choice, asked_ms } in row.value::<Vec<Open>>()? {
                    let (sync, tenant, about) = (sync.clone(), tenant.clone(), about.clone());
                    let (number, parent, pair) = (0, None, None);
                    asked.push(Asked { number, sync, tenant, about, parent, pair, question, asked_ms, choice });
                }
            }
        }
        for one in &mut asked {
            one.pair = pairs.get(&(one.sync.clone(), one.tenant.clone(), one.about.clone())).cloned();
        }
        asked.sort_by_key(|asked| asked.asked_ms);
        (moved.agreements, moved.questions) = (agreements.len() as u64, asked.len() as u64);
        self.store.take_back_pacts(agreements, asked).await
    }

    async fn messages(&self, unfinished: &Unfinished, moved: &mut Moved) -> Result<(), Error> {
        let (mut messages, mut most) = (Vec::new(), unfinished.received);
        for row in self.rows(MAIL).await? {
            let (listener, source, key) = serde_json::from_str(&row.service_key)?;
            let correlation = Correlation { listener, source, key };
            match row.key.as_str() {
                mail::MESSAGES => {
                    for Message { number, left } in row.value::<Vec<Message>>()? {
                        let correlation = correlation.clone();
                        messages.push(Left { seq: 0, number, correlation, run: left.run, record: left.record });
                    }
                }
                mail::FLOOR => most = most.max(row.value()?),
                _ => {}
            }
        }
        messages.sort_by_key(|left| left.number);
        moved.messages = messages.len() as u64;
        self.store.take_back_messages(messages, most).await
    }

    async fn cursors(&self, moved: &mut Moved) -> Result<(), Error> {
        let rows = self.rows(PLACE).await?;
        let places = rows.iter().filter(|row| row.key == places::PLACE && row.service_key != DOOR);
        let cursors = places.map(|row| Ok((row.service_key.clone(), row.value::<Value>()?)));
        let cursors = cursors.collect::<Result<Vec<_>, Error>>()?;
        moved.cursors = cursors.len() as u64;
        self.store.take_back_cursors(cursors).await
    }

    async fn accounts(&self, folder: &Path, moved: &mut Moved) -> Result<(), Error> {
        let rows = self.rows(CREDENTIAL).await?;
        let kept: Vec<&Row> = rows.iter().filter(|row| row.key == credential::KEPT).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let credentials = Credentials::open(folder)?;
        for row in kept {
            credentials.copy(&row.service_key, &Sealed::from(row.value::<Kept>()?))?;
            moved.accounts += 1;
        }
        Ok(())
    }
}

impl Unfinished {
    fn note(&mut self, run: &Back) {
        let mut is_compared = false;
        for Entry { fact, .. } in &run.journal {
            match fact {
                Fact::Compared(_) => is_compared = true,
                Fact::Received { number, .. } => self.received = self.received.max(*number),
                Fact::Subscribed { subscription, .. } => self.received = self.received.max(subscription.after),
                _ => {}
            }
        }
        self.runs.insert(run.start.id.clone(), is_compared);
        self.plans.insert(run.start.plan.clone());
    }
}

/// One line, as it is read.
#[derive(Default)]
struct Line {
    order: Vec<String>,
    runs: BTreeMap<String, Held>,
}

impl Line {
    fn take(&mut self, row: &Row) -> Result<(), Error> {
        if row.key == IN_LINE {
            self.order = row.value()?;
        } else if let Some(run) = row.key.strip_prefix("run/") {
            self.runs.insert(run.to_owned(), row.value()?);
        }
        Ok(())
    }

    /// Those in line first.
    fn back(mut self) -> Vec<Back> {
        let in_line: Vec<Held> = self.order.iter().filter_map(|run| self.runs.remove(run)).collect();
        in_line.into_iter().chain(self.runs.into_values()).map(back).collect()
    }
}

fn back(held: Held) -> Back {
    let ending = match held.journal.last() {
        Some(Entry { fact: Fact::Ended { ending: ending @ Ending::Failed { .. } }, .. }) => Some(ending.clone()),
        _ => None,
    };
    Back { start: held.start, journal: held.journal, waits: held.waits, ending }
}

/// The record that a name of a value is about: `pact/CONNECTION/OBJECT/ID`.
fn record(of: &str, key: &str) -> Option<RecordRef> {
    let mut parts = key.strip_prefix(of)?.strip_prefix('/')?.splitn(3, '/').map(str::to_owned);
    Some(RecordRef { connection: parts.next()?, object: parts.next()?, id: parts.next()? })
}
