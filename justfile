# `just` lists all of this.
_default:
    @just --list

# Everything that CI runs: format, lints, all tests, the demo.
check:
    .ci/run

# All tests.
test *arguments:
    cargo test {{arguments}}

# Write what came out into the cases, schemas and reference; read the difference before you commit it.
accept:
    DOVETAIL_ACCEPT=1 cargo test --test all -- cases:: tidy:: docs::

# Write the JSON Schemas in schemas/ anew.
schemas:
    DOVETAIL_ACCEPT=1 cargo test schemas_are_fresh

# Lay the source out.
format:
    cargo fmt

# The program that is shipped: optimised, and able to have its runs kept by a cluster.
release:
    cargo build --locked --release --features restate

# Play the demo against pretend vendors on this computer; Ctrl-C ends it.
demo *arguments:
    cargo run -- demo {{arguments}}

# Check the example project.
example:
    cargo run -- check .
