//! Client requests, from HTTP request to HTTP response. `chat.rs` is the spine.
//!
//! This module must not know: how a model is chosen, how it is called.

mod chat;

mod embeddings;
mod explain;
mod introspect;

mod intake;
mod origin;
mod routes;

mod body;
mod memory;
mod response;
mod watchdog;

pub mod gateway;
mod in_flight;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Request, Response, Version};

use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::net::Busy;
pub use body::ResponseBody;
use gateway::Gateway;
use in_flight::InFlight;
pub use introspect::{metrics_page, stats_page};
use origin::Page;
use response::{refuse, wrong_method};
use routes::{Route, dialect_of};

/// Answers one HTTP request. Its connection is busy until the answer has ended.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>, busy: Busy) -> Response<ResponseBody> {
    let multiplexed = request.version() == Version::HTTP_2;
    let response = answer(&gateway, request).await;
    response.map(|body| body.sent_over(busy, &gateway.watchdog, multiplexed))
}

async fn answer(gateway: &Arc<Gateway>, request: Request<Incoming>) -> Response<ResponseBody> {
    let snapshot = gateway.serving.snapshot();
    let page = match check(gateway, &snapshot.limits, &request) {
        Ok(page) => page,
        Err(failure) => return refuse(InFlight::new(gateway), dialect_of(request.uri().path()), &failure),
    };
    let mut response = route(gateway, &snapshot.limits, request, &page).await;
    page.let_read(response.headers_mut());
    response
}

/// Checks what requests of all routes have in common.
fn check(gateway: &Gateway, limits: &Server, request: &Request<Incoming>) -> Result<Page, Failure> {
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return Err(Failure::new(Kind::BadRequest, "an HTTP/1.1 request must have exactly one Host header"));
    }
    Page::of(gateway.is_loopback, limits, request.method(), request.uri(), request.headers())
}

async fn route(
    gateway: &Arc<Gateway>,
    limits: &Server,
    request: Request<Incoming>,
    page: &Page,
) -> Response<ResponseBody> {
    let path = request.uri().path();
    let found = Route::find(path).filter(|route| limits.metrics_for_clients || !route.is_for_operators());
    let Some(route) = found else {
        let message = "there is no such route; GET / lists the routes for models, health and metrics";
        let failure = Failure::new(Kind::UnknownRoute, message);
        return refuse(InFlight::new(gateway), dialect_of(path), &failure);
    };
    if page.is_preflight {
        return page.preflight(route.allowed(), request.headers());
    }
    if !route.allows(request.method()) {
        return wrong_method(gateway, path, route.allowed());
    }
    // Boxed: the size of a future is that of its largest branch, and most requests are chats.
    match route {
        Route::Chat(dialect) => chat::serve(gateway, dialect, request).await,
        Route::Explain => Box::pin(explain::serve(gateway, request)).await,
        Route::Embeddings => Box::pin(embeddings::serve(gateway, request)).await,
        Route::Page(page) => page.answer(gateway, request.headers()),
    }
}
