//! The `dovetail` command: parses arguments, calls `cli`, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    dovetail::cli::main()
}
