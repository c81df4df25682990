//! The pairs between the records of two objects, of one tenant: an object.
//!
//! It keeps `of/CONNECTION/OBJECT/ID`, for each record of a pair the other one's id. Keeping a pair twice changes nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::steps::{Looks, Steps, Stopped};
use crate::run::{Link, RecordRef};

/// What is kept of one commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Keeping {
    /// First these go, so that their records may be linked anew.
    pub unlink: Vec<Link>,
    pub link: Vec<Link>,
}

/// A record that is in another pair; nothing was kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub link: Link,
    pub of: RecordRef,
    /// The id of its other half.
    pub partner: String,
}

fn place(of: &RecordRef) -> String {
    format!("of/{}/{}/{}", of.connection, of.object, of.id)
}

fn halves(link: &Link) -> [(&RecordRef, &RecordRef); 2] {
    [(&link.left, &link.right), (&link.right, &link.left)]
}

/// All of it, or nothing.
pub(super) async fn keep<S: Steps>(steps: &S, keeping: &Keeping) -> Result<Option<Taken>, Stopped> {
    // What changes, each with the other half that it has then.
    let mut changed: HashMap<String, Option<String>> = HashMap::new();
    for (of, with) in keeping.unlink.iter().flat_map(halves) {
        if steps.get::<String>(&place(of)).await?.as_ref() == Some(&with.id) {
            changed.insert(place(of), None);
        }
    }
    for link in &keeping.link {
        for (of, with) in halves(link) {
            let partner = match changed.get(&place(of)) {
                Some(partner) => partner.clone(),
                None => steps.get::<String>(&place(of)).await?,
            };
            match partner {
                Some(partner) if partner != with.id => {
                    return Ok(Some(Taken { link: link.clone(), of: of.clone(), partner }));
                }
                Some(_) => {}
                None => drop(changed.insert(place(of), Some(with.id.clone()))),
            }
        }
    }
    let mut changed: Vec<(String, Option<String>)> = changed.into_iter().collect();
    // A handler that is played back does the same in the same order.
    changed.sort();
    for (place, partner) in changed {
        match partner {
            Some(partner) => steps.set(&place, partner),
            None => steps.clear(&place),
        }
    }
    Ok(None)
}

/// The id of the other half.
pub(super) async fn look<S: Looks>(steps: &S, of: &RecordRef) -> Result<Option<String>, Stopped> {
    steps.get(&place(of)).await
}
