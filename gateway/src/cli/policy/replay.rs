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
use wasmgate_decisions::replay::{Answer, Case, Condition, Evidence, Fold, Gathered, Scored, Scores, Tally};
use wasmgate_decisions::{
    Content, Decision, Input, Keep, ModelTable, Moment, Report, Segment, VerdictKind, can_ask, read_contents,
    read_feedback, segments,
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
    #[command(flatten)]
    part: Part,
    /// Compare with another policy, with the same settings and limits, instead of the logged decisions.
    #[arg(long, value_name = "POLICY")]
    against: Option<PathBuf>,
    /// Exit with 1 if more than this changes, or if the log does not tell: `changed>5%` of the decisions, `cost>+2%` of what is
    /// expected, `score<-0.02` for the change of the mean score of feedback. May be repeated.
    #[arg(long = "fail-if", value_name = "CONDITION")]
    fail_if: Vec<Condition>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The part of a log that a command reads.
#[derive(Args)]
pub(super) struct Part {
    /// The folder of the decision log: `decisions.dir` of the configuration.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Only requests from this time on, as in 2026-11-29T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only requests before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
}

impl Part {
    /// Opens it, and reads what it has without asking anybody.
    pub(super) async fn open(&self) -> Result<(Arc<Log>, Survey), Failed> {
        // What a gateway writes in the meantime is not read only in part.
        let until = self.until.unwrap_or(Moment(u64::MAX)).min(Moment::now());
        let log = Arc::new(Log::open(&self.log, self.since.unwrap_or_default()..until)?);
        let (reading, of) = (format!("reading {}", self.log.display()), Arc::clone(&log));
        let survey = progress::shown(&reading, blocking(&self.log, move || Survey::of(&of))).await?;
        if survey.records == 0 {
            let message = format!("{}: there are no decisions of that time in this folder", self.log.display());
            return Err(Failed::Refused(message));
        }
        Ok((log, survey))
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text).ok_or_else(|| "expected a time as in 2026-11-29T12:00:00Z".to_owned())
}

/// See the module.
pub(super) async fn replay(replay: &Replay) -> Result<String, Failed> {
    let subject = replay.subject.routing()?;
    let (loaded, against) = (subject.read()?, replay.against.as_deref().map(|policy| subject.sibling(policy).read()));
    let against = against.transpose()?;
    let (log, mut survey) = replay.part.open().await?;
    let policy = Asked::load(&loaded, &survey.tables).await?;
    let against = match &against {
        Some(against) => Some(Asked::load(against, &survey.tables).await?),
        None => None,
    };
    let reads_text = [Some(&policy), against.as_ref()].into_iter().flatten().any(Asked::reads_text);
    let contents = contents(&log, reads_text).await?;
    let evidence = Gathered::all(survey.gathered).learned();
    let of = Arc::clone(&log);
    let (scores, feedback) = progress::shown("reading feedback", blocking(&log.folder, move || of.scores())).await?;
    survey.report.add(Report { segments: 0, ..feedback });
    let asking = Arc::new(Asking { policy, against, evidence, contents, scores, done: AtomicU64::new(0) });
    let shown = || format!("asking: {} of {}", format::count(asking.done()), format::count(survey.records));
    let (tally, scored) = super::quietly(progress::counted(shown, ask(&asking, &log))).await?;
    log.check_same(survey.records, asking.done())?;
    let replayed = Replayed {
        policy: asking.policy.version(),
        against: asking.against.as_ref().map(Asked::version),
        folder: log.folder.display().to_string(),
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

/// The texts of a log, if a policy is asked that reads text.
pub(super) async fn contents(log: &Arc<Log>, reads_text: bool) -> Result<HashMap<String, Content>, Failed> {
    let of = Arc::clone(log);
    match reads_text {
        true => progress::shown("reading texts", blocking(&log.folder, move || of.contents())).await,
        false => Ok(HashMap::new()),
    }
}

/// How many threads work.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The part of a log that is replayed.
pub(super) struct Log {
    pub(super) folder: PathBuf,
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

    /// Checks that both readings found as many decisions.
    ///
    /// # Errors
    /// If not: some were deleted in the meantime.
    pub(super) fn check_same(&self, first: u64, then: u64) -> Result<(), Failed> {
        if first == then {
            return Ok(());
        }
        let (first, then) = (format::count(first), format::count(then));
        Err(Failed::Refused(format!(
            "{}: the log changed while it was read: it had {first} decisions, and then {then}; start again, with --since if the oldest \
             are being deleted",
            self.folder.display()
        )))
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
pub(super) struct Survey {
    report: Report,
    /// Decisions that are replayed.
    pub(super) records: u64,
    /// What they measured, by the part that they are in.
    pub(super) gathered: [Gathered; 2],
    /// When the first and the last of them arrived.
    pub(super) times: Option<(Moment, Moment)>,
    pub(super) tables: BTreeMap<String, Arc<ModelTable>>,
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
                self.gathered[Fold::of(&decision.id) as usize].note(&decision);
                self.spans(decision.time, decision.time);
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

    fn spans(&mut self, first: Moment, last: Moment) {
        let (from, to) = self.times.unwrap_or((first, last));
        self.times = Some((from.min(first), to.max(last)));
    }

    fn add(&mut self, other: Self) {
        self.report.add(other.report);
        self.records += other.records;
        for (gathered, others) in self.gathered.iter_mut().zip(other.gathered) {
            gathered.add(others);
        }
        if let Some((first, last)) = other.times {
            self.spans(first, last);
        }
        self.tables.extend(other.tables);
        for (decider, count) in other.deciders {
            *self.deciders.entry(decider).or_default() += count;
        }
    }
}

/// A policy that is asked, as gateways with the log's models would load it.
pub(super) struct Asked {
    name: String,
    /// One for each set of tiers that is made from the models.
    policies: Vec<Policy>,
    /// Which of them decides with a table of models.
    by_table: BTreeMap<String, usize>,
}

impl Asked {
    pub(super) async fn load(loaded: &Loaded, tables: &BTreeMap<String, Arc<ModelTable>>) -> Result<Self, Failed> {
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

    /// The manifest and the rest of what is the same with all sets of tiers.
    pub(super) fn first(&self) -> Option<&Policy> {
        self.policies.first()
    }

    pub(super) fn reads_text(&self) -> bool {
        self.policies.iter().any(|policy| policy.reads().prompt != ReadsPrompt::None)
    }

    /// How many calls of it may be in flight.
    pub(super) fn most_calls(&self) -> usize {
        self.policies.iter().map(|policy| policy.limits().concurrent_calls).min().unwrap_or(1).max(1)
    }

    pub(super) fn version(&self) -> Version {
        let first = self.policies.first();
        Version {
            name: self.name.clone(),
            label: first.map_or(String::new(), Policy::label),
            digest: first.map_or(String::new(), |policy| policy.digest().to_owned()),
            settings: self.policies.iter().map(Policy::settings_digest).collect(),
            reads_text: self.reads_text(),
        }
    }

    /// What it answers to a logged decision. `input` is that of the decision with its content.
    pub(super) async fn answer(
        &self,
        decision: &Decision,
        table: &ModelTable,
        content: Option<&Content>,
        input: &Input,
    ) -> Result<Answer, &'static str> {
        let policy = self.by_table.get(table.id()).and_then(|&at| self.policies.get(at)).ok_or(UNREADABLE)?;
        if !can_ask(policy.reads(), content) {
            return Err(if content.is_some() { NO_WHOLE_TEXT } else { NO_TEXT });
        }
        let lists = input.request.lists();
        let answered = policy.route(&input.request.request(&lists), table.models(), &input.candidates).await;
        Ok(Answer::of(decision, input, table, &answered))
    }
}

/// What a policy was asked, as the log has it.
pub(super) fn input(decision: &Decision, table: &ModelTable, content: Option<&Content>) -> Result<Input, &'static str> {
    if decision.routing.is_none() && decision.verdict.kind == VerdictKind::Failed {
        return Err(COST_FAILED);
    }
    if Answer::is_overridden(decision) {
        return Err(OVERRIDDEN);
    }
    decision.input(table, content).map_err(|_| UNREADABLE)
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
pub(super) type Batch = Vec<(Decision, Arc<ModelTable>)>;

/// Where tasks get batches from.
pub(super) type Batches = Mutex<mpsc::Receiver<Batch>>;

impl Asking {
    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn answers(&self, decision: &Decision, table: &ModelTable) -> Result<(Answer, Answer), &'static str> {
        let content = self.contents.get(&decision.id);
        let input = input(decision, table, content)?;
        let after = self.policy.answer(decision, table, content, &input).await?;
        let before = match &self.against {
            Some(against) => against.answer(decision, table, content, &input).await?,
            None => Answer::logged(decision),
        };
        Ok((before, after))
    }

    /// Asks about batches until there are no more.
    async fn work(&self, batches: &Batches) -> (Tally, Scored) {
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

/// Asks about all decisions of the log.
async fn ask(asking: &Arc<Asking>, log: &Arc<Log>) -> Result<(Tally, Scored), Failed> {
    let most = [Some(&asking.policy), asking.against.as_ref()].into_iter().flatten().map(Asked::most_calls).min();
    let work = |batches: Arc<Batches>| {
        let asking = Arc::clone(asking);
        async move { asking.work(&batches).await }
    };
    let (mut tally, mut scored) = (Tally::default(), Scored::default());
    for (one, with_scores) in shared_out(log, most.unwrap_or(1), work).await? {
        tally.merge(one);
        scored.merge(with_scores);
    }
    Ok((tally, scored))
}

/// Shares the decisions of a log out: one thread reads, and as many tasks work as there are cores, at most `most`.
pub(super) async fn shared_out<T, W>(
    log: &Arc<Log>,
    most: usize,
    work: impl Fn(Arc<Batches>) -> W,
) -> Result<Vec<T>, Failed>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let tasks = threads().min(most).max(1);
    let (send, receive) = mpsc::channel::<Batch>(2 * tasks);
    let receive = Arc::new(Mutex::new(receive));
    let of = Arc::clone(log);
    let reading = tokio::spawn(async move { blocking(&of.folder.clone(), move || feed(&of, &send)).await });
    let workers: Vec<_> = (0..tasks).map(|_| tokio::spawn(work(Arc::clone(&receive)))).collect();
    // The thread that reads ends when nobody receives.
    drop(receive);
    let ended = |error: tokio::task::JoinError| Failed::Machine(format!("a task that replays ended: {error}"));
    let mut found = Vec::with_capacity(tasks);
    for worker in workers {
        found.push(worker.await.map_err(ended)?);
    }
    reading.await.map_err(ended)??;
    Ok(found)
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
