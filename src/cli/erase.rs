//! `erase`: what is known of a person goes; ids stay, so that nothing is taken for new.

use anyhow::Result;
use serde_json::json;

use super::count;
use super::past::{self, Past, sought};
use super::{exit, say};
use crate::store::{Filter, Holding, Keeper, Sought, Store};

#[derive(Debug, clap::Args)]
pub struct Erase {
    /// A record as CONNECTION/OBJECT/ID, with those it is linked with; or an e-mail address or a phone number.
    #[arg(value_parser = sought)]
    record: Sought,
    /// Yes, erase it.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// So many are told one by one.
const TOLD: usize = 10;

impl Erase {
    pub async fn run(self) -> Result<u8> {
        let store = self.past.look()?;
        let holding = store.holding(&self.record).await?;
        // There may be more of it in the cluster than in the copy here.
        let is_copy = store.keeper().await? == Keeper::Cluster;
        if !self.json {
            tell(&store, &holding).await?;
        }
        store.close().await;
        if holding.is_empty() && !is_copy {
            if self.json {
                print(&holding, false)?;
            } else {
                say::talk("nothing holds it");
            }
            return Ok(exit::OK);
        }
        if holding.is_empty() && !self.json {
            say::talk("nothing here holds it; what the cluster keeps is looked through as well");
        }
        if !self.yes && !say::is_meant()? {
            return Err(exit::usage("nothing is erased: add --yes if that is meant"));
        }
        let access = self.past.access().await?;
        access.erase(&self.record).await?;
        let left = access.store.holding(&self.record).await?;
        access.close().await;
        if self.json {
            print(&holding, true)?;
        } else {
            say::talk("erased; backups that were made before still hold it, and the vendors' own apps do");
        }
        let open = left.pending.len() + left.dead.len();
        if open > 0 {
            let which = numbers(&[left.pending, left.dead].concat());
            say::talk(&format!(
                "{} left: end them with `dovetail runs cancel` or `dead drop` ({which}), then erase again",
                count(open, "run")
            ));
            return Ok(exit::FAILED);
        }
        Ok(exit::OK)
    }
}

async fn tell(store: &Store, holding: &Holding) -> Result<()> {
    let held = [(holding.runs.len(), "run"), (holding.events.len(), "event"), (holding.messages.len(), "message")];
    let mut held: Vec<String> = held.into_iter().map(|(number, what)| count(number, what)).collect();
    held.push(format!(
        "{} of records",
        if holding.copies.len() == 1 { "1 copy".into() } else { format!("{} copies", holding.copies.len()) }
    ));
    say::data(&format!("would erase: {}", held.join(", ")));
    for record in holding.records.iter().take(TOLD) {
        say::data(&format!("  about {} {} of {}", record.object, record.id, record.connection));
    }
    if let Some(more) = holding.records.len().checked_sub(TOLD).filter(|more| *more > 0) {
        say::data(&format!("  and {}", count(more, "further record")));
    }
    for (numbers, why) in [(&holding.pending, "is not over"), (&holding.dead, "is a dead letter")] {
        for number in numbers.iter().take(TOLD) {
            let filter = Filter { before: number.checked_add(1), limit: 1, ..Filter::default() };
            if let Some(run) = store.runs(filter).await?.pop() {
                say::data(&format!("  {} {why}, and would be left", past::called(&run)));
            }
        }
        if let Some(more) = numbers.len().checked_sub(TOLD).filter(|more| *more > 0) {
            say::data(&format!("  and {} like it", count(more, "run")));
        }
    }
    Ok(())
}

fn print(holding: &Holding, erased: bool) -> Result<()> {
    let told = json!({
        "erased": erased, "records": holding.records, "runs": holding.runs, "events": holding.events.len(),
        "copies": holding.copies.len(), "messages": holding.messages.len(),
        "pairs": holding.pacts.len(), "questions": holding.questions.len(), "left_pending": holding.pending,
        "left_dead": holding.dead,
    });
    say::data(&serde_json::to_string_pretty(&told)?);
    Ok(())
}

fn numbers(numbers: &[i64]) -> String {
    let few: Vec<String> = numbers.iter().take(TOLD).map(i64::to_string).collect();
    few.join(" ") + if numbers.len() > TOLD { " …" } else { "" }
}
