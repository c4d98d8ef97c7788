//! A simulated week of traffic whose truth is known: what each model would have answered to each request, how long that takes and
//! costs. Real policies decide it, and the real writer logs it, so that what a replay says can be compared with what is true.
//!
//! A seed decides everything: prompts of several kinds, groups and dialects, arrivals by day and night, a model that some clients
//! name. Output lengths and times of each model follow laws of their own, with the length of the input.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use wasmgate_decisions::{
    Asked, Call, Candidate, CostBasis, Decision, Keep, Lines, Log, ModelRow, ModelTable, Moment, Options, Outcome,
    Request, Retention, RowPrice, Verdict, VerdictKind,
};
use wasmgate_policy_host as host;
use wasmgate_policy_host::{
    Breaker, CostEstimate, GivenLimits, Health, Hook, KnownModel, Loader, LoaderOptions, Observation, Observed,
    OwnedRequest, Pace, Policy, Role, Source, builtin,
};

use crate::wait::LIMIT;

/// Monday, the 6th of January 2025: a past week, because a replay reads nothing of the future.
const MONDAY: u64 = 1_736_121_600_000;
const WEEK_MS: u64 = 7 * 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// A model's name, prices of a million tokens (nano-dollars in, out), the median length of its answers to a hundred tokens, its
/// seconds to the first token and its tokens a second.
type Law = (&'static str, [u64; 2], f64, f64, f64);

/// The cheapest first: `complexity` takes them for low, medium and high.
const MODELS: [Law; 3] = [
    ("tinyllama", [50_000_000, 100_000_000], 80.0, 0.1, 120.0),
    ("phi2", [500_000_000, 1_500_000_000], 150.0, 0.2, 80.0),
    ("claude-sonnet", [3_000_000_000, 15_000_000_000], 300.0, 0.6, 60.0),
];
/// How answers grow with their input: the power of the input's tokens.
const GROWTH: f64 = 0.5;
/// How answers of one model to inputs of one length differ: the deviation of their length's logarithm.
const SPREAD: f64 = 0.8;

const GROUPS: [Option<&str>; 4] = [None, Some("support"), Some("research"), Some("ops")];
const DIALECTS: [&str; 4] = ["openai", "anthropic", "ollama", "native"];
const WORDS: [&str; 12] = [
    "harbor", "granite", "orchard", "lantern", "meadow", "copper", "violin", "saddle", "timber", "willow", "gravel",
    "mosaic",
];
const DEMANDS: [&str; 6] = ["analyze", "architect", "optimize", "refactor", "develop", "comprehensive"];

/// A week of requests.
#[derive(Debug)]
pub struct Week {
    seed: u64,
    table: ModelTable,
    requests: Vec<Sent>,
}

/// A request as its client sent it, and the state that it met.
#[derive(Debug)]
pub struct Sent {
    /// What the gateway shows policies.
    pub request: OwnedRequest,
    /// The models that may answer.
    pub candidates: Vec<host::Candidate>,
    time: Moment,
    /// It ended without an answer, whatever the choice.
    lost: bool,
}

/// What a model answers to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Output tokens.
    pub output: u64,
    /// What the call takes.
    pub seconds: f64,
    /// In nano-dollars.
    pub cost: u64,
}

