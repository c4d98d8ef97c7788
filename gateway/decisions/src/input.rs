//! Turns what policies are asked into lines and back. Texts are not in a decision: a request that is rebuilt without its
//! content has texts of the same lengths in their place, which only a policy that reads no text must be asked about.

use std::fmt;

use wasmgate_policy_host as host;
use wasmgate_policy_host::{Breaker, Health, Measure, OwnedRequest, Reads, ReadsPrompt, Role, Tier};

use crate::content::{Content, Keep};
use crate::models::ModelTable;
use crate::record::{Budget, Candidate, Decision, Estimate, Limit, Pair, Request, Verdict, VerdictKind};

const HEALTH: [(&str, Health); 4] = [
    ("unknown", Health::Unknown),
    ("healthy", Health::Healthy),
    ("degraded", Health::Degraded),
    ("down", Health::Down),
];
const BREAKERS: [(&str, Breaker); 3] =
    [("closed", Breaker::Closed), ("half-open", Breaker::HalfOpen), ("open", Breaker::Open)];
const MEASURES: [(&str, Measure); 4] = [
    ("requests", Measure::Requests),
    ("tokens", Measure::Tokens),
    ("money", Measure::Money),
    ("concurrent", Measure::Concurrent),
];
const TIERS: [(&str, Tier); 3] = [("low", Tier::Low), ("medium", Tier::Medium), ("high", Tier::High)];
const ROLES: [(&str, Role); 4] =
    [("system", Role::System), ("user", Role::User), ("assistant", Role::Assistant), ("tool", Role::Tool)];

/// What a policy is asked.
#[derive(Debug, Clone)]
pub struct Input {
    /// The request.
    pub request: OwnedRequest,
    /// The models that may answer.
    pub candidates: Vec<host::Candidate>,
}

/// Why what a policy was asked cannot be rebuilt: a word or a name in the line that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub found: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` holds {:?}, which this version does not know", self.field, self.found)
    }
}

impl std::error::Error for Unreadable {}

/// Whether a policy that reads `reads` can be asked about a request again: it reads no text, or the whole text was kept.
#[must_use]
pub fn can_ask(reads: &Reads, content: Option<&Content>) -> bool {
    reads.prompt == ReadsPrompt::None || content.is_some_and(|content| content.keep == Keep::Full)
}

impl Request {
    /// What a request is, except for its id, dialect, tenant and texts.
    #[must_use]
    pub fn of(request: &host::Request<'_>) -> Self {
        let bytes = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
        Self {
            requested: request.requested_model.to_owned(),
            prompt_tokens: request.prompt_tokens,
            max_tokens: request.max_tokens,
            streaming: request.streaming,
            tools: request.tools,
            images: request.images,
            structured_output: request.structured_output,
            messages: u32::try_from(request.messages.len()).unwrap_or(u32::MAX),
            text_bytes: request.messages.iter().map(|message| bytes(message.text)).sum(),
            newest_bytes: newest(request).map_or(0, bytes),
            budget: request.budget.map(|budget| Budget { limit: budget.limit, left: budget.left }),
            limits: request.limits.iter().map(Limit::of).collect(),
            labels: pairs(request.labels),
            hints: pairs(request.hints),
        }
    }

    /// Messages with texts of the same number and lengths: the newest of the user, and the rest in the first.
    fn placeholders(&self) -> Vec<(Role, String)> {
        let text = |bytes: u64| " ".repeat(usize::try_from(bytes).unwrap_or(0));
        let rest = self.text_bytes.saturating_sub(self.newest_bytes);
        let count = self.messages as usize;
        let mut messages: Vec<(Role, String)> = vec![(Role::Assistant, String::new()); count];
        if self.newest_bytes > 0
            && let Some(last) = messages.last_mut()
        {
            *last = (Role::User, text(self.newest_bytes));
        }
        if rest > 0
            && let Some(first) = messages.first_mut().filter(|(role, _)| *role != Role::User)
        {
            *first = (Role::System, text(rest));
        }
        messages
    }
}

