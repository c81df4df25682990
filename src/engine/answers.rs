//! What people have said to the questions of syncs is acted on: a run for each, now and after a start.

use super::hands::Cursors;
use super::{Engine, now_ms};
use crate::store::{self, Asked, Intake, Questions};
use crate::sync::Choice;
use crate::trigger::Event;

/// Questions that are looked at in one go.
const QUESTIONS_MAX: usize = 10_000;

impl Engine {
    /// Writes down what a person has said, and acts on it.
    ///
    /// # Errors
    /// The store's; and that there is no such question.
    pub async fn answer(&self, number: i64, choice: &Choice) -> Result<(), store::Error> {
        let Some(asked) = self.inner.store.question(number).await? else {
            return Err(store::Error::Failed(format!("there is no question {number} any more")));
        };
        self.tell(Asked { choice: Some(choice.clone()), ..asked }).await
    }

    /// Writes down what a person has said without having been asked, and acts on it.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell(&self, asked: Asked) -> Result<(), store::Error> {
        self.inner.hands.say(self, asked).await?;
        self.act_on_answers().await
    }

    /// Starts a run for each question that was answered; the same answer starts none twice.
    pub(super) async fn act_on_answers(&self) -> Result<(), store::Error> {
        let questions = self.inner.store.questions(Questions::Answered, QUESTIONS_MAX).await?;
        let intakes: Vec<Intake> = questions.iter().filter_map(|asked| self.acts_on(asked)).collect();
        self.take_in(intakes, Cursors::default()).await.map(drop)
    }

    fn acts_on(&self, asked: &Asked) -> Option<Intake> {
        let plan = &self.present().plan;
        let about = &asked.about;
        let (workflow, _) = plan.syncing_of(about).find(|(_, reconcile)| reconcile.sync.name == asked.sync)?;
        let choice = serde_json::to_string(&asked.choice).ok()?;
        let event = Event {
            id: format!("answer/{}/{}/{choice}", asked.number, asked.asked_ms),
            source: format!("sync {}", asked.sync),
            kind: "updated".into(),
            time_ms: now_ms(),
            connection: Some(about.connection.clone()),
            tenant: asked.tenant.clone(),
            object: Some(about.object.clone()),
            record_id: Some(about.id.clone()),
            parent_id: asked.parent.clone(),
            ..Event::default()
        };
        self.found(&workflow.name, event)
    }
}
