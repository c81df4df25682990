//! Our objects as the SDK of Restate serves them.

use std::sync::Arc;
use std::time::Duration;

use restate_sdk::context::RequestTarget;
use restate_sdk::endpoint::{Endpoint, HandlerOptions, ServiceOptions};
use restate_sdk::prelude::*;
use restate_sdk::service::IntoServiceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::budget;
use super::called;
use super::credential;
use super::erasing::Erasing;
use super::feed::{self, Page};
use super::ingress::Object;
use super::known::{self, Telling};
use super::line::{Arriving, Decided, Desk, GoOn};
use super::mail::{self, Leaving, Waiter};
use super::moving::Taking;
use super::objects::{self, Documents, LINE, Objects};
use super::pacts;
use super::pairs::{self, Keeping, Taken};
use super::places;
use super::plans;
use super::rest::{self, Work};
use super::steps::{Looks, Steps, Stopped};
use super::tokens;
use super::turns::{self, Taker};
use crate::engine::Engine;
use crate::run::{Known, Received, RecordRef, Start};
use crate::store::Asked;
use crate::workflow::Looked;

/// Ids of deliveries are known for so long, as in the store.
const IDS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A step may take so long: several requests, and short waits between them.
const STEP_MAX: Duration = Duration::from_secs(600);

/// Nothing that was accepted is given up: at a call every two seconds, this is more than six years.
const ATTEMPTS_MAX: u64 = 100_000_000;

/// All that Restate calls in this process; only whoever signs with one of these public keys, if there are any. `engine`: None, if it
/// lives through no run.
///
/// # Errors
/// In words, when a key is none.
pub(super) fn endpoint(engine: Option<&Engine>, objects: &Arc<Objects>, keys: &[String]) -> Result<Endpoint, String> {
    let options = || {
        ServiceOptions::new()
            .enable_lazy_state(true)
            // What came of a call is forgotten, unless somebody may call once more.
            .idempotency_retention(Duration::ZERO)
            .journal_retention(Duration::ZERO)
            .inactivity_timeout(STEP_MAX)
            .abort_timeout(STEP_MAX)
            .retry_policy_initial_interval(Duration::from_millis(50))
            .retry_policy_max_attempts(ATTEMPTS_MAX)
            .retry_policy_max_interval(Duration::from_secs(2))
    };
    let once = HandlerOptions::new().idempotency_retention(IDS_KEPT);
    let (engine, objects) = (engine.cloned(), Arc::clone(objects));
    // A line is small, and read whole; of the others a part of much is read.
    let builder = keys.iter().try_fold(Endpoint::builder(), |builder, key| {
        let none = |_| format!("`{key}` is no public key of Restate: it says its own when it starts, as publickeyv1_…");
        builder.identity_key(key).map_err(none)
    })?;
    let endpoint = builder
        .bind(Feed.into_service_definition().options(options()))
        .bind(Copies.into_service_definition().options(options()))
        .bind(Pairs.into_service_definition().options(options()))
        .bind(Turns.into_service_definition().options(options()))
        .bind(Places.into_service_definition().options(options()))
        .bind(Duties.into_service_definition().options(options()))
        .bind(Pacts.into_service_definition().options(options()))
        .bind(Mail.into_service_definition().options(options()))
        .bind(Budget.into_service_definition().options(options()))
        .bind(Credential.into_service_definition().options(options()))
        .bind(Plans.into_service_definition().options(options()))
        .bind(Tokens.into_service_definition().options(options()))
        .bind(
            Line { engine, objects: Arc::clone(&objects) }
                .into_service_definition()
                .options(options().enable_lazy_state(false).handler("accept", once.clone()).handler("take_over", once)),
        )
        .build();
    Ok(endpoint)
}

impl From<Stopped> for HandlerError {
    fn from(stopped: Stopped) -> HandlerError {
        match stopped {
            Stopped::Cancelled(why) => TerminalError::new(why).into(),
            Stopped::Elsewhere => HandlerError::from("this process stops"),
        }
    }
}

fn stopped(error: TerminalError) -> Stopped {
    Stopped::Cancelled(error.message().to_owned())
}

struct Exclusive<'s, 'c>(&'s ObjectContext<'c>);

impl Looks for Exclusive<'_, '_> {
    async fn get<T: DeserializeOwned + 'static>(&self, name: &str) -> Result<Option<T>, Stopped> {
        Ok(self.0.get::<Json<T>>(name).await.map_err(stopped)?.map(Json::into_inner))
    }
}

impl Steps for Exclusive<'_, '_> {
    fn sees_none(&self, name: &str) -> bool {
        called::sees_none(name)
    }

