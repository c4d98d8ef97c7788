//! A policy's answer to a request, and the choice that the gateway makes of it.

use wasmgate_policy_host as host;

use crate::input::Input;
use crate::models::ModelTable;
use crate::record::{Candidate, Decision, Verdict, VerdictKind};

/// What a policy answered, or what was decided without it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The verdict. If the policy failed or had no opinion, its ranking is the default's.
    pub verdict: Verdict,
    /// The class of the policy's failure.
    pub failure: Option<String>,
    /// The model that would be called first; `None` if the request is denied or fails.
    pub choice: Option<String>,
}

impl Answer {
    /// What the log says that was decided.
    #[must_use]
    pub fn logged(decision: &Decision) -> Self {
        let failure = decision.routing.as_ref().and_then(|asked| asked.failure.clone());
        Self::made(decision, decision.verdict.clone(), failure)
    }

    /// Whether the gateway chose in the policy's place: a spent budget left only local models, or the conversation has its model.
    /// What it would have made of another ranking is not known.
    #[must_use]
    pub fn is_overridden(decision: &Decision) -> bool {
        // What was explored took the place of the first of the draw.
        let first = decision.exploration.as_ref().map_or(decision.chosen.as_ref(), |draw| draw.models.first());
        decision.chosen.is_some() && Self::logged(decision).choice.as_ref() != first
    }

    /// What a policy answered now. If it fails, the default decides, as with `on_failure = "default-decision"`.
    #[must_use]
    pub fn of(
        decision: &Decision,
        input: &Input,
        table: &ModelTable,
        answered: &Result<host::Verdict, host::PolicyFailure>,
    ) -> Self {
        let default = |kind: VerdictKind| {
            let ranking = by_default(&decision.candidates);
            Verdict { kind, ranking, complexity: None, tier: None, reason: String::new(), code: None }
        };
        let (verdict, failure) = match answered {
            Ok(host::Verdict::Pass) => (default(VerdictKind::Pass), None),
            Ok(verdict) => (Verdict::of(verdict, &input.candidates, table.models()), None),
            Err(failure) => (default(VerdictKind::Failed), Some(failure.class.as_str().to_owned())),
        };
        Self::made(decision, verdict, failure)
    }

    fn made(decision: &Decision, verdict: Verdict, failure: Option<String>) -> Self {
        // A model that the client named comes first, unless the policy left it out.
        let named = verdict.ranking.iter().find(|model| **model == decision.request.requested);
        let choice = named.or_else(|| verdict.ranking.first()).cloned();
        Self { verdict, failure, choice }
    }
}

/// The gateway's default: the models in their order, those that are down last.
fn by_default(candidates: &[Candidate]) -> Vec<String> {
    let is_down = |candidate: &&Candidate| candidate.health == "down" || candidate.breaker == "open";
    let (last, first): (Vec<_>, Vec<_>) = candidates.iter().partition(is_down);
    first.into_iter().chain(last).map(|candidate| candidate.model.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ModelRow;
    use crate::replay::sample::answered;

    fn table() -> ModelTable {
        let row = |name: &str| ModelRow {
            name: name.to_owned(),
            backend: name.to_owned(),
            location: "local".to_owned(),
            price: None,
            context_window: None,
            capabilities: Vec::new(),
            labels: Vec::new(),
        };
        ModelTable::new(vec![row("this"), row("other")])
    }

    fn choice(decision: &Decision, answered: host::Verdict) -> Option<String> {
        let (table, answered) = (table(), Ok(answered));
        let input = decision.input(&table, None).unwrap();
        Answer::of(decision, &input, &table, &answered).choice
    }

    #[test]
    fn the_choice_is_the_gateways() {
        let route = |ranking: &[u32]| {
            let ranking = ranking.to_vec();
            host::Verdict::Route(host::Decision { ranking, complexity: None, tier: None, reason: String::new() })
        };
        let mut decision = answered("this", 5);
        assert_eq!(choice(&decision, route(&[1, 0])).as_deref(), Some("other"));
        assert_eq!(choice(&decision, host::Verdict::Pass).as_deref(), Some("this"));
        "this".clone_into(&mut decision.request.requested);
        assert_eq!(choice(&decision, route(&[1, 0])).as_deref(), Some("this"));
        assert_eq!(choice(&decision, route(&[1])).as_deref(), Some("other"));
        let denial = host::Denial { code: "no".to_owned(), reason: "no".to_owned() };
        assert_eq!(choice(&decision, host::Verdict::Deny(denial)), None);
        "auto".clone_into(&mut decision.request.requested);
        assert!(!Answer::is_overridden(&decision));
        decision.chosen = Some("other".to_owned());
        assert!(Answer::is_overridden(&decision));
        decision.chosen = None;
        assert!(!Answer::is_overridden(&decision));
        "open".clone_into(&mut decision.candidates[0].breaker);
        assert_eq!(choice(&decision, host::Verdict::Pass).as_deref(), Some("other"));
    }
}
