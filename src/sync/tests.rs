//! A sync that is right, and one mistake at a time.

use super::{Conflict, Delete, Mode, NoneFound, Sync, Which};
use crate::source::{File, Report};

const GOOD: &str = r#"sync: contacts
uses: { crm: a-crm, shop: a-shop }
between: { shop: customer, crm: contact }
only_if: { crm: { $.tags: { contains: shop } } }
match: { by: [email, phone], several_found: ask, none_found: { shop: create } }
fields:
  - { crm: email, shop: mail, as: lowercase }
  - { crm: phone, shop: phone, as: e164 }
  - { crm: tags, shop: segments, as: set, merge: union }
  - { crm: stage, shop: status, as: { map: { lead: Lead, client: Customer } } }
  - { crm: source, shop: lead_source, owner: crm }
conflicts: { default: ask, fields: { mail: crm } }
on_create: { crm: { origin: shop } }
deletes: { crm: archive, shop: unlink }
delete_brake: { records: 50, share: 10% }
first_run: { mode: plan, on_difference: crm }
check_every: 24h
children:
  - { between: { crm: note, shop: note }, fields: [{ crm: body, shop: content }] }
"#;

fn read(text: &str) -> (Option<Sync>, Report) {
    let file = File::read("workflows/contacts.yaml", text).expect("it is YAML");
    let mut report = Report::default();
    let sync = Sync::read(&file, &mut report);
    (sync, report)
}

#[test]
fn a_sync_is_understood() {
    let (sync, report) = read(GOOD);
    assert!(report.is_empty(), "{report:?}");
    let sync = sync.unwrap();
    let [first, second] = &sync.pair.sides;
    assert_eq!((first.alias.as_str(), first.object.as_str()), ("shop", "customer"), "the order of `between`");
    assert_eq!((first.none_found, second.none_found), (NoneFound::Create, NoneFound::Ask));
    assert_eq!((first.delete, second.delete), (Delete::Unlink, Delete::Archive));
    assert!(first.only_if.is_none() && second.only_if.is_some() && second.on_create.is_some());
    assert_eq!(sync.pair.fields[0].names, ["mail", "email"]);
    assert_eq!(sync.pair.match_by, [0, 1]);
    assert_eq!(sync.pair.fields[0].conflict, Conflict::Side(Which::Second));
    assert_eq!(sync.pair.fields[1].conflict, Conflict::Ask);
    assert!(sync.pair.fields[2].union && !sync.pair.needs_times());
    assert_eq!(sync.pair.fields[4].owner, Some(Which::Second));
    assert_eq!((sync.delete_brake_records, sync.delete_brake_percent), (Some(50), Some(10)));
    assert_eq!((sync.first_run.mode, sync.first_run.on_difference), (Mode::Plan, Conflict::Side(Which::Second)));
    let child = &sync.children[0];
    assert_eq!((child.sides[0].object.as_str(), child.sides[1].delete), ("note", Delete::Archive));
    assert_eq!(child.fields[0].names, ["content", "body"]);
}

#[test]
fn mistakes_are_told_where_they_are() {
    // What is written instead of what; the code, the line, and what the help says.
    let table = [
        ("between: { shop: customer, crm:", "between: { shp: customer, crm:", "unknown-alias", 3, "`shop`"),
        ("{ crm: email, shop: mail", "{ crm: email, shp: mail", "unknown-alias", 7, "`shop`"),
        ("{ crm: phone, shop: phone,", "{ crm: phone,", "missing-key", 8, "`shop: the_field`"),
        ("client: Customer", "client: Lead", "one-way", 10, "`owner: shop`"),
        ("as: set, merge", "as: csv, merge", "no-effect", 9, "`as: set`"),
        ("as: lowercase", "as: lower_case", "unknown-conversion", 7, "`lowercase`"),
        ("by: [email,", "by: [e_mail,", "unknown-field", 5, "`email`"),
        ("fields: { mail:", "fields: { maill:", "unknown-field", 12, "`mail`"),
        ("default: ask", "default: newst", "unknown-alias", 12, "`newest`"),
        ("{ mail: crm }", "{ mail: cmr }", "unknown-alias", 12, "`crm`"),
        ("deletes: { crm", "deletes: { crn", "unknown-alias", 14, "`crm`"),
        ("archive,", "archve,", "bad-value", 14, "`archive`"),
        ("none_found: { shop", "none_found: { sho", "unknown-alias", 5, "`shop`"),
        ("on_create: { crm", "on_create: { crms", "unknown-alias", 13, "`crm`"),
        ("only_if: { crm", "only_if: { kram", "unknown-alias", 4, "`shop`, `crm`"),
        ("contains: shop", "contain: shop", "unknown-operator", 4, "`contains`"),
        ("owner: crm }", "owner: ask }", "unknown-alias", 11, "`shop`"),
        ("on_difference: crm", "on_difference: cmr", "unknown-alias", 16, "`crm`"),
        ("check_every: 24h", "check_every: daily", "bad-duration", 17, "`2h`"),
        ("share: 10%", "share: 10", "wrong-type", 15, "quotes"),
        ("share: 10%", "share: a tenth", "bad-name", 15, ""),
        ("crm: phone, shop: phone", "crm: email, shop: phone", "given-twice", 8, "keep one"),
        ("{ crm: note, shop: note }", "{ crm: note, shp: note }", "unknown-alias", 19, "`shop`"),
        ("uses: { crm: a-crm,", "uses: { owner: b, crm: a-crm,", "name-clash", 2, "another alias"),
        ("uses: { crm: a-crm,", "uses: { My-Crm: b, crm: a-crm,", "bad-name", 2, "small letters"),
        ("first_run:", "frist_run:", "unknown-key", 16, "`first_run`"),
        ("sync: contacts", "sync: Contacts", "bad-name", 1, "`contacts`"),
    ];
    for (good, bad, code, line, help) in table {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "`{good}` is in the example");
        let (sync, report) = read(&text);
        let found = report.diagnostics.iter().find(|found| found.code == code);
        let found = found.unwrap_or_else(|| panic!("`{bad}`: {:?}", report.diagnostics));
        assert!(sync.is_none(), "`{bad}` is refused");
        assert_eq!(found.primary.as_ref().map(|label| label.line), Some(line), "`{bad}`");
        assert!(found.help.as_deref().unwrap_or_default().contains(help), "`{bad}`: {:?}", found.help);
    }
}

#[test]
fn a_lossy_conversion_with_an_owner_is_one_way_and_fine() {
    let text = GOOD.replace("client: Customer } }", "client: Lead } }, owner: shop");
    let (sync, report) = read(&text);
    assert!(report.is_empty(), "{report:?}");
    assert_eq!(sync.unwrap().pair.fields[3].owner, Some(Which::First));
}