    fn set<T: Serialize + 'static>(&self, name: &str, value: T) {
        self.0.set(name, Json(value));
    }

    fn clear(&self, name: &str) {
        self.0.clear(name);
    }

    async fn step<T, F>(&self, name: &str, work: F) -> Result<T, Stopped>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let work = async move {
            let _under_way = rest::begins(Work::Step);
            Ok(Json(work.await))
        };
        let done = self.0.run(|| work).name(name).await;
        Ok(done.map_err(stopped)?.into_inner())
    }

    async fn call<T, A>(&self, of: &Object, handler: &str, message: T) -> Result<A, Stopped>
    where
        T: Serialize + Send + 'static,
        A: DeserializeOwned + 'static,
    {
        let target = RequestTarget::object(of.service, &of.key, handler);
        let answer = self.0.request::<_, Json<A>>(target, Json(message)).call().await;
        Ok(answer.map_err(stopped)?.into_inner())
    }

    fn send<T: Serialize + 'static>(&self, to: &Object, handler: &str, message: T, after_ms: u64) {
        let target = RequestTarget::object(to.service, &to.key, handler);
        let request = self.0.request::<_, ()>(target, Json(message));
        rest::is_sent();
        drop(match after_ms {
            0 => request.send(),
            after_ms => request.send_after(Duration::from_millis(after_ms)),
        });
    }
}

/// As [`Exclusive`], for handlers that only look, beside others.
struct Shared<'s, 'c>(&'s SharedObjectContext<'c>);

impl Looks for Shared<'_, '_> {
    async fn get<T: DeserializeOwned + 'static>(&self, name: &str) -> Result<Option<T>, Stopped> {
        Ok(self.0.get::<Json<T>>(name).await.map_err(stopped)?.map(Json::into_inner))
    }
}

struct Line {
    engine: Option<Engine>,
    objects: Arc<Objects>,
}

impl Line {
    fn this(&self, ctx: &ObjectContext<'_>) -> Object {
        Object { service: LINE, key: ctx.key().to_owned() }
    }
}

/// The desk of a handler.
macro_rules! desk {
    ($self:ident, $ctx:ident) => {
        Desk {
            steps: &Exclusive(&$ctx),
            engine: $self.engine.as_ref(),
            objects: &$self.objects,
            this: &$self.this(&$ctx),
        }
    };
}

#[object(name = "DovetailLine")]
impl Line {
    /// A run that came with an event.
    #[handler]
    async fn accept(&self, ctx: ObjectContext<'_>, arriving: Json<Arriving>) -> HandlerResult<()> {
        Ok(desk!(self, ctx).accept(arriving.into_inner()).await?)
    }

    #[handler]
    async fn take_over(&self, ctx: ObjectContext<'_>, taking: Json<Taking>) -> HandlerResult<()> {
        Ok(desk!(self, ctx).take_over(taking.into_inner()).await?)
    }

    /// A run that another run begins.
    #[handler]
    async fn begin(&self, ctx: ObjectContext<'_>, start: Json<Start>) -> HandlerResult<()> {
        Ok(desk!(self, ctx).accept(Arriving::New(Box::new(start.into_inner()))).await?)
    }

    #[handler]
    async fn go_on(&self, ctx: ObjectContext<'_>, call: Json<GoOn>) -> HandlerResult<()> {
        Ok(desk!(self, ctx).go_on(call.into_inner()).await?)
    }

    /// See [`super::line::COME_IN`].
    #[handler]
    async fn come_in(&self, ctx: ObjectContext<'_>, call: Json<GoOn>) -> HandlerResult<()> {
        Ok(desk!(self, ctx).come_in(call.into_inner()).await?)
    }

    #[handler]
    async fn retry(&self, ctx: ObjectContext<'_>, decided: Json<Decided>) -> HandlerResult<Json<bool>> {
        Ok(Json(desk!(self, ctx).retry(decided.into_inner()).await?))
    }

    #[handler]
    async fn drop_dead(&self, ctx: ObjectContext<'_>, decided: Json<Decided>) -> HandlerResult<Json<bool>> {
        Ok(Json(desk!(self, ctx).drop_dead(decided.into_inner()).await?))
    }

    #[handler]
    async fn cancel(&self, ctx: ObjectContext<'_>, decided: Json<Decided>) -> HandlerResult<Json<bool>> {
        Ok(Json(desk!(self, ctx).cancel(decided.into_inner()).await?))
    }
}

struct Feed;

#[object(name = "DovetailFeed")]
impl Feed {
    #[handler]
    async fn keep(&self, ctx: ObjectContext<'_>, notes: Json<Vec<Box<RawValue>>>) -> HandlerResult<()> {
        rest::is_told();
        Ok(feed::keep(&Exclusive(&ctx), notes.into_inner()).await?)
    }

