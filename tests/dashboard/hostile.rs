//! Does a page hold more than its own markup?

use regex::Regex;

pub use super::payloads::PAYLOADS;
use super::visitor::Visitor;

const TAGS: &str = " html head meta title link script body header a svg path rect line span nav form input button main h1 h2 h3 p ul li \
                    strong section figure figcaption table thead tbody tr th td time div label select option datalist dl dt dd \
                    details summary pre ol article small code meter textarea h4 ins del ";
const ATTRIBUTES: &str = " lang charset name content rel href src defer class viewbox width height aria-hidden d aria-label \
                          aria-current aria-labelledby method action type value title role id tabindex datetime scope data-live \
                          list maxlength placeholder selected start required autocomplete preserveaspectratio x y x1 x2 y1 y2 \
                          min max rows spellcheck autocapitalize data-desk aria-live open hidden formaction ";

/// Elements, attributes and addresses that no page of ours has; characters that hide.
pub fn strange(page: &str) -> Vec<String> {
    let tag = Regex::new(r#"(?s)<(/?)([a-zA-Z!?][^\s>]*)((?:[^>"]|"[^"]*")*)>"#).expect("a pattern");
    let attribute = Regex::new(r#"([^\s"=>]+)(?:="([^"]*)")?"#).expect("a pattern");
    let mut found = Vec::new();
    let mut rest = 0;
    for one in tag.captures_iter(page) {
        let whole = one.get(0).expect("it matched");
        found.extend(
            page[rest..whole.start()].contains('<').then(|| format!("a stray <: {}", &page[rest..whole.start()])),
        );
        rest = whole.end();
        let name = one[2].to_lowercase();
        if !TAGS.contains(&format!(" {name} ")) && name != "!doctype" {
            found.push(format!("<{name}>"));
        }
        if name == "!doctype" {
            continue;
        }
        for one in attribute.captures_iter(&one[3]) {
            let (name, value) = (one[1].to_lowercase(), one.get(2).map_or("", |value| value.as_str()));
            if !ATTRIBUTES.contains(&format!(" {name} ")) {
                found.push(format!("{name}="));
            }
            let leads = ["href", "src", "action"].contains(&name.as_str());
            let is_own = value.starts_with("/") && !value.starts_with("//") || value == "#content";
            if leads && !is_own {
                found.push(format!("{name}={value}"));
            }
        }
    }
    if page.matches("<script").count() != 1 {
        found.push("more than one script".into());
    }
    let hides = |letter: &char| {
        letter.is_control() && !"\n\t".contains(*letter) || "\u{200b}\u{202e}\u{2066}\u{feff}".contains(*letter)
    };
    found.extend(page.chars().filter(hides).map(|letter| format!("{letter:?}")));
    found
}

/// Looks at each page, and gives on how many a payload stands as text.
pub async fn inert(person: &Visitor, paths: &[String]) -> usize {
    let mut shown = 0;
    for path in paths {
        let said = person.get(path).await;
        assert!([200, 400, 404].contains(&said.status), "{path}: {said:?}");
        assert_eq!(strange(&said.text), Vec::<String>::new(), "{path}: {}", said.text);
        assert!(said.text.len() < 100_000, "{path} has {} bytes", said.text.len());
        shown += usize::from(said.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
    shown
}
