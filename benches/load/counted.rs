//! Instructions for each event, beside the loop by hand: what others do on the computer does not disturb them.
//!
//! Only what a process does itself is counted, not what the system does for it. The start and the end are counted with many
//! events and with few, and so drop out of the difference.

use std::path::Path;
use std::process::{Command, Stdio};

use super::peer::{self, Vendor};
use super::program::{Program, Under};
use super::{Folder, job};

const FEW: usize = 500;
const MANY: usize = 1_500;

#[derive(Clone, Copy)]
enum Side {
    ByHand,
    Ours,
}

/// The `totals:` of a file that valgrind has written.
fn total(counts: &Path) -> f64 {
    let text = std::fs::read_to_string(counts).expect("valgrind has written down what it counted");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.expect("a total")
}

async fn instructions(vendor: &Vendor, side: Side, events: usize) -> f64 {
    let (folder, place) = (Folder::new(), vendor.address.to_string());
    job::write(&folder.0, &place, 1, 1);
    let counts = folder.0.join("counts");
    let program = match side {
        Side::ByHand => Program::bare(Under::Valgrind(&counts), &folder.0, &place).await,
        Side::Ours => Program::serve_with(Under::Valgrind(&counts), &folder.0, &[place], &[]).await,
    };
    peer::flood(vendor, program.port, &format!("counted{events}"), events, 1).await;
    program.end();
    if let Some(kept) = std::env::var_os("LOAD_COUNTS") {
        let name = if matches!(side, Side::Ours) { "ours" } else { "by-hand" };
        std::fs::create_dir_all(&kept).expect("a folder for what was counted");
        std::fs::copy(&counts, Path::new(&kept).join(format!("{name}-{events}"))).expect("it is kept");
    }
    total(&counts)
}

/// For each event.
async fn each(vendor: &Vendor, side: Side) -> f64 {
    let few = instructions(vendor, side, FEW).await;
    (instructions(vendor, side, MANY).await - few) / (MANY - FEW) as f64
}

pub async fn compare(vendor: &Vendor) {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return println!("instructions: there is no valgrind here");
    }
    let (by_hand, ours) = (each(vendor, Side::ByHand).await, each(vendor, Side::Ours).await);
    println!(
        "instructions: {:.0} thousand/event, {:.0} thousand/event by hand, ratio {:.2}",
        ours / 1e3,
        by_hand / 1e3,
        by_hand / ours
    );
}
