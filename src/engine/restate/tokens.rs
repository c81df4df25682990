//! Who may come in at the dashboards of all processes: one object, which knows the tokens of each folder by their hash.
//!
//! Each process tells what its folder knows and takes over what the others do: when it begins, and when it hears that there is something
//! new. Numbers are those of a folder; a token says its secret, and by the hash of that it is known everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feed::Note;
use super::objects::{self, Objects};
use super::steps::{Steps, Stopped};
use crate::engine::now_ms;
use crate::store::{Error, KnownToken, Store, TOKENS_MAX, TOKENS_OVER_MAX};

/// What a folder knows.
#[derive(Serialize, Deserialize)]
pub(super) struct Telling {
    tokens: Vec<KnownToken>,
    now_ms: i64,
}

/// What all know.
#[derive(Serialize, Deserialize)]
pub(super) struct Merged {
    tokens: Vec<KnownToken>,
    /// Something of it was not known before.
    is_new: bool,
}

const KEPT: &str = "tokens";

/// Takes over what a folder knows, and gives what all do.
pub(super) async fn merge<S: Steps>(steps: &S, Telling { tokens, now_ms }: Telling) -> Result<Merged, Stopped> {
    let before: Vec<KnownToken> = steps.get(KEPT).await?.unwrap_or_default();
    let mut all: BTreeMap<String, KnownToken> = BTreeMap::new();
    for told in before.iter().cloned().chain(tokens) {
        let known = all.entry(told.token.hash.clone()).or_insert_with(|| told.clone());
        // Whoever has revoked it first was right.
        known.revoked_ms = known.revoked_ms.into_iter().chain(told.revoked_ms).min();
    }
    let mut all: Vec<KnownToken> = all.into_values().collect();
    all.sort_by_key(|known| (known.made_ms, known.token.hash.clone()));
    // The oldest of those that are over are forgotten; of those in force the latest are not taken.
    let (in_force, over): (Vec<_>, Vec<_>) = all.into_iter().partition(|known| known.is_in_force(now_ms));
    let forgotten = over.len().saturating_sub(TOKENS_OVER_MAX);
    let taken = in_force.into_iter().take(TOKENS_MAX);
    let tokens: Vec<KnownToken> = over.into_iter().skip(forgotten).chain(taken).collect();
    let is_new = tokens != before;
    if is_new {
        steps.set(KEPT, tokens.clone());
    }
    Ok(Merged { tokens, is_new })
}

/// Tells what the store knows, and takes over what others do. Others hear that there is something new.
pub(super) async fn share(store: &Store, objects: &Objects) -> Result<(), Error> {
    let tokens = store.tokens().await?.into_iter().map(KnownToken::from).collect();
    let telling = Telling { tokens, now_ms: now_ms() };
    let Merged { tokens, is_new } = objects.ingress.call(&objects::tokens(), "merge", &telling).await?;
    store.know_tokens(tokens).await?;
    if is_new {
        objects.note(&Note::Tokens).await?;
    }
    Ok(())
}
