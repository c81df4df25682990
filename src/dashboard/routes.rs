//! The one table: every route with the right that it needs, what it takes and what it answers.
//!
//! The router, the check of rights, the API's description and the tests are made of it.

use std::pin::Pin;

use axum::response::Response;

use super::ask::{Ask, Field, OTHERS, Takes};
use super::problem::Problem;
use super::{api, drafts, openapi, pages};
use crate::store::Role;

pub use super::ask::{Place, Takes as Taken};

#[derive(Debug)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// None: whoever asks.
    pub right: Option<Role>,
    pub takes: &'static [Field],
    /// The schema of what is answered, of the API.
    pub gives: &'static str,
    pub what: &'static str,
    pub answer: fn(Ask) -> Answering,
}

pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Api,
    Page,
    /// Of style or script, the same for all.
    File,
}

impl Route {
    pub fn kind(&self) -> Kind {
        match self.path {
            path if path.starts_with("/api/") => Kind::Api,
            path if path.starts_with("/assets/") => Kind::File,
            _ => Kind::Page,
        }
    }
}

macro_rules! route {
    ($method:ident $path:literal, $right:expr, $takes:expr, $gives:literal, $what:literal, $answer:path) => {
        Route {
            method: Method::$method,
            path: $path,
            right: $right,
            takes: $takes,
            gives: $gives,
            what: $what,
            answer: |ask| Box::pin($answer(ask)),
        }
    };
}

const OPEN: Option<Role> = None;
const READ: Option<Role> = Some(Role::Read);
const OPERATE: Option<Role> = Some(Role::Operate);
const ADMIN: Option<Role> = Some(Role::Admin);

/// A name, or an id.
const TEXT: Takes = Takes::Text(200);
const NUMBER: Takes = Takes::Number { min: 1, max: i64::MAX };
const LIMIT: Field =
    Field::query("limit", Takes::Number { min: 1, max: 200 }, "At most so many; 50 if it is not said.");
