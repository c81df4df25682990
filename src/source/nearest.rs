//! The nearest name to a mistyped one.

/// No key or name that people write is longer; what is longer is not compared, since comparing is quadratic.
const LENGTH_MAX: usize = 120;

/// The candidate that a person most likely meant, if any is near enough.
///
/// Near is: few letters mistyped (a third, case aside), the same words in another order (`create_contact`,
/// `contact.create`), or the beginning or the last word of the name.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = Name::new(word)?;
    let allowed = match wanted.letters.len() {
        0 | 1 => 0,
        2..=5 => 1,
        length => (length / 3).min(4),
    };
    let mut best: Option<(Nearness, &str)> = None;
    for candidate in candidates {
        let Some(nearness) = Name::new(candidate).and_then(|name| wanted.near(&name, allowed)) else { continue };
        if best.is_none_or(|(found, _)| nearness < found) {
            best = Some((nearness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How near, nearest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    SameWords,
    /// So many letters mistyped.
    Typed(usize),
    /// A part of the name, so many letters left out.
    Part(usize),
}

struct Name {
    letters: Vec<char>,
    words: Vec<String>,
}

impl Name {
    fn new(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        Some(Self { letters: text.chars().flat_map(char::to_lowercase).collect(), words: words(text) })
    }

    fn near(&self, other: &Self, allowed: usize) -> Option<Nearness> {
        if self.words == other.words || same_words(&self.words, &other.words) {
            return Some(Nearness::SameWords);
        }
        let typed = distance(&self.letters, &other.letters);
        if typed <= allowed {
            return Some(Nearness::Typed(typed));
        }
        self.is_part_of(other).then(|| Nearness::Part(self.letters.len().abs_diff(other.letters.len())))
    }

    /// Either is the beginning of the other, or its last words.
    fn is_part_of(&self, other: &Self) -> bool {
        let (short, long) = if self.letters.len() < other.letters.len() { (self, other) } else { (other, self) };
        short.letters.len() >= 3 && (long.letters.starts_with(&short.letters) || long.words.ends_with(&short.words))
    }
}

/// The words of a name: `contact.createAll` is `contact`, `create`, `all`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for letter in text.chars() {
        if !letter.is_alphanumeric() || (lower_before && letter.is_uppercase()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().expect("there is always a last word").extend(letter.to_lowercase());
        }
        lower_before = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn same_words(left: &[String], right: &[String]) -> bool {
    let sorted = |words: &[String]| {
        let mut words = words.to_vec();
        words.sort();
        words
    };
    !left.is_empty() && left.len() == right.len() && sorted(left) == sorted(right)
}

/// Damerau-Levenshtein in its plain form (optimal string alignment): letters inserted, left out, replaced, swapped.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut cost = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && *letter == right[column - 1] && left[row - 1] == *other {
                cost = cost.min(before[column - 1] + 1);
            }
            line.push(cost);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["email", "base_url", "description", "match", "tags", "if", "id", "contact.create", "contact.list"];
        for (word, meant) in [
            ("emial", "email"),
            ("E-Mail", "email"),
            ("emailaddress", "email"),
            ("base-url", "base_url"),
            ("baseUrl", "base_url"),
            ("url", "base_url"),
            ("desc", "description"),
            ("mtch", "match"),
            ("tag", "tags"),
            ("ID", "id"),
            ("create_contact", "contact.create"),
            ("createContact", "contact.create"),
            ("contact.get", "contact.list"),
            ("list", "contact.list"),
        ] {
            assert_eq!(nearest(word, keys), Some(meant), "{word}");
        }
    }

    #[test]
    fn is_silent_when_nothing_is_near() {
        let keys = ["email", "phone", "id", "contact.create"];
        for word in ["", "x", "to", "colour", "invoice.send", "e", &"email".repeat(100)] {
            assert_eq!(nearest(word, keys), None, "{word}");
        }
        assert_eq!(nearest("email", []), None);
    }

    #[test]
    fn prefers_the_nearer_and_then_the_first() {
        assert_eq!(nearest("cell", ["call", "cells", "cell"]), Some("cell"));
        assert_eq!(nearest("wait", ["waits", "bait"]), Some("waits"));
        assert_eq!(nearest("contact", ["contact.create_many", "contact.list"]), Some("contact.list"));
    }
}
