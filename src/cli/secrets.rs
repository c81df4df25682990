//! Where the process finds secrets: the environment, then a file that only its owner may read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::exit;
use crate::connector::VerifyRule;
use crate::project::Plan;
use crate::vault::{SecretSource, Vault};
use crate::workflow::Starts;

/// Secrets of this process: of the environment, of a file, and those that were given to `connect`.
#[derive(Default)]
pub struct Source {
    path: Option<PathBuf>,
    file: RwLock<BTreeMap<String, SecretString>>,
    vault: Option<Arc<Vault>>,
}

impl Source {
    /// # Errors
    /// A file that others may read, or that is no map of texts.
    pub fn new(path: Option<&Path>, vault: Option<Arc<Vault>>) -> Result<Source> {
        let source = Source { path: path.map(Path::to_path_buf), vault, ..Source::default() };
        source.read()?;
        Ok(source)
    }

    pub fn vault(&self) -> Option<&Vault> {
        self.vault.as_deref()
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Reads the file, again if it was read before. Gives whether it says something else now.
    ///
    /// # Errors
    /// As [`Source::new`]; what was read before stays.
    pub fn read(&self) -> Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        refuse_open(path, "secrets file")?;
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, "secrets file", &error))?;
        let text = Zeroizing::new(text);
        // The parser's own words could hold a secret.
        let Ok(file) = serde_yaml::from_str::<BTreeMap<String, String>>(&text) else {
            bail!("the secrets file {} must hold one `name: \"value\"` per line", path.display());
        };
        let mut known = self.file.write();
        let same =
            |(name, value): (&String, &String)| known.get(name).is_some_and(|known| known.expose_secret() == value);
        let is_other = known.len() != file.len() || !file.iter().all(same);
        *known = file.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        Ok(is_other)
    }
}

impl SecretSource for Source {
    fn secret(&self, name: &str) -> Option<SecretString> {
        match std::env::var(variable(name)) {
            Ok(value) if !value.is_empty() => Some(SecretString::from(value)),
            _ => self.file.read().get(name).cloned().or_else(|| self.vault.as_ref()?.secret(name)),
        }
    }
}

/// Every secret that a project refers to and that is not set, each with what does not work without it.
pub fn missing(plan: &Plan, source: &dyn SecretSource) -> Vec<String> {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut used = |secret: &str, by: String| uses.entry(secret.to_string()).or_default().push(by);
    for connection in &plan.connections {
        for secret in connection.secrets.values() {
            used(secret, format!("connection `{}`", connection.name));
        }
        for secret in connection.webhook_secrets.values() {
            used(secret, format!("the webhooks of connection `{}`", connection.name));
        }
    }
    for workflow in &plan.workflows {
        let Starts::Webhook { verify, .. } = &workflow.trigger.starts else { continue };
        for secret in verify.iter().flat_map(VerifyRule::secrets) {
            used(&secret, format!("the webhook of workflow `{}`", workflow.name));
        }
    }
    uses.retain(|secret, _| source.secret(secret).is_none());
    let told = |(secret, by): (&String, &Vec<String>)| {
        format!(
            "the secret `{secret}` of {} is not set: set {}, give a file with --secrets, or run `dovetail connect`",
            by.join(" and "),
            variable(secret)
        )
    };
    uses.iter().map(told).collect()
}

/// The variable of the environment that may hold a secret.
pub fn variable(secret: &str) -> String {
    format!("DOVETAIL_SECRET_{}", secret.to_uppercase())
}

fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> anyhow::Error {
    exit::usage(format!("the {what} {} cannot be read: {error}", path.display()))
}

/// A file of secrets is its owner's alone.
#[cfg(unix)]
pub fn refuse_open(path: &Path, what: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, what, &error))?;
    if meta.permissions().mode() & 0o077 != 0 {
        bail!("others may read the {what} {}: run `chmod 600 {0}`", path.display());
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn refuse_open(_path: &Path, _what: &str) -> Result<()> {
    Ok(())
}
