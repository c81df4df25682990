//! People who have signed in: known by a cookie of which only the hash is kept, at every process that serves the same runs.

use std::time::Instant;

use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::problem::Problem;
use super::{Window, now_ms};
use crate::server::secret;
use crate::store::{self, Role, Session};

/// Being there is written down so often, in milliseconds.
const SEEN_MS: i64 = 60_000;

/// When other processes were asked last.
#[derive(Default)]
pub struct Learned(Mutex<Option<Instant>>);

/// What every form of a session says. Whoever has not its cookie cannot know it.
pub fn csrf(cookie: &str) -> String {
    secret::hash(&format!("form {cookie}"))
}

/// Begins one, and gives its cookie. `token`: the hash of the one that lets them in.
pub async fn begin(
    window: &Window,
    who: String,
    role: Role,
    token: Option<String>,
) -> Result<Zeroizing<String>, Problem> {
    let no_random =
        |_| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random numbers");
    let cookie = secret::secret().map_err(no_random)?;
    let (hash, now_ms) = (secret::hash(&cookie), now_ms());
    let session = Session { hash, who, role, token, begun_ms: now_ms, seen_ms: now_ms, ended_ms: None };
    window.engine.keep_session(session).await?;
    Ok(cookie)
}

/// Whose cookie it is. `is_act`: somebody does something, it is no page that looks by itself.
pub async fn of(window: &Window, cookie: &str, is_act: bool) -> Result<Option<Session>, Problem> {
    let now_ms = now_ms();
    let Some(session) = known(window, cookie, now_ms).await?.filter(|session| !session.is_over(now_ms)) else {
        return Ok(None);
    };
    if let Some(hash) = &session.token {
        let token = window.store.token_of_hash(hash.clone()).await?;
        if !token.is_some_and(|token| token.is_in_force(now_ms)) {
            return Ok(None);
        }
    }
    let Some(seen) = seen(&session, is_act, now_ms) else { return Ok(Some(session)) };
    window.engine.keep_session(seen.clone()).await?;
    Ok(Some(seen))
}

/// What is to be kept of it: that somebody is there, now and then.
fn seen(session: &Session, is_act: bool, now_ms: i64) -> Option<Session> {
    let is_new = is_act && now_ms - session.seen_ms >= SEEN_MS;
    is_new.then(|| Session { seen_ms: now_ms, ..session.clone() })
}

pub async fn end(window: &Window, cookie: &str) -> Result<(), Problem> {
    let now_ms = now_ms();
    if let Some(session) = known(window, cookie, now_ms).await? {
        window.engine.keep_session(Session { ended_ms: Some(now_ms), ..session }).await?;
    }
    Ok(())
}

/// As it is kept here; where that is too little, others are asked first: they may have signed in there, or done something.
async fn known(window: &Window, cookie: &str, now_ms: i64) -> Result<Option<Session>, store::Error> {
    let hash = secret::hash(cookie);
    let here = window.store.session(hash.clone()).await?;
    let is_clear =
        |session: &Session| !session.is_over(now_ms) || session.ended_ms.is_some() || session.is_forgotten(now_ms);
    if here.as_ref().is_some_and(is_clear) {
        return Ok(here);
    }
    let came = Instant::now();
    let mut learned = window.learned.0.lock().await;
    // Asked since, for somebody else who came meanwhile.
    if learned.is_none_or(|asked| asked < came) {
        let asked = Instant::now();
        window.engine.learn_access().await;
        *learned = Some(asked);
    }
    drop(learned);
    window.store.session(hash).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SESSION_IDLE_MS, SESSION_LIFE_MS};

    #[test]
    fn whoever_acts_stays_until_the_end_and_looking_by_itself_is_not_acting() {
        let (hash, who, role) = (String::new(), "somebody".into(), Role::Read);
        let begun = Session { hash, who, role, token: None, begun_ms: 0, seen_ms: 0, ended_ms: None };
        assert!(seen(&begun, true, SEEN_MS - 1).is_none(), "it was written down a moment ago");
        assert!((0..SESSION_IDLE_MS).step_by(60_000).all(|now_ms| seen(&begun, false, now_ms).is_none()));
        assert!(begun.is_over(SESSION_IDLE_MS));
        let mut session = begun;
        for now_ms in (0..SESSION_LIFE_MS).step_by(60_000) {
            assert!(!session.is_over(now_ms), "{now_ms}");
            session = seen(&session, true, now_ms).unwrap_or(session);
        }
        assert!(session.seen_ms > SESSION_LIFE_MS - 2 * SEEN_MS && session.is_over(SESSION_LIFE_MS));
    }
}
