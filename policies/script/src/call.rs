//! One call of a hook, as scripts see it.

use rhai::ImmutableString;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use wasmgate_policy::{Candidate, Request, Role};

/// A request and its candidates. Scripts hold handles to it, and copy what they read of it.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) candidates: Vec<Candidate>,
    /// The text of the newest message of the user: a script may read it often, and shares this copy.
    pub(crate) prompt: ImmutableString,
    /// How often the script has read a variable.
    pub(crate) reads: AtomicU32,
}

impl Call {
    /// The call's own copy: a script's values live as long as it likes.
    pub(crate) fn new(request: &Request, candidates: &[Candidate]) -> Arc<Self> {
        let newest = request.messages.iter().rfind(|message| message.role == Role::User);
        let prompt = newest.map_or("", |message| &message.text).into();
        Arc::new(Self { request: request.clone(), candidates: candidates.to_vec(), prompt, reads: AtomicU32::new(0) })
    }
}
