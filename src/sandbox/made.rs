//! Values and conditions written in a sandbox file, compiled as the file is read.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use crate::expr::{Condition, Expr, Locale, Problem, Scope, Template};

/// A value of language.md section 2; `$` holds the roots of a turn (turn.rs).
#[derive(Clone, Debug)]
pub struct Made(Expr);

/// A condition of language.md section 4, over the same roots.
#[derive(Clone, Debug)]
pub struct Test(Condition);

/// A text with holes, over the same roots.
#[derive(Clone, Debug)]
pub struct Words(Template);

/// A map whose order counts.
#[derive(Clone, Debug)]
pub struct Table<T>(pub Vec<(String, T)>);

impl Made {
    /// # Errors
    /// One sentence: what could not be made.
    pub fn eval(&self, roots: &Value) -> Result<Option<Value>, String> {
        let locale = Locale::default();
        self.0.eval(&Scope::new(roots, &locale)).map_err(|fault| format!("{fault} (at `{}`)", fault.pointer))
    }
}

impl Test {
    /// # Errors
    /// One sentence: what could not be compared.
    pub fn holds(&self, roots: &Value) -> Result<bool, String> {
        let locale = Locale::default();
        self.0.holds(&Scope::new(roots, &locale)).map_err(|fault| format!("{fault} (at `{}`)", fault.pointer))
    }
}

impl Words {
    /// # Errors
    /// One sentence: what is missing.
    pub fn render(&self, roots: &Value) -> Result<String, String> {
        let locale = Locale::default();
        self.0.render(&Scope::new(roots, &locale)).map_err(|fault| fault.to_string())
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<T> Table<T> {
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<'de> Deserialize<'de> for Made {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Expr::compile(&value).map(Made).map_err(|problems| D::Error::custom(told(&problems)))
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Condition::compile(&value).map(Test).map_err(|problems| D::Error::custom(told(&problems)))
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Template::compile(&text).map(Words).map_err(|problem| D::Error::custom(told(&[problem])))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Table<T>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Table(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

fn told(problems: &[Problem]) -> String {
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{} (at `{}`)", problem.message, problem.pointer)).collect();
    told.join("; ")
}
