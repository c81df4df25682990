//! `pairs`: records that are known as one, and what a person says of that without having been asked.

use anyhow::Result;
use serde_json::json;

use super::count;
use super::past::{self, Access, Past};
use super::{exit, say};
use crate::run::{Link as Known, RecordRef};
use crate::store::{Asked, Paired};
use crate::sync::{Choice, Question};

#[derive(Debug, clap::Subcommand)]
pub enum Pairs {
    /// The pairs, whether a sync or a workflow has made them.
    List(List),
    /// Two records of a sync are one: from now on it keeps them alike.
    Link(Link),
    /// The two of a pair are not one: both stay as they are, and neither gets another half by itself.
    Unlink(Unlink),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those of this record: CONNECTION/OBJECT/ID.
    #[arg(value_parser = past::record)]
    record: Option<RecordRef>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = super::number::<usize>(1..))]
    limit: usize,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Link {
    /// One of the two: CONNECTION/OBJECT/ID.
    #[arg(value_parser = past::record)]
    one: RecordRef,
    /// The other: CONNECTION/OBJECT/ID.
    #[arg(value_parser = past::record)]
    other: RecordRef,
    /// The id of the record under which the first one lives, of notes and the like.
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// The sync, when several keep these objects alike.
    #[arg(long, value_name = "NAME")]
    sync: Option<String>,
    /// Merge this entry of `environments:` over the project.
    #[arg(long, value_name = "NAME", env = "DOVETAIL_ENV")]
    env: Option<String>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Unlink {
    /// Either of the two: CONNECTION/OBJECT/ID.
    #[arg(value_parser = past::record)]
    record: RecordRef,
    /// The sync, when the record is in pairs of several.
    #[arg(long, value_name = "NAME")]
    sync: Option<String>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Pairs {
    pub async fn run(self) -> Result<u8> {
        match self {
            Pairs::List(list) => list.run().await,
            Pairs::Link(link) => link.run().await,
            Pairs::Unlink(unlink) => unlink.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let all = store.links(self.record.as_ref(), self.limit.saturating_add(1)).await?;
        store.close().await;
        let shown = &all[..all.len().min(self.limit)];
        if self.json {
            say::data(&serde_json::to_string_pretty(shown)?);
        } else if !shown.is_empty() {
            let row = |known: &Known| {
                let tenant = known.tenant.clone().unwrap_or_default();
                vec![known.left.to_string(), known.right.to_string(), tenant]
            };
            say::table(&["ONE", "OTHER", "TENANT"], shown.iter().map(row).collect());
        }
        say::talk(&match (shown.len(), all.len() > shown.len()) {
            (0, _) => "no pairs".to_string(),
            (number, false) => count(number, "pair"),
            (number, true) => format!("the first {}; --limit N shows more", count(number, "pair")),
        });
        Ok(exit::OK)
    }
}

impl Link {
    async fn run(self) -> Result<u8> {
        let Some(plan) = self.past.project(self.env.clone()).plan()? else { return Ok(exit::FINDINGS) };
        let (one, other) = (&self.one, &self.other);
        let is_wanted = |name: &str| self.sync.as_ref().is_none_or(|sync| sync == name);
        let mut places: Vec<(String, String)> = Vec::new();
        for (_, reconcile) in plan.syncing_of(one).filter(|(_, reconcile)| is_wanted(&reconcile.sync.name)) {
            let other_side = reconcile.side.other();
            let is_other = plan.syncing_of(other).any(|(_, opposite)| {
                opposite.sync.name == reconcile.sync.name
                    && opposite.number == reconcile.number
                    && opposite.side == other_side
            });
            if is_other {
                let side = &reconcile.pair().sides[other_side.index()];
                places.push((reconcile.sync.name.clone(), format!("{} of {}", side.object, side.alias)));
            }
        }
        let (sync, object) = match places.as_slice() {
            [place] => place.clone(),
            [] => {
                let (named, which) = (&one.connection, &other.connection);
                return Err(exit::usage(format!(
                    "no active sync keeps `{}` of {named} and `{}` of {which} alike: name records by the connections of \
                     dovetail.yaml",
                    one.object, other.object
                )));
            }
            several => {
                let names: Vec<&str> = several.iter().map(|(sync, _)| sync.as_str()).collect();
                return Err(exit::usage(format!("say of which sync with `--sync`: {}", names.join(", "))));
            }
        };
        let tenant_of = |record: &RecordRef| plan.connection(&record.connection).and_then(|known| known.tenant.clone());
        let asked = Asked {
            number: 0,
            sync,
            tenant: tenant_of(one).or_else(|| tenant_of(other)),
            about: one.clone(),
            parent: self.parent.clone(),
            pair: None,
            question: Question::Alone { other: object, missing: None },
            asked_ms: past::now_ms(),
            choice: Some(Choice::Link(other.id.clone())),
        };
        let access = self.past.access().await?;
        let done = self.carry_out(&access, asked).await;
        access.close().await;
        done
    }

    async fn carry_out(&self, access: &Access, asked: Asked) -> Result<u8> {
        for record in [&self.one, &self.other] {
            let pairs = access.store.pairs_of(record).await?;
            if let Some(known) = pairs.iter().find(|known| known.sync == asked.sync) {
                let [one, other] = &known.pair;
                let partner = if one == record { other } else { one };
                return Err(exit::usage(format!(
                    "{record} is in a pair with {partner}: `dovetail pairs unlink {record}` first"
                )));
            }
        }
        tell(access, asked, &format!("{} and {} are one", self.one, self.other), self.json).await
    }
}

impl Unlink {
    async fn run(self) -> Result<u8> {
        let access = self.past.access().await?;
        let done = self.carry_out(&access).await;
        access.close().await;
        done
    }

    async fn carry_out(&self, access: &Access) -> Result<u8> {
        let mut pairs = access.store.pairs_of(&self.record).await?;
        pairs.retain(|known| self.sync.as_ref().is_none_or(|sync| *sync == known.sync));
        let Paired { sync, tenant, pair } = match pairs.as_slice() {
            [known] => known.clone(),
            [] => {
                return Err(exit::usage(format!(
                    "{} is in no pair of a sync; `dovetail pairs list` shows what there is",
                    self.record
                )));
            }
            several => {
                let names: Vec<&str> = several.iter().map(|known| known.sync.as_str()).collect();
                return Err(exit::usage(format!("say of which sync with `--sync`: {}", names.join(", "))));
            }
        };
        let [one, other] = &pair;
        let told = format!("{one} and {other} are not one");
        let asked = Asked {
            number: 0,
            sync,
            tenant,
            about: one.clone(),
            parent: None,
            question: Question::Same,
            asked_ms: past::now_ms(),
            choice: Some(Choice::Unlink),
            pair: Some(pair),
        };
        tell(access, asked, &told, self.json).await
    }
}

async fn tell(access: &Access, asked: Asked, told: &str, json: bool) -> Result<u8> {
    let data = json!({ "sync": asked.sync, "about": asked.about, "choice": asked.choice });
    access.tell(asked).await?;
    if json {
        say::data(&serde_json::to_string_pretty(&data)?);
    }
    say::talk(&match access.is_served() {
        true => format!("{told}: acted on now"),
        false => format!("{told}: the next `dovetail serve` acts on it"),
    });
    Ok(exit::OK)
}
