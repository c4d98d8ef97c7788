//! `POST /api/v1/complexity`: makes the routing decision of a chat and returns it with its reason and all candidates.
//! Calls no model.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use serde::Serialize;

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::response::{id_header, refuse, routing_headers};
use super::unread::Unread;
use crate::error::Failure;
use crate::routing::{Decision, Inbound};
use crate::state::Snapshot;
use crate::telemetry::Record;
use wasmgate_base::money::NanoDollars;
use wasmgate_dialect::Dialect;

/// Answers one request.
pub(super) async fn serve(mut in_flight: InFlight, headers: &HeaderMap, body: &mut Unread) -> Response<ResponseBody> {
    in_flight.record.dialect = Some(Dialect::Native);
    match steps(&mut in_flight, headers, body).await {
        Err(failure) => refuse(in_flight, Dialect::Native, &failure),
        Ok(decision) => {
            let snapshot = Arc::clone(in_flight.snapshot());
            let mut response = Response::new(ResponseBody::plain(explanation(&in_flight.record, &snapshot, &decision)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            id_header(response.headers_mut(), &in_flight.record.id);
            routing_headers(response.headers_mut(), &in_flight, in_flight.record.estimated_cost);
            in_flight.close_explained();
            response
        }
    }
}

async fn steps(in_flight: &mut InFlight, headers: &HeaderMap, body: &mut Unread) -> Result<Decision, Failure> {
    in_flight.check_limit()?;
    let gateway = Arc::clone(in_flight.gateway());
    let snapshot = Arc::clone(in_flight.snapshot());
    let body = intake::read(headers, body, Types::Json, &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    let chat = intake::parse(Dialect::Native, body.bytes.clone(), &snapshot.limits).await?;
    let _memory = body.parsed();
    let inbound = Inbound { dialect: Dialect::Native, chat: &chat, headers };
    gateway.router.decide(&mut in_flight.record, &snapshot, inbound).await
}

#[derive(Serialize)]
struct Explanation<'a> {
    complexity: Option<f64>,
    tier: &'static str,
    reasoning: &'a str,
    recommended_model: Option<&'a str>,
    backend: Option<&'a str>,
    estimated_cost: Option<f64>,
    policy: &'a str,
    version: &'a str,
    candidates: Vec<Choice<'a>>,
}

/// One model that could have answered.
#[derive(Serialize)]
struct Choice<'a> {
    model: &'a str,
    backend: &'a str,
    location: &'static str,
    health: &'static str,
    // From 1; absent if the policy left the model out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    estimated_input_tokens: Option<u32>,
    estimated_output_tokens: Option<u32>,
    estimated_cost: Option<f64>,
}

fn explanation(record: &Record, snapshot: &Snapshot, decision: &Decision) -> Vec<u8> {
    let models = snapshot.catalog.models();
    let chosen = record.chosen.map(|index| &models[index]);
    let mut ranks = vec![None; models.len()];
    for (position, &index) in decision.ranking.iter().enumerate() {
        ranks[index] = Some(position + 1);
    }
    let candidates = decision.permitted.iter().zip(&decision.estimates).map(|(&index, estimate)| {
        let live = &models[index];
        Choice {
            model: &live.model.name,
            backend: &live.backend.settings().name,
            location: live.location().as_str(),
            health: live.backend.health().state().as_str(),
            rank: ranks[index],
            estimated_input_tokens: estimate.map(|estimate| estimate.input_tokens),
            estimated_output_tokens: estimate.map(|estimate| estimate.output_tokens),
            estimated_cost: estimate.and_then(|estimate| estimate.cost).map(|cost| NanoDollars(cost).usd()),
        }
    });
    let explanation = Explanation {
        complexity: record.score,
        tier: record.complexity.as_str(),
        reasoning: &decision.reason,
        recommended_model: chosen.map(|live| &*live.model.name),
        backend: chosen.map(|live| &*live.backend.settings().name),
        estimated_cost: record.estimated_cost.map(NanoDollars::usd),
        policy: &decision.policy,
        version: &decision.version,
        candidates: candidates.collect(),
    };
    wasmgate_base::json_text::json(&explanation)
}
