//! Into a cluster: all that is not over, and what decides whether something is done twice.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::super::ingress::Object;
use super::super::line::{Arriving, COME_IN, GoOn};
use super::super::mail::{self, Leaving, Message};
use super::super::objects::{self, Objects, line, once, pacts_of, pairs, side};
use super::super::pacts::{self, Agreed, Open};
use super::super::pairs::{Keeping, Taken};
use super::{Door, IDS_MS, Moved, Phase, Taking, empty, for_each, quiet};
use crate::clock;
use crate::engine::now_ms;
use crate::run::{Correlation, Entry, Fact, RecordRef};
use crate::store::{Credentials, Error, Keeper, Questions, Run, Store};
use crate::vault::Shared as _;

/// So many of a kind are read at once.
const PAGE: i64 = 500;
/// So many pairs, agreements or questions go with one message.
const TOGETHER: usize = 200;
pub(super) async fn move_in(
    objects: &Objects,
    store: &Store,
    folder: &Path,
    tell: impl Fn(&str),
) -> Result<Moved, Error> {
    let is_begun = store.keeper().await? == Keeper::Moving;
    let known = store.moved_as().await?.filter(|_| is_begun);
    let name = known.unwrap_or_else(|| clock::id().to_string());
    let door = Door::read(objects).await?;
    let is_ours = is_begun && door.as_ref().is_some_and(|door| door.name == name);
    match door.as_ref().map(|door| door.phase) {
        Some(Phase::Entering) if is_ours => {}
        // All is there, and somebody may have gone on with it.
        Some(Phase::Within) if is_ours => {
            store.set_keeper(Keeper::Cluster).await?;
            return Ok(Moved::default());
        }
        Some(Phase::Left) => empty(objects).await?,
        None if is_new(objects).await? => {}
        _ => return Err(Error::Refused(OTHERS.into())),
    }
    store.set_moved_as(&name).await?;
    store.set_keeper(Keeper::Moving).await?;
    Door::set(objects, Phase::Entering, &name).await?;
    objects.calls.send_replace(objects::Calls::MovingIn);
    let moving = Moving { objects, store, name: &name };
    let mut moved = Moved::default();
    moving.plans(&mut moved).await?;
    moving.cursors(&mut moved).await?;
    moving.copies(&mut moved).await?;
    moving.links(&mut moved).await?;
    moving.pacts(&mut moved).await?;
    moving.messages(&mut moved).await?;
    moving.accounts(&mut moved, folder).await?;
    moving.ids(&mut moved).await?;
    let first = moving.runs(&mut moved).await?;
    // All are in line before the first of them is called.
    quiet(objects, tell).await?;
    moving.call(first).await?;
    Door::set(objects, Phase::Within, &name).await?;
    store.set_keeper(Keeper::Cluster).await?;
    Ok(moved)
}

const OTHERS: &str = "the cluster keeps runs already that are not of this data folder: one cluster serves one project. Move them out \
                      with `dovetail migrate --to own` and their folder, or take another cluster";

/// Was nothing ever told there?
async fn is_new(objects: &Objects) -> Result<bool, Error> {
    Ok(objects.read_feed(0).await?.next == 0)
}

struct Moving<'m> {
    objects: &'m Objects,
    store: &'m Store,
    /// Of this folder, in this life of the cluster: by it the cluster knows what it was given before.
    name: &'m str,
}

