//! What somebody writes into a contact to harm whoever looks at it, and whether a page holds more than its own markup.

use regex::Regex;

use super::visitor::Visitor;

pub const PAYLOADS: &[&str] = &[
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "\" style=\"background:url(https://evil.example/x)",
    "javascript:alert(1)",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<iframe src=//evil.example>",
    "<object data=//evil.example>",
    "<embed src=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<form action=//evil.example><input name=csrf>",
    "</form><form action=//evil.example>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<ScRiPt >alert(1)</sCrIpT>",
    "<script/x>alert(1)</script/x>",
    "<<script>alert(1)//<</script>",
    "<x onclick=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "{{7*7}}",
    "\u{202e}<script>alert(1)</script>",
    "a\u{0}b\u{8}c\u{1b}[31mred",
    "a\u{200b}b\u{feff}c\u{2066}d",
    "a\r\nSet-Cookie: x=y\r\n\r\n<script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\x3cscript\\x3ealert(1)\\x3c/script\\x3e",
];

const TAGS: &str = " html head meta title link script body header a svg path rect line span nav form input button main h1 h2 h3 p ul li \
                    strong section figure figcaption table thead tbody tr th td time div label select option datalist dl dt dd \
                    details summary pre ol article small code meter ";
const ATTRIBUTES: &str = " lang charset name content rel href src defer class viewbox width height aria-hidden d aria-label \
                          aria-current aria-labelledby method action type value title role id tabindex datetime scope data-live \
                          list maxlength placeholder selected start required autocomplete preserveaspectratio x y x1 x2 y1 y2 \
                          min max ";

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
