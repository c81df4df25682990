//! What every project can use, whatever its connectors.

use super::item::{Item, Kind};

/// Actions without a request, by verb: what each does, and how it is written.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("set", "Names values for later actions; needs an `id`.", "- id: lead\n  set: { name: Ada Lovelace, score: 7 }\n"),
    (
        "if",
        "Goes on with `then` when the condition holds, else with `else`.",
        "- if:\n    $.run.attempt: { gt: 1 }\n  then:\n    - stop: tried again\n  else:\n    - stop: the first time\n",
    ),
    (
        "switch",
        "Goes on with the case that a value chooses, else with `default`.",
        "- switch: $.run.attempt\n  cases:\n    \"1\": [{ stop: the first time }]\n  default: [{ stop: tried again }]\n",
    ),
    (
        "for_each",
        "Does its actions for each item of a list, or of a list operation page by page.",
        "- for_each: [red, green]\n  as: colour\n  actions:\n    - id: painted\n      set: { colour: $.colour }\n",
    ),
    (
        "parallel",
        "Goes several ways at once; what waits in one does not hold up the others.",
        "- parallel:\n    - { id: one, set: { colour: red } }\n    - - { id: two, set: { colour: green } }\n      - { id: three, set: { shade: $.two.colour } }\n",
    ),
    (
        "wait",
        "Waits for some time (`for`), until an instant (`until`), or for an `event`; survives restarts.",
        "- wait: { for: 2h }\n",
    ),
    (
        "run",
        "Runs another workflow, one that begins by hand; gives its `stop` value.",
        "- id: greeting\n  run: hello\n  with: { first_name: Ada }\n",
    ),
    (
        "emit",
        "Tells other workflows that something happened; they hear it as `event: project.order-paid`.",
        "- emit: order-paid\n  with: { order: \"{{run.id}}\" }\n",
    ),
    ("stop", "Ends the run, completed, with a value.", "- stop: all is done\n"),
    (
        "fail",
        "Ends the run as failed: a dead letter for a person to look at.",
        "- fail: \"run {{run.id}} cannot go on\"\n",
    ),
];

/// Triggers that no connector brings.
const TRIGGERS: &[(&str, &str, &str)] = &[
    (
        "manual",
        "Started by a person: `dovetail run NAME`.",
        "trigger:\n  manual:\n    inputs:\n      email: { type: string, format: email, title: E-mail address }\n",
    ),
    (
        "schedule",
        "At times: minute, hour, day of month, month, day of week (1 is Monday).",
        "trigger:\n  schedule: \"0 8 * * 1-5\"\n  timezone: Europe/London\n  missed: run_once\n",
    ),
    (
        "project",
        "An event of the project itself, made by `emit` in another workflow.",
        "trigger:\n  event: project.order-paid\n",
    ),
    (
        "webhook",
        "A POST to a path of its own, proved by a rule; with `verify: none` the URL itself is the secret.",
        "trigger:\n  webhook: /new-order\n  verify: none\n  schema:\n    type: object\n    properties: { order_id: { type: string } }\n",
    ),
];

pub fn all() -> Vec<Item> {
    let actions = ACTIONS.iter().map(|(name, what, example)| Item::new(Kind::Action, *name, *what, *example));
    let triggers = TRIGGERS.iter().map(|(name, what, example)| Item::new(Kind::Trigger, *name, *what, *example));
    actions.chain(triggers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::action::VERBS;

    #[test]
    fn every_verb_is_told() {
        // Those with a connector are told per operation and object.
        let verbs: Vec<&str> = VERBS.iter().filter(|verb| !["call", "upsert"].contains(verb)).copied().collect();
        let told: Vec<&str> = ACTIONS.iter().map(|(verb, ..)| *verb).collect();
        assert_eq!(told, verbs);
    }
}
