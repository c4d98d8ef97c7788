//! Which model answers.

use wasmgate_policy::prelude::*;

const CLOUD_FROM: Integer = Integer {
    name: "cloud-from",
    summary: "Prompts of so many tokens or more go to cloud models first, shorter ones to local models.",
    range: 1..=1_000_000,
    default: 200,
};

/// The policy, set up.
pub struct CloudFrom {
    tokens: u32,
}

impl Policy for CloudFrom {
    fn manifest() -> Manifest {
        let summary = "Short prompts stay local, long ones go to the cloud.";
        // To look at the prompt: Reads::newest() or Reads::conversation().
        manifest("{{name}}", env!("CARGO_PKG_VERSION"), summary, Reads::nothing(), &[CLOUD_FROM.entry()])
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self { tokens: CLOUD_FROM.read(settings)? })
    }
}

impl Routing for CloudFrom {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let tokens = request.prompt_tokens;
        let (tier, location, word) = match tokens < self.tokens {
            true => (Tier::Low, Location::Local, "local"),
            false => (Tier::High, Location::Cloud, "cloud"),
        };
        let unusable = |candidate: &Candidate| candidate.health == Health::Down || candidate.breaker == Breaker::Open;
        let ranking = rank::sorted(candidates, |one, other| {
            let place = |candidate: &Candidate| (unusable(candidate), candidate.location != location);
            place(one).cmp(&place(other))
        });
        let reason = format!("{tokens} tokens: {word} models first");
        Ok(Verdict::Route(Decision { tier: Some(tier), ..Decision::unscored(ranking, reason) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_policy::testing::{candidate, cloud, request};

    #[test]
    fn short_prompts_stay_local() {
        let policy = CloudFrom::configure(&Settings::of([("cloud-from", Value::Integer(10))])).unwrap();
        let candidates = [cloud("far", 1, 1), candidate("near")];
        for (tokens, first) in [(9, 1), (10, 0)] {
            let request = Request { prompt_tokens: tokens, ..request("Hello!") };
            let Ok(Verdict::Route(decision)) = policy.route(&request, &candidates) else { panic!("not routed") };
            assert_eq!(decision.ranking[0], first, "{tokens} tokens");
        }
    }
}
