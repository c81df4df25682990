//! `key`: makes the key that seals what accounts are granted.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{exit, say};
use crate::vault::Keys;

#[derive(Debug, clap::Args)]
pub struct Key {
    /// Where the key is written, with mode 0600; never into the data folder, nor into a repository.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Key {
    pub fn run(self) -> Result<u8> {
        let key = Keys::generate().map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let shown = self.file.display();
        let mut file = match options.open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let message = format!(
                    "{shown} is there already, and is left as it is; to change keys, put a new one on the line before it"
                );
                return Err(exit::usage(message));
            }
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be written")),
        };
        file.write_all(key.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        say::talk(&format!("wrote {shown}; keep a copy in a safe place: without it, accounts must be connected again"));
        say::talk(&format!("give it as `--key-file {shown}`, or set DOVETAIL_KEY_FILE"));
        Ok(exit::OK)
    }
}
