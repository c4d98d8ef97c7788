//! The failures of a dispatch so far. They decide which model is called next and which failure the client sees.

use std::time::Duration;

use crate::error::{Failure, Kind, Recovery};
use crate::state::Snapshot;

/// What follows a failure.
pub(super) enum Next {
    /// Fall back to the next model.
    Model,
    /// Give up: the client gets the failure.
    Client,
}

/// The failures that matter for the next call and for the client: the first one, with the position of its model in the
/// catalog; the shortest wait for an open breaker; the largest context window that was too small.
#[derive(Default)]
pub(super) struct Failures {
    first: Option<(usize, Failure)>,
    // Shown only if no model was called: a failed call says more than a model that was not called. Keeps the shortest wait.
    held_back: Option<Failure>,
    // The largest context window that was too small for the prompt.
    longer_than: Option<u32>,
    called: usize,
}

impl Failures {
    /// The ranking without the models at its head whose context window is no larger than one that was too small for
    /// this prompt.
    pub(super) fn able<'a>(&self, snapshot: &Snapshot, ranking: &'a [usize]) -> &'a [usize] {
        let too_small = |index: &&usize| {
            let window = snapshot.catalog.models()[**index].model.context_window;
            self.longer_than.is_some_and(|tried| window.is_some_and(|window| window <= tried))
        };
        &ranking[ranking.iter().take_while(too_small).count()..]
    }

    /// Notes the failure of the model at `index` of the catalog.
    pub(super) fn note(&mut self, snapshot: &Snapshot, index: usize, failure: Failure) -> Next {
        let next = match failure.kind.recovery() {
            Recovery::Nothing => Next::Client,
            Recovery::Retry | Recovery::Fallback => Next::Model,
            Recovery::FallbackLarger => {
                self.longer_than = self.longer_than.max(snapshot.catalog.models()[index].model.context_window);
                Next::Model
            }
            Recovery::FallbackIfEnabled if snapshot.limits.content_filter_falls_back => Next::Model,
            Recovery::FallbackIfEnabled => Next::Client,
        };
        self.called += usize::from(!matches!(failure.kind, Kind::BreakerOpen | Kind::BackendFull | Kind::NoTimeLeft));
        if !matches!(failure.kind, Kind::BreakerOpen | Kind::NoTimeLeft) {
            self.first.get_or_insert((index, failure));
        } else if self.held_back.as_ref().is_none_or(|least| wait(&failure) < wait(least)) {
            self.held_back = Some(failure);
        }
        next
    }

    /// How many models were called and failed. An open breaker and a full backend prevent a call.
    pub(super) fn called(&self) -> usize {
        self.called
    }

    /// The failure that the client gets, and the model that failed; `None` if no model was called.
    pub(super) fn into_failure(self) -> (Option<usize>, Failure) {
        match (self.first, self.held_back) {
            (Some((index, failure)), _) => (Some(index), failure),
            (None, Some(failure)) => (None, failure),
            (None, None) => (None, Failure::new(Kind::Internal, "the ranking names no model")),
        }
    }
}

/// How long to wait before another attempt; the longest time if nobody knows.
fn wait(failure: &Failure) -> Duration {
    failure.retry_after.unwrap_or(Duration::MAX)
}
