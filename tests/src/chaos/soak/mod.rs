//! Hostile clients and backends for a while, against one gateway: clients that never open their windows, slow readers,
//! requests that do not end, huge numbers of tiny messages, silent, failing and refusing backends, a reader of the log that
//! stalls.
//! Beside them a well-behaved client asks, and what the gateway holds is measured. What must hold: that client is always
//! answered, and the gateway holds no more at the end than when it was warm.
//!
//! The seed decides what each actor does in each of its acts; in which order threads run, no seed decides.

mod actors;
mod closed_window;
mod flat;
mod scene;
mod steady;

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::While;
use super::plan::Draws;
use actors::Actor;
use flat::{Held, Sample};
use scene::Scene;
use steady::Steady;

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// Each actor acts so often.
    Acts(usize),
    /// All act for so long.
    Time(Duration),
}

/// Between two samples of a long run; a shorter one has ten.
const SAMPLE: Duration = Duration::from_secs(60);

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    acts: Vec<(&'static str, usize)>,
    steady: usize,
    dropped: f64,
    errors: usize,
    held: [Held; 2],
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, acts, steady, dropped, errors, held: [before, after] } = self;
        let acts: Vec<String> = acts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        write!(
            f,
            "seed {seed}: the well-behaved client was answered {steady} times; {}; {dropped} lines of the log dropped, \
             {errors} of level ERROR; held before: {before}; after: {after}",
            acts.join(", ")
        )
    }
}

/// What all threads of a run share.
struct Run {
    scene: Scene,
    seed: u64,
    length: Length,
    began: Instant,
    acts: Vec<AtomicUsize>,
    at_work: AtomicUsize,
    over: AtomicBool,
    wrongs: Mutex<Vec<String>>,
}

impl Run {
    /// Whether actors are to end.
    fn is_over(&self) -> bool {
        let late = matches!(self.length, Length::Time(time) if self.began.elapsed() >= time);
        late || self.over.load(Ordering::Relaxed)
    }

    /// Sleeps, but not beyond the end of the run.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_over() {
            std::thread::sleep(Duration::from_millis(10).min(time));
        }
    }

    fn wrong(&self, what: String) {
        self.wrongs.lock().unwrap().push(what);
    }

    /// One thread of an actor.
    fn act(&self, actor: Actor, thread: usize) {
        let _at_work = AtWork(&self.at_work);
        let most = match self.length {
            Length::Acts(acts) => acts,
            Length::Time(_) => usize::MAX,
        };
        for number in 0..most {
            if self.is_over() {
                return;
            }
            let _while = While(format!("seed {}, act {number} of {actor:?}, thread {thread}", self.seed));
            let mut draws = Draws(self.seed);
            for part in [actor as u64, thread as u64, number as u64] {
                draws = Draws(draws.next() ^ part);
            }
            actor.act(self, &mut draws);
            self.acts[actor as usize].fetch_add(1, Ordering::Relaxed);
            self.pause(Duration::from_millis(draws.below(200) as u64));
        }
    }
}

/// A thread that is at work until it ends, also where it panics.
struct AtWork<'a>(&'a AtomicUsize);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets all actors act, and checks what must hold. Says on standard output how it stands, sample by sample.
///
/// # Panics
/// Where it does not hold; the seed is said.
#[must_use]
pub fn run(seed: u64, length: Length) -> Report {
    let scene = Scene::start(seed);
    steady::ask(&scene, 0).expect("the first answer");
    let before = Held::by(&scene);
    let run = Run {
        scene,
        seed,
        length,
        began: Instant::now(),
        acts: Actor::ALL.iter().map(|_| AtomicUsize::new(0)).collect(),
        at_work: AtomicUsize::new(Actor::ALL.iter().map(|actor| actor.threads()).sum()),
        over: AtomicBool::new(false),
        wrongs: Mutex::default(),
    };
    let (mut steady, mut samples, mut log) = (Steady::default(), Vec::new(), Log::default());
    std::thread::scope(|scope| {
        for actor in Actor::ALL {
            for thread in 0..actor.threads() {
                let run = &run;
                scope.spawn(move || run.act(actor, thread));
            }
        }
        attend(&run, &mut steady, &mut samples, &mut log);
    });
    let after = flat::settle(&run.scene, before);
    let dropped = run.scene.gateway.metrics().value("api_gateway_log_lines_dropped_total", &[]);
    log.take(&run.scene);
    let mut wrongs = run.wrongs.into_inner().unwrap();
    wrongs.extend(steady.wrongs.iter().cloned());
    wrongs.extend(flat::grown(&samples));
    wrongs.extend(log.wrongs.iter().cloned());
    let report = Report {
        seed,
        acts: Actor::ALL
            .iter()
            .zip(&run.acts)
            .map(|(actor, acts)| (actor.name(), acts.load(Ordering::Relaxed)))
            .collect(),
        steady: steady.answered,
        dropped,
        errors: log.errors,
        held: [before, after],
    };
    let shown = wrongs.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrongs.is_empty(), "{report}\n{} wrongs:\n{shown}", wrongs.len());
    report
}

/// Asks as a well-behaved client does until the actors are done, and takes samples meanwhile.
fn attend(run: &Run, steady: &mut Steady, samples: &mut Vec<Sample>, log: &mut Log) {
    let every = match run.length {
        Length::Acts(_) => SAMPLE,
        Length::Time(time) => SAMPLE.min(time / 10),
    };
    let (mut next, mut next_second) = (run.began + every, run.began);
    while run.at_work.load(Ordering::Relaxed) > 0 {
        steady.ask(&run.scene);
        let now = Instant::now();
        if now >= next_second {
            // The harness keeps what it saw, which an hour has too much of.
            log.take(&run.scene);
            run.scene.forget();
            next_second = now + Duration::from_secs(1);
        }
        if now >= next {
            let sample = Sample { at: run.began.elapsed(), held: Held::by(&run.scene), latency: steady.take_latency() };
            println!("{sample}");
            samples.push(sample);
            next += every;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the log said.
#[derive(Debug, Default)]
struct Log {
    errors: usize,
    wrongs: Vec<String>,
}

impl Log {
    /// Looks at the lines that came since it last did, and forgets them.
    fn take(&mut self, scene: &Scene) {
        for line in scene.gateway.process.take_lines() {
            match serde_json::from_str::<Value>(&line) {
                Ok(line) if line["message"] == "panicked" => self.wrongs.push(line.to_string()),
                Ok(line) => self.errors += usize::from(line["level"] == "ERROR"),
                Err(error) => self.wrongs.push(format!("a line that is not whole: {error}: {line:?}")),
            }
        }
    }
}
