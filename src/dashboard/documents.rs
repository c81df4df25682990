//! The project's folder, as far as the dashboard looks into it: its recipes are read, tried and, where that is allowed, changed.

use std::pin::Pin;
use std::sync::Arc;

use crate::project::{Loaded, Text};
use crate::rehearsal::Scene;
use crate::server::control::Reloaded;

/// Whoever opens the dashboard has the folder.
pub trait Documents: Send + Sync {
    /// All of the project, as they are in the folder now, and the environment that is merged over it.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    fn own(&self) -> Result<Vec<Text>, String>;

    /// The connectors that come with the program.
    fn shipped(&self) -> Vec<Text>;

    fn environment(&self) -> Option<String>;

    /// Where a workflow or sync is played.
    ///
    /// # Errors
    /// Why it cannot be played, in words.
    fn scene(&self, subject: &str, loaded: &Loaded, own: &[Text], shipped: &[Text]) -> Result<Arc<Scene>, String>;

    /// May recipes be changed from here?
    fn may_be_changed(&self) -> bool;

    /// Writes a document, whole or not at all.
    ///
    /// # Errors
    /// Why it cannot be written, in words.
    fn write(&self, document: &Text) -> Result<(), String>;

    /// Why what is in the folder now is not what is served, in words; None: it is, as far as is known.
    fn refused(&self) -> Option<String>;

    /// Has what is in the folder served.
    fn take_up(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send>>;
}
