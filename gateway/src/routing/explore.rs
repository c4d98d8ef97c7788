//! Exploration: for a share of a group's requests, another model that the policy ranked is called first. The rest of the ranking
//! stays in order behind it.
//!
//! Only where the policy ranked, and where nobody depends on its choice: the client named no model, no backend made a part of the
//! request that others do not understand, and no model has answered the conversation before, whose prompt cache another does not
//! have. Without a decision log there is nothing to learn, so nothing is explored.
//!
//! This module must not know: groups, limits, how a model is called.

use super::candidate::observe;
use super::{Decision, Router};
use crate::backend::{LiveModel, retry};
use crate::state::Snapshot;
use crate::telemetry::Record;
use crate::telemetry::exploration::Exploration;
use wasmgate_accounts::Explore;
use wasmgate_dialect::chat::{Chat, Role};
use wasmgate_policy_host::{Breaker, Health};

impl Router {
    /// Draws which of the decision's models is called first, if the request is open to it, and notes the draw on the record. The
    /// decision has only models that the group may use and that its limits permit.
    pub fn explore(&self, record: &mut Record, snapshot: &Snapshot, chat: &Chat, decision: &mut Decision) {
        let Some(explore) = snapshot.access.explore(record.group) else { return };
        let named = chat.model != "auto";
        if !record.wants_decided || record.by_default || named || record.pinned.is_some() {
            return;
        }
        if self.continues(record, snapshot, chat, decision) {
            return;
        }
        let models = snapshot.catalog.models();
        let tokens = record.estimated_input_tokens.saturating_add(chat.max_tokens.unwrap_or(0));
        let usable = |first: bool, live: &LiveModel| {
            let fits = || live.model.context_window.is_none_or(|window| tokens <= window);
            serves(live) && (first || fits())
        };
        let chosen = decision.ranking.first().copied();
        let open = decision.ranking.iter().copied();
        let open: Vec<usize> = open.filter(|&index| usable(Some(index) == chosen, &models[index])).collect();
        // A policy's choice that cannot be called is passed over, which is no draw.
        if open.len() < 2 || open.first().copied() != chosen {
            return;
        }
        draw(record, decision, explore, open, retry::random());
    }

    /// Whether a model has answered the conversation before.
    fn continues(&self, record: &Record, snapshot: &Snapshot, chat: &Chat, decision: &Decision) -> bool {
        // A client's name may be all that is known of a conversation. Without an answer in it, it is a new one.
        let Some(session) = record.session.filter(|_| chat.messages.iter().any(|said| said.role == Role::Assistant))
        else {
            return false;
        };
        let names = decision.permitted.iter().map(|&index| &*snapshot.catalog.models()[index].model.name);
        self.affinity.last(session, names).is_some()
    }
}

/// Whether a call would be tried at once: the backend is not down, and the breaker is closed. What is half-open is for one call to
/// find out, not for exploration.
fn serves(live: &LiveModel) -> bool {
    let now = observe(live);
    now.health != Health::Down && now.breaker == Breaker::Closed
}

/// Draws among `open`, of which the decision's choice is the first, by a random number from 0 to below 1.
fn draw(record: &mut Record, decision: &mut Decision, explore: Explore, open: Vec<usize>, random: f64) {
    let drawn = explore.draw(open.len(), random);
    let estimated_cost = record.estimated_cost;
    if let Some(place) = decision.ranking.iter().position(|index| *index == open[drawn]).filter(|_| drawn > 0) {
        decision.ranking[..=place].rotate_right(1);
        record.chosen = Some(open[drawn]);
        record.estimated_cost = decision.estimated_cost(open[drawn]);
    }
    record.exploration = Some(Box::new(Exploration { explore, models: open, drawn, estimated_cost }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_base::money::NanoDollars;
    use wasmgate_policy_host::CostEstimate;

    fn drawn(random: f64) -> (Vec<usize>, Record) {
        let estimate = |cost| Some(CostEstimate { input_tokens: 1, output_tokens: 1, cost: Some(cost) });
        let mut decision = Decision {
            ranking: vec![4, 2, 7, 1],
            permitted: vec![1, 2, 4, 7],
            estimates: vec![estimate(1), estimate(2), estimate(4), estimate(7)],
            reason: String::new(),
            policy: String::new(),
            version: String::new(),
        };
        let mut record = Record { chosen: Some(4), estimated_cost: Some(NanoDollars(4)), ..Record::new() };
        // 2 cannot be called now.
        draw(&mut record, &mut decision, Explore::percent(30.0), vec![4, 7, 1], random);
        (decision.ranking, record)
    }

    #[test]
    fn what_is_drawn_comes_first_and_the_rest_stays_in_order() {
        for (random, ranking, chosen) in [
            (0.00, [4, 2, 7, 1], 4),
            (0.09, [4, 2, 7, 1], 4),
            (0.11, [7, 4, 2, 1], 7),
            (0.25, [1, 4, 2, 7], 1),
            (0.31, [4, 2, 7, 1], 4),
            (0.99, [4, 2, 7, 1], 4),
        ] {
            let (found, record) = drawn(random);
            assert_eq!((&*found, record.chosen), (&ranking[..], Some(chosen)), "{random}");
            assert_eq!(record.estimated_cost.map(|cost| cost.0), u64::try_from(chosen).ok());
            assert_eq!(record.explored(), chosen != 4);
            let exploration = record.exploration.expect("a draw");
            assert_eq!((exploration.models, exploration.estimated_cost), (vec![4, 7, 1], Some(NanoDollars(4))));
        }
    }
}
