//! One suite for all hands: every case of `tests/cases/run/` is lived through by the engine itself, with a real store, once for each
//! who may keep its run; in peace, and then with the program dying at each commit and at each request. What comes of it is what
//! `run::decide` alone comes to in `tests/run.rs`.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod life;
#[cfg(feature = "restate")]
mod nodes;
mod vendor;

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use dovetail::project::Plan;
use life::{Hands, Lived, alike, live};
#[cfg(feature = "restate")]
use nodes::Nodes;
use vendor::Death;

use crate::run::case::{self, Case};
#[cfg(feature = "restate")]
use crate::stage::cluster;
use crate::stage::random::Random;

/// Deaths of each case, unless `LONG=1` wants all.
const DEATHS: usize = 2;

/// A case, and how it is lived through in peace.
struct Peace {
    name: String,
    case: Case,
    plan: Arc<Plan>,
    lived: Result<Lived, String>,
}

static OWN: LazyLock<Vec<Peace>> = LazyLock::new(|| in_peace(Hands::Own));
#[cfg(feature = "restate")]
static CLUSTER: LazyLock<Vec<Peace>> = LazyLock::new(|| in_peace(Hands::Cluster));

fn in_peace(hands: Hands) -> Vec<Peace> {
    let peace = |path: &Path| {
        let case = Case::read(&std::fs::read_to_string(path).unwrap()).unwrap();
        let plan = Arc::new(case.plan());
        let lived = live(&case, &plan, hands.clone(), None);
        Peace { name: path.file_name().unwrap().to_string_lossy().into_owned(), case, plan, lived }
    };
    case::files().iter().map(|path| peace(path)).collect()
}

#[test]
fn every_case_holds_in_the_own_hands() {
    hold("own", &OWN);
}

#[test]
fn whenever_the_program_dies_it_comes_to_the_same() {
    die("own", &OWN, some, |_| Hands::Own);
}

#[cfg(feature = "restate")]
#[test]
fn every_case_holds_in_a_cluster() {
    hold("restate", &CLUSTER);
}

/// Of a real cluster, where `DOVETAIL_TESTED_ON` asks for one.
#[cfg(feature = "restate")]
#[test]
fn every_case_holds_on_real_nodes() {
    let Some(nodes) = cluster::nodes_asked_for().and_then(Nodes::start) else { return };
    hold("restate, real nodes", &in_peace(Hands::Nodes(Arc::new(nodes))));
}

#[cfg(feature = "restate")]
#[test]
fn whenever_the_program_dies_in_a_cluster_it_comes_to_the_same() {
    die("restate", &CLUSTER, some, |_| Hands::Cluster);
}

#[cfg(feature = "restate")]
#[test]
fn whenever_attempts_die_in_a_cluster_it_comes_to_the_same() {
    die("restate, where attempts die", &CLUSTER, some, |random| Hands::Faltering(random.below(1 << 32)));
}

#[cfg(feature = "restate")]
#[test]
fn whenever_runs_are_moved_into_a_cluster_it_comes_to_the_same() {
    die("own, and then restate", &OWN, at_each_commit, |_| Hands::Moving);
}

fn hold(which: &str, cases: &[Peace]) {
    let (mut wrong, mut loose) = (Vec::new(), 0);
    for Peace { name, case, lived, .. } in cases {
        let expected = alike(&case.expect);
        let (told, is_loose) = match lived {
            Ok(lived) => (alike(&lived.story.told()), is_loose(lived)),
            Err(why) => {
                wrong.push(format!("{name}: {}\n--- {why}", case.why));
                continue;
            }
        };
        loose += usize::from(is_loose);
        if told != expected && !(is_loose && sorted(&told) == sorted(&expected)) {
            wrong.push(format!("{name}: {}\n--- expected\n{expected}--- found\n{told}", case.why));
        }
    }
    tell(&format!("{which}: {} cases; of {loose} the order of requests is left open", cases.len()));
    assert!(wrong.is_empty(), "{}\n\n{} differences", wrong.join("\n\n"), wrong.len());
}