    #[handler]
    async fn erase(&self, ctx: ObjectContext<'_>, erasing: Json<Erasing>) -> HandlerResult<()> {
        Ok(feed::erase(&Exclusive(&ctx), erasing.into_inner()).await?)
    }

    #[handler]
    async fn read(&self, ctx: SharedObjectContext<'_>, from: Json<u64>) -> HandlerResult<Json<Page>> {
        Ok(Json(feed::read(&Shared(&ctx), from.into_inner()).await?))
    }
}

struct Copies;

#[object(name = "DovetailKnown")]
impl Copies {
    #[handler]
    async fn recall(&self, ctx: SharedObjectContext<'_>, run: Json<String>) -> HandlerResult<Json<Option<Known>>> {
        Ok(Json(known::recall(&Shared(&ctx), &run.into_inner()).await?))
    }

    #[handler]
    async fn tell(&self, ctx: ObjectContext<'_>, telling: Json<Telling>) -> HandlerResult<Json<bool>> {
        Ok(Json(known::tell(&Exclusive(&ctx), telling.into_inner()).await?))
    }

    #[handler]
    async fn take_over(&self, ctx: ObjectContext<'_>, known: Json<Known>) -> HandlerResult<()> {
        known::take_over(&Exclusive(&ctx), known.into_inner());
        Ok(())
    }

    #[handler]
    async fn erase(&self, ctx: ObjectContext<'_>, _: Json<Erasing>) -> HandlerResult<()> {
        Ok(known::erase(&Exclusive(&ctx)).await?)
    }
}

struct Pairs;

#[object(name = "DovetailPairs")]
impl Pairs {
    #[handler]
    async fn keep(&self, ctx: ObjectContext<'_>, keeping: Json<Keeping>) -> HandlerResult<Json<Option<Taken>>> {
        Ok(Json(pairs::keep(&Exclusive(&ctx), &keeping.into_inner()).await?))
    }

    #[handler]
    async fn look(&self, ctx: SharedObjectContext<'_>, of: Json<RecordRef>) -> HandlerResult<Json<Option<String>>> {
        Ok(Json(pairs::look(&Shared(&ctx), &of.into_inner()).await?))
    }
}

struct Turns;

#[object(name = "DovetailTurn")]
impl Turns {
    #[handler]
    async fn take(&self, ctx: ObjectContext<'_>, taker: Json<Taker>) -> HandlerResult<Json<bool>> {
        Ok(Json(turns::take(&Exclusive(&ctx), taker.into_inner()).await?))
    }

    #[handler]
    async fn release(&self, ctx: ObjectContext<'_>, taker: Json<Taker>) -> HandlerResult<()> {
        Ok(turns::release(&Exclusive(&ctx), taker.into_inner()).await?)
    }
}

struct Places;

#[object(name = "DovetailPlace")]
impl Places {
    #[handler]
    async fn get(&self, ctx: SharedObjectContext<'_>) -> HandlerResult<Json<Option<Value>>> {
        Ok(Json(places::get(&Shared(&ctx)).await?))
    }

    #[handler]
    async fn set(&self, ctx: ObjectContext<'_>, place: Json<Value>) -> HandlerResult<()> {
        places::set(&Exclusive(&ctx), place.into_inner());
        Ok(())
    }

    #[handler]
    async fn begin(&self, ctx: ObjectContext<'_>, place: Json<Value>) -> HandlerResult<Json<Value>> {
        Ok(Json(places::begin(&Exclusive(&ctx), place.into_inner()).await?))
    }
}

struct Duties;

#[object(name = "DovetailDuty")]
impl Duties {
    #[handler]
    async fn take(&self, ctx: ObjectContext<'_>, process: Json<String>) -> HandlerResult<Json<bool>> {
        Ok(Json(places::take(&Exclusive(&ctx), process.into_inner()).await?))
    }
}

struct Pacts;

#[object(name = "DovetailPacts")]
impl Pacts {
    #[handler]
    async fn keep(&self, ctx: ObjectContext<'_>, keeping: Json<pacts::Keeping>) -> HandlerResult<()> {
        Ok(pacts::keep(&Exclusive(&ctx), keeping.into_inner()).await?)
    }

    #[handler]
    async fn erase(&self, ctx: ObjectContext<'_>, erasing: Json<Erasing>) -> HandlerResult<()> {
        Ok(pacts::erase(&Exclusive(&ctx), erasing.into_inner()).await?)
    }

    #[handler]
    async fn look(&self, ctx: SharedObjectContext<'_>, wanted: Json<pacts::Wanted>) -> HandlerResult<Json<Looked>> {
        Ok(Json(pacts::look(&Shared(&ctx), wanted.into_inner()).await?))
    }

