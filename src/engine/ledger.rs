//! Where what is decided about a run becomes durable, and where what other runs have left is asked for.

use std::pin::Pin;

use crate::run::{Address, Asking, Entry, Known, Received, RecordRef, Subscription};
use crate::store::{Commit, Error, Run, Store};
use crate::workflow::Looked;

/// What a ledger says, when it has.
pub(super) type Said<'l, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'l>>;

/// One run's, or that of all.
pub(super) trait Ledger: Send + Sync {
    /// Makes one decision about a run durable, as a whole or not at all.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn commit<'l>(&'l self, commit: &'l Commit) -> Said<'l, ()>;

    /// A run as it stands; None: nothing is known of it.
    fn run<'l>(&'l self, id: &'l str) -> Said<'l, Option<Run>>;

    /// What was decided about a run so far.
    fn journal<'l>(&'l self, run: &'l str) -> Said<'l, Vec<Entry>>;

    /// The copy of a record that a workflow was told last.
    fn known<'l>(&'l self, workflow: &'l str, of: &'l RecordRef) -> Said<'l, Option<Known>>;

    /// The first message that a wait of a run may receive.
    fn message<'l>(&'l self, run: &'l str, wait: &'l Subscription) -> Said<'l, Option<Received>>;

    /// The pair of a record.
    fn look<'l>(&'l self, tenant: Option<&'l str>, asking: &'l Asking) -> Said<'l, Looked>;

    /// Takes the turns of an action, if they are taken here: false if one is not free; the run is called when it is. None: they
    /// are taken in this process.
    fn take_turns<'l>(&'l self, _: &'l str, _: &'l [String]) -> Option<Said<'l, bool>> {
        None
    }

    /// Is a run called again when it is time, rather than kept in memory, whatever it waits for?
    fn calls_again(&self) -> bool {
        false
    }

    /// From the next commit on these actions need their turns, beside those of which the journal says so.
    fn needs_turns(&self, _: Vec<Address>) {}
}

impl Ledger for Store {
    fn commit<'l>(&'l self, commit: &'l Commit) -> Said<'l, ()> {
        Box::pin(Store::commit(self, commit))
    }

    fn run<'l>(&'l self, id: &'l str) -> Said<'l, Option<Run>> {
        Box::pin(Store::run(self, id))
    }

    fn journal<'l>(&'l self, run: &'l str) -> Said<'l, Vec<Entry>> {
        Box::pin(Store::journal(self, run))
    }

    fn known<'l>(&'l self, workflow: &'l str, of: &'l RecordRef) -> Said<'l, Option<Known>> {
        Box::pin(Store::known(self, workflow, of))
    }

    fn message<'l>(&'l self, run: &'l str, wait: &'l Subscription) -> Said<'l, Option<Received>> {
        Box::pin(Store::message(self, run, wait))
    }

    fn look<'l>(&'l self, tenant: Option<&'l str>, asking: &'l Asking) -> Said<'l, Looked> {
        Box::pin(Store::look(self, tenant, asking))
    }
}