impl Moving<'_> {
    async fn plans(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut hashes = self.store.open_plans().await?;
        hashes.extend(self.store.last_plan().await?.filter(|last| !hashes.contains(last)));
        for hash in hashes {
            if let Some(documents) = self.store.plan(&hash).await? {
                self.objects.keep(&hash, &documents).await?;
                moved.plans += 1;
            }
        }
        Ok(())
    }

    async fn cursors(&self, moved: &mut Moved) -> Result<(), Error> {
        let cursors = self.store.cursors().await?;
        moved.cursors = cursors.len() as u64;
        for_each(&cursors, async |(key, value)| self.objects.set_place(key, value).await).await
    }

    async fn copies(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.store.told_after(after, PAGE).await?;
            moved.copies += page.len() as u64;
            for_each(&page, async |told| {
                let object = objects::known(&told.workflow, &told.of);
                self.objects.ask(&object, "take_over", &told.known).await.map(drop)
            })
            .await?;
            let Some(last) = page.into_iter().next_back() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn links(&self, moved: &mut Moved) -> Result<(), Error> {
        let links = self.store.links(None, usize::MAX).await?;
        moved.pairs = links.len() as u64;
        let mut by_object: BTreeMap<String, (Object, Keeping)> = BTreeMap::new();
        for link in links {
            let object = pairs(link.tenant.as_deref(), [side(&link.left), side(&link.right)]);
            by_object.entry(object.key.clone()).or_insert_with(|| (object, Keeping::default())).1.link.push(link);
        }
        for (object, mut keeping) in by_object.into_values() {
            while !keeping.link.is_empty() {
                let rest = keeping.link.split_off(keeping.link.len().min(TOGETHER));
                if let Some(Taken { of, partner, .. }) = self.objects.ingress.call(&object, "keep", &keeping).await? {
                    let why = format!(
                        "in the cluster {of} is the other half of `{partner}`, which is not so in the data folder"
                    );
                    return Err(Error::Failed(why));
                }
                keeping.link = rest;
            }
        }
        Ok(())
    }

    async fn pacts(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.store.agreements_after(after, PAGE).await?;
            moved.agreements += page.len() as u64;
            let mut by_sync: BTreeMap<String, (Object, pacts::Taking)> = BTreeMap::new();
            for one in page.clone() {
                let object = pacts_of(&one.sync, one.tenant.as_deref());
                let (_, taking) = by_sync.entry(object.key.clone()).or_insert_with(|| (object, Default::default()));
                taking.agreed.push(Agreed { pair: one.pair, pact: one.pact });
            }
            for (object, taking) in by_sync.values() {
                self.objects.ask(object, "take_over", taking).await?;
            }
            let Some(last) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        self.questions(moved).await
    }

    async fn questions(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut by_sync: BTreeMap<String, (Object, BTreeMap<RecordRef, Vec<Open>>)> = BTreeMap::new();
        for asked in self.store.questions(Questions::All, usize::MAX).await? {
            let object = pacts_of(&asked.sync, asked.tenant.as_deref());
            let (_, of) = by_sync.entry(object.key.clone()).or_insert_with(|| (object, BTreeMap::new()));
            let open = Open { question: asked.question, choice: asked.choice, asked_ms: asked.asked_ms };
            of.entry(asked.about).or_default().push(open);
            moved.questions += 1;
        }
        for (object, of) in by_sync.into_values() {
            let mut asked: Vec<(RecordRef, Vec<Open>)> = of.into_iter().collect();
            while !asked.is_empty() {
                let rest = asked.split_off(asked.len().min(TOGETHER));
                self.objects.ask(&object, "take_over", &pacts::Taking { asked, ..Default::default() }).await?;
                asked = rest;
            }
        }
        Ok(())
    }

    async fn messages(&self, moved: &mut Moved) -> Result<(), Error> {
        let mut seq = 0;
        loop {
            let page = self.store.messages_after(seq, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            seq = last.seq;
            moved.messages += page.len() as u64;
            let mut by_object: BTreeMap<String, (Object, mail::Taking)> = BTreeMap::new();
            for left in page {
                let object = objects::mail(&left.correlation);
                let (_, taking) = by_object.entry(object.key.clone()).or_insert_with(|| (object, Default::default()));
                // No run leaves it in this place: it is never the same as another.
                let place = usize::try_from(left.number).unwrap_or_default() + PLACE_FIRST;
                let (number, left) = (left.number, Leaving { run: left.run, place, record: left.record });
                taking.messages.push(Message { number, left });
            }
            for_each(by_object.values(), async |(object, taking)| {
                self.objects.ask(object, "take_over", taking).await.map(drop)
            })
            .await?;
        }
    }

    async fn accounts(&self, moved: &mut Moved, folder: &Path) -> Result<(), Error> {
        let Some(credentials) = Credentials::open_if_any(folder)? else { return Ok(()) };
        for (name, sealed) in credentials.list()? {
            self.objects.put(&name, &sealed, None).await?;
            moved.accounts += 1;
        }
        Ok(())
    }

    /// Has each line know, as if the deliveries had come to it, that these were accepted: for those that are over too.
    async fn ids(&self, moved: &mut Moved) -> Result<(), Error> {
        let (mut seq, since_ms) = (0, now_ms() - IDS_MS);
        loop {
            let page = self.store.accepted_after(seq, since_ms, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            seq = last.seq;
            // What is begun by hand comes once.
            let delivered: Vec<&Run> = page.iter().filter(|run| run.start.event.source != "manual").collect();
            moved.ids += delivered.len() as u64;
            for_each(delivered, async |run| {
                let known = Arriving::Known { accepted: run.start.id.clone() };
                let once = once(&run.start.event, &run.start);
                self.objects.ingress.send(&line(&run.start), "accept", &known, &once).await.map(drop)
            })
            .await?;
        }
    }

    /// Gives who is first in each line.
    async fn runs(&self, moved: &mut Moved) -> Result<BTreeMap<String, (Object, String)>, Error> {
        let (mut seq, mut first) = (0, BTreeMap::new());
        loop {
            let page = self.store.unfinished_after(seq, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(first) };
            seq = last.seq;
            let ids = page.iter().map(|(run, _)| run.start.id.clone()).collect();
            let journals = self.store.journals(ids).await?;
            let mut by_line: BTreeMap<String, (Object, Vec<Taking>)> = BTreeMap::new();
            for ((run, waits), journal) in page.into_iter().zip(journals) {
                let unreadable = || Error::Unreadable(format!("the journal of run {} ({})", run.seq, run.start.id));
                let journal = journal.ok_or_else(unreadable)?;
                match &run.ending {
                    Some(_) => moved.dead_letters += 1,
                    None => moved.runs += 1,
                }
                let object = line(&run.start);
                if run.ending.is_none() && !waits {
                    first.entry(object.key.clone()).or_insert_with(|| (object.clone(), run.start.id.clone()));
                }
                let taking = self.taking(run, waits, journal);
                by_line.entry(object.key.clone()).or_insert_with(|| (object, Vec::new())).1.push(taking);
            }
            let all = by_line.values().flat_map(|(_, runs)| runs);
            self.floors(all.flat_map(|taking| &taking.journal)).await?;
            for_each(by_line.values(), async |(object, runs)| {
                for taking in runs {
                    let once = json!([self.name, "take_over", taking.start.id]).to_string();
                    self.objects.ingress.send(object, "take_over", taking, &once).await?;
                }
                Ok(())
            })
            .await?;
        }
    }

    fn taking(&self, run: Run, waits: bool, mut journal: Vec<Entry>) -> Taking {
        // By its last line a dead letter is known.
        if let Some(ending) = &run.ending
            && !matches!(journal.last(), Some(Entry { fact: Fact::Ended { .. }, .. }))
        {
            let at_ms = run.ended_ms.unwrap_or_else(now_ms);
            journal.push(Entry { at_ms, fact: Fact::Ended { ending: ending.clone() } });
        }
        let call = now_ms().unsigned_abs();
        Taking { start: run.start, journal, waits, due_ms: run.due_ms, ending: run.ending, call }
    }

    /// What these runs have received was numbered here: what comes there has higher numbers.
    async fn floors<'j>(&self, journal: impl Iterator<Item = &'j Entry>) -> Result<(), Error> {
        let mut floors: BTreeMap<String, (Object, i64)> = BTreeMap::new();
        let mut at_least = |correlation: &Correlation, number: i64| {
            let object = objects::mail(correlation);
            let (_, floor) = floors.entry(object.key.clone()).or_insert((object, number));
            *floor = number.max(*floor);
        };
        for Entry { fact, .. } in journal {
            match fact {
                Fact::Received { number, correlation, .. } => at_least(correlation, *number),
                Fact::Subscribed { subscription, .. } => at_least(&subscription.correlation, subscription.after),
                _ => {}
            }
        }
        floors.retain(|_, (_, floor)| *floor > 0);
        for_each(floors.values(), async |(object, floor)| {
            let taking = mail::Taking { floor: *floor, ..Default::default() };
            self.objects.ask(object, "take_over", &taking).await.map(drop)
        })
        .await
    }

    async fn call(&self, first: BTreeMap<String, (Object, String)>) -> Result<(), Error> {
        for_each(first.values(), async |(line, run)| {
            let once = json!([self.name, "first", run]).to_string();
            self.objects.ingress.send(line, COME_IN, &GoOn::now(run), &once).await.map(drop)
        })
        .await
    }
}

/// Before this there are places of messages of runs that go on.
const PLACE_FIRST: usize = 1 << 40;
