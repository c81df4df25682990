//! `dashboard`: the way in for whoever owns the data folder.

use anyhow::Result;
use serde_json::json;

use super::past::{self, Past};
use super::token::May;
use super::{exit, say};
use crate::server::control::{Order, Reply};
use crate::server::invitations::Invitation;
use crate::server::secret;

#[derive(Debug, clap::Args)]
pub struct Dashboard {
    /// What whoever follows the link may do.
    #[arg(long, value_name = "ROLE", default_value = "admin")]
    role: May,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Dashboard {
    pub async fn run(self) -> Result<u8> {
        let code = secret::secret()?;
        let invitation = Invitation { hash: secret::hash(&code), role: self.role.into(), name: past::user() };
        let reply = match past::order(&self.past.folder(), &Order::Invite(invitation)).await {
            Err(error) if exit::is_in_use(&error) => {
                return Err(exit::usage("nobody serves this project: start `dovetail serve`, and ask again"));
            }
            reply => reply?,
        };
        let Reply::Invited { url } = reply else { return Err(past::other(reply)) };
        let link = format!("{url}/sign-in?code={}", *code);
        if self.json {
            say::data(&serde_json::to_string_pretty(&json!({ "link": link }))?);
        } else {
            say::data(&link);
        }
        say::talk("open it within five minutes; it lets in once");
        Ok(exit::OK)
    }
}
