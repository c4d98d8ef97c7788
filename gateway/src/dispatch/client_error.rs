//! A failure as a client reads it. This module must not know: HTTP.

use crate::error::Failure;
use wasmgate_dialect::ErrorText;

/// The failure's text, in no dialect yet.
pub(crate) fn error_text(failure: &Failure, request_id: &str) -> ErrorText {
    let provider = failure.provider.as_deref().cloned().unwrap_or_default();
    ErrorText {
        status: failure.kind.status().as_u16(),
        code: failure.kind.code().to_owned(),
        message: failure.message.clone(),
        param: provider.param,
        kind: provider.kind,
        overflow: provider.overflow,
        request_id: request_id.to_owned(),
    }
}
