//! Notices that a project's files change, and waits until they are quiet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::project::Text;

/// Files that have not changed for so long are whole.
const QUIET: Duration = Duration::from_millis(200);
/// And after so long they are read in any case.
const RESTLESS: Duration = Duration::from_secs(5);

pub struct Watch {
    root: PathBuf,
    secrets: Option<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    changes: mpsc::Receiver<()>,
    tell: mpsc::Sender<()>,
}

impl Watch {
    /// Of a project's folder, and of a file of secrets; looks at nothing yet.
    pub fn new(project: &Path, secrets: Option<&Path>) -> Watch {
        let (tell, changes) = mpsc::channel(1);
        let root = project.canonicalize().unwrap_or_else(|_| project.to_path_buf());
        let secrets = secrets.map(Path::to_path_buf);
        Watch { root, secrets, watcher: None, watched: Vec::new(), changes, tell }
    }

    /// Looks at the folders in which documents are, from now on. What was not looked at until now may have changed since it
    /// was read, which counts as a change.
    ///
    /// # Errors
    /// The system's: it has no room for it, for instance.
    pub fn look<'t>(&mut self, documents: impl Iterator<Item = &'t Text>) -> notify::Result<()> {
        let mut wanted = BTreeMap::from([(self.root.clone(), RecursiveMode::NonRecursive)]);
        for name in ["connectors", "workflows"] {
            wanted.insert(self.root.join(name), RecursiveMode::Recursive);
        }
        // Folders are watched, since editors replace files.
        let named = documents.map(|text| self.root.join(&text.path)).chain(self.secrets.clone());
        for folder in named.filter_map(|path| path.parent().map(Path::to_path_buf)) {
            let within =
                wanted.iter().any(|(known, mode)| *mode == RecursiveMode::Recursive && folder.starts_with(known));
            if !within {
                wanted.entry(folder).or_insert(RecursiveMode::NonRecursive);
            }
        }
        wanted.retain(|folder, _| folder.is_dir());
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                let tell = self.tell.clone();
                none.insert(notify::recommended_watcher(move |event: notify::Result<Event>| {
                    if event.is_ok_and(|event| matters(&event)) {
                        // One that waits to be heard says it all.
                        let _ = tell.try_send(());
                    }
                })?)
            }
        };
        for folder in self.watched.extract_if(.., |folder| !wanted.contains_key(folder)) {
            // It may be that it is not there any more.
            let _ = watcher.unwatch(&folder);
        }
        for (folder, mode) in wanted {
            // Again, since a folder may be another one under the same name.
            watcher.watch(&folder, mode)?;
            if !self.watched.contains(&folder) {
                self.watched.push(folder);
                let _ = self.tell.try_send(());
            }
        }
        Ok(())
    }

    /// Ends when something has changed and is quiet again.
    pub async fn changed(&mut self) {
        // It does not close: we hold a sender ourselves.
        let _ = self.changes.recv().await;
        let quiet = async { while timeout(QUIET, self.changes.recv()).await.is_ok() {} };
        // Who never stops writing is read meanwhile.
        let _ = timeout(RESTLESS, quiet).await;
    }
}

/// Reading does not; nor do files that are no documents, such as those of the data folder.
fn matters(event: &Event) -> bool {
    let is_document = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // Without an ending it may be a folder, or the link that leads to one.
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        !hidden && ending.is_none_or(|ending| ["yaml", "yml", "json"].contains(&ending.as_str()))
    };
    !event.kind.is_access() && event.paths.iter().any(is_document)
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::path::Path;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Watch;

    #[tokio::test(start_paused = true)]
    async fn what_was_not_looked_at_may_have_changed() {
        let mut watch = Watch::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), None);
        for first in [true, false] {
            watch.look(iter::empty()).expect("room for it");
            let changed = timeout(Duration::from_secs(60), watch.changed()).await;
            assert_eq!(changed.is_ok(), first);
        }
    }
}
