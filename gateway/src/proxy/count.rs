//! `POST /v1/messages/count_tokens`: how many tokens a prompt has, so that programs know when to shorten their history. The
//! policies decide as for the prompt itself, so that no backend sees a prompt that it must not see. The first model of their
//! ranking whose backend counts is asked; if none can say, the gateway estimates.
//!
//! This module must not know: how a backend is called.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response};
use serde_json::json;

use super::body::ResponseBody;
use super::chat::dialect_headers;
use super::in_flight::InFlight;
use super::intake::{self, Types};
use super::response::{id_header, refuse, routing_headers};
use super::unread::Unread;
use crate::dispatch::count;
use crate::error::{Failure, Kind};
use crate::metrics::labels::CountSource;
use crate::offload;
use crate::routing::Inbound;
use wasmgate_base::json_text;
use wasmgate_dialect::{Dialect, count_request};

/// Answers one request.
pub(super) async fn serve(mut in_flight: InFlight, headers: &HeaderMap, body: &mut Unread) -> Response<ResponseBody> {
    in_flight.record.dialect = Some(Dialect::Anthropic);
    match steps(&mut in_flight, headers, body).await {
        Err(failure) => refuse(in_flight, Dialect::Anthropic, &failure),
        Ok((tokens, source)) => {
            in_flight.gateway().metrics.counted_tokens(source);
            let text = json_text::json(&json!({"input_tokens": tokens}));
            let mut response = Response::new(ResponseBody::plain(text));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert("x-wasmgate-count", HeaderValue::from_static(source.as_str()));
            id_header(headers, &in_flight.record.id);
            routing_headers(headers, &in_flight, None);
            in_flight.close_explained();
            response
        }
    }
}

async fn steps(
    in_flight: &mut InFlight,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Result<(u64, CountSource), Failure> {
    in_flight.check_limit()?;
    let (gateway, snapshot) = (Arc::clone(in_flight.gateway()), Arc::clone(in_flight.snapshot()));
    let body = intake::read(headers, body, Types::Json, &snapshot.limits, &gateway.memory).await?;
    in_flight.admit()?;
    let chat = intake::parse_count(body.bytes.clone(), &snapshot.limits).await?;
    let _memory = body.parsed();
    let inbound = Inbound { dialect: Dialect::Anthropic, chat: &chat, headers };
    let decision = gateway.router.decide(&mut in_flight.record, &snapshot, inbound).await?;
    let models = snapshot.catalog.models();
    let estimate = (estimate(in_flight.record.estimated_input_tokens), CountSource::Estimate);
    let Some(index) = decision.ranking.iter().copied().find(|&index| models[index].backend.counts_tokens()) else {
        return Ok(estimate);
    };
    let model = models[index].model.backend_name.clone();
    let request = offload::run(chat.body_bytes, move || Bytes::from(count_request(chat, &model))).await?;
    match count(&gateway.budgets, &snapshot, index, request, &dialect_headers(headers)).await {
        Ok(tokens) => {
            in_flight.record.model = Some(index);
            Ok((tokens, CountSource::Backend))
        }
        // What is wrong with the prompt here is wrong with it anywhere.
        Err(failure) if matches!(failure.kind, Kind::RequestRefused(400 | 413 | 422, _)) => Err(failure),
        Err(failure) => {
            tracing::debug!(request_id = in_flight.record.id, %failure, detail = failure.detail, "estimated a count");
            Ok(estimate)
        }
    }
}

/// A count that is rather too high than too low: a program that shortens its history early loses less than one that finds its
/// prompt refused. Current models count a fourth more than the estimator's vocabulary.
fn estimate(tokens: u32) -> u64 {
    u64::from(tokens).saturating_mul(5).div_ceil(4) + 8
}
