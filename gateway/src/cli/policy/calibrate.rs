//! `wasmgate calibrate`: finds the value of a policy's setting at which a figure of the logged requests is what the operator wants
//! it to be. A part of the log picks the value, the rest checks it.
//!
//! One setting changes at a time. Each pass reads the log once and asks each decision of several values, on all cores.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value as Json};
use wasmgate::rollout::api::PolicyStatus;
use wasmgate::rollout::slot::Slot;
use wasmgate_decisions::replay::{Evidence, Figure, Fold, Gathered, Measured, Range, Target};
use wasmgate_decisions::{Content, Decision, ModelTable};
use wasmgate_policy_host::{Hook, Meaning, Policy, Source, Value};

use super::calibrated::{self, Calibrated, Curve, Point};
use super::replay::{Asked, Batches, Log, Part, Survey, contents, input, shared_out};
use super::target::{Loaded, Subject};
use super::{Failed, format, progress};
use crate::cli::client::{self, Access, Call, Client};
use crate::cli::policies::{percent, upload_of};

/// Rounds of finer values after the grid.
const ROUNDS: usize = 3;
/// Values that a pass over the log asks about: each has instances of the policy.
const AT_ONCE: usize = 16;
/// Milliseconds of a month: a twelfth of 365.25 days.
const MONTH_MS: f64 = 365.25 / 12.0 * 86_400_000.0;
/// A value that is this much nearer than it must be is not refined.
const NEAR_ENOUGH: f64 = 0.1;

/// See the module.
#[derive(Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    part: Part,
    /// What to reach: `share:MODEL=N%` of the first choices, `spend=$N/month`, or `pN=Ns` for a percentile of latency, as in
    /// share:claude-sonnet=30%, spend=$400/month, p95=2s.
    #[arg(long)]
    target: Target,
    /// Change only this setting (default: each number with a range, in turn).
    #[arg(long = "setting", value_name = "NAME")]
    setting: Option<String>,
    /// How far off a figure may be: of a share in points, of the others in percent of the target.
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = positive)]
    within: f64,
    /// Write the settings to this file, TOML (with the figures as comments) or JSON; without it they are printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Hand the policy with these settings to a running gateway, as its canary.
    #[arg(long)]
    apply: bool,
    /// The canary's share in percent, 0 to 100.
    #[arg(long, value_name = "P", default_value_t = 5.0, value_parser = percent, requires = "apply")]
    canary_percent: f64,
    #[command(flatten)]
    access: Access,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

/// A setting that can be calibrated.
#[derive(Clone)]
struct Setting {
    name: String,
    range: Range,
    /// The value in force.
    current: f64,
}

/// See the module.
pub(super) async fn calibrate(calibrate: &Calibrate) -> Result<String, Failed> {
    let mut loaded = calibrate.subject.routing()?.read()?;
    let gateway = if calibrate.apply { Some(reach(&calibrate.access).await?) } else { None };
    let (log, survey) = calibrate.part.open().await?;
    check_target(&calibrate.target, &survey)?;
    let asked = Asked::load(&loaded, &survey.tables).await?;
    let settings = settings(&asked, &loaded.name, calibrate.setting.as_deref())?;
    let contents = contents(&log, asked.reads_text()).await?;
    let policy = asked.version();
    drop(asked);
    let (per_month, period) = (per_month(&survey), survey.times.unwrap_or_default());
    let mut sweep = Sweep {
        target: calibrate.target.clone(),
        within: calibrate.within,
        evidence: Arc::new(survey.gathered.map(Gathered::learned)),
        contents: Arc::new(contents),
        tables: survey.tables,
        records: survey.records,
        per_month,
        log,
        skipped: Vec::new(),
    };
    let mut curves = Vec::new();
    for setting in settings {
        curves.push(sweep.curve(&mut loaded, &setting).await?);
    }
    let calibrated = Calibrated {
        policy,
        folder: sweep.log.folder.display().to_string(),
        target: sweep.target,
        within: sweep.within,
        records: sweep.records,
        period,
        not_asked: sweep.skipped,
        curves,
        given: loaded.settings,
    };
    let settings = calibrated::confirmed(&calibrated);
    if let (Some(path), Some(settings)) = (calibrate.out.as_deref(), &settings) {
        calibrated::write(&calibrated, settings, path)?;
    }
    let applied = match (&gateway, &settings) {
        (Some(gateway), Some(settings)) => {
            Some(apply(gateway, &loaded.source, settings, calibrate.canary_percent).await)
        }
        _ => None,
    };
    let text =
        calibrated::shown(&calibrated, settings.as_ref(), calibrate.out.as_deref(), applied.as_ref(), calibrate.json)?;
    match applied {
        _ if settings.is_none() => Err(Failed::Unmet(text)),
        // The settings were found, and that is worth reading although the gateway did not take them.
        Some(Err(failed)) => {
            super::print(&text);
            Err(failed)
        }
        _ => Ok(text),
    }
}

