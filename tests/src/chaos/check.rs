//! What clients saw, what the backend saw, and what the gateway counts and logs, held against each other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::{End, Seen};
use super::plan::{CLIENTS, DEAD, Id, Junk, LIMP, Manner, Plan};
use super::scene::{DEAD_CALLS, LIMP_CALLS, LIMP_PAUSE};
use crate::scrape::Metrics;

/// Everything that is held against each other.
pub(super) struct Facts<'a> {
    /// By the clients.
    pub seen: &'a [Seen],
    /// By the backend.
    pub calls: &'a BTreeMap<(Id, String), usize>,
    /// By the gateway.
    pub metrics: &'a Metrics,
    /// By the gateway, a line for each request.
    pub log: &'a [Value],
    /// What the backend was told to do.
    pub plan: Plan,
    /// Seconds since the gateway started.
    pub elapsed: f64,
}

/// The code of a prompt that is too long.
pub(super) const OVERFLOW: &str = "context_length_exceeded";

/// The errors that are no failures: how the gateway counts them.
const REJECTIONS: [&str; 11] = [
    "bad_request",
    "unknown_model",
    "unknown_route",
    "wrong_method",
    "wrong_content_type",
    "unknown_content_encoding",
    "too_large",
    OVERFLOW,
    "content_filtered",
    "request_refused",
    "backend_full",
];

/// The others, and the reason by which they are counted.
const FAILURES: [(&str, &str); 10] = [
    ("backend_timeout", "timeout"),
    ("backend_unreachable", "connect"),
    ("backend_error", "upstream_5xx"),
    ("backend_busy", "upstream_429"),
    ("backend_overloaded", "upstream_5xx"),
    ("backend_unauthorized", "upstream_auth"),
    ("backend_refused", "upstream_4xx"),
    ("backend_protocol", "protocol"),
    ("stream_cut", "protocol"),
    ("breaker_open", "breaker_open"),
];

/// How often the gateway sends a request again that no server processed.
const FREE_RETRIES: usize = 3;
/// Reasons of attempts that were not made.
const NOT_MADE: [&str; 2] = ["breaker_open", "backend_full"];

