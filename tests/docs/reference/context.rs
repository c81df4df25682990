//! The roots that paths, templates and scripts can read.

use dovetail::project::roots;

use super::{Page, code, described, line, table};

pub fn page() -> Page {
    let mut text = String::from(
        "What a path, a template or a script can read. In a path the name comes after `$.`, in a template and in a script it\n\
         stands alone: `$.contact.email`, `{{contact.email}}`, `contact.email`.\n\n",
    );
    let by_document = [
        [
            "`$.contact`, `$.task`, …",
            "The record that the event is about, under its object's name or what `as` of the trigger says; its last known copy if it was deleted. See [triggers](triggers.md#under-which-name-the-record-is-read).",
        ],
        [
            "the `id` of an action",
            "Its result, for all that follows: what `call` brings, the record after `upsert`, the values of `set`, what `run` gives, the record whose event a `wait` was for. Of `if` and `switch`, the result of the last action that was done. Of `for_each` and `parallel`, a list: for each item or branch, the result of its last action; one that was skipped has none, and is left out where the whole list is read. Absent if the action did not run or failed, or if what it waited for did not come in time.",
        ],
        [
            "`$.item`",
            "Inside `for_each`: the item. `as` gives it another name. After `$each`: the item that `$to` makes something of.",
        ],
    ];
    let fixed =
        roots().map(|root| vec![code(&format!("$.{}", root.name)), described(root.name, Some(root.what)).to_owned()]);
    let rows = by_document.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).chain(fixed);
    table(&mut text, &["Root", "Holds"], &rows.collect::<Vec<_>>());
    for root in roots().filter(|root| !root.fields.is_empty()) {
        line(&mut text, &format!("## `$.{}`\n", root.name));
        let field = |(name, what): &(&str, &str)| {
            let name = format!("$.{}.{name}", root.name);
            vec![code(&name), described(&name, Some(what)).to_owned()]
        };
        table(&mut text, &["Path", "Holds"], &root.fields.iter().map(field).collect::<Vec<_>>());
    }
    line(&mut text, "A name that is not known is an error of `dovetail check`, with the nearest one.");
    Page {
        name: "context",
        title: "The context",
        about: "what can be read: the record, `$.event`, `$.run`, results",
        text,
    }
}