/// A client of the gateway, which is there: nobody should wait for a calibration to learn that it is not.
async fn reach(access: &Access) -> Result<Client, Failed> {
    let client = access.client().map_err(of_client)?;
    client.ask(Call::new(Method::GET, &["policies"])).await.map_err(of_client)?;
    Ok(client)
}

/// Uploads the policy with these settings to the canary's slot.
async fn apply(
    gateway: &Client,
    source: &Source,
    settings: &Map<String, Json>,
    percent: f64,
) -> Result<PolicyStatus, Failed> {
    let settings = Json::Object(settings.clone());
    let slot = Slot::canary(Hook::Routing);
    let call = upload_of(&slot, source.bytes.to_vec(), None, Some(percent), Some(&settings)).map_err(of_client)?;
    let answer = gateway.ask(call).await.map_err(of_client)?;
    client::read(&answer).map_err(of_client)
}

fn of_client(failed: client::Failed) -> Failed {
    match failed {
        client::Failed::Refused(message) => Failed::Refused(message),
        client::Failed::Unreachable(message) => Failed::Machine(message),
    }
}

/// A share must be of a model that the log knows.
fn check_target(target: &Target, survey: &Survey) -> Result<(), Failed> {
    let Target::Share { model, .. } = target else { return Ok(()) };
    if survey.tables.values().any(|table| table.position(model).is_some()) {
        return Ok(());
    }
    let rows = survey.tables.values().flat_map(|table| table.rows());
    let mut names: Vec<&str> = rows.map(|row| row.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    Err(Failed::Refused(format!("--target: no model {model:?} is in the log, expected one of {}", names.join(", "))))
}

/// Requests in a month, at the rate of the log.
fn per_month(survey: &Survey) -> f64 {
    let took = survey.times.map_or(0, |(first, last)| last.0 - first.0);
    survey.records as f64 / took.max(1) as f64 * MONTH_MS
}

/// The settings to change.
fn settings(asked: &Asked, policy: &str, only: Option<&str>) -> Result<Vec<Setting>, Failed> {
    let all: Vec<Setting> = asked.first().map_or(Vec::new(), numbers);
    let names = || all.iter().map(|setting| setting.name.as_str()).collect::<Vec<_>>().join(", ");
    match only {
        _ if all.is_empty() => Err(Failed::Refused(format!(
            "{policy}: its manifest has no setting that is a number with a range; there is nothing to calibrate"
        ))),
        None => Ok(all),
        Some(only) => match all.iter().find(|setting| setting.name == only) {
            Some(setting) => Ok(vec![setting.clone()]),
            None => Err(Failed::Refused(format!(
                "--setting {only}: {policy} has no such setting with a range, expected one of {}",
                names()
            ))),
        },
    }
}

/// The numbers with a range in a policy's manifest.
fn numbers(policy: &Policy) -> Vec<Setting> {
    let in_force = policy.settings();
    let number = |setting: &wasmgate_policy_host::Setting| {
        let Meaning::Range((low, high)) = setting.meaning else { return None };
        let whole = match setting.default {
            Value::Integer(_) => true,
            Value::Number(_) => false,
            _ => return None,
        };
        let current = in_force.get(&setting.name).and_then(Json::as_f64)?;
        Some(Setting { name: setting.name.clone(), range: Range { low, high, whole }, current })
    };
    policy.manifest().settings.iter().filter_map(number).collect()
}

/// A value as the policy's manifest wants it.
fn json(setting: &Setting, value: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "ranges are of numbers that people write")]
    let whole = || Json::from(value as i64);
    if setting.range.whole { whole() } else { Json::from(value) }
}

/// What all passes have in common.
struct Sweep {
    target: Target,
    within: f64,
    /// By fold.
    evidence: Arc<[Evidence; 2]>,
    contents: Arc<HashMap<String, Content>>,
    tables: BTreeMap<String, Arc<ModelTable>>,
    records: u64,
    per_month: f64,
    log: Arc<Log>,
    /// Decisions that could not be asked, by reason; the same in each pass.
    skipped: Vec<(&'static str, u64)>,
}

impl Sweep {
    /// The figures of one setting, by its values. The others stay as they are.
    async fn curve(&mut self, loaded: &mut Loaded, setting: &Setting) -> Result<Curve, Failed> {
        let mut curve =
            Curve { setting: setting.name.clone(), current: json(setting, setting.current), points: Vec::new() };
        let mut values = setting.range.grid(setting.current);
        for _ in 0..=ROUNDS {
            for some in values.chunks(AT_ONCE) {
                curve.points.extend(self.pass(loaded, setting, some).await?);
            }
            curve.points.sort_unstable_by(|one, other| one.at.total_cmp(&other.at));
            let known = |point: &Point| Some((point.at, point.predicted?.expected));
            let known: Vec<(f64, f64)> = curve.points.iter().filter_map(known).collect();
            let off = known.iter().map(|(_, figure)| self.target.off(*figure)).min_by(f64::total_cmp);
            if off.is_some_and(|off| off <= NEAR_ENOUGH * self.within) {
                break;
            }
            values = setting.range.next(&known, self.target.value());
        }
        Ok(curve)
    }