impl Facts<'_> {
    /// All that does not agree.
    #[must_use]
    pub(super) fn wrongs(&self) -> Vec<String> {
        let mut wrongs = Vec::new();
        self.each_answer(&mut wrongs);
        self.endings(&mut wrongs);
        self.attempts(&mut wrongs);
        self.repeated(&mut wrongs);
        self.open_breakers(&mut wrongs);
        self.logged(&mut wrongs);
        wrongs
    }

    fn each_answer(&self, wrongs: &mut Vec<String>) {
        for seen in self.seen {
            if let Some(wrong) = &seen.wrong {
                wrongs.push(format!("{:?} {:?}: {wrong}; {}", seen.id, seen.asked, self.line(seen)));
            }
        }
    }

    /// Each request has one ending. How one ended whose client left is not known; one that was left before the gateway
    /// had read it may be none.
    fn endings(&self, wrongs: &mut Vec<String>) {
        let sent = self.seen.len();
        let left = self.count(|seen| seen.end == End::Left);
        let unread = self.count(|seen| seen.end == End::Left && seen.head.is_none() && self.calls_of(seen.id) == 0);
        let value = |name: &str, labels: &[(&str, &str)]| self.metrics.find(name, labels).unwrap_or(0.0) as usize;
        let told = |codes: &[&str]| self.count(|seen| matches!(&seen.end, End::Told(code) if codes.contains(&&**code)));
        let requests = |status| value("api_gateway_requests_total", &[("status", status)]);
        let answered = self.count(|seen| seen.end == End::Answered);
        let mut ended = vec![
            ("answered".to_owned(), answered, requests("success")),
            ("failed".into(), told(&FAILURES.map(|(code, _)| code)), requests("error")),
            ("rejected".into(), told(&REJECTIONS), value("api_gateway_rejected_requests_total", &[])),
            ("abandoned".into(), 0, value("api_gateway_abandoned_requests_total", &[])),
        ];
        let total: usize = ended.iter().map(|(_, _, by_gateway)| by_gateway).sum();
        if !(sent - unread..=sent).contains(&total) {
            wrongs.push(format!("{sent} requests were sent, of which {unread} may not have been read; {total} ended"));
        }
        for reason in FAILURES.map(|(_, reason)| reason) {
            let codes: Vec<&str> = FAILURES.iter().filter(|(_, is)| *is == reason).map(|(code, _)| *code).collect();
            ended.push((reason.into(), told(&codes), value("api_gateway_errors_total", &[("reason", reason)])));
        }
        for model in self.metrics.label_values("model") {
            let answered = self.count(|seen| seen.end == End::Answered && seen.answering() == Some(&*model));
            let labels = [("model", &*model), ("status", "success")];
            ended.push((format!("answered by {model}"), answered, value("api_gateway_requests_total", &labels)));
        }
        for (what, by_clients, by_gateway) in ended {
            if !(by_clients..=by_clients + left).contains(&by_gateway) {
                wrongs.push(format!("{what}: clients count {by_clients} (and {left} left), the gateway {by_gateway}"));
            }
        }
        let known = |code: &str| REJECTIONS.contains(&code) || FAILURES.iter().any(|(known, _)| *known == code);
        let strange = self.seen.iter().filter(|seen| matches!(&seen.end, End::Told(code) if !known(code)));
        wrongs.extend(
            strange.map(|seen| format!("{:?}: no client expects {:?}; {}", seen.id, seen.end, self.line(seen))),
        );
    }

    /// The backend was called for each attempt that an answer's head tells of, and for no other. One that was given up
    /// may not have come there.
    fn attempts(&self, wrongs: &mut Vec<String>) {
        for seen in self.seen.iter().filter(|seen| seen.head.is_some()) {
            let mut made = BTreeMap::<&str, (usize, usize)>::new();
            for (model, reason) in seen.failed_attempts() {
                let (most, late) = made.entry(model).or_default();
                *most += usize::from(!NOT_MADE.contains(&reason));
                *late += usize::from(reason == "timeout");
            }
            if let Some(model) = seen.answering() {
                made.entry(model).or_default().0 += 1;
            }
            let called: BTreeMap<&str, usize> = self.calls_for(seen.id).collect();
            let agree = called.keys().all(|model| made.contains_key(model))
                && made.iter().all(|(model, (most, late))| {
                    // What breaks off without an answer on a connection that served before is sent again, and told nowhere.
                    let free = if self.plan.fault(seen.id, model).name.starts_with("closes-") {
                        FREE_RETRIES * most
                    } else {
                        0
                    };
                    (most - late..=most + free).contains(&called.get(model).copied().unwrap_or(0))
                });
            if !agree {
                wrongs.push(format!(
                    "{:?} {:?}: the head says {:?}, then {:?}; the backend was called {called:?}; {}",
                    seen.id,
                    seen.asked,
                    seen.failed_attempts(),
                    seen.answering(),
                    self.line(seen)
                ));
            }
        }
    }

    /// Attempts made again and requests answered by another model are those that the heads of answers tell of, and no
    /// more than what those may have come to that nobody saw a head of.
    fn repeated(&self, wrongs: &mut Vec<String>) {
        let (mut retries, mut fallbacks) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
        for seen in self.seen {
            let failed = seen.failed_attempts();
            let next = failed.iter().skip(1).map(|(model, _)| Some(*model)).chain([seen.answering()]);
            for ((model, reason), next) in failed.iter().zip(next) {
                if next == Some(model) {
                    *retries.entry(vec![("upstream", *model), ("reason", *reason)]).or_default() += 1;
                }
            }
            if let (Some((chosen, reason)), Some(model)) = (failed.first(), seen.answering())
                && *chosen != model
            {
                let labels = vec![("from_model", *chosen), ("to_model", model), ("reason", *reason)];
                *fallbacks.entry(labels).or_default() += 1;
            }
        }
        let unseen = || self.seen.iter().filter(|seen| seen.head.is_none());
        let most_retries = unseen().map(|seen| self.calls_of(seen.id)).sum();
        let families = [
            ("api_gateway_retries_total", retries, most_retries),
            ("api_gateway_fallbacks_total", fallbacks, unseen().count()),
        ];
        for (name, derived, unseen) in families {
            for (labels, least) in &derived {
                let counted = self.metrics.find(name, labels).unwrap_or(0.0) as usize;
                if counted < *least {
                    wrongs.push(format!("{name} {labels:?}: {counted}, the heads of answers tell of {least}"));
                }
            }
            let counted = self.metrics.find(name, &[]).unwrap_or(0.0) as usize;
            let least: usize = derived.values().sum();
            if counted > least + unseen {
                wrongs.push(format!("{name}: {counted}, the heads of answers tell of {least}, {unseen} may be unseen"));
            }
        }
    }

    /// A model whose breaker is open is called by those that were under way, and by one call after each pause.
    fn open_breakers(&self, wrongs: &mut Vec<String>) {
        let called = |model: &str| self.calls.iter().filter(|((_, to), _)| to == model).map(|(_, calls)| calls).sum();
        let (dead, limp): (usize, usize) = (called(DEAD), called(LIMP));
        // Clients name both, so that no other model is left: one call a second tries, however long the pause is.
        let most = DEAD_CALLS + CLIENTS + self.elapsed.ceil() as usize;
        if !(DEAD_CALLS..most).contains(&dead) {
            wrongs.push(format!("{DEAD} was called {dead} times, its breaker opens after {DEAD_CALLS}"));
        }
        let mut pauses = (0..).map(|number| (LIMP_PAUSE * f64::from(1 << 6.min(number))).min(1.0));
        let (mut tries, mut until) = (0, 0.0);
        while until < self.elapsed {
            until += pauses.next().unwrap_or_default();
            tries += 1;
        }
        if limp >= LIMP_CALLS + CLIENTS + tries {
            let elapsed = self.elapsed;
            wrongs.push(format!("{LIMP} was called {limp} times in {elapsed:.1} s, which have {tries} pauses"));
        }
    }

    /// The log has a line for each ending that was counted, and one for each request whose head a client saw, which
    /// says what that client says. Only what is no HTTP has none.
    fn logged(&self, wrongs: &mut Vec<String>) {
        let no_http = self.count(|seen| seen.asked.manner == Manner::Junk(Junk::NoHttp));
        for (ending, counted) in endings_counted(self.metrics, no_http) {
            let logged = self.log.iter().filter(|line| line["ending"] == ending).count();
            if logged != counted {
                wrongs.push(format!("{ending}: the log has {logged}, the metrics {counted}"));
            }
        }
        let mut lines = BTreeMap::<&str, Vec<&str>>::new();
        for line in self.log {
            if let (Some(id), Some(ending)) = (line["request_id"].as_str(), line["ending"].as_str()) {
                lines.entry(id).or_default().push(ending);
            }
        }
        for seen in self.seen {
            let id = seen.header("x-wasmgate-request-id");
            let logged = lines.get(id).map_or(&[][..], Vec::as_slice);
            let agree = match &seen.end {
                _ if id.is_empty() => seen.head.is_none() || seen.asked.manner == Manner::Junk(Junk::NoHttp),
                End::Answered => logged == ["finished"],
                End::Told(code) if REJECTIONS.contains(&&**code) => logged == ["rejected"],
                End::Told(_) => logged == ["failed"],
                End::Left => logged.len() == 1,
            };
            if !agree {
                let (id, asked, end) = (seen.id, seen.asked, &seen.end);
                wrongs.push(format!("{id:?} {asked:?}: ended {end:?}, but {logged:?} by the log; {}", self.line(seen)));
            }
        }
    }

    fn count(&self, is_it: impl Fn(&Seen) -> bool) -> usize {
        self.seen.iter().filter(|seen| is_it(seen)).count()
    }

    fn calls_for(&self, id: Id) -> impl Iterator<Item = (&str, usize)> {
        let of_it = self.calls.range((id, String::new())..).take_while(move |((of, _), _)| *of == id);
        of_it.map(|((_, model), calls)| (&**model, *calls))
    }

    fn calls_of(&self, id: Id) -> usize {
        self.calls_for(id).map(|(_, calls)| calls).sum()
    }

    /// The line of the log that a request has.
    fn line(&self, seen: &Seen) -> String {
        let id = seen.header("x-wasmgate-request-id");
        let line = self.log.iter().find(|line| line["request_id"] == id);
        line.map_or_else(|| "no line of the log".into(), Value::to_string)
    }
}

/// How many requests ended in each way, as the log names it, without so many that it does not know.
#[must_use]
pub(super) fn endings_counted(metrics: &Metrics, no_http: usize) -> [(&'static str, usize); 4] {
    let value = |name: &str, labels: &[(&str, &str)]| metrics.find(name, labels).unwrap_or(0.0) as usize;
    [
        ("finished", value("api_gateway_requests_total", &[("status", "success")])),
        ("failed", value("api_gateway_requests_total", &[("status", "error")])),
        ("rejected", value("api_gateway_rejected_requests_total", &[]).saturating_sub(no_http)),
        ("abandoned", value("api_gateway_abandoned_requests_total", &[])),
    ]
}
