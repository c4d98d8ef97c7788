//! `wasmgate policy replay`: asks a policy again about the requests of a decision log, with the inputs that the log has, and says
//! what it would change. It reads the log twice: to learn what models cost and took, and to ask.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use clap::Args;
use tokio::sync::{Mutex, mpsc};
use wasmgate_base::io_reason::io_reason;
use wasmgate_decisions::replay::{Answer, Case, Condition, Evidence, Gathered, Scored, Scores, Tally};
use wasmgate_decisions::{
    Content, Decision, Keep, ModelTable, Moment, Report, Segment, VerdictKind, can_ask, read_contents, read_feedback,
    segments,
};
use wasmgate_policy_host::{Hook, KnownModel, Policy, ReadsPrompt};

use super::replayed::{
    self, COST_FAILED, Decider, NO_TEXT, NO_WHOLE_TEXT, OVERRIDDEN, Replayed, SEED, UNREADABLE, Version,
};
use super::target::{Loaded, Subject};
use super::{Failed, format, progress};

/// Decisions that a task gets at a time.
const BATCH: usize = 64;

/// See the module.
#[derive(Args)]
pub(super) struct Replay {
    #[command(flatten)]
    subject: Subject,
    /// The folder of the decision log: `decisions.dir` of the configuration.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Compare with another policy, with the same settings and limits, instead of the logged decisions.
    #[arg(long, value_name = "POLICY")]
    against: Option<PathBuf>,
    /// Only requests from this time on, as in 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only requests before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Exit with 1 if more than this changes, or if the log does not tell: `changed>5%` of the decisions, `cost>+2%` of what is
    /// expected, `score<-0.02` for the change of the mean score of feedback. May be repeated.
    #[arg(long = "fail-if", value_name = "CONDITION")]
    fail_if: Vec<Condition>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text).ok_or_else(|| "expected a time as in 2026-11-29T12:00:00Z".to_owned())
}

/// See the module.
pub(super) async fn replay(replay: &Replay) -> Result<String, Failed> {
    let subject = replay.subject.routing()?;
    let (loaded, against) = (subject.read()?, replay.against.as_deref().map(|policy| subject.sibling(policy).read()));
    let against = against.transpose()?;
    // What a gateway writes in the meantime is not read only in part.
    let until = replay.until.unwrap_or(Moment(u64::MAX)).min(Moment::now());
    let log = Arc::new(Log::open(&replay.log, replay.since.unwrap_or_default()..until)?);
    let reading = format!("reading {}", replay.log.display());
    let of = Arc::clone(&log);
    let mut survey = progress::shown(&reading, blocking(&replay.log, move || Survey::of(&of))).await?;
    if survey.records == 0 {
        let message = format!("{}: there are no decisions of that time in this folder", replay.log.display());
        return Err(Failed::Refused(message));
    }
    let policy = Asked::load(&loaded, &survey.tables).await?;
    let against = match &against {
        Some(against) => Some(Asked::load(against, &survey.tables).await?),
        None => None,
    };
    let reads_text = [Some(&policy), against.as_ref()].into_iter().flatten().any(Asked::reads_text);
    let of = Arc::clone(&log);
    let contents = match reads_text {
        true => progress::shown("reading texts", blocking(&replay.log, move || of.contents())).await?,
        false => HashMap::new(),
    };
    let of = Arc::clone(&log);
    let (scores, feedback) = progress::shown("reading feedback", blocking(&replay.log, move || of.scores())).await?;
    survey.report.add(Report { segments: 0, ..feedback });
    let evidence = survey.gathered.learned();
    let asking = Arc::new(Asking { policy, against, evidence, contents, scores, done: AtomicU64::new(0) });
    let shown = || format!("asking: {} of {}", format::count(asking.done()), format::count(survey.records));
    let (tally, scored) = super::quietly(progress::counted(shown, ask(&asking, &log))).await?;
    if asking.done() != survey.records {
        let (first, then) = (format::count(survey.records), format::count(asking.done()));
        let changed = format!(
            "{}: the log changed while it was read: it had {first} decisions, and then {then}; start again, with --since if the oldest \
             are being deleted",
            replay.log.display()
        );
        return Err(Failed::Refused(changed));
    }
    let replayed = Replayed {
        policy: asking.policy.version(),
        against: asking.against.as_ref().map(Asked::version),
        folder: replay.log.display().to_string(),
        records: survey.records,
        report: survey.report,
        deciders: survey.deciders,
        tally,
        quality: scored.quality(SEED),
        evidence: &asking.evidence,
        conditions: &replay.fail_if,
    };
    let (text, passed) = replayed::shown(&replayed, replay.json);
    if passed { Ok(text) } else { Err(Failed::Unmet(text)) }
}

/// Reads files on a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    folder: &Path,
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failed> {
    let done = tokio::task::spawn_blocking(read).await.unwrap_or_else(|ended| Err(io::Error::other(ended)));
    done.map_err(|error| Failed::Machine(format!("{}: cannot be read: {}", folder.display(), io_reason(&error))))
}

