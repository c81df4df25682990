//! `test`: the test documents of a project, played offline.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::on::Where;
use super::record::Recording;
use super::{Project, exit, folder, say, shipped, shown};
use super::{check, count};
use crate::project::{self, Loaded, Tested, Text};
use crate::rehearsal::{Chosen, Played, Scene, play};
use crate::source::nearest;

/// Lines of what happened that are told of one test.
const LINES_MAX: usize = 60;
/// Where a line without a terminal is cut.
const WIDTH: usize = 200;

#[derive(Debug, clap::Args)]
pub struct Test {
    /// Test documents by their file, or by the name of the workflow that they test. Default: all.
    #[arg(value_name = "FILE|NAME")]
    chosen: Vec<String>,
    /// Only tests whose name holds this text.
    #[arg(long, short, value_name = "TEXT")]
    filter: Option<String>,
    /// The seed of random edits that name none. Default: another each time.
    #[arg(long, value_name = "N", value_parser = super::number::<u64>(0..))]
    seed: Option<u64>,
    /// Tests at the same time. Default: as many as there are processors.
    #[arg(long, short, value_name = "N", value_parser = super::number::<u16>(1..=u16::MAX))]
    jobs: Option<u16>,
    /// Who keeps the runs: `own`, as `serve` does; `restate`, as a cluster of Restate does for `serve --on restate`. It is played as
    /// well, and calls again now and then.
    #[arg(long, value_enum, default_value_t = Where::Own, value_name = "WHERE")]
    on: Where,
    #[command(flatten)]
    project: Project,
    /// What came of each test, as JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Plays nothing: writes records of the real accounts into fixtures/, beside the test documents, without secrets.
    #[arg(long, conflicts_with_all = ["json", "filter", "seed", "jobs"])]
    record: bool,
    #[command(flatten)]
    recording: Recording,
}

/// A test that is played, and what is known of its document.
struct Part<'a> {
    document: usize,
    tested: &'a Tested,
    index: usize,
}

/// What came of it: played, or why it cannot be.
type Came = (std::result::Result<Played, String>, u128);

/// What all tests share.
struct House<'a> {
    loaded: &'a Loaded,
    own: &'a [Text],
    shipped: &'a [Text],
    folder: &'a Path,
    seed: u64,
    on: Where,
    /// By document.
    scenes: Vec<OnceLock<std::result::Result<Arc<Scene>, String>>>,
}

