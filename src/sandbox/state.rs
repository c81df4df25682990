//! All that changes while a vendor runs.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::clock::Clock;
use super::deliver::Deliveries;
use super::fault::Faults;
use super::limit::Limiter;
use super::log::Log;
use super::random::Random;
use super::record::Records;
use super::rules::Rules;
use super::token::Keys;
use super::view::Shown;
use crate::expr::parse_duration;

#[derive(Debug)]
pub struct State {
    pub clock: Clock,
    pub random: Random,
    pub records: Records,
    pub limiter: Limiter,
    pub keys: Keys,
    pub settings: Map<String, Value>,
    /// The token that counts, whatever a request proves itself by.
    pub assumed: Option<String>,
    pub faults: Faults,
    pub log: Log,
    pub deliveries: Deliveries,
    pub shown: Shown,
    /// Answers by idempotency key.
    pub answered: HashMap<String, (u16, Value)>,
}

impl State {
    pub fn new(rules: &Rules, seed: u64) -> State {
        let clock = Clock::default();
        let keys = Keys::new(&rules.document.tokens, clock.now());
        State {
            clock,
            random: Random::new(seed),
            records: Records::default(),
            limiter: Limiter::default(),
            keys,
            settings: rules.document.settings.clone(),
            assumed: None,
            faults: Faults::default(),
            log: Log::default(),
            deliveries: Deliveries::default(),
            shown: Shown::default(),
            answered: HashMap::new(),
        }
    }

    pub fn remember_answer(&mut self, key: String, status: u16, body: Value) {
        if self.answered.len() >= 10_000 {
            self.answered.clear();
        }
        self.answered.insert(key, (status, body));
    }

    /// Changes made after this moment are not in the index yet.
    pub fn indexed_until(&self) -> DateTime<Utc> {
        let lag =
            self.settings.get("index_lag").and_then(Value::as_str).and_then(parse_duration).unwrap_or(Duration::ZERO);
        let now = self.clock.now();
        chrono::Duration::from_std(lag).ok().and_then(|lag| now.checked_sub_signed(lag)).unwrap_or(DateTime::UNIX_EPOCH)
    }
}