/// How many threads work.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The part of a log that is replayed.
struct Log {
    folder: PathBuf,
    segments: Vec<Segment>,
    range: std::ops::Range<Moment>,
}

impl Log {
    fn open(folder: &Path, range: std::ops::Range<Moment>) -> Result<Self, Failed> {
        let refused = |found: &str| {
            let expected = "expected the folder of a decision log, `decisions.dir` of the configuration";
            Failed::Refused(format!("{}: {found}; {expected}", folder.display()))
        };
        let segments = segments(folder).map_err(|error| refused(&format!("cannot be read: {}", io_reason(&error))))?;
        if segments.is_empty() {
            return Err(refused("there is no decision log in it"));
        }
        Ok(Self { folder: folder.to_owned(), segments, range })
    }

    /// What clients said of answers, at any time.
    fn scores(&self) -> io::Result<(Scores, Report)> {
        let mut scores = Scores::default();
        let report = read_feedback(&self.folder, |feedback| {
            scores.note(feedback);
            ControlFlow::Continue(())
        })?;
        Ok((scores, report))
    }

    /// The texts that the log has, by the ids of requests. Of texts that were not kept whole, only that.
    fn contents(&self) -> io::Result<HashMap<String, Content>> {
        let mut contents = HashMap::new();
        read_contents(&self.folder, |mut content| {
            if self.range.contains(&content.time) {
                if content.keep != Keep::Full {
                    content.messages.clear();
                }
                contents.insert(content.id.clone(), content);
            }
            ControlFlow::Continue(())
        })?;
        Ok(contents)
    }
}

/// What the log has, without asking anybody.
#[derive(Default)]
struct Survey {
    report: Report,
    /// Decisions that are replayed.
    records: u64,
    gathered: Gathered,
    tables: BTreeMap<String, Arc<ModelTable>>,
    deciders: BTreeMap<Decider, u64>,
}

impl Survey {
    fn of(log: &Log) -> io::Result<Self> {
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<Self> {
            let mut own = Self::default();
            while let Some(segment) = log.segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                own.read(log, segment)?;
            }
            Ok(own)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads().min(log.segments.len())).map(|_| scope.spawn(work)).collect();
            let mut all = Self::default();
            for worker in workers {
                let found = worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread that reads ended")));
                all.add(found?);
            }
            Ok(all)
        })
    }

    fn read(&mut self, log: &Log, segment: &Segment) -> io::Result<()> {
        let report = segment.read(|decision, table| {
            if log.range.contains(&decision.time) {
                self.records += 1;
                self.gathered.note(&decision);
                *self.deciders.entry(Decider::of(&decision)).or_default() += 1;
                if !self.tables.contains_key(table.id()) {
                    self.tables.insert(table.id().to_owned(), Arc::clone(table));
                }
            }
            ControlFlow::Continue(())
        })?;
        self.report.add(report);
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.records += other.records;
        self.gathered.add(other.gathered);
        self.tables.extend(other.tables);
        for (decider, count) in other.deciders {
            *self.deciders.entry(decider).or_default() += count;
        }
    }
}

/// A policy that is asked, as gateways with the log's models would load it.
struct Asked {
    name: String,
    /// One for each set of tiers that is made from the models.
    policies: Vec<Policy>,
    /// Which of them decides with a table of models.
    by_table: BTreeMap<String, usize>,
}

impl Asked {
    async fn load(loaded: &Loaded, tables: &BTreeMap<String, Arc<ModelTable>>) -> Result<Self, Failed> {
        let (mut policies, mut by_table): (Vec<Policy>, _) = (Vec::new(), BTreeMap::new());
        for (id, table) in tables {
            let models = known(table);
            let at = policies.iter().position(|policy| policy.fits(&models));
            if at.is_none() {
                policies.push(loaded.load_for(Hook::Routing, Some(&models)).await?);
            }
            by_table.insert(id.clone(), at.unwrap_or(policies.len() - 1));
        }
        Ok(Self { name: loaded.name.clone(), policies, by_table })
    }

    fn reads_text(&self) -> bool {
        self.policies.iter().any(|policy| policy.reads().prompt != ReadsPrompt::None)
    }

    /// How many calls of it may be in flight.
    fn most_calls(&self) -> usize {
        self.policies.iter().map(|policy| policy.limits().concurrent_calls).min().unwrap_or(1).max(1)
    }

    fn version(&self) -> Version {
        let first = self.policies.first();
        Version {
            name: self.name.clone(),
            label: first.map_or(String::new(), Policy::label),
            digest: first.map_or(String::new(), |policy| policy.digest().to_owned()),
            settings: self.policies.iter().map(Policy::settings_digest).collect(),
            reads_text: self.reads_text(),
        }
    }

