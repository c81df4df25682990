//! `completions`: a script that completes commands and flags in a shell.

use anyhow::Result;
use clap_complete::{Shell, generate};

use super::{command, exit, say};

#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<u8> {
        let mut script = Vec::new();
        generate(self.shell, &mut command(), "dovetail", &mut script);
        say::data(String::from_utf8_lossy(&script).trim_end());
        Ok(exit::OK)
    }
}
