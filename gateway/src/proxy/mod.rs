//! Client requests, from HTTP request to HTTP response. `chat.rs` is the spine.
//!
//! This module must not know: how a model is chosen, how it is called.

mod chat;

mod embeddings;
mod explain;
mod introspect;

mod intake;
mod routes;

mod body;
mod response;

pub mod gateway;
mod in_flight;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Request, Response, Version};

use crate::error::{Failure, Kind};
pub use body::ResponseBody;
use gateway::Gateway;
use in_flight::InFlight;
use response::{refuse, wrong_method};
use routes::{Route, dialect_of};

/// Answers one HTTP request.
pub async fn serve(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<ResponseBody> {
    let path = request.uri().path();
    let refused = |kind, message: &str| refuse(InFlight::new(&gateway), dialect_of(path), &Failure::new(kind, message));
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return refused(Kind::BadRequest, "an HTTP/1.1 request must have exactly one Host header");
    }
    let Some(route) = Route::find(path) else {
        let message = "there is no such route; GET / lists the routes for models, health and metrics";
        return refused(Kind::UnknownRoute, message);
    };
    if !route.allows(request.method()) {
        return wrong_method(&gateway, path, route.allowed());
    }
    // Boxed: the size of a future is that of its largest branch, and most requests are chats.
    match route {
        Route::Chat(dialect) => chat::serve(&gateway, dialect, request).await,
        Route::Explain => Box::pin(explain::serve(&gateway, request)).await,
        Route::Embeddings => Box::pin(embeddings::serve(&gateway, request)).await,
        Route::Page(page) => page.answer(&gateway, request.headers()),
    }
}
