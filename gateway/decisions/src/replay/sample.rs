//! A decision for tests.

use crate::record::{Call, Candidate, CostBasis, Decision, Outcome, Request, Verdict, VerdictKind};
use crate::time::Moment;

/// A request of 100 input tokens that a model answered, with so many output tokens. There are two candidates: `this` and `other`.
pub(super) fn answered(model: &str, output_tokens: u64) -> Decision {
    let candidate = |model: &str| Candidate {
        model: model.to_owned(),
        health: "healthy".to_owned(),
        breaker: "closed".to_owned(),
        in_flight: 0,
        time_left_seconds: 60.0,
        latency_seconds: None,
        first_token_seconds: None,
        tokens_per_second: None,
        estimate: None,
    };
    let call = Call {
        model: model.to_owned(),
        answered: true,
        input_tokens: 90,
        cache_read_tokens: 10,
        cache_write_tokens: 0,
        output_tokens,
        reasoning_tokens: 0,
        reported: true,
        cost: Some(1000),
    };
    Decision {
        id: "1".to_owned(),
        time: Moment(1),
        group: None,
        dialect: "openai".to_owned(),
        models_id: String::new(),
        request: Request {
            requested: "auto".to_owned(),
            prompt_tokens: 100,
            max_tokens: None,
            streaming: false,
            tools: false,
            images: false,
            structured_output: false,
            messages: 1,
            text_bytes: 400,
            newest_bytes: 400,
            budget: None,
            limits: Vec::new(),
            labels: Vec::new(),
            hints: Vec::new(),
        },
        candidates: vec![candidate("this"), candidate("other")],
        routing: None,
        cost: None,
        verdict: Verdict {
            kind: VerdictKind::Default,
            ranking: vec![model.to_owned()],
            complexity: None,
            tier: None,
            reason: String::new(),
            code: None,
        },
        chosen: Some(model.to_owned()),
        explored: false,
        exploration: None,
        propensity: 1.0,
        outcome: Outcome {
            ending: "finished".to_owned(),
            failure: None,
            model: Some(model.to_owned()),
            attempts: Vec::new(),
            hedged: false,
            calls: vec![call],
            cost: Some(1000),
            cost_basis: Some(CostBasis::Reported),
            first_token_seconds: None,
            model_seconds: Some(2.0),
            seconds: 2.5,
        },
    }
}