impl Test {
    pub async fn run(self) -> Result<u8> {
        self.on.is_built_in()?;
        let folder = &self.project.project;
        let (own, shipped) = (folder::texts(folder)?, shipped::connectors());
        let loaded = project::read(&own, &shipped, self.project.env.as_deref());
        // Accounts are stood in for: that they are missing harms no test.
        if loaded.plan.is_none() && loaded.unconnected.is_none() {
            check::tell(&loaded);
            return Ok(exit::FINDINGS);
        }
        let parts = self.parts(&loaded)?;
        if self.record {
            let meant = parts.iter().map(|part| part.document).collect();
            return self.recording.record(&self.project, loaded, meant).await;
        }
        if parts.is_empty() {
            say::talk("the project has no tests: write a document that begins with `test: NAME` into workflows/");
            return Ok(exit::OK);
        }
        let house = House {
            loaded: &loaded,
            own: &own,
            shipped: &shipped,
            folder,
            on: self.on,
            seed: self.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32),
            scenes: (0..loaded.tests.len()).map(|_| OnceLock::new()).collect(),
        };
        let began = Instant::now();
        let mut told = Told { as_json: self.json, ..Told::default() };
        self.play_all(&house, &parts, |part, came| told.tell(part, came));
        told.end(began.elapsed().as_millis())
    }

    /// The tests that are meant, in the order of their files.
    fn parts<'l>(&self, loaded: &'l Loaded) -> Result<Vec<Part<'l>>> {
        let mut meant: Vec<usize> = Vec::new();
        for chosen in &self.chosen {
            let path = chosen.trim_start_matches("./");
            let is_it = |tested: &Tested| {
                let own = tested.path();
                tested.document.test == *chosen || own == path || Path::new(path).ends_with(own)
            };
            let found = loaded.tests.iter().enumerate().filter(|(_, tested)| is_it(tested)).map(|(at, _)| at);
            let before = meant.len();
            meant.extend(found);
            if meant.len() == before {
                return Err(exit::usage(unknown(chosen, loaded)));
            }
        }
        let is_meant = |at: &usize| self.chosen.is_empty() || meant.contains(at);
        let all = loaded.tests.iter().enumerate().filter(|(at, _)| is_meant(at)).flat_map(|(document, tested)| {
            (0..tested.document.tests.len()).map(move |index| Part { document, tested, index })
        });
        let filter = self.filter.as_deref().map(str::to_lowercase);
        let fits = |part: &Part<'_>| {
            filter.as_ref().is_none_or(|filter| part.test().name.to_lowercase().contains(filter.as_str()))
        };
        let (fitting, others): (Vec<_>, Vec<_>) = all.partition(fits);
        if let (Some(filter), true, false) = (&self.filter, fitting.is_empty(), others.is_empty()) {
            return Err(exit::usage(format!("no name of the {} holds `{filter}`", count(others.len(), "test"))));
        }
        Ok(fitting)
    }

    /// Plays them on several threads, and tells of each in the order of the files.
    fn play_all(&self, house: &House<'_>, parts: &[Part<'_>], mut tell: impl FnMut(&Part<'_>, &Came)) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = self.jobs.map_or(processors, usize::from).min(parts.len());
        let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (next, sender) = (&next, sender.clone());
                scope.spawn(move || {
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let began = Instant::now();
                        let played = house.play(part);
                        let at = std::ptr::from_ref(part);
                        let number = parts.iter().position(|other| std::ptr::eq(other, at)).unwrap_or_default();
                        // Whoever listens has gone only if telling has failed.
                        let _ = sender.send((number, (played, began.elapsed().as_millis())));
                    }
                });
            }
            drop(sender);
            let mut came: Vec<Option<Came>> = parts.iter().map(|_| None).collect();
            let mut told = 0;
            for (number, one) in receiver {
                came[number] = Some(one);
                while let Some(Some(one)) = came.get(told) {
                    tell(&parts[told], one);
                    told += 1;
                }
            }
        });
    }
}

impl Part<'_> {
    fn test(&self) -> &project::Test {
        &self.tested.document.tests[self.index]
    }

    fn place(&self) -> String {
        let place = &self.tested.places[self.index];
        format!("{}:{}", place.path, place.line)
    }
}

impl House<'_> {
    fn play(&self, part: &Part<'_>) -> std::result::Result<Played, String> {
        let scene = self.scenes[part.document].get_or_init(|| {
            folder::scene(self.folder, &part.tested.document.test, self.loaded, (self.own, self.shipped))
        });
        let scene = scene.as_ref().map_err(Clone::clone)?;
        let beside = Path::new(part.tested.path()).parent().unwrap_or(Path::new("")).to_path_buf();
        let file = |name: &str| {
            let path: PathBuf = beside.join(name);
            let text = folder::text(self.folder, &path.to_string_lossy());
            let text =
                text.map_err(|_| format!("there is no file {} in the project that can be read", path.display()))?;
            serde_json::from_str(&text.text).map_err(|error| format!("{} is no JSON: {error}", path.display()))
        };
        let now = part.tested.document.now.as_deref();
        let chosen = Chosen { now, seed: self.seed, on_cluster: self.on == Where::Restate, file: &file };
        play(scene, part.test(), &chosen)
    }
}

fn unknown(name: &str, loaded: &Loaded) -> String {
    let known: Vec<&str> = loaded.tests.iter().flat_map(|one| [one.document.test.as_str(), one.path()]).collect();
    let help = match (nearest(name, known.iter().copied()), known.is_empty()) {
        (_, true) => "the project has none".to_owned(),
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, _) => {
            let files: Vec<&str> = loaded.tests.iter().map(Tested::path).collect();
            format!("there are {}", files.join(", "))
        }
    };
    format!("no test document is called `{name}`; {help}")
}

