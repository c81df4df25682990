//! The documents of a version, by its hash: an object each.

use super::objects::Documents;
use super::steps::{Looks, Steps, Stopped};

const DOCUMENTS: &str = "documents";

pub(super) fn keep<S: Steps>(steps: &S, documents: Documents) {
    steps.set(DOCUMENTS, documents);
}

pub(super) async fn read<S: Looks>(steps: &S) -> Result<Option<Documents>, Stopped> {
    steps.get(DOCUMENTS).await
}
