//! What failed so far, and what follows from it: who is called next and which failure the client sees.

use crate::error::{Failure, Kind, Recovery};
use crate::state::Snapshot;

/// Whose permit it is after a failure.
pub(super) enum Next {
    /// The next model's.
    Model,
    /// The client's: it is told.
    Client,
}

/// What failed, as far as it says who is asked next and what the client is told: the first failure, by the model's
/// position.
#[derive(Default)]
pub(super) struct Failures {
    first: Option<(usize, Failure)>,
    // That a model was not asked says less than how another failed; the least wait says most.
    held_back: Option<Failure>,
    longer_than: Option<u32>,
}

impl Failures {
    /// What is left of a ranking without the models at its head that take no longer prompts than one for which this prompt
    /// was too long.
    pub(super) fn able<'a>(&self, snapshot: &Snapshot, ranking: &'a [usize]) -> &'a [usize] {
        let too_small = |index: &&usize| {
            let window = snapshot.catalog.models()[**index].model.context_window;
            self.longer_than.is_some_and(|tried| window.is_some_and(|window| window <= tried))
        };
        &ranking[ranking.iter().take_while(too_small).count()..]
    }

    /// The model at `index` failed.
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
        if failure.kind != Kind::BreakerOpen {
            self.first.get_or_insert((index, failure));
        } else if self.held_back.as_ref().is_none_or(|least| failure.retry_after < least.retry_after) {
            self.held_back = Some(failure);
        }
        next
    }

    /// What the client is told, and the model whose failure it is; none where none was asked.
    pub(super) fn told(self) -> (Option<usize>, Failure) {
        match (self.first, self.held_back) {
            (Some((index, failure)), _) => (Some(index), failure),
            (None, Some(failure)) => (None, failure),
            (None, None) => (None, Failure::new(Kind::Internal, "no model was ranked")),
        }
    }
}
