//! The vault of a data folder: where its key comes from.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

use super::count as count_of;
use super::{Operator, exit, say, secrets};
use crate::http::{Client, Guard};
use crate::project::{Connection, Plan};
use crate::vault::{Keys, Vault};

impl Operator {
    /// The vault; None where there is no key, and nothing that needs one.
    ///
    /// # Errors
    /// A connection uses OAuth and there is no key; a key that is none, or not the one that sealed what is there.
    pub fn vault(&self, plan: &Plan, data: &Path, guard: &Guard) -> Result<Option<Vault>> {
        let Some(keys) = self.keys(data)? else {
            return match are_granted(plan).next() {
                None => Ok(None),
                Some(connection) => Err(exit::usage(format!(
                    "connection `{}` is granted tokens, and they are sealed: make a key with `dovetail key \
                     dovetail.key` and give it as `--key-file dovetail.key`",
                    connection.name
                ))),
            };
        };
        let vault = Vault::open(data, keys, Client::new(guard.clone())).context("the credentials cannot be opened")?;
        match vault.seal_anew()? {
            0 => {}
            count => say::talk(&format!("{} sealed with the new key", count_of(count, "credential"))),
        }
        Ok(Some(vault))
    }

    fn keys(&self, data: &Path) -> Result<Option<Keys>> {
        let text = match std::env::var("DOVETAIL_KEY").map(Zeroizing::new) {
            Ok(text) if !text.trim().is_empty() => text,
            _ => {
                let Some(path) = &self.key_file else { return Ok(None) };
                secrets::refuse_open(path, "key file")?;
                refuse_inside(path, data)?;
                let text = std::fs::read_to_string(path);
                Zeroizing::new(text.with_context(|| format!("the key file {} cannot be read", path.display()))?)
            }
        };
        Ok(Some(Keys::read(&text).context("the key")?))
    }
}

/// Whoever has a copy of the data folder must not have the key with it.
fn refuse_inside(path: &Path, data: &Path) -> Result<()> {
    let (Ok(path), Ok(data)) = (path.canonicalize(), data.canonicalize()) else { return Ok(()) };
    if path.starts_with(&data) {
        bail!(
            "the key file {} lies in the data folder: keep it elsewhere, so that no backup holds both",
            path.display()
        );
    }
    Ok(())
}

pub fn are_granted(plan: &Plan) -> impl Iterator<Item = &Connection> {
    plan.connections.iter().filter(|connection| {
        let connector = plan.connector(&connection.connector);
        connector.is_some_and(|connector| connector.renews(connection.auth.as_deref()))
    })
}
