//! The project's folder for the dashboard.

use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;

use super::{folder, shipped};
use crate::dashboard::Documents;
use crate::project::{Loaded, Text};
use crate::rehearsal::Scene;
use crate::server::control::{self, Reloaded, Reloads};

pub struct Folder {
    pub path: PathBuf,
    pub environment: Option<String>,
    /// Whom to ask to serve what was changed; None: nothing may be changed.
    pub reloads: Option<Reloads>,
    /// What was told last of changes that were not taken up.
    pub refused: watch::Receiver<Option<String>>,
}

impl Documents for Folder {
    fn own(&self) -> Result<Vec<Text>, String> {
        folder::texts(&self.path).map_err(|error| format!("{error:#}"))
    }

    fn shipped(&self) -> Vec<Text> {
        shipped::connectors()
    }

    fn environment(&self) -> Option<String> {
        self.environment.clone()
    }

    fn scene(&self, subject: &str, loaded: &Loaded, own: &[Text], shipped: &[Text]) -> Result<Arc<Scene>, String> {
        folder::scene(&self.path, subject, loaded, (own, shipped))
    }

    fn may_be_changed(&self) -> bool {
        self.reloads.is_some()
    }

    fn write(&self, document: &Text) -> Result<(), String> {
        self.put(document).map_err(|error| format!("{} cannot be written: {error:#}", document.path))
    }

    fn refused(&self) -> Option<String> {
        self.refused.borrow().clone()
    }

    fn take_up(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send>> {
        let reloads = self.reloads.clone();
        Box::pin(async move {
            match reloads {
                Some(reloads) => control::reload(&reloads).await,
                None => Reloaded { present: false, told: "nothing may be changed here".into() },
            }
        })
    }
}

impl Folder {
    /// Beside it first, then in its place.
    fn put(&self, document: &Text) -> Result<()> {
        let root = self.path.canonicalize().context("the project's folder cannot be read")?;
        let path = root.join(&document.path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { bail!("it is no file") };
        // A link would lead somewhere else.
        let known = parent.ancestors().find(|folder| folder.exists()).unwrap_or(&root);
        if !known.canonicalize()?.starts_with(&root) || path.is_symlink() || path.is_dir() {
            bail!("it leads out of the project's folder");
        }
        std::fs::create_dir_all(parent)?;
        let beside = parent.join(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4().simple()));
        let written = (|| {
            let mut file = std::fs::File::create_new(&beside)?;
            if let Ok(known) = path.metadata() {
                file.set_permissions(known.permissions())?;
            }
            file.write_all(document.text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        Ok(written?)
    }
}