const CURSOR: Field = Field::query("cursor", NUMBER, "What the page before said as `next`.");
const RUN: Field = Field::path("run", TEXT, "The run's number, its id, or a beginning of its id.");
const SEVERAL: &[Field] = &[
    Field {
        required: false,
        ..Field::body("runs", Takes::Text(4_000), "Their numbers, with commas between them; at most 200.")
    },
    Field {
        required: false,
        ..Field::body(
            "up_to",
            NUMBER,
            "Instead of `runs`: all up to this number, of which at most the newest 2,000 are taken.",
        )
    },
    Field { required: false, ..Field::body("workflow", TEXT, "With `up_to`: only those of this workflow.") },
    Field { required: false, ..Field::body("tenant", TEXT, "With `up_to`: only those of this tenant.") },
    Field {
        required: false,
        ..Field::body("connection", TEXT, "With `up_to`: only those about this account, or using it.")
    },
    Field {
        required: false,
        ..Field::body("record", TEXT, "With `up_to`: only those about the record with this id, or about a child of it.")
    },
    Field {
        required: false,
        ..Field::body("error", TEXT, "With `up_to`: only those that ended with a failure of this name.")
    },
    Field { required: false, ..Field::body("since", Takes::When, "With `up_to`: only those accepted since.") },
    Field { required: false, ..Field::body("until", Takes::When, "With `up_to`: only those accepted before.") },
];
const RECIPE: Field = Field::path("workflow", TEXT, "The name of a workflow or a sync.");
const STARTED: &[Field] = &[
    RECIPE,
    Field { required: false, ..Field::body("inputs", Takes::Map, "Its inputs, or the record: `{ \"id\": … }`.") },
    Field { required: false, ..Field::body("tenant", TEXT, "For whom, where there are several tenants.") },
    Field {
        required: false,
        ..Field::body("connection", TEXT, "The account that the record is of, where there are several.")
    },
];
const RUNS: &[Field] = &[
    Field::query(
        "status",
        Takes::OneOf(&["pending", "completed", "skipped", "failed", "dropped"]),
        "Only those in this state.",
    ),
    Field::query("workflow", TEXT, "Only those of this workflow."),
    Field::query("tenant", TEXT, "Only those of this tenant."),
    Field::query("connection", TEXT, "Only those about this account, or using it."),
    Field::query("record", TEXT, "Only those about the record with this id, or about a child of it."),
    Field::query("error", TEXT, "Only those that ended with a failure of this name."),
    Field::query("since", Takes::When, "Only those accepted since: `2h` ago, a date, or an instant."),
    Field::query("until", Takes::When, "Only those accepted before, written in the same way."),
    LIMIT,
    CURSOR,
];
const FOLLOWED: &[Field] = &[
    Field::query("workflow", TEXT, "Only what is of this workflow."),
    Field::query("connection", TEXT, "Only what is of this account."),
    Field::query("record", TEXT, "Only what is about the record with this id."),
];
const SEARCH: Field = Field::query("search", TEXT, "Only what holds all these words.");
const CONNECTOR: Field = Field::query("connector", TEXT, "Only this connector's.");
const SOUGHT: &[Field] = &[SEARCH, CONNECTOR, CURSOR];
const FOUND: &[Field] = &[SEARCH, CONNECTOR, LIMIT, CURSOR];
const RECORD_SEARCH: Field = Field::query(
    "search",
    TEXT,
    "Only those with this id on either side, or with this whole value: an e-mail address, a phone number, a name.",
);
const PLACE: Field = Field::query("cursor", Takes::Text(2_000), "What the page before said as `next`.");
const RECORDS: &[Field] = &[RECORD_SEARCH, LIMIT, PLACE];
const RECORD: &[Field] = &[
    Field::path("connection", TEXT, "The account."),
    Field::path("object", TEXT, "What kind of record it is."),
    Field::path("id", TEXT, "The record's id on that side."),
    LIMIT,
    CURSOR,
    BEFORE,
];
const BEFORE: Field = Field::query("before", NUMBER, "Only runs before this number.");
const RECORD_STORY: &[Field] = &[
    Field::path("connection", TEXT, "The account."),
    Field::path("object", TEXT, "What kind of record it is."),
    Field::path("id", TEXT, "The record's id on that side."),
    Field::query("limit", Takes::Number { min: 1, max: 50 }, "At most so many; 10 if it is not said."),
    BEFORE,
];
const PAGE: &[Field] = &[LIMIT, CURSOR];
const QUESTION: Field = Field::path("number", NUMBER, "The question's number.");
const SAID: Field = Field::body("answer", TEXT, "One of the question's `answers`, with the id where it says ID.");
const ASKED: Field = Field::body(
    "questions",
    Takes::Text(4_000),
    "Numbers of questions, each with its `seen`: `12:SEEN, 15:SEEN`; at most 100.",
);
const SEEN: Field = Field::body("seen", TEXT, "The question's `seen`: what is answered is what was read.");

