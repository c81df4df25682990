//! `connect` and `disconnect`: accounts get and lose what they are granted.
//!
//! ```text
//!  connect NAME ─ OAuth ─▶ a link ─▶ the person agrees in a browser ─▶ back at 127.0.0.1/callback ─▶ vault ─▶ serve is told
//!             └ secrets ─▶ asked for, without echo ───────────────────────────────────────────────┘
//! ```

use std::collections::HashMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{Operator, Project, exit, say, secrets, shown};
use crate::connector::{Connector, OAuth2};
use crate::engine::{asked_of, lacking};
use crate::project::{Connection, Plan};
use crate::server::control::{self, Order};
use crate::vault::{Account, Consent, Granted, Holder, SecretSource as _, Vault};

/// A person is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
const CALLBACK: &str = "/callback";

#[derive(Debug, clap::Args)]
pub struct Connect {
    /// A connection of the project; without it, how all of them stand.
    connection: Option<String>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// Where the browser comes back to, on this computer.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4001", value_parser = super::address)]
    listen: SocketAddr,
    /// The address that the vendor knows, if another one leads here: `https://hooks.example.com/callback`.
    #[arg(long, value_name = "URL", value_parser = super::hooks::url)]
    redirect: Option<String>,
    /// Only say the link, do not open a browser.
    #[arg(long)]
    no_browser: bool,
}

#[derive(Debug, clap::Args)]
pub struct Disconnect {
    /// A connection of the project.
    connection: String,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
}

impl Connect {
    pub async fn run(self) -> Result<u8> {
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        let data = self.operator.data_folder(&self.project);
        let vault = self.operator.vault(&plan, &data, &self.operator.guard()?)?.map(Arc::new);
        let source = secrets::Source::new(self.operator.secrets.as_deref(), vault.clone())?;
        let Some(name) = &self.connection else { return list(&plan, vault.as_deref(), &source) };
        let (connection, connector) = find(&plan, name)?;
        let Some(vault) = vault else {
            return Err(exit::usage(
                "what is given is sealed: make a key with `dovetail key dovetail.key` and give it as `--key-file dovetail.key`",
            ));
        };
        let oauth2 = asked_of(&plan, connection, connector);
        let holder = Holder::of(&plan, connection, &source).map_err(exit::usage)?;
        match (&holder, &oauth2) {
            (None, _) => ask_for_secrets(&vault, connection)?,
            (Some(Holder::OAuth2 { account, .. }), Some(oauth2)) if account.authorize_url.is_some() => {
                self.by_browser(&vault, account, oauth2).await?;
            }
            (Some(holder), _) => drop(vault.token(holder).await?),
        }
        if holder.is_some() {
            let granted = vault.state(name)?.context("nothing was kept")?;
            told(name, oauth2.as_ref(), &granted);
        }
        for borrower in plan.borrowers(name) {
            vault.forget(&borrower.name)?;
        }
        tell_serve(&data, name).await;
        Ok(exit::OK)
    }

    /// Sends the person to the vendor, and waits for the code.
    async fn by_browser(&self, vault: &Vault, account: &Account, oauth2: &OAuth2) -> Result<()> {
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!("cannot listen on {}: is another program at this address? choose one with --listen", self.listen)
        })?;
        let own = format!("http://{}{CALLBACK}", listener.local_addr()?);
        let redirect = self.redirect.clone().unwrap_or(own);
        let consent = Arc::new(Consent::begin(account, oauth2, &redirect).map_err(exit::usage)?);
        say::talk("Open this address, and agree there:");
        say::data(&consent.url);
        say::talk(&format!(
            "The vendor must know `{redirect}` as an address to come back to. Waiting for 10 minutes …"
        ));
        if !self.no_browser && std::io::stdout().is_terminal() {
            open_browser(&consent.url);
        }
        let code = wait_for_code(listener, consent.clone()).await?;
        vault.connect(account, oauth2, &consent, &code).await?;
        Ok(())
    }
}

