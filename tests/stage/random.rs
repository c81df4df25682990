//! Random numbers that can be had again.

/// What `SEED` says.
pub fn given() -> Option<u64> {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok())
}

/// SplitMix64, from `SEED` or the clock.
pub struct Random {
    pub seed: u64,
    state: u64,
}

impl Random {
    pub fn new() -> Random {
        Random::of(given().unwrap_or_else(|| chrono::Utc::now().timestamp_millis().unsigned_abs()))
    }

    pub fn of(seed: u64) -> Random {
        Random { seed, state: seed }
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