pub const TABLE: &[Route] = &[
    // The API.
    route!(Get "/api/v1/openapi.json", READ, &[], "Description", "This API, as OpenAPI describes it.", openapi::tell),
    route!(Get "/api/v1/summary", READ, &[], "Summary", "How much there is of what.", api::overview::summary),
    route!(Get "/api/v1/workflows", READ, &[], "Workflows", "The workflows that are active.", api::workflows::list),
    route!(Get "/api/v1/syncs", READ, &[], "Syncs", "The syncs that are active.", api::workflows::syncs),
    route!(Post "/api/v1/workflows/{workflow}/run", OPERATE, STARTED, "Run", "Starts a workflow by hand.", api::workflows::start),
    route!(Get "/api/v1/workflows/{workflow}/versions", READ, &[RECIPE, LIMIT, CURSOR], "Versions", "A recipe as it was written before, latest first.", api::workflows::versions),
    route!(Post "/api/v1/workflows/{workflow}/on", ADMIN, &[RECIPE], "Switched", "Has a recipe run from now on.", api::drafts::switch_on),
    route!(Post "/api/v1/workflows/{workflow}/off", ADMIN, &[RECIPE], "Switched", "Has a recipe run no more; runs that have begun end as they began.", api::drafts::switch_off),
    route!(Get "/api/v1/connections", READ, &[], "Connections", "How the accounts stand.", api::overview::connections),
    route!(Get "/api/v1/runs", READ, RUNS, "Runs", "Runs, newest first.", api::runs::list),
    route!(Get "/api/v1/dead-letters", READ, PAGE, "Runs", "Runs that failed for good, newest first.", api::runs::dead),
    route!(Post "/api/v1/dead-letters/retry", OPERATE, SEVERAL, "Done", "Tries several dead letters again; what is none any more is left alone.", api::runs::retry_all),
    route!(Post "/api/v1/dead-letters/drop", OPERATE, SEVERAL, "Done", "Gives several dead letters up; what is none any more is left alone.", api::runs::give_all_up),
    route!(Get "/api/v1/runs/{run}", READ, &[RUN], "Run", "One run, without its journal.", api::runs::show),
    route!(Get "/api/v1/runs/{run}/journal", READ, &[RUN, LIMIT, CURSOR], "Journal", "What a run did, oldest first.", api::runs::journal),
    route!(Post "/api/v1/runs/{run}/retry", OPERATE, &[RUN], "Run", "Tries the failed action of a run again.", api::runs::retry),
    route!(Post "/api/v1/runs/{run}/cancel", OPERATE, &[RUN], "Run", "Ends a run that is not over.", api::runs::cancel),
    route!(Post "/api/v1/runs/{run}/drop", OPERATE, &[RUN], "Run", "Gives a failed run up.", api::runs::give_up),
    route!(Post "/api/v1/runs/{run}/replay", OPERATE, &[RUN], "Run", "Starts a run's workflow once more, from the same event; gives the new run.", api::runs::replay),
    route!(Get "/api/v1/questions", READ, PAGE, "Questions", "What syncs leave to a person, oldest first.", api::questions::list),
    route!(Post "/api/v1/questions/answer", OPERATE, &[ASKED, SAID], "Done", "Says the same to several questions; what has changed since it was read is left alone.", api::questions::answer_all),
    route!(Get "/api/v1/questions/{number}", READ, &[QUESTION], "Question", "One question.", api::questions::show),
    route!(Post "/api/v1/questions/{number}/answer", OPERATE, &[QUESTION, SAID, SEEN], "Question", "Says what is to be done.", api::questions::answer),
    route!(Get "/api/v1/plans", READ, &[], "Plans", "The latest plans, newest first.", api::plans::list),
    route!(Post "/api/v1/plans", OPERATE, PLANNED, "Plan", "Begins to look at all records of a sync; nothing is written.", api::plans::make),
    route!(Get "/api/v1/plans/{plan}", READ, &[PLAN, LIMIT, CURSOR], "PlanFound", "One plan, with what it found.", api::plans::show),
    route!(Post "/api/v1/plans/{plan}/apply", OPERATE, &[PLAN, HASH], "Plan", "Has done what a plan says, if both sides are as they were.", api::plans::apply),
    route!(Get "/api/v1/records", READ, RECORDS, "Pairs", "Records that syncs keep alike, both sides as one.", api::records::list),
    route!(Get "/api/v1/records/{connection}/{object}/{id}", READ, RECORD, "Record", "One record, with what lives under it and the latest runs.", api::records::show),
    route!(Get "/api/v1/records/{connection}/{object}/{id}/story", READ, RECORD_STORY, "Stories", "Why a record is as it is: the latest runs about it, or about what lives under it, each with all that it did. What it says as `next` is the `before` of the following page.", api::records::story),
    route!(Get "/api/v1/catalogue", READ, FOUND, "Catalogue", "What a workflow can use.", api::catalogue::list),
    route!(Get "/api/v1/document", OPERATE, &[DOCUMENT], "Document", "A recipe as it is in the project's folder.", api::drafts::show),
    route!(Post "/api/v1/document", ADMIN, &[PATH, TEXT_OF, VERSION_SEEN], "Saved", "Saves a recipe in which nothing is wrong, in place of the version that was seen, and has it served.", api::drafts::save),
    route!(Post "/api/v1/checks", OPERATE, &[PATH, TEXT_OF], "Findings", "All findings about the project, with this recipe in place of what is saved.", api::drafts::check),
    route!(Post "/api/v1/trials", OPERATE, &[PATH, TEXT_OF, SAMPLE, GIVEN], "Trial", "What a recipe would do and send, between pretend vendors.", api::drafts::try_out),
    route!(Get "/api/v1/audit", ADMIN, PAGE, "Deeds", "Who has done what, latest first.", api::overview::audit),
    route!(Get "/api/v1/events", READ, FOLLOWED, "Happenings", "What happens, as it happens: server-sent events, each with JSON.", api::events::follow),
    // The pages.
    route!(Get "/", READ, &[], "", "Overview.", pages::overview::show),
    route!(Get "/runs", READ, RUNS, "", "Runs.", pages::runs::show),
    route!(Get "/runs/{run}", READ, &[RUN, CURSOR], "", "One run.", pages::run::show),
    route!(Post "/runs/{run}/retry", OPERATE, &[RUN], "", "Tries a run again.", pages::run::retry),
    route!(Post "/runs/{run}/cancel", OPERATE, &[RUN], "", "Ends a run.", pages::run::cancel),
    route!(Post "/runs/{run}/drop", OPERATE, &[RUN], "", "Gives a run up.", pages::run::give_up),
    route!(Post "/runs/{run}/replay", OPERATE, &[RUN], "", "Starts a run anew.", pages::run::replay),
    route!(Post "/dead-letters/retry", OPERATE, SEVERAL, "", "Tries several dead letters again.", pages::runs::retry_all),
    route!(Post "/dead-letters/drop", OPERATE, SEVERAL, "", "Gives several dead letters up.", pages::runs::give_all_up),
    route!(Get "/workflows", READ, &[CURSOR], "", "The recipes that are active.", pages::workflows::show),
    route!(Get "/workflows/{workflow}", READ, &[RECIPE], "", "One recipe.", pages::workflows::tell),
    route!(Get "/workflows/{workflow}/history", READ, &[RECIPE, CURSOR], "", "A recipe as it was before.", pages::history::show),
    route!(Post "/workflows/{workflow}/run", OPERATE, STARTED, "", "Starts a workflow by hand.", pages::by_hand::run),
    route!(Post "/workflows/{workflow}/on", ADMIN, &[RECIPE], "", "Has a recipe run.", pages::workflows::switch_on),
    route!(Post "/workflows/{workflow}/off", ADMIN, &[RECIPE], "", "Has a recipe run no more.", pages::workflows::switch_off),
    route!(Get "/edit", OPERATE, &[Field { required: false, ..DOCUMENT }], "", "A recipe to be written.", pages::edit::show),
    route!(Post "/edit", OPERATE, &[PATH, TEXT_OF, VERSION_SEEN, SAMPLE, GIVEN, WANTED], "", "Checks a recipe, or tries it.", pages::edit::work),
    route!(Post "/edit/save", ADMIN, &[PATH, TEXT_OF, VERSION_SEEN, SAMPLE, GIVEN], "", "Saves a recipe.", pages::edit::save),
    route!(Get "/questions", READ, &[CURSOR], "", "What waits for a person.", pages::questions::show),
    route!(Post "/questions/answer", OPERATE, &[ASKED, SAID], "", "Answers several questions.", pages::questions::take_all),
    route!(Post "/questions/{number}/answer", OPERATE, &[QUESTION, PICKED, SEEN, ID], "", "Answers a question.", pages::questions::take),
    route!(Get "/plans", READ, &[SYNC], "", "What syncs would do about all records.", pages::plans::show),
    route!(Post "/plans", OPERATE, PLANNED, "", "Makes a plan.", pages::plans::make),
    route!(Get "/plans/{plan}", READ, &[PLAN, CURSOR], "", "One plan.", pages::plans::tell),
    route!(Post "/plans/{plan}/apply", OPERATE, &[PLAN, HASH], "", "Applies a plan.", pages::plans::apply),
    route!(Get "/records", READ, RECORDS, "", "What syncs keep alike.", pages::records::show),
    route!(Get "/records/{connection}/{object}/{id}", READ, RECORD, "", "One record, both sides.", pages::records::tell),
    route!(Get "/connections", READ, &[], "", "How the accounts stand.", pages::connections::show),
    route!(Post "/connections/{connection}/connect", ADMIN, &[ACCOUNT], "", "Begins to connect an account.", pages::connections::connect),
    route!(Get "/connected", OPEN, BACK, "", "Where somebody comes back to who has agreed at a vendor.", pages::connections::back),
    route!(Get "/catalogue", READ, SOUGHT, "", "What a workflow can use.", pages::catalogue::show),
    route!(Get "/audit", ADMIN, &[CURSOR], "", "Who has done what.", pages::audit::show),
    route!(Get "/sign-in", OPEN, &[Field::query("code", TEXT, ""), Field::query("to", Takes::Text(500), "")], "", "The way in.", pages::sign_in::show),
    route!(Post "/sign-in", OPEN, SIGN_IN, "", "Redeems a code or a token.", pages::sign_in::sign_in),
    route!(Post "/sign-out", READ, &[], "", "The way out.", pages::sign_in::sign_out),
    route!(Get "/assets/style.css", OPEN, &[VERSION], "", "How pages look.", pages::style),
    route!(Get "/assets/icon.svg", OPEN, &[], "", "The mark.", pages::icon),
    route!(Get "/assets/script.js", OPEN, &[VERSION], "", "What pages do by themselves.", pages::script),
];