impl Week {
    /// So many requests.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut draws = Draws(seed);
        let mut times: Vec<u64> = (0..count).map(|_| arrival(&mut draws)).collect();
        times.sort_unstable();
        let requests = times.into_iter().map(|time| sent(time, &mut draws)).collect();
        let row = |(name, [input, output], ..): &Law| ModelRow {
            name: (*name).to_owned(),
            backend: (*name).to_owned(),
            location: "cloud".to_owned(),
            price: Some(RowPrice {
                input: *input,
                output: *output,
                cache_read: None,
                cache_write: None,
                reasoning: None,
            }),
            context_window: None,
            capabilities: Vec::new(),
            labels: Vec::new(),
        };
        Self { seed, table: ModelTable::new(MODELS.iter().map(row).collect()), requests }
    }

    /// Its requests, in the order in which they arrived.
    #[must_use]
    pub fn requests(&self) -> &[Sent] {
        &self.requests
    }

    /// The models.
    #[must_use]
    pub fn table(&self) -> &ModelTable {
        &self.table
    }

    /// What a model answers to a request: the same whoever decides. `draw` tells weeks of the same requests apart.
    #[must_use]
    pub fn truth(&self, at: usize, model: usize, draw: u64) -> Truth {
        let (_, [input_price, output_price], median, first, speed) = MODELS[model];
        let mixed = [draw, at as u64, model as u64].iter().fold(self.seed, |seed, part| Draws(seed ^ part).next());
        let mut draws = Draws(mixed);
        let input = f64::from(self.requests[at].request.prompt_tokens);
        let output = (median * (input / 100.0).powf(GROWTH) * (SPREAD * draws.normal()).exp()).round().max(1.0);
        let seconds = first * (0.4 * draws.normal()).exp() + output / speed;
        let nano = (input * input_price as f64 + output * output_price as f64) / 1e6;
        Truth { output: output as u64, seconds, cost: nano as u64 }
    }

    /// What all requests cost, in nano-dollars, if these models answer them.
    #[must_use]
    pub fn cost(&self, choices: &[usize], draw: u64) -> u64 {
        let answered = choices.iter().enumerate().filter(|(at, _)| !self.requests[*at].lost);
        answered.map(|(at, model)| self.truth(at, *model, draw).cost).sum()
    }

    /// `complexity` with these settings, loaded as by a gateway with these models.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn complexity(&self, settings: &Map<String, Json>) -> Policy {
        let loader = Loader::new(LoaderOptions::default()).unwrap();
        let bytes = builtin::component("complexity").unwrap().into();
        let source = Source { origin: "complexity".into(), bytes, fixtures: None, default_name: None };
        let known = |row: &ModelRow| KnownModel {
            name: row.name.clone(),
            price: row.price.map(|price| price.input + price.output),
            embeds: false,
        };
        let known: Vec<KnownModel> = self.table.rows().iter().map(known).collect();
        let limits = GivenLimits { call_time_ms: Some(5000), ..GivenLimits::default() };
        Policy::load(&loader, &source, Hook::Routing, settings, &limits, Some(&known), Pace::Serving).await.unwrap()
    }

    /// What a policy answers to each request.
    ///
    /// # Panics
    /// If it fails.
    pub async fn ask(&self, policy: &Policy) -> Vec<host::Verdict> {
        let mut verdicts = Vec::with_capacity(self.requests.len());
        for Sent { request, candidates, .. } in &self.requests {
            let lists = request.lists();
            verdicts.push(policy.route(&request.request(&lists), self.table.models(), candidates).await.unwrap());
        }
        verdicts
    }

    /// The models that the gateway calls first after these verdicts: what the client named, else the first of the ranking.
    ///
    /// # Panics
    /// If a verdict names no model.
    #[must_use]
    pub fn choices(&self, verdicts: &[host::Verdict]) -> Vec<usize> {
        let choice = |(sent, verdict): (&Sent, &host::Verdict)| {
            let verdict = Verdict::of(verdict, &sent.candidates, self.table.models());
            let first = verdict.ranking.first().and_then(|model| self.table.position(model));
            self.table.position(&sent.request.requested_model).or(first).expect("a model")
        };
        self.requests.iter().zip(verdicts).map(choice).collect()
    }

    /// What the log has of a request that a policy decided.
    #[must_use]
    pub fn decision(&self, at: usize, policy: &Policy, verdict: &host::Verdict, chosen: usize, draw: u64) -> Decision {
        let Sent { request, candidates, time, lost } = &self.requests[at];
        let (truth, model) = (self.truth(at, chosen, draw), MODELS[chosen].0.to_owned());
        let lists = request.lists();
        let call = Call {
            model: model.clone(),
            answered: true,
            input_tokens: request.prompt_tokens.into(),
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            output_tokens: truth.output,
            reasoning_tokens: 0,
            reported: true,
            cost: Some(truth.cost),
        };
        let manifest = policy.manifest();
        Decision {
            id: request.id.clone(),
            time: *time,
            group: request.tenant.clone(),
            dialect: request.dialect.clone(),
            models_id: self.table.id().to_owned(),
            request: Request::of(&request.request(&lists)),
            candidates: candidates.iter().map(|candidate| Candidate::of(candidate, self.table.models())).collect(),
            routing: Some(Asked {
                policy: manifest.name.clone(),
                version: manifest.version.clone(),
                digest: policy.digest().to_owned(),
                settings: policy.settings_digest(),
                revision: "1".to_owned(),
                slot: "routing".to_owned(),
                mode: "active".to_owned(),
                seconds: Some(3e-6),
                failure: None,
            }),
            cost: None,
            verdict: match Verdict::of(verdict, candidates, self.table.models()) {
                Verdict { kind: VerdictKind::Pass, .. } => unreachable!("complexity always has an opinion"),
                verdict => verdict,
            },
            chosen: Some(model.clone()),
            explored: false,
            exploration: None,
            propensity: 1.0,
            outcome: Outcome {
                ending: if *lost { "failed" } else { "finished" }.to_owned(),
                failure: lost.then(|| "connect".to_owned()),
                model: Some(model),
                attempts: Vec::new(),
                hedged: false,
                calls: if *lost { Vec::new() } else { vec![call] },
                cost: (!lost).then_some(truth.cost),
                cost_basis: (!lost).then_some(CostBasis::Reported),
                first_token_seconds: None,
                model_seconds: (!lost).then_some(truth.seconds),
                seconds: truth.seconds + 0.001,
            },
        }
    }

    /// Writes what a policy decided, texts and all, as a gateway with `decisions.content = "full"` does.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn write(&self, folder: &Path, policy: &Policy, verdicts: &[host::Verdict]) {
        type Entry = (Decision, Vec<(Role, String)>);
        let kept = Retention { max_age: Duration::from_secs(86_400), max_bytes: 10 << 30 };
        let options = Options::new(kept, kept, |error| panic!("{error}"));
        let table = Arc::new(self.table.clone());
        let write = move |(decision, texts): Entry, lines: &mut Lines| {
            lines.decision(&decision, &table);
            lines.content(&decision.id, decision.time, Keep::Full, texts);
        };
        let log = Log::open(folder, options, write).unwrap().expect("nobody else writes there");
        let choices = self.choices(verdicts);
        for (at, (verdict, chosen)) in verdicts.iter().zip(&choices).enumerate() {
            let decision = self.decision(at, policy, verdict, *chosen, 0);
            // Requests never wait for the log, so this gives it time before its queue is full.
            if at % 4000 == 0 {
                log.flush(LIMIT);
            }
            assert!(log.append((decision, self.requests[at].request.messages.clone())));
        }
        drop(log);
    }
}