impl Disconnect {
    pub async fn run(self) -> Result<u8> {
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        let data = self.operator.data_folder(&self.project);
        let name = &self.connection;
        let (connection, _) = find(&plan, name)?;
        let Some(vault) = self.operator.vault(&plan, &data, &self.operator.guard()?)?.map(Arc::new) else {
            say::talk(&format!("`{name}` was not connected"));
            return Ok(exit::OK);
        };
        let source = secrets::Source::new(self.operator.secrets.as_deref(), Some(vault.clone()))?;
        let (was_there, revoked) = match Holder::of(&plan, connection, &source).map_err(exit::usage)? {
            Some(Holder::OAuth2 { account, oauth2 }) => {
                let done = vault.disconnect(&account, oauth2).await?;
                (done.was_there, done.revoked)
            }
            Some(Holder::Exchange(_)) => (vault.forget(name)?, None),
            None => {
                let mut was_there = false;
                for secret in connection.secrets.values() {
                    was_there |= vault.erase_secret(secret)?;
                }
                (was_there, None)
            }
        };
        // What its credential was exchanged for goes with it.
        for borrower in plan.borrowers(name) {
            if vault.forget(&borrower.name)? {
                say::talk(&format!("`{}` has lost its token, which came from `{name}`", borrower.name));
            }
        }
        say::talk(&match was_there {
            true => format!("`{name}` is disconnected: what it was granted is erased here"),
            false => format!("`{name}` was not connected"),
        });
        match revoked {
            Some(false) => say::warning("the vendor did not take it back: remove the app there, too"),
            None if was_there => {
                say::talk("the vendor offers no way to take it back: remove the app or the token there")
            }
            _ => {}
        }
        Ok(exit::OK)
    }
}

pub fn find<'p>(plan: &'p Plan, name: &str) -> Result<(&'p Connection, &'p Connector)> {
    let connection = plan.connection(name).ok_or_else(|| {
        let known: Vec<&str> = plan.connections.iter().map(|connection| connection.name.as_str()).collect();
        let near = crate::source::nearest(name, known.iter().copied());
        let near =
            near.map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        exit::usage(format!("no connection is called `{name}`; {near}"))
    })?;
    let connector = plan.connector(&connection.connector).context("its connector is missing")?;
    Ok((connection, connector))
}

/// How every connection stands.
fn list(plan: &Plan, vault: Option<&Vault>, source: &secrets::Source) -> Result<u8> {
    let mut rows = Vec::new();
    for connection in &plan.connections {
        let Some(connector) = plan.connector(&connection.connector) else { continue };
        let lender = connection.via.as_deref().and_then(|via| plan.connection(via));
        let state = match lender {
            Some(lender) => format!("through `{}`: {}", lender.name, state(lender, connector, vault, source)?),
            None => state(connection, connector, vault, source)?,
        };
        let auth = connection.auth.clone().unwrap_or_default();
        rows.push(vec![connection.name.clone(), connection.connector.clone(), auth, state]);
    }
    say::table(&["CONNECTION", "CONNECTOR", "AUTH", "STATE"], rows);
    Ok(exit::OK)
}

/// How a connection stands by itself.
fn state(
    connection: &Connection,
    connector: &Connector,
    vault: Option<&Vault>,
    source: &secrets::Source,
) -> Result<String> {
    if connector.oauth2_of(connection.auth.as_deref()).is_none() {
        let lacks: Vec<&str> = (connection.secrets.values().map(String::as_str))
            .filter(|secret| source.secret(secret).is_none())
            .collect();
        return Ok(if lacks.is_empty() {
            "ready".into()
        } else {
            format!("lacks the secret `{}`", lacks.join("`, `"))
        });
    }
    Ok(match vault.map(|vault| vault.state(&connection.name)).transpose()?.flatten() {
        None => "not connected".into(),
        Some(Granted { refused: Some(why), .. }) => format!("must be connected again: {why}"),
        Some(Granted { changed_ms, .. }) => format!("connected, token of {}", shown::minute(changed_ms)),
    })
}

