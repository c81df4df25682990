//! Who may come in at the dashboards of all processes, and who has: one object, which knows the tokens and sessions of each folder by
//! their hash.
//!
//! Each process tells what its folder knows and takes over what the others do: when it begins, and when it hears that there is something
//! new. Numbers are those of a folder; a token says its secret, and by the hash of that it is known everywhere.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::feed::Note;
use super::objects::{self, Objects};
use super::steps::{Steps, Stopped};
use crate::engine::now_ms;
use crate::store::{Error, KnownToken, SESSIONS_ENDED_MAX, SESSIONS_MAX, Session, Store, TOKENS_MAX, TOKENS_OVER_MAX};

/// What a folder knows.
#[derive(Serialize, Deserialize)]
pub(super) struct Telling {
    tokens: Vec<KnownToken>,
    #[serde(default)]
    sessions: Vec<Session>,
    now_ms: i64,
}

/// What all know.
#[derive(Serialize, Deserialize)]
pub(super) struct Merged {
    tokens: Vec<KnownToken>,
    #[serde(default)]
    sessions: Vec<Session>,
    /// Something of it was not known before: more than that somebody is still there.
    is_new: bool,
}

const KEPT: &str = "tokens";
const SESSIONS: &str = "sessions";

/// Takes over what a folder knows, and gives what all do.
pub(super) async fn merge<S: Steps>(
    steps: &S,
    Telling { tokens, sessions, now_ms }: Telling,
) -> Result<Merged, Stopped> {
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
    let mut is_new = tokens != before;
    if is_new {
        steps.set(KEPT, tokens.clone());
    }
    let before: Vec<Session> = steps.get(SESSIONS).await?.unwrap_or_default();
    let sessions = merged(&before, sessions, now_ms);
    if sessions != before {
        let what = |sessions: &[Session]| -> Vec<_> {
            sessions.iter().map(|session| (session.hash.clone(), session.ended_ms)).collect()
        };
        is_new |= what(&sessions) != what(&before);
        steps.set(SESSIONS, sessions.clone());
    }
    Ok(Merged { tokens, sessions, is_new })
}

/// In the order of their hashes: of those who are there whoever was seen last, and who has signed out last.
fn merged(before: &[Session], told: Vec<Session>, now_ms: i64) -> Vec<Session> {
    let mut all: BTreeMap<String, Session> = BTreeMap::new();
    for session in before.iter().cloned().chain(told).filter(|session| !session.is_forgotten(now_ms)) {
        all.entry(session.hash.clone()).or_insert_with(|| session.clone()).learn(&session);
    }
    let (mut ended, mut open): (Vec<_>, Vec<_>) = all.into_values().partition(|session| session.ended_ms.is_some());
    ended.sort_by_key(|session| Reverse(session.ended_ms));
    open.sort_by_key(|session| Reverse(session.seen_ms));
    let mut kept: Vec<Session> =
        ended.into_iter().take(SESSIONS_ENDED_MAX).chain(open.into_iter().take(SESSIONS_MAX)).collect();
    kept.sort_by(|one, other| one.hash.cmp(&other.hash));
    kept
}

/// Tells what the store knows, and takes over what others do. Others hear that there is something new.
pub(super) async fn share(store: &Store, objects: &Objects) -> Result<(), Error> {
    let tokens = store.tokens().await?.into_iter().map(KnownToken::from).collect();
    let telling = Telling { tokens, sessions: store.sessions().await?, now_ms: now_ms() };
    let Merged { tokens, sessions, is_new } = objects.ingress.call(&objects::tokens(), "merge", &telling).await?;
    store.know_tokens(tokens).await?;
    store.know_sessions(sessions).await?;
    if is_new {
        objects.note(&Note::Tokens).await?;
    }
    Ok(())
}
