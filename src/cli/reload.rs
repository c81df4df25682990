//! `reload`: has a running `serve` take up changed documents, and says what came of it.

use anyhow::{Context as _, Result};

use super::past::Past;
use super::{exit, say};
use crate::server::control::{self, Order, Reply};

#[derive(Debug, clap::Args)]
pub struct Reload {
    #[command(flatten)]
    past: Past,
}

impl Reload {
    pub async fn run(self) -> Result<u8> {
        let data = self.past.folder();
        match control::ask(&data, &Order::Reload {}).await.context("whether it was taken up is not known")? {
            Some(Reply::Reloaded(reloaded)) => {
                say::talk(&reloaded.told);
                Ok(if reloaded.present { exit::OK } else { exit::FINDINGS })
            }
            Some(reply) => anyhow::bail!("`serve` is of another version of Dovetail, and says {reply:?}"),
            None => Err(exit::usage(format!(
                "nobody serves the data folder {}: start `dovetail serve`, or name the folder with --data or --project",
                data.display()
            ))),
        }
    }
}
