//! `token`: who else may look at this project and act in it, at the dashboard and by its API.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::past::{self, Past};
use super::{count, exit, say, shown};
use crate::server::control::{self, Order, Reply};
use crate::server::secret;
use crate::store::{self, Deed, NewToken, Role, Store, Token as Known};

#[derive(Debug, clap::Subcommand)]
pub enum Token {
    /// Make a token, and show it this once.
    Create(Create),
    /// The tokens, without what is secret of them.
    List(List),
    /// End a token now.
    Revoke(Revoke),
    /// Who has done what at the dashboard and by its API, latest first.
    Audit(Audit),
}

/// What whoever comes in may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum May {
    /// Look at everything but who has done what.
    Read,
    /// Also decide what becomes of runs and questions.
    Operate,
    /// Also see who has done what.
    Admin,
}

impl From<May> for Role {
    fn from(may: May) -> Role {
        match may {
            May::Read => Role::Read,
            May::Operate => Role::Operate,
            May::Admin => Role::Admin,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// What it allows.
    #[arg(long, value_name = "ROLE")]
    role: May,
    /// Whose it is, for the list and the audit.
    #[arg(long, value_name = "NAME", default_value = "somebody", value_parser = name)]
    name: String,
    /// So many days it is good for.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = super::number::<u16>(1..=365))]
    days: u16,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The token's number.
    #[arg(value_parser = super::number::<i64>(1..))]
    number: i64,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Audit {
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = super::number::<u16>(1..=u16::MAX))]
    limit: u16,
    /// Only those before this number: the next page.
    #[arg(long, value_name = "NO", value_parser = super::number::<i64>(1..))]
    before: Option<i64>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Token {
    pub async fn run(self) -> Result<u8> {
        match self {
            Token::Create(create) => create.run().await,
            Token::List(list) => list.run().await,
            Token::Revoke(revoke) => revoke.run().await,
            Token::Audit(audit) => audit.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> Result<u8> {
        let secret = secret::secret()?;
        let expires_ms = past::now_ms() + i64::from(self.days) * 86_400_000;
        let (name, role) = (self.name, Role::from(self.role));
        let token = NewToken { name: name.clone(), role, hash: secret::hash(&secret), expires_ms };
        // Before the first `serve` there is no store: a token may be needed to start it.
        let number = match Store::open(&self.past.folder_to_make()?) {
            Ok(store) => {
                let kept = store.keep_token(token, control::deed(control::MADE, &past::by())).await;
                store.close().await;
                kept?
            }
            Err(store::Error::InUse(_)) => {
                match past::order(&self.past.folder(), &Order::KeepToken { token, by: past::by() }).await? {
                    Reply::Kept { number } => number,
                    other => return Err(past::other(other)),
                }
            }
            Err(error) => return Err(error.into()),
        };
        let token = secret::token(number, &secret);
        if self.json {
            let told = json!({
                "number": number, "name": name, "role": role, "expires_at": shown::instant(expires_ms), "token": *token,
            });
            say::data(&serde_json::to_string_pretty(&told)?);
        } else {
            say::data(&token);
        }
        say::talk(&format!(
            "token {number} ({name}) has the role {}, until {} UTC; it is shown this once. Programs send it as `Authorization: Bearer \
             TOKEN`, people sign in with it",
            role.word(),
            shown::minute(expires_ms)
        ));
        Ok(exit::OK)
    }
}

impl List {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let tokens = store.tokens().await?;
        store.close().await;
        let now_ms = past::now_ms();
        if self.json {
            let told: Vec<Value> = tokens.iter().map(|token| told(token, now_ms)).collect();
            say::data(&serde_json::to_string_pretty(&told)?);
        } else if !tokens.is_empty() {
            let row = |token: &Known| {
                vec![
                    token.number.to_string(),
                    token.name.clone(),
                    token.role.word().to_owned(),
                    shown::minute(token.expires_ms),
                    state(token, now_ms).to_owned(),
                ]
            };
            say::table(&["NO", "NAME", "ROLE", "UNTIL (UTC)", "STATE"], tokens.iter().map(row).collect());
        }
        say::talk(&match tokens.iter().filter(|token| token.is_in_force(now_ms)).count() {
            0 => "no tokens in force: `dovetail token create --role read` makes one".to_owned(),
            number => format!("{} in force", count(number, "token")),
        });
        Ok(exit::OK)
    }
}

fn state(token: &Known, now_ms: i64) -> &'static str {
    match token.revoked_ms {
        Some(_) => "revoked",
        None if token.is_in_force(now_ms) => "in force",
        None => "expired",
    }
}

fn told(token: &Known, now_ms: i64) -> Value {
    json!({
        "number": token.number,
        "name": token.name,
        "role": token.role,
        "state": state(token, now_ms),
        "made_at": shown::instant(token.made_ms),
        "expires_at": shown::instant(token.expires_ms),
        "revoked_at": token.revoked_ms.map(shown::instant),
    })
}

impl Revoke {
    async fn run(self) -> Result<u8> {
        let access = self.past.access().await?;
        let done = access.revoke_token(self.number).await;
        access.close().await;
        done?;
        if self.json {
            say::data(&serde_json::to_string_pretty(&json!({ "revoked": self.number }))?);
        }
        say::talk(&format!("token {} is revoked, and whoever came in with it is out", self.number));
        Ok(exit::OK)
    }
}

impl Audit {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let limit = usize::from(self.limit);
        let mut deeds = store.deeds(self.before, limit + 1).await?;
        store.close().await;
        let more = deeds.len() > limit;
        deeds.truncate(limit);
        if self.json {
            let told: Vec<Value> = deeds.iter().map(crate::story::deed).collect();
            say::data(&serde_json::to_string_pretty(&told)?);
        } else if deeds.is_empty() {
            say::talk("nothing was done at the dashboard or by its API, and no token was made");
        } else {
            let row = |deed: &Deed| {
                vec![
                    deed.number.to_string(),
                    shown::minute(deed.at_ms),
                    deed.who.clone(),
                    deed.origin.clone(),
                    format!("{}: {}", deed.what, deed.about),
                ]
            };
            say::table(&["NO", "AT (UTC)", "WHO", "FROM", "WHAT"], deeds.iter().map(row).collect());
        }
        if let (true, Some(last)) = (more, deeds.last()) {
            say::talk(&format!("there are older ones: add `--before {}`", last.number));
        }
        Ok(exit::OK)
    }
}

/// A name that can be told apart and shown in one line.
fn name(text: &str) -> Result<String, String> {
    let is_good = |letter: char| letter.is_alphanumeric() || " .-_@".contains(letter);
    match !text.trim().is_empty() && text.chars().count() <= 60 && text.chars().all(is_good) {
        true => Ok(text.trim().to_owned()),
        false => Err("write 60 letters, digits, spaces and `.-_@` at most".into()),
    }
}
