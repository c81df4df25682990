//! The `dovetail` command: parses arguments, calls `cli`, exits.

use std::process::ExitCode;

/// Values are trees of small pieces, made and dropped by several threads.
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dovetail::cli::main()
}