const DOCUMENT: Field = Field {
    required: true,
    ..Field::query("path", TEXT, "The recipe's path in the project: `workflows/welcome.yaml`.")
};
const PATH: Field = Field::body("path", TEXT, "The recipe's path in the project: `workflows/welcome.yaml`.");
const TEXT_OF: Field = Field::body("text", Takes::Lines(drafts::TEXT_MAX), "The recipe, in YAML.");
const VERSION_SEEN: Field =
    Field::body("version", TEXT, "The `version` of what it takes the place of; `new` where there is none.");
const SAMPLE: Field = Field {
    required: false,
    ..Field::body(
        "sample",
        Takes::Lines(drafts::SAMPLE_MAX),
        "What starts it, as JSON or YAML: inputs, a record, the body of a webhook, new records of a sync by `alias.object`. Without it: the latest that there was, else an example.",
    )
};
const GIVEN: Field = Field {
    required: false,
    ..Field::body(
        "given",
        Takes::Lines(drafts::SAMPLE_MAX),
        "Records that are there already, as JSON or YAML: lists by `alias.object`.",
    )
};
const WANTED: Field = Field::body("do", Takes::OneOf(&["check", "try"]), "What is wanted.");
const PLAN: Field = Field::path("plan", NUMBER, "The plan's number.");
const HASH: Field = Field::body("hash", TEXT, "The plan's `hash`: what is applied is what was read.");
const SYNC: Field = Field::query("sync", TEXT, "Which one is chosen in the form.");
const PLANNED: &[Field] = &[
    Field::body("sync", TEXT, "The sync's name."),
    Field { required: false, ..Field::body("tenant", TEXT, "For whom, where there are several tenants.") },
    Field {
        required: false,
        ..Field::body("deep", Takes::OneOf(&["yes", "no"]), "Whether what lives under the records is looked at, too.")
    },
];
const ACCOUNT: Field = Field::path("connection", TEXT, "The account.");
/// As RFC 6749, sections 4.1.2 and 4.1.2.1, with whatever vendors add.
const BACK: &[Field] = &[
    Field::query("state", TEXT, ""),
    Field::query("code", Takes::Text(4_000), ""),
    Field::query("error", TEXT, ""),
    Field::query("error_description", Takes::Text(1_000), ""),
    Field::query(OTHERS, Takes::Text(0), ""),
];
const PICKED: Field = Field::body("picked", Takes::Number { min: 1, max: 1_000_000 }, "Which of its answers.");
const ID: Field = Field { required: false, ..Field::body("id", TEXT, "The id that is linked.") };
const VERSION: Field = Field::query("v", TEXT, "What is kept is of this version.");
const SIGN_IN: &[Field] = &[
    Field { required: false, ..Field::body("code", TEXT, "") },
    Field { required: false, ..Field::body("token", TEXT, "") },
    Field { required: false, ..Field::body("to", Takes::Text(500), "") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_needs_more_than_to_look() {
        for route in TABLE {
            let leads_in_or_out = route.path == "/sign-in" || route.path == "/sign-out";
            if route.method == Method::Post && !leads_in_or_out {
                assert!(route.right >= Some(Role::Operate), "{}", route.path);
            }
            // What comes back from a vendor is known by its state: a cookie does not come with it.
            let is_open = route.kind() == Kind::File || ["/sign-in", "/connected"].contains(&route.path);
            assert_eq!(route.right.is_none(), is_open, "{}", route.path);
        }
    }

    #[test]
    fn a_route_lists_the_names_of_its_path() {
        for route in TABLE {
            let named: Vec<&str> =
                route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let listed: Vec<&str> =
                route.takes.iter().filter(|field| field.place == Place::Path).map(|field| field.name).collect();
            assert_eq!(named, listed, "{}", route.path);
            let body = route.takes.iter().any(|field| field.place == Place::Body);
            assert!(!body || route.method == Method::Post, "{}", route.path);
        }
    }
}