    async fn answer(
        &self,
        decision: &Decision,
        table: &ModelTable,
        content: Option<&Content>,
    ) -> Result<Answer, &'static str> {
        let policy = self.by_table.get(table.id()).and_then(|&at| self.policies.get(at)).ok_or(UNREADABLE)?;
        if !can_ask(policy.reads(), content) {
            return Err(if content.is_some() { NO_WHOLE_TEXT } else { NO_TEXT });
        }
        let input = decision.input(table, content).map_err(|_| UNREADABLE)?;
        let lists = input.request.lists();
        let answered = policy.route(&input.request.request(&lists), table.models(), &input.candidates).await;
        Ok(Answer::of(decision, &input, table, &answered))
    }
}

/// The models of a table, as a gateway that has them knows them.
fn known(table: &ModelTable) -> Vec<KnownModel> {
    let known = |row: &wasmgate_decisions::ModelRow| KnownModel {
        name: row.name.clone(),
        price: row.price.map(|price| price.input.saturating_add(price.output)),
        embeds: row.name.contains("embed") || row.backend.contains("embed"),
    };
    table.rows().iter().map(known).collect()
}

/// What the tasks that ask have in common.
struct Asking {
    policy: Asked,
    against: Option<Asked>,
    evidence: Evidence,
    contents: HashMap<String, Content>,
    scores: Scores,
    /// Decisions that were asked, or could not be.
    done: AtomicU64,
}

/// Decisions with their tables of models.
type Batch = Vec<(Decision, Arc<ModelTable>)>;

impl Asking {
    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn answers(&self, decision: &Decision, table: &ModelTable) -> Result<(Answer, Answer), &'static str> {
        if decision.routing.is_none() && decision.verdict.kind == VerdictKind::Failed {
            return Err(COST_FAILED);
        }
        if Answer::is_overridden(decision) {
            return Err(OVERRIDDEN);
        }
        let content = self.contents.get(&decision.id);
        let after = self.policy.answer(decision, table, content).await?;
        let before = match &self.against {
            Some(against) => against.answer(decision, table, content).await?,
            None => Answer::logged(decision),
        };
        Ok((before, after))
    }

    /// Asks about batches until there are no more.
    async fn work(&self, batches: &Mutex<mpsc::Receiver<Batch>>) -> (Tally, Scored) {
        let (mut tally, mut scored) = (Tally::default(), Scored::default());
        loop {
            let batch = batches.lock().await.recv().await;
            let Some(batch) = batch else { return (tally, scored) };
            for (decision, table) in &batch {
                match self.answers(decision, table).await {
                    Ok((before, after)) => {
                        if let Some(score) = self.scores.of(&decision.id) {
                            scored.add(decision, &before, &after, score);
                        }
                        tally.add(Case { decision, table, before, after }, &self.evidence);
                    }
                    Err(reason) => tally.skip(reason),
                }
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Asks about all decisions of the log: one thread reads, and as many tasks ask as there are cores.
async fn ask(asking: &Arc<Asking>, log: &Arc<Log>) -> Result<(Tally, Scored), Failed> {
    let most = [Some(&asking.policy), asking.against.as_ref()].into_iter().flatten().map(Asked::most_calls).min();
    let tasks = threads().min(most.unwrap_or(1));
    let (send, receive) = mpsc::channel::<Batch>(2 * tasks);
    let receive = Arc::new(Mutex::new(receive));
    let of = Arc::clone(log);
    let reading = tokio::spawn(async move { blocking(&of.folder.clone(), move || feed(&of, &send)).await });
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (asking, receive) = (Arc::clone(asking), Arc::clone(&receive));
            tokio::spawn(async move { asking.work(&receive).await })
        })
        .collect();
    let ended = |error: tokio::task::JoinError| Failed::Machine(format!("a task that replays ended: {error}"));
    let (mut tally, mut scored) = (Tally::default(), Scored::default());
    for worker in workers {
        let (one, with_scores) = worker.await.map_err(ended)?;
        tally.merge(one);
        scored.merge(with_scores);
    }
    reading.await.map_err(ended)??;
    Ok((tally, scored))
}

/// Sends the decisions of the log in batches.
fn feed(log: &Log, send: &mpsc::Sender<Batch>) -> io::Result<()> {
    let mut batch = Batch::new();
    let flush = |batch: &mut Batch| match send.blocking_send(std::mem::take(batch)) {
        Ok(()) => ControlFlow::Continue(()),
        // The tasks ended, which their handles say.
        Err(_) => ControlFlow::Break(()),
    };
    for segment in &log.segments {
        segment.read(|decision, table| {
            if log.range.contains(&decision.time) {
                batch.push((decision, Arc::clone(table)));
            }
            if batch.len() < BATCH { ControlFlow::Continue(()) } else { flush(&mut batch) }
        })?;
    }
    let _ = flush(&mut batch);
    Ok(())
}