/// What came of it: what is granted, what is not, what the vendor says of the account.
fn told(name: &str, oauth2: Option<&OAuth2>, granted: &Granted) {
    say::talk(&format!("`{name}` is connected"));
    for (setting, value) in &granted.saved {
        say::talk(&format!("  {setting}: {}", crate::expr::text_of(value)));
    }
    let lacks = oauth2.map(|oauth2| lacking(oauth2, granted)).unwrap_or_default();
    if !lacks.is_empty() {
        say::warning(&format!("it was not granted {}: what needs that is refused as `scope`", lacks.join(", ")));
    }
}

/// A token or a key is asked for, and never shown.
fn ask_for_secrets(vault: &Vault, connection: &Connection) -> Result<()> {
    if connection.secrets.is_empty() {
        say::talk(&format!("`{}` needs no secret", connection.name));
    }
    for (own, project) in &connection.secrets {
        let question = format!("{own} of `{}`: ", connection.name);
        let given = match std::io::stdin().is_terminal() {
            true => Zeroizing::new(rpassword::prompt_password(question)?),
            false => {
                let mut line = Zeroizing::new(String::new());
                std::io::stdin().lock().read_line(&mut line)?;
                line
            }
        };
        let given = given.trim();
        if given.is_empty() {
            return Err(exit::usage(format!("nothing was given for `{own}`; nothing is changed")));
        }
        vault.keep_secret(project, SecretString::from(given))?;
        say::talk(&format!("`{project}` is sealed"));
        if std::env::var_os(secrets::variable(project)).is_some() {
            say::warning(&format!("{} is set as well, and goes before it", secrets::variable(project)));
        }
    }
    Ok(())
}

/// A `serve` of this data folder goes on with what waited for the account.
async fn tell_serve(data: &Path, name: &str) {
    let order = Order::Connected { connection: name.to_owned() };
    if matches!(control::ask(data, &order).await, Ok(Some(_))) {
        say::talk("`serve` goes on with what has waited for it");
    }
}

fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program);
    command.arg(url).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    // Without a browser the person opens the link by hand.
    let _ = command.spawn();
}

/// What the browser brings back.
type Back = Result<String, String>;

struct Waiting {
    consent: Arc<Consent>,
    back: mpsc::Sender<Back>,
}

async fn wait_for_code(listener: TcpListener, consent: Arc<Consent>) -> Result<String> {
    let (back, mut came) = mpsc::channel(1);
    let routes = axum::Router::new()
        .route(CALLBACK, axum::routing::get(callback))
        .with_state(Arc::new(Waiting { consent, back }));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let came = tokio::select! {
        came = tokio::time::timeout(PATIENCE, came.recv()) => came,
        _ = tokio::signal::ctrl_c() => bail!("nobody has agreed; nothing is changed"),
    };
    // The page is on its way to the browser.
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.abort();
    match came {
        Ok(Some(Ok(code))) => Ok(code),
        Ok(Some(Err(why))) => bail!("the vendor says: {why}; nothing is changed"),
        _ => bail!("nobody came back within 10 minutes; nothing is changed"),
    }
}

/// Whoever comes back with another state than the link had is not the person that was sent; nothing is done.
async fn callback(
    State(waiting): State<Arc<Waiting>>,
    Query(query): Query<HashMap<String, String>>,
) -> (StatusCode, Html<&'static str>) {
    if !query.get("state").is_some_and(|state| waiting.consent.is_of(state)) {
        return (StatusCode::BAD_REQUEST, Html("<p>This link is not the one that was begun here.</p>"));
    }
    let back = match (query.get("code"), query.get("error")) {
        (_, Some(error)) => Err(format!("{error} {}", query.get("error_description").map_or("", String::as_str))),
        (Some(code), None) if !code.is_empty() => Ok(code.clone()),
        _ => return (StatusCode::BAD_REQUEST, Html("<p>The vendor sent no code.</p>")),
    };
    let page = match &back {
        Ok(_) => "<p>Done. You can close this window and go back to the terminal.</p>",
        Err(_) => "<p>It was not agreed. You can close this window.</p>",
    };
    match waiting.back.try_send(back) {
        Ok(()) => (StatusCode::OK, Html(page)),
        // The state is good for one time.
        Err(_) => (StatusCode::BAD_REQUEST, Html("<p>This link was used already.</p>")),
    }
}
