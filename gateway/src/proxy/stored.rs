//! `/v1/responses/{id}`: answers that a provider has stored. The id's mark names the backend, and its seal the group whose key
//! asked for the answer: for others it is unknown. The request and its answer pass as they are. No model is called, no policy
//! decides, nothing is billed.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, Uri};

use super::body::ResponseBody;
use super::in_flight::InFlight;
use super::response::{complete, id_header, refuse};
use crate::backend::LiveModel;
use crate::dispatch::{stopping, whole};
use crate::error::{Failure, Kind};
use bytes::Bytes;
use wasmgate_accounts::Group;
use wasmgate_dialect::chat::Chat;
use wasmgate_dialect::{Dialect, Origin, Seal, mark_response, previous_response};

/// What may be asked of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// The answer itself, or its deletion.
    Whole,
    /// What the request had as input.
    InputItems,
    /// The end of an answer in the background.
    Cancel,
}

impl Stored {
    /// Where a path asks something of a stored answer: the id, and what is asked.
    pub(super) fn find(path: &str) -> Option<(&str, Self)> {
        let rest = path.strip_prefix("/v1/responses/")?;
        let (id, what) = match rest.split_once('/') {
            None => (rest, Self::Whole),
            Some((id, "input_items")) => (id, Self::InputItems),
            Some((id, "cancel")) => (id, Self::Cancel),
            Some(_) => return None,
        };
        // These are routes of the API that the gateway does not have.
        (!matches!(id, "" | "compact" | "input_tokens")).then_some((id, what))
    }

    /// The methods that the route accepts, as the `Allow` header lists them.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Whole => "GET, DELETE",
            Self::InputItems => "GET",
            Self::Cancel => "POST",
        }
    }
}

/// Answers one request.
pub(super) async fn serve(mut in_flight: InFlight, method: &Method, uri: &Uri) -> Response<ResponseBody> {
    match steps(&mut in_flight, method, uri).await {
        Err(failure) => refuse(in_flight, Dialect::Responses, &failure),
        Ok(bytes) => {
            let mut response = Response::new(ResponseBody::plain(Bytes::new()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            id_header(response.headers_mut(), &in_flight.record.id);
            *response.body_mut() = complete(&mut in_flight, bytes).into();
            response
        }
    }
}

async fn steps(in_flight: &mut InFlight, method: &Method, uri: &Uri) -> Result<Bytes, Failure> {
    in_flight.check_limit()?;
    in_flight.admit()?;
    let (gateway, snapshot) = (Arc::clone(in_flight.gateway()), Arc::clone(in_flight.snapshot()));
    let (id, what) = Stored::find(uri.path()).ok_or_else(unknown)?;
    let (origin, own) = Origin::read(id).ok_or_else(unknown)?;
    // The id becomes a part of the backend's path.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if own.is_empty() || !own.chars().all(is_plain) {
        return Err(unknown());
    }
    let backend = snapshot.catalog.backends().iter().find(|backend| backend.has_stored(&origin)).ok_or_else(unknown)?;
    let seal = backend.seal(in_flight.group().map(|group| &*group.name));
    if !Seal::opens(seal.as_ref(), id) {
        return Err(unknown());
    }
    // As a model that the group may not use, a backend of none is unknown.
    let is_of = |live: &LiveModel, group: &Group| {
        live.backend.settings().name == backend.settings().name && group.permits(&live.model.name)
    };
    if in_flight.group().is_some_and(|group| !snapshot.catalog.models().iter().any(|live| is_of(live, group))) {
        return Err(unknown());
    }
    let below = match what {
        Stored::Whole => "",
        Stored::InputItems => "/input_items",
        Stored::Cancel => "/cancel",
    };
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    if query.contains("stream=true") {
        return Err(Failure::new(
            Kind::BadRequest,
            "stream is true; a stored response is not streamed, false is expected",
        ));
    }
    let until = tokio::time::Instant::now() + backend.settings().timeouts.total;
    let answered = async {
        let permit = backend.permit(until).await?;
        let path = format!("/{own}{below}{query}");
        whole(backend.stored(permit, method.clone(), &path, until).await?, |_| until.into()).await
    };
    let answer = tokio::select! {
        biased;
        () = gateway.budgets.cutoff.cancelled() => Err(stopping()),
        answer = tokio::time::timeout_at(until, answered) => answer.unwrap_or_else(|_elapsed| {
            Err(Failure::new(Kind::Timeout, "the backend did not finish its answer in time"))
        }),
    };
    match answer {
        Ok(body) => Ok(mark_response(&body, &backend.settings().name, seal.as_ref()).map_or(body, Bytes::from)),
        Err(failure) if matches!(failure.kind, Kind::BackendRefused(404) | Kind::RequestRefused(404, _)) => {
            Err(unknown())
        }
        Err(failure) => Err(failure),
    }
}

/// Refuses a request that continues an answer which its group did not ask for.
///
/// # Errors
/// Then.
pub(super) fn check_previous(in_flight: &InFlight, chat: &Chat) -> Result<(), Failure> {
    let Some(id) = previous_response(chat) else { return Ok(()) };
    let group = in_flight.group().map(|group| &*group.name);
    let known = Origin::read(&id);
    let backends = in_flight.snapshot().catalog.backends();
    let backend = known.and_then(|(origin, _)| backends.iter().find(|backend| backend.has_stored(&origin)));
    // Without a mark it may be any group's; of a backend that is not there, routing says so.
    let opens = match backend {
        Some(backend) => Seal::opens(backend.seal(group).as_ref(), &id),
        None => group.is_none() || Origin::read(&id).is_some(),
    };
    if opens { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> Failure {
    Failure::new(Kind::UnknownResponse, "no backend has stored a response of this id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_route_are_told_apart() {
        for (path, expected) in [
            ("/v1/responses/resp_1", Some(("resp_1", Stored::Whole))),
            ("/v1/responses/wg1.a.resp_1/input_items", Some(("wg1.a.resp_1", Stored::InputItems))),
            ("/v1/responses/resp_1/cancel", Some(("resp_1", Stored::Cancel))),
            ("/v1/responses/", None),
            ("/v1/responses", None),
            ("/v1/responses/compact", None),
            ("/v1/responses/resp_1/other", None),
            ("/v1/responses/resp_1/cancel/x", None),
        ] {
            assert_eq!(Stored::find(path), expected, "{path}");
        }
    }
}
