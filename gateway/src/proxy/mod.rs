//! Client requests, from HTTP request to HTTP response. `chat.rs` is the spine.
//!
//! This module must not know: how a model is chosen, how it is called.

mod chat;

mod count;
mod embeddings;
mod explain;
mod feedback;
mod gzip;
mod introspect;
mod models;
mod query;

mod caller;
mod codings;
mod intake;
mod origin;
mod routes;
mod stored;
mod unread;

mod body;
mod memory;
mod response;
mod watchdog;

pub mod gateway;
mod in_flight;
mod limits;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};

use crate::error::{Failure, Kind};
use crate::net::Busy;
use crate::state::Snapshot;
pub use body::ResponseBody;
use caller::Caller;
use gateway::Gateway;
use in_flight::InFlight;
pub use introspect::{health_page, metrics_page, stats_page};
use origin::Page;
use response::{refuse, wrong_method};
use routes::{Route, dialect_of, unknown};
use unread::Unread;

/// Answers one HTTP request. Its connection is busy until the answer has ended.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>, busy: Busy) -> Response<ResponseBody> {
    let multiplexed = request.version() == Version::HTTP_2;
    let (head, mut body) = Unread::of(request);
    let snapshot = gateway.serving.snapshot();
    let mut response = answer(&gateway, &snapshot, head, &mut body).await;
    if body.is_abandoned() && !multiplexed {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    body.finish(snapshot.limits.body_timeout);
    response.map(|body| body.sent_over(busy, &gateway.watchdog, multiplexed))
}

async fn answer(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    head: Parts,
    body: &mut Unread,
) -> Response<ResponseBody> {
    let page = match check(gateway, snapshot, &head) {
        Ok(page) => page,
        Err(failure) => return refuse(InFlight::new(gateway), dialect_of(head.uri.path()), &failure),
    };
    let mut response = route(gateway, snapshot, head, body, &page).await;
    page.let_read(response.headers_mut());
    response
}

/// Checks what requests of all routes have in common.
fn check(gateway: &Gateway, snapshot: &Snapshot, head: &Parts) -> Result<Page, Failure> {
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        return Err(Failure::new(Kind::BadRequest, "an HTTP/1.1 request must have exactly one Host header"));
    }
    Page::of(gateway.is_loopback, &snapshot.limits, &head.method, &head.uri, &head.headers)
}

async fn route(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    head: Parts,
    body: &mut Unread,
    page: &Page,
) -> Response<ResponseBody> {
    let (path, limits) = (head.uri.path(), &snapshot.limits);
    let absent = |message| refuse(InFlight::new(gateway), dialect_of(path), &Failure::new(Kind::UnknownRoute, message));
    let Some(route) = Route::find(path) else { return absent(unknown(path)) };
    if route.is_for_operators() && !snapshot.shows_operators_pages() {
        let message =
            "this page is on the admin listener; `metrics_for_clients = true` in [server] serves it here as well";
        return absent(message.to_owned());
    }
    if page.is_preflight {
        return page.preflight(route.allowed(), &head.headers, &limits.cors);
    }
    if route.is_websocket(&head) {
        let message = "the gateway speaks no WebSocket on this route; POST with `stream` streams the answer";
        return refuse(InFlight::new(gateway), dialect_of(path), &Failure::new(Kind::NoWebSocket, message));
    }
    if !route.allows(&head.method) {
        return wrong_method(gateway, path, route.allowed());
    }
    let caller = match route.needs_key() {
        true => match Caller::of(gateway, snapshot, &head.headers) {
            Ok(caller) => caller,
            Err(failure) => return refuse(InFlight::new(gateway), dialect_of(path), &failure),
        },
        false => Caller::anyone(snapshot),
    };
    let begin = |caller| InFlight::of(gateway, caller);
    // Boxed: the size of a future is that of its largest branch, and most requests are chats.
    match route {
        Route::Chat(dialect) => chat::serve(begin(caller), dialect, &head.headers, body).await,
        Route::Explain => Box::pin(explain::serve(begin(caller), &head.headers, body)).await,
        Route::Embeddings(form) => Box::pin(embeddings::serve(begin(caller), form, &head.headers, body)).await,
        Route::CountTokens => Box::pin(count::serve(begin(caller), &head.headers, body)).await,
        Route::Feedback => Box::pin(feedback::serve(begin(caller), &head.headers, body)).await,
        Route::Show => Box::pin(models::show(begin(caller), &head.headers, body)).await,
        Route::Model => models::one(gateway, caller, &head),
        Route::Stored(_) => Box::pin(stored::serve(begin(caller), &head.method, &head.uri)).await,
        Route::Page(page) => Box::pin(page.answer(gateway, caller, &head)).await,
    }
}