/// What was told so far.
#[derive(Default)]
struct Told {
    as_json: bool,
    passed: usize,
    failed: usize,
    all: Vec<Value>,
}

impl Told {
    fn tell(&mut self, part: &Part<'_>, (came, took_ms): &Came) {
        let holds = came.as_ref().is_ok_and(|played| played.unmet.is_empty());
        self.passed += usize::from(holds);
        self.failed += usize::from(!holds);
        if self.as_json {
            self.all.push(as_value(part, came, *took_ms));
            return;
        }
        let mark = if holds { "✓" } else { "✗" };
        say::data(&format!("{mark} {}  {}", part.test().name, part.place()));
        match came {
            Err(why) => say::data(&format!("    it cannot be played: {why}")),
            Ok(played) if !holds => tell_failure(part, played),
            Ok(_) => {}
        }
    }

    fn end(self, took_ms: u128) -> Result<u8> {
        if self.as_json {
            let all = json!({ "tests": self.all, "passed": self.passed, "failed": self.failed });
            say::data(&serde_json::to_string_pretty(&all)?);
        } else {
            let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
            let (tests, passed) = (count(self.passed + self.failed, "test"), self.passed);
            say::talk(&format!("{tests}: {passed} passed{failed}, in {}.{} s", took_ms / 1_000, took_ms % 1_000 / 100));
        }
        Ok(if self.failed > 0 { exit::FAILED } else { exit::OK })
    }
}

fn tell_failure(part: &Part<'_>, played: &Played) {
    let width = say::width().unwrap_or(WIDTH).max(60);
    let line = |margin: &str, text: &str| say::data(&format!("{margin}{}", say::shortened(text, width - margin.len())));
    for unmet in &played.unmet {
        say::data(&format!("    {}", unmet.what));
        unmet.told.iter().for_each(|told| say::data(&format!("      {told}")));
    }
    if !played.story.is_empty() {
        say::data("    what happened");
    }
    let mut day = String::new();
    for told in played.story.iter().take(LINES_MAX) {
        let at = shown::instant(told.at_ms);
        let (date, clock) = (at.get(..10).unwrap_or_default(), at.get(11..23).unwrap_or_default());
        if day != date {
            say::data(&format!("      {date}"));
            date.clone_into(&mut day);
        }
        let run = told.run.as_deref().unwrap_or_default();
        line("      ", &format!("{clock}  {run:<7} {}", shown::uncovered(&told.text)));
    }
    if let Some(more) = played.story.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        say::data(&format!("      and {more} lines more; `--json` tells all"));
    }
    if let Some(seed) = played.seed {
        let name = &part.tested.document.test;
        say::data(&format!("    the same edits again: dovetail test {name} --seed {seed}"));
    }
}

fn as_value(part: &Part<'_>, came: &std::result::Result<Played, String>, took_ms: u128) -> Value {
    let place = &part.tested.places[part.index];
    let mut told = Map::from_iter([
        ("name".to_owned(), json!(part.test().name)),
        ("tests".to_owned(), json!(part.tested.document.test)),
        ("file".to_owned(), json!(&*place.path)),
        ("line".to_owned(), json!(place.line)),
        ("took_ms".to_owned(), json!(u64::try_from(took_ms).unwrap_or(u64::MAX))),
    ]);
    let rest = match came {
        Err(why) => json!({ "passed": false, "why": why }),
        Ok(played) => json!({
            "passed": played.unmet.is_empty(), "unmet": played.unmet, "seed": played.seed, "runs": played.runs,
            "requests": played.requests, "crashes": played.crashes, "lived_ms": played.lived_ms,
            "first_run": played.first_run,
            "story": played.story.iter().map(|line| json!({
                "at": shown::instant(line.at_ms), "run": line.run, "text": shown::uncovered(&line.text),
            })).collect::<Vec<_>>(),
        }),
    };
    told.extend(rest.as_object().cloned().unwrap_or_default());
    Value::Object(told)
}