    #[handler]
    async fn take_over(&self, ctx: ObjectContext<'_>, taking: Json<pacts::Taking>) -> HandlerResult<()> {
        Ok(pacts::take_over(&Exclusive(&ctx), taking.into_inner()).await?)
    }

    #[handler]
    async fn tell(&self, ctx: ObjectContext<'_>, asked: Json<Asked>) -> HandlerResult<()> {
        Ok(pacts::tell(&Exclusive(&ctx), &objects::feed(), asked.into_inner()).await?)
    }
}

struct Mail;

#[object(name = "DovetailMail")]
impl Mail {
    #[handler]
    async fn leave(&self, ctx: ObjectContext<'_>, leaving: Json<Leaving>) -> HandlerResult<()> {
        Ok(mail::leave(&Exclusive(&ctx), leaving.into_inner()).await?)
    }

    #[handler]
    async fn erase(&self, ctx: ObjectContext<'_>, erasing: Json<Erasing>) -> HandlerResult<()> {
        Ok(mail::erase(&Exclusive(&ctx), erasing.into_inner()).await?)
    }

    #[handler]
    async fn take_over(&self, ctx: ObjectContext<'_>, taking: Json<mail::Taking>) -> HandlerResult<()> {
        Ok(mail::take_over(&Exclusive(&ctx), taking.into_inner()).await?)
    }

    #[handler]
    async fn wait(&self, ctx: ObjectContext<'_>, waiter: Json<Waiter>) -> HandlerResult<Json<bool>> {
        Ok(Json(mail::wait(&Exclusive(&ctx), waiter.into_inner()).await?))
    }

    #[handler]
    async fn first(&self, ctx: SharedObjectContext<'_>, waiter: Json<Waiter>) -> HandlerResult<Json<Option<Received>>> {
        Ok(Json(mail::first(&Shared(&ctx), &waiter.into_inner()).await?))
    }
}

struct Tokens;

#[object(name = "DovetailTokens")]
impl Tokens {
    #[handler]
    async fn merge(
        &self,
        ctx: ObjectContext<'_>,
        telling: Json<tokens::Telling>,
    ) -> HandlerResult<Json<tokens::Merged>> {
        Ok(Json(tokens::merge(&Exclusive(&ctx), telling.into_inner()).await?))
    }
}

struct Budget;

#[object(name = "DovetailBudget")]
impl Budget {
    #[handler]
    async fn lease(
        &self,
        ctx: ObjectContext<'_>,
        wanted: Json<budget::Wanted>,
    ) -> HandlerResult<Json<budget::Granted>> {
        Ok(Json(budget::lease(&Exclusive(&ctx), wanted.into_inner()).await?))
    }
}

struct Credential;

#[object(name = "DovetailCredential")]
impl Credential {
    #[handler]
    async fn get(&self, ctx: SharedObjectContext<'_>) -> HandlerResult<Json<Option<credential::Kept>>> {
        Ok(Json(credential::get(&Shared(&ctx)).await?))
    }

    #[handler]
    async fn put(&self, ctx: ObjectContext<'_>, putting: Json<credential::Putting>) -> HandlerResult<Json<bool>> {
        Ok(Json(credential::put(&Exclusive(&ctx), putting.into_inner()).await?))
    }

    #[handler]
    async fn lease(&self, ctx: ObjectContext<'_>, leasing: Json<credential::Leasing>) -> HandlerResult<Json<bool>> {
        Ok(Json(credential::lease(&Exclusive(&ctx), leasing.into_inner()).await?))
    }

    #[handler]
    async fn release(&self, ctx: ObjectContext<'_>, lease: Json<String>) -> HandlerResult<()> {
        Ok(credential::release(&Exclusive(&ctx), lease.into_inner()).await?)
    }
}

struct Plans;

#[object(name = "DovetailPlan")]
impl Plans {
    #[handler]
    async fn keep(&self, ctx: ObjectContext<'_>, documents: Json<Documents>) -> HandlerResult<()> {
        Ok(plans::keep(&Exclusive(&ctx), documents.into_inner()).await?)
    }

    #[handler]
    async fn serve(&self, ctx: ObjectContext<'_>, at_ms: Json<i64>) -> HandlerResult<()> {
        plans::serve(&Exclusive(&ctx), at_ms.into_inner());
        Ok(())
    }

    #[handler]
    async fn forget(&self, ctx: ObjectContext<'_>, before_ms: Json<i64>) -> HandlerResult<Json<bool>> {
        Ok(Json(plans::forget(&Exclusive(&ctx), before_ms.into_inner()).await?))
    }

    #[handler]
    async fn read(&self, ctx: SharedObjectContext<'_>) -> HandlerResult<Json<Option<Documents>>> {
        Ok(Json(plans::read(&Shared(&ctx)).await?))
    }
}
