//! `migrate`: the runs of a data folder move into a cluster, or out of it.

use super::on::Reach;
use super::past::Past;

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// Who keeps the runs from then on: `restate`, a cluster of Restate; `own`, a single process in its data folder.
    #[arg(long, value_enum, value_name = "WHERE")]
    to: To,
    #[command(flatten)]
    past: Past,
    #[command(flatten)]
    reach: Reach,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum To {
    Restate,
    Own,
}

#[cfg(not(feature = "restate"))]
impl Migrate {
    #[expect(clippy::unused_async, reason = "with the feature it waits")]
    pub async fn run(self) -> anyhow::Result<u8> {
        let Migrate { to: To::Restate | To::Own, past: _, reach: _, json: _ } = self;
        Err(super::exit::usage(format!("migrate: {}", super::on::WITHOUT)))
    }
}

#[cfg(feature = "restate")]
mod with {
    use anyhow::Result;

    use super::super::{count, exit, past, say};
    use super::{Migrate, To};
    use crate::engine::restate::{Moved, Way, migrate};
    use crate::store::{Error, Store};

    impl Migrate {
        pub async fn run(self) -> Result<u8> {
            let folder = self.past.folder();
            let way = match self.to {
                To::Restate => Way::In,
                To::Own => Way::Out,
            };
            // Looking first: to move what is not there makes nothing.
            if way == Way::In {
                self.past.look()?.close().await;
            }
            let store = Store::open(&folder).map_err(past::refusal)?;
            let moved = migrate(way, self.reach.cluster_alone()?, &store, &folder, say::talk).await;
            store.close().await;
            let moved = moved.map_err(|error| match error {
                Error::Away(why) => {
                    anyhow::anyhow!("{why}; what was moved stays moved: do it again when the cluster answers")
                }
                other => past::refusal(other),
            })?;
            self.tell(&moved, way)
        }

        fn tell(&self, moved: &Moved, way: Way) -> Result<u8> {
            if self.json {
                say::data(&serde_json::to_string_pretty(moved)?);
                return Ok(exit::OK);
            }
            let Moved { runs, dead_letters, pairs, agreements, questions, copies, messages, .. } = *moved;
            let Moved { cursors, plans, accounts, ids, untold, .. } = *moved;
            let counts = [
                (runs, "run that is not over", "runs that are not over"),
                (dead_letters, "dead letter", "dead letters"),
                (pairs, "pair", "pairs"),
                (agreements, "agreement", "agreements"),
                (questions, "question", "questions"),
                (copies, "copy of a record", "copies of records"),
                (messages, "message", "messages"),
                (cursors, "cursor", "cursors"),
                (plans, "plan", "plans"),
                (accounts, "account", "accounts"),
                (ids, "id of a delivery", "ids of deliveries"),
            ];
            if *moved == Moved::default() {
                say::talk("nothing had to be moved");
            }
            for (number, one, many) in counts {
                say::data(&format!("{number:>8} {}", if number == 1 { one } else { many }));
            }
            if untold > 0 {
                say::warning(&format!(
                    "{} ended in the cluster too long ago for this folder to be told how: shown as dropped",
                    count(untold, "run")
                ));
            }
            say::talk(match way {
                Way::In => {
                    "the cluster keeps the runs now, and the data folder is a copy: serve with `dovetail serve --on restate`, from any \
                     number of processes"
                }
                Way::Out => {
                    "the data folder keeps the runs now: serve with `dovetail serve`, from this one process, and delete the other copies"
                }
            });
            Ok(exit::OK)
        }
    }
}