/// How long it pauses before a further try depends on the run's id; where several requests are on their way, so does their order.
fn is_loose(lived: &Lived) -> bool {
    lived.has_paused && lived.story.is_crowded()
}

fn sorted(told: &str) -> Vec<&str> {
    // Nor is it whether they were beside each other.
    let mut lines: Vec<&str> = told.lines().map(|line| line.trim_start_matches("& ")).collect();
    lines.sort_unstable();
    lines
}

fn die(
    which: &str,
    cases: &[Peace],
    deaths: fn(&Lived, &mut Random) -> Vec<Death>,
    hands: impl Fn(&mut Random) -> Hands,
) {
    let mut random = Random::new();
    tell(&format!("{which}: SEED={}", random.seed));
    let (mut wrong, mut died) = (Vec::new(), 0);
    let dying = cases.iter().filter(|peace| peace.case.crashes);
    let left_out = cases.len() - dying.clone().count();
    for Peace { name, case, plan, lived } in dying {
        // Whoever does not come to an end in peace is told of there.
        let Ok(peace) = lived else { continue };
        let crowded = peace.story.is_crowded();
        let expected = compared(peace, crowded);
        for death in deaths(peace, &mut random) {
            died += 1;
            let hands = hands(&mut random);
            // Where attempts die, what is waited for may be there before anybody waits, which saves a commit.
            let death = match hands.falters().then(|| live(case, plan, hands.clone(), None)) {
                None => death,
                Some(Ok(faltering)) if compared(&faltering, crowded) == expected => {
                    death.within(faltering.commits, faltering.requests)
                }
                Some(other) => {
                    let found = other.map_or_else(|why| why, |lived| alike(&lived.story.told()));
                    wrong.push(format!(
                        "{name}: {hands:?}, without a death\n--- in peace\n{expected}--- found\n{found}"
                    ));
                    continue;
                }
            };
            match live(case, plan, hands.clone(), Some(death)) {
                Ok(other) if !other.has_died => wrong.push(format!("{name}: {hands:?}, {death:?}: nobody died")),
                Ok(other) if compared(&other, crowded) == expected => {}
                Ok(other) => {
                    let found = alike(&other.story.told());
                    wrong.push(format!(
                        "{name}: {hands:?}, {death:?} makes a difference\n--- in peace\n{expected}--- after\n{found}"
                    ));
                }
                Err(why) => wrong.push(format!("{name}: {hands:?}, {death:?}\n--- {why}")),
            }
        }
    }
    tell(&format!("{which}: {died} deaths; {left_out} cases say that one makes a difference, and are left out"));
    assert!(wrong.is_empty(), "{}\n\n{} differences", wrong.join("\n\n"), wrong.len());
}

#[cfg(feature = "restate")]
fn at_each_commit(peace: &Lived, _: &mut Random) -> Vec<Death> {
    let mut all = all_deaths(peace);
    all.retain(|death| is_long() || matches!(death, Death::Committed(_)));
    all
}

fn some(peace: &Lived, random: &mut Random) -> Vec<Death> {
    let mut all = all_deaths(peace);
    while !is_long() && all.len() > DEATHS {
        let at = random.below(all.len() as u64);
        all.swap_remove(usize::try_from(at).unwrap());
    }
    all
}

fn all_deaths(peace: &Lived) -> Vec<Death> {
    let sent = (0..peace.requests).map(Death::Sent);
    (0..peace.commits).map(Death::Committed).chain(sent).collect()
}

/// Which field of a record was written first is nobody's business.
fn compared(lived: &Lived, crowded: bool) -> String {
    alike(&lived.story.clone().in_order_of_names().compared(crowded))
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn is_long() -> bool {
    std::env::var_os("LONG").is_some()
}