fn newest<'a>(request: &host::Request<'a>) -> Option<&'a str> {
    request.messages.iter().rfind(|message| message.role == Role::User).map(|message| message.text)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
    pairs.iter().map(|(name, value)| Pair { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

impl Limit {
    fn of(limit: &host::Limit) -> Self {
        let host::Limit { measure, most, left, ends_in } = *limit;
        Self { measure: word(&MEASURES, measure), most, left, ends_in }
    }

    fn limit(&self) -> Result<host::Limit, Unreadable> {
        let measure = meaning(&MEASURES, "limits.measure", &self.measure)?;
        Ok(host::Limit { measure, most: self.most, left: self.left, ends_in: self.ends_in })
    }
}

impl Candidate {
    /// A candidate of the models of a table.
    #[must_use]
    pub fn of(candidate: &host::Candidate, models: &host::Models) -> Self {
        let now = &candidate.now;
        Self {
            model: models.of(candidate).name.clone(),
            health: word(&HEALTH, now.health),
            breaker: word(&BREAKERS, now.breaker),
            in_flight: now.in_flight,
            time_left_seconds: candidate.time_left,
            latency_seconds: now.observed.map(|observed| observed.latency),
            first_token_seconds: now.observed.and_then(|observed| observed.time_to_first_token),
            tokens_per_second: now.observed.and_then(|observed| observed.tokens_per_second),
            estimate: candidate.estimate.map(|estimate| Estimate {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                cost: estimate.cost,
            }),
        }
    }

    fn candidate(&self, table: &ModelTable) -> Result<host::Candidate, Unreadable> {
        let position = table.position(&self.model).and_then(|position| u32::try_from(position).ok());
        Ok(host::Candidate {
            model: position.ok_or_else(|| unreadable("candidates.model", &self.model))?,
            now: host::Observation {
                health: meaning(&HEALTH, "candidates.health", &self.health)?,
                breaker: meaning(&BREAKERS, "candidates.breaker", &self.breaker)?,
                in_flight: self.in_flight,
                observed: self.latency_seconds.map(|latency| host::Observed {
                    latency,
                    time_to_first_token: self.first_token_seconds,
                    tokens_per_second: self.tokens_per_second,
                }),
            },
            time_left: self.time_left_seconds,
            estimate: self.estimate.map(|estimate| host::CostEstimate {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                cost: estimate.cost,
            }),
        })
    }
}

impl Verdict {
    /// A verdict of a policy about candidates. What is no route has an empty ranking.
    #[must_use]
    pub fn of(verdict: &host::Verdict, candidates: &[host::Candidate], models: &host::Models) -> Self {
        let named = |index: &u32| Some(models.of(candidates.get(*index as usize)?).name.clone());
        let none = Self {
            kind: VerdictKind::Pass,
            ranking: Vec::new(),
            complexity: None,
            tier: None,
            reason: String::new(),
            code: None,
        };
        match verdict {
            host::Verdict::Route(decision) => Self {
                kind: VerdictKind::Route,
                ranking: decision.ranking.iter().filter_map(named).collect(),
                complexity: decision.complexity,
                tier: decision.tier.map(|tier| word(&TIERS, tier)),
                reason: decision.reason.clone(),
                code: None,
            },
            host::Verdict::Deny(denial) => {
                Self { kind: VerdictKind::Deny, reason: denial.reason.clone(), code: Some(denial.code.clone()), ..none }
            }
            host::Verdict::Pass => none,
        }
    }
}

impl Decision {
    /// What the routing policy was asked. Without the content, or with one that is not whole, texts have the same lengths and
    /// say nothing: `can_ask` tells whom that serves. A cost policy was asked the same, without estimates.
    ///
    /// # Errors
    /// If the line holds a word or a model that is not known.
    pub fn input(&self, table: &ModelTable, content: Option<&Content>) -> Result<Input, Unreadable> {
        let owned = |pairs: &[Pair]| pairs.iter().map(|pair| (pair.name.clone(), pair.value.clone())).collect();
        let messages = match content.filter(|content| content.keep == Keep::Full) {
            Some(content) => content
                .messages
                .iter()
                .map(|message| {
                    let role = meaning(&ROLES, "messages.role", &message.role)?;
                    Ok((role, message.text.clone().unwrap_or_default()))
                })
                .collect::<Result<_, _>>()?,
            None => self.request.placeholders(),
        };
        let request = OwnedRequest {
            id: self.id.clone(),
            dialect: self.dialect.clone(),
            requested_model: self.request.requested.clone(),
            messages,
            prompt_tokens: self.request.prompt_tokens,
            max_tokens: self.request.max_tokens,
            streaming: self.request.streaming,
            tools: self.request.tools,
            images: self.request.images,
            structured_output: self.request.structured_output,
            tenant: self.group.clone(),
            budget: self.request.budget.map(|budget| host::Budget { limit: budget.limit, left: budget.left }),
            limits: self.request.limits.iter().map(Limit::limit).collect::<Result<_, _>>()?,
            labels: owned(&self.request.labels),
            hints: owned(&self.request.hints),
        };
        let candidates =
            self.candidates.iter().map(|candidate| candidate.candidate(table)).collect::<Result<_, _>>()?;
        Ok(Input { request, candidates })
    }
}

/// The word of a role.
pub(crate) fn role(role: Role) -> String {
    word(&ROLES, role)
}

fn word<T: PartialEq>(words: &[(&str, T)], of: T) -> String {
    words.iter().find(|(_, meaning)| *meaning == of).map_or(String::new(), |(word, _)| (*word).to_owned())
}

fn meaning<T: Copy>(words: &[(&str, T)], field: &'static str, found: &str) -> Result<T, Unreadable> {
    let known = words.iter().find(|(word, _)| *word == found).map(|(_, meaning)| *meaning);
    known.ok_or_else(|| unreadable(field, found))
}

fn unreadable(field: &'static str, found: &str) -> Unreadable {
    Unreadable { field, found: found.chars().take(64).collect() }
}

#[cfg(test)]
#[path = "tests/input.rs"]
mod tests;