    /// Asks all decisions with each of these values.
    async fn pass(&mut self, loaded: &mut Loaded, setting: &Setting, values: &[f64]) -> Result<Vec<Point>, Failed> {
        let (mut points, mut policies) = (Vec::new(), Vec::new());
        let given = loaded.settings.get(&setting.name).cloned();
        for &at in values {
            let value = json(setting, at);
            loaded.settings.insert(setting.name.clone(), value.clone());
            let asked = Asked::load(loaded, &self.tables).await;
            match &given {
                Some(given) => loaded.settings.insert(setting.name.clone(), given.clone()),
                None => loaded.settings.remove(&setting.name),
            };
            let mut point = Point { at, value, ..Point::default() };
            match asked {
                Ok(asked) => policies.push(asked),
                // Settings that exclude each other, such as a lower bound above the upper one.
                Err(Failed::Refused(reason)) => point.refused = Some(reason),
                Err(other) => return Err(other),
            }
            points.push(point);
        }
        let most = policies.iter().map(Asked::most_calls).min().unwrap_or(1);
        let asking = Arc::new(Asking {
            policies,
            target: self.target.clone(),
            evidence: Arc::clone(&self.evidence),
            contents: Arc::clone(&self.contents),
            done: AtomicU64::new(0),
        });
        let work = |batches: Arc<Batches>| {
            let asking = Arc::clone(&asking);
            async move { asking.work(&batches).await }
        };
        let shown = || {
            let (done, records) = (asking.done.load(Ordering::Relaxed), self.records);
            format!("{}: asking: {} of {}", setting.name, format::count(done), format::count(records))
        };
        let found = super::quietly(progress::counted(shown, shared_out(&self.log, most, work))).await?;
        self.log.check_same(self.records, asking.done.load(Ordering::Relaxed))?;
        let mut all = asking.nothing();
        for task in found {
            all.merge(task);
        }
        self.skipped = all.skipped.into_iter().collect();
        let admitted = points.iter_mut().filter(|point| point.refused.is_none());
        for (point, [training, held_out]) in admitted.zip(all.measured) {
            let figure = |measured: &Measured, fold: Fold| -> Option<Figure> {
                measured.figure(&self.target, &self.evidence[fold as usize], self.per_month)
            };
            point.predicted = figure(&training, Fold::Training);
            point.held_out = figure(&held_out, Fold::HeldOut);
            point.training = training.counted;
            point.checking = held_out.counted;
        }
        Ok(points)
    }
}

/// What the tasks of a pass have in common.
struct Asking {
    policies: Vec<Asked>,
    target: Target,
    evidence: Arc<[Evidence; 2]>,
    contents: Arc<HashMap<String, Content>>,
    done: AtomicU64,
}

/// What a task of a pass found.
struct Found {
    /// By policy, then by fold.
    measured: Vec<[Measured; 2]>,
    skipped: BTreeMap<&'static str, u64>,
}

impl Found {
    fn merge(&mut self, other: Self) {
        for (measured, others) in self.measured.iter_mut().zip(other.measured) {
            for (fold, other) in measured.iter_mut().zip(others) {
                fold.merge(other);
            }
        }
        for (reason, count) in other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
    }
}

impl Asking {
    fn nothing(&self) -> Found {
        let measured = self.policies.iter().map(|_| Default::default()).collect();
        Found { measured, skipped: BTreeMap::new() }
    }

    /// Asks about batches until there are no more.
    async fn work(&self, batches: &Batches) -> Found {
        let mut found = self.nothing();
        loop {
            let batch = batches.lock().await.recv().await;
            let Some(batch) = batch else { return found };
            for (decision, table) in &batch {
                if let Err(reason) = self.ask(decision, table, &mut found.measured).await {
                    *found.skipped.entry(reason).or_default() += 1;
                }
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn ask(
        &self,
        decision: &Decision,
        table: &ModelTable,
        measured: &mut [[Measured; 2]],
    ) -> Result<(), &'static str> {
        let fold = Fold::of(&decision.id) as usize;
        let content = self.contents.get(&decision.id);
        let input = input(decision, table, content)?;
        for (policy, measured) in self.policies.iter().zip(measured) {
            let answer = policy.answer(decision, table, content, &input).await?;
            measured[fold].add(&self.target, decision, table, &answer, &self.evidence[fold]);
        }
        Ok(())
    }
}
