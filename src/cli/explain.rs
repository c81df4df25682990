//! `explain`: what a finding's code means, with an example and how to put it right.

mod pages;

use anyhow::Result;
use serde_json::json;

use super::{exit, say};
use crate::source::nearest;

#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The word in brackets: of `error[unknown-key]` it is `unknown-key`.
    #[arg(required_unless_present = "list")]
    code: Option<String>,
    /// Every code, each with what it is about.
    #[arg(long, conflicts_with = "code")]
    list: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn run(self) -> Result<u8> {
        let Some(code) = self.code else {
            self.all();
            return Ok(exit::OK);
        };
        // People paste what they see.
        let code = code.trim().trim_start_matches("error").trim_start_matches("warning");
        let code = code.trim_start_matches('[').trim_end_matches([']', ':']);
        let Some(page) = page(code) else {
            let help = match nearest(code, pages::PAGES.iter().map(|(known, _)| *known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`dovetail explain --list` names them all".to_owned(),
            };
            return Err(exit::usage(format!("no finding has the code `{code}`; {help}")));
        };
        if self.json {
            say::data(&json!({ "code": code, "title": title(page), "page": page }).to_string());
        } else {
            say::data(told(page, say::width()).trim_end());
        }
        Ok(exit::OK)
    }

    fn all(&self) {
        if self.json {
            let all: Vec<_> =
                pages::PAGES.iter().map(|(code, page)| json!({ "code": code, "title": title(page) })).collect();
            say::data(&json!(all).to_string());
            return;
        }
        let longest = pages::PAGES.iter().map(|(code, _)| code.len()).max().unwrap_or(0);
        for (code, page) in pages::PAGES {
            say::data(&format!("{code:longest$}  {}", title(page)));
        }
    }
}

/// The page of a code.
pub fn page(code: &str) -> Option<&'static str> {
    pages::PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

/// What stands behind the code in the first line.
pub fn title(page: &str) -> &str {
    let first = page.lines().next().unwrap_or_default();
    first.split_once(": ").map_or(first, |(_, title)| title)
}

/// The page as a terminal shows it: comments and fences left out, examples indented, paragraphs as wide as the window.
pub fn told(page: &str, width: Option<usize>) -> String {
    let mut told = String::new();
    let mut in_example = false;
    for line in page.lines().filter(|line| !line.starts_with("<!-- ")) {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with("```") {
            in_example = !in_example;
        } else if in_example {
            told.push_str(&format!("    {line}\n"));
        } else if !(line.is_empty() && told.ends_with("\n\n")) {
            told.push_str(&wrapped(&line.replace("**", ""), width.unwrap_or(usize::MAX)));
        }
    }
    told
}

fn wrapped(line: &str, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_without_its_marks() {
        let page = "# `a-code`: what it is\n\nIt says `x` and a lot more.\n\n<!-- in: actions -->\n\n<!-- wrong -->\n**Wrong:**\n\n```yaml\n- stop: 1\n```\n";
        let expected = "`a-code`: what it is\n\nIt says `x` and a lot\nmore.\n\nWrong:\n\n    - stop: 1\n";
        assert_eq!(told(page, Some(22)), expected);
        assert_eq!(title(page), "what it is");
    }

    #[test]
    fn every_page_has_a_title_and_fits() {
        for (code, page) in pages::PAGES {
            assert!(page.starts_with(&format!("# `{code}`: ")), "{code}");
            assert!(!told(page, None).contains("```") && !told(page, None).contains("<!--"), "{code}");
        }
    }
}
