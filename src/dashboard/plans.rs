//! Plans: what a sync would do about all records, looked at by a person, and then done as it was looked at.

use std::sync::Arc;

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::ask::Ask;
use super::now_ms;
use super::problem::Problem;
use crate::engine::{Progress, SurveyError, Surveyed};

/// Plans that are kept, each with all that it found: the oldest gives way.
const KEPT_MAX: usize = 4;
/// Plans that are being made or applied.
const AT_WORK_MAX: usize = 2;

/// A plan, as long as it is kept.
pub struct Kept {
    pub number: i64,
    pub sync: String,
    pub tenant: Option<String>,
    /// With what lives under the records of pairs.
    pub deep: bool,
    pub who: String,
    pub asked_ms: i64,
    /// Of the latest look at both sides.
    pub progress: Progress,
    state: Mutex<State>,
}

#[derive(Clone)]
pub enum State {
    /// All records of both sides are being read.
    Looking,
    Ready(Arc<Surveyed>),
    Applying(Arc<Surveyed>),
    /// So many runs were begun.
    Applied(Arc<Surveyed>, usize),
    /// In words.
    Failed(String),
}

impl State {
    pub fn word(&self) -> &'static str {
        match self {
            State::Looking => "looking",
            State::Ready(_) => "ready",
            State::Applying(_) => "applying",
            State::Applied(..) => "applied",
            State::Failed(_) => "failed",
        }
    }

    pub fn is_at_work(&self) -> bool {
        matches!(self, State::Looking | State::Applying(_))
    }

    pub fn surveyed(&self) -> Option<&Arc<Surveyed>> {
        match self {
            State::Ready(surveyed) | State::Applying(surveyed) | State::Applied(surveyed, _) => Some(surveyed),
            State::Looking | State::Failed(_) => None,
        }
    }
}

impl Kept {
    pub fn state(&self) -> State {
        self.state.lock().clone()
    }
}

#[derive(Default)]
pub struct Plans(Mutex<(i64, Vec<Arc<Kept>>)>);

impl Plans {
    /// Newest first.
    pub fn all(&self) -> Vec<Arc<Kept>> {
        self.0.lock().1.iter().rev().cloned().collect()
    }

    pub fn one(&self, number: i64) -> Option<Arc<Kept>> {
        self.0.lock().1.iter().find(|kept| kept.number == number).cloned()
    }

    fn begin(&self, wanted: Kept) -> Result<Arc<Kept>, Problem> {
        let (last, kept) = &mut *self.0.lock();
        room(kept)?;
        if kept.len() == KEPT_MAX
            && let Some(oldest) = kept.iter().position(|kept| !kept.state().is_at_work())
        {
            kept.remove(oldest);
        }
        *last += 1;
        let begun = Arc::new(Kept { number: *last, ..wanted });
        kept.push(begun.clone());
        Ok(begun)
    }
}

fn room(kept: &[Arc<Kept>]) -> Result<(), Problem> {
    match kept.iter().filter(|kept| kept.state().is_at_work()).count() {
        AT_WORK_MAX.. => {
            let why = "other plans are being made or applied: ask again when they are done";
            Err(Problem { retry_after: Some(30), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, why) })
        }
        _ => Ok(()),
    }
}

/// Begins to look at all records of a sync.
///
/// # Errors
/// There is no such sync; too many are looked at already.
pub async fn begin(ask: &Ask) -> Result<Arc<Kept>, Problem> {
    let sync = ask.owned("sync").unwrap_or_default();
    if !ask.engine().plan().syncs.iter().any(|known| known.name == sync) {
        return Err(Problem::unknown("active sync"));
    }
    let who = ask.who.as_ref().map_or_else(String::new, |who| who.name.clone());
    let deep = ask.text("deep") == Some("yes");
    let wanted = Kept {
        number: 0,
        sync,
        tenant: ask.owned("tenant"),
        deep,
        who,
        asked_ms: now_ms(),
        progress: Progress::default(),
        state: Mutex::new(State::Looking),
    };
    let kept = ask.window.plans.begin(wanted)?;
    let (engine, begun) = (ask.engine().clone(), kept.clone());
    work(&kept, async move {
        let surveyed = engine.survey(&begun.sync, begun.tenant.as_deref(), begun.deep, &begun.progress).await?;
        Ok(State::Ready(Arc::new(surveyed)))
    });
    Ok(kept)
}

/// The plan is in the state that the work comes to, or has failed: also where the work breaks off, so that its place is free again.
fn work(kept: &Arc<Kept>, work: impl Future<Output = Result<State, SurveyError>> + Send + 'static) {
    let kept = kept.clone();
    tokio::spawn(async move {
        let state = match tokio::spawn(work).await {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => State::Failed(words(error)),
            Err(error) => {
                tracing::error!(%error, plan = kept.number, "a plan broke off");
                State::Failed("it broke off: the log tells more".into())
            }
        };
        *kept.state.lock() = state;
    });
}

/// Has done what a plan says, if both sides are as they were when it was made.
///
/// # Errors
/// There is none; it is not ready, or not the one that was read.
pub async fn apply(ask: &Ask) -> Result<Arc<Kept>, Problem> {
    let kept = one(ask)?;
    let surveyed = match kept.state() {
        State::Ready(surveyed) => surveyed,
        state => {
            return Err(Problem::conflict(format!(
                "plan {} is {}: only one that is ready is applied",
                kept.number,
                state.word()
            )));
        }
    };
    // Numbers begin anew with each `serve`.
    if ask.text("hash") != Some(surveyed.hash.as_str()) {
        return Err(Problem::conflict(format!(
            "plan {} is not the one that you have read: look at it again",
            kept.number
        )));
    }
    ask.note("applies a plan", format!("plan {} of {}", surveyed.hash, kept.sync)).await?;
    {
        let plans = ask.window.plans.0.lock();
        room(&plans.1)?;
        let mut state = kept.state.lock();
        if !matches!(*state, State::Ready(_)) {
            return Err(Problem::conflict("somebody has applied it just now"));
        }
        kept.progress.begin();
        *state = State::Applying(surveyed.clone());
    }
    let (engine, begun) = (ask.engine().clone(), kept.clone());
    work(&kept, async move {
        let (tenant, hash) = (begun.tenant.as_deref(), Some(surveyed.hash.as_str()));
        let (_, runs) = engine.apply(&begun.sync, tenant, begun.deep, hash, &begun.progress).await?;
        Ok(State::Applied(surveyed, runs))
    });
    Ok(kept)
}

/// The one that is named.
pub fn one(ask: &Ask) -> Result<Arc<Kept>, Problem> {
    ask.window.plans.one(ask.number("plan").unwrap_or_default()).ok_or_else(|| Problem::unknown("plan"))
}

fn words(error: SurveyError) -> String {
    match error {
        SurveyError::Refused(why) => why,
        SurveyError::Failed(failure) => format!("a list cannot be read: {failure}"),
        SurveyError::Store(error) => {
            tracing::error!(%error, "a plan failed");
            "the store does not answer: the log tells more".into()
        }
    }
}
