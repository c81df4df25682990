//! People who have signed in: known by a cookie of which only the hash is kept, in memory, for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::server::secret::{self, NoRandom};
use crate::store::Role;

/// Whoever does nothing for so long is signed out.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// And everybody after this.
pub const LIFE: Duration = Duration::from_secs(12 * 3_600);
/// People at the same time; one more signs out whoever was idle for longest.
const SESSIONS_MAX: usize = 256;

#[derive(Default)]
pub struct Sessions {
    /// By the hash of the cookie.
    all: Mutex<HashMap<String, Session>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub who: String,
    pub role: Role,
    /// It ends with this token.
    pub token: Option<i64>,
    /// What every form of this session says.
    pub csrf: String,
    begun: Instant,
    seen: Instant,
}

impl Session {
    pub fn new(who: String, role: Role, token: Option<i64>, now: Instant) -> Result<Session, NoRandom> {
        Ok(Session { who, role, token, csrf: secret::secret()?.to_string(), begun: now, seen: now })
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) >= IDLE || now.saturating_duration_since(self.begun) >= LIFE
    }
}

impl Sessions {
    /// Begins one, and gives its cookie.
    pub fn begin(&self, session: Session, now: Instant) -> Result<Zeroizing<String>, NoRandom> {
        let cookie = secret::secret()?;
        let mut all = self.all.lock();
        all.retain(|_, session| !session.is_over(now));
        while all.len() >= SESSIONS_MAX {
            let Some(idle) = all.iter().min_by_key(|(_, session)| session.seen).map(|(hash, _)| hash.clone()) else {
                break;
            };
            all.remove(&idle);
        }
        all.insert(secret::hash(&cookie), session);
        Ok(cookie)
    }

    /// Whose cookie it is. `is_act`: somebody does something, it is no page that looks by itself.
    pub fn of(&self, cookie: &str, is_act: bool, now: Instant) -> Option<Session> {
        let hash = secret::hash(cookie);
        let mut all = self.all.lock();
        let session = all.get_mut(&hash)?;
        if session.is_over(now) {
            all.remove(&hash);
            return None;
        }
        if is_act {
            session.seen = now;
        }
        Some(session.clone())
    }

    pub fn end(&self, cookie: &str) {
        self.all.lock().remove(&secret::hash(cookie));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(now: Instant) -> Session {
        Session::new("somebody".into(), Role::Read, None, now).unwrap()
    }

    #[test]
    fn whoever_does_nothing_is_signed_out_and_everybody_in_the_end() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.begin(session(now), now).unwrap();
        assert!(sessions.of("another", true, now).is_none());
        assert!(sessions.of(&cookie, false, now + IDLE / 2).is_some());
        assert!(sessions.of(&cookie, true, now + IDLE).is_none(), "looking by itself is not doing something");
        let cookie = sessions.begin(session(now), now).unwrap();
        let steps = LIFE.as_secs() / 60;
        let kept =
            (0..steps).all(|minute| sessions.of(&cookie, true, now + Duration::from_secs(60 * minute)).is_some());
        assert!(kept && sessions.of(&cookie, true, now + LIFE).is_none());
        let cookie = sessions.begin(session(now), now).unwrap();
        sessions.end(&cookie);
        assert!(sessions.of(&cookie, true, now).is_none());
    }

    #[test]
    fn sessions_have_a_bound() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.begin(session(now), now).unwrap();
        let later = now + Duration::from_secs(1);
        let last = (0..SESSIONS_MAX).map(|_| sessions.begin(session(later), later).unwrap()).last().unwrap();
        assert_eq!(sessions.all.lock().len(), SESSIONS_MAX);
        assert!(sessions.of(&first, true, later).is_none() && sessions.of(&last, true, later).is_some());
    }
}