/// A moment of the week: more by day than by night, less on the weekend.
fn arrival(draws: &mut Draws) -> u64 {
    loop {
        let time = draws.below(usize::try_from(WEEK_MS).unwrap_or(usize::MAX)) as u64;
        let (day, hour) = (time / (24 * HOUR_MS), time / HOUR_MS % 24);
        let rate = if day < 5 { 1.0 } else { 0.4 } * if (8..19).contains(&hour) { 1.0 } else { 0.25 };
        if draws.share() < rate {
            return MONDAY + time;
        }
    }
}

fn sent(time: u64, draws: &mut Draws) -> Sent {
    let id = format!("{time:012x}7{:03x}{:016x}", draws.below(1 << 12), draws.next());
    let group = draws.below(GROUPS.len());
    let text = prompt(group, draws);
    // What is no text: tools, and what the gateway's estimate adds.
    let more = (30.0 * (1.2 * draws.normal()).exp()).min(50_000.0);
    let requested = match draws.below(20) {
        0 => MODELS[draws.below(MODELS.len())].0,
        _ => "auto",
    };
    let system = format!("You answer for {}.", GROUPS[group].unwrap_or("everybody"));
    let request = OwnedRequest {
        id,
        dialect: draws.one_of(&DIALECTS).to_owned(),
        requested_model: requested.to_owned(),
        prompt_tokens: ((system.len() + text.len()) / 4) as u32 + more as u32,
        messages: vec![(Role::System, system), (Role::User, text)],
        max_tokens: (draws.below(4) == 0).then_some(4096),
        streaming: draws.below(2) == 0,
        tools: draws.below(5) == 0,
        tenant: GROUPS[group].map(str::to_owned),
        labels: vec![("team".to_owned(), draws.one_of(&["red", "blue"]).to_owned())],
        ..OwnedRequest::default()
    };
    let candidates = (0..).zip(MODELS).map(|(model, law)| candidate(model, &law, &request, draws)).collect();
    Sent { request, candidates, time: Moment(time), lost: draws.below(200) == 0 }
}

fn candidate(model: u32, law: &Law, request: &OwnedRequest, draws: &mut Draws) -> host::Candidate {
    let (_, [input, output], median, first, speed) = *law;
    let cost = (u64::from(request.prompt_tokens) * input + 500 * output) / 1_000_000;
    host::Candidate {
        model,
        now: Observation {
            health: if draws.below(50) == 0 { Health::Degraded } else { Health::Healthy },
            breaker: Breaker::Closed,
            in_flight: draws.below(9) as u32,
            observed: Some(Observed {
                latency: first + median / speed,
                time_to_first_token: Some(first),
                tokens_per_second: Some(speed),
            }),
        },
        time_left: 600.0,
        estimate: Some(CostEstimate { input_tokens: request.prompt_tokens, output_tokens: 500, cost: Some(cost) }),
    }
}

/// A prompt, simple or demanding; groups differ in what they ask.
fn prompt(group: usize, draws: &mut Draws) -> String {
    let kind = (draws.below(5) + draws.below(group + 2)).min(5);
    let words =
        |count: usize, draws: &mut Draws| (0..count).map(|_| draws.one_of(&WORDS)).collect::<Vec<_>>().join(" ");
    let length = 3 + draws.below(130);
    match kind {
        0 => format!("What is the {}?", words(3, draws)),
        1 => format!("Summarize this: {}.", words(length, draws)),
        2 => format!("Tell me more of the {}.", words(length / 3, draws)),
        3 => format!("{} the {}.", draws.one_of(&DEMANDS), words(length, draws)),
        4 => format!(
            "Debug this:\n```\ndef {}(x): return {{x}}\n```\n{}",
            draws.one_of(&WORDS),
            words(length / 2, draws)
        ),
        _ => {
            let demands: Vec<&str> = (0..=draws.below(4)).map(|_| draws.one_of(&DEMANDS)).collect();
            format!("Design and build a {}: {}. {}", draws.one_of(&WORDS), demands.join(", "), words(length, draws))
        }
    }
}

/// Numbers that look random: SplitMix64.
#[derive(Debug)]
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Above 0, up to 1.
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Of the standard normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
