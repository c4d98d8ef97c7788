//! Keeps a tenant within its budget: when little is left, its requests stay on local models.
//!
//! Until then it ranks candidates by the operator's preference, then in the configured order: an order by cost would
//! put local models first anyway and leave nothing to guard. While the guard is active, it leaves all other models out
//! of the ranking, because a fallback costs as much as a first choice. If no local model can take the request, it ranks
//! as usual, or denies the request if the operator set `deny-without-local`. Tenants without a budget are not guarded.

#![no_std]

extern crate alloc;

use alloc::borrow::Cow;
use wasmgate_policy::Budget;
use wasmgate_policy::prelude::*;

const LOCAL_BELOW: Number = Number {
    name: "local-below",
    summary: "When less than this share of the budget is left, 0 to 1, requests stay on local models.",
    range: 0.0..=1.0,
    default: 0.1,
};
const DENY_WITHOUT_LOCAL: Boolean = Boolean {
    name: "deny-without-local",
    summary: "Whether to refuse, with code budget_exhausted, what should stay local when no local model can take it.",
    default: false,
};
const MODELS: Texts = Texts {
    name: "models",
    summary: "Models in order of preference; those not named come after, in the configured order.",
    meaning: Meaning::Models,
    default: &[],
};

/// The configured policy.
pub struct BudgetGuard {
    local_below: f64,
    deny_without_local: bool,
    models: Vec<Cow<'static, str>>,
}

impl Policy for BudgetGuard {
    fn manifest() -> Manifest {
        manifest(
            "budget-guard",
            env!("CARGO_PKG_VERSION"),
            "Local models only when a tenant's budget is nearly spent.",
            Reads::nothing().with_tenant(),
            &[LOCAL_BELOW.entry(), DENY_WITHOUT_LOCAL.entry(), MODELS.entry()],
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            local_below: LOCAL_BELOW.read(settings)?,
            deny_without_local: DENY_WITHOUT_LOCAL.read(settings)?,
            models: MODELS.read(settings)?,
        })
    }
}

impl Routing for BudgetGuard {
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String> {
        let mut ranking = rank::able_first(request, candidates, self.preferred(candidates));
        let reason = match request.budget {
            None => "no budget to guard; by preference".to_owned(),
            Some(budget) if !self.nearly_spent(budget) => format!("{}; by preference", left(budget)),
            Some(budget) => {
                let local = |index: u32| candidates[index as usize].location == Location::Local;
                let answers = |index: u32| local(index) && rank::able(request, &candidates[index as usize]);
                if ranking.iter().any(|&index| answers(index)) {
                    ranking.retain(|&index| local(index));
                    format!("{}; local models only", left(budget))
                } else if self.deny_without_local {
                    let reason = format!("{}, and no local model can take the request", left(budget));
                    return Ok(Denial::new("budget_exhausted", reason).into());
                } else {
                    format!("{}, but no local model can take the request; by preference", left(budget))
                }
            }
        };
        Ok(Decision::unscored(ranking, reason).into())
    }
}

impl BudgetGuard {
    fn preferred(&self, candidates: &[Candidate]) -> Vec<u32> {
        let place = |index: u32| {
            let named = self.models.iter().position(|model| *model == candidates[index as usize].model);
            named.unwrap_or(self.models.len())
        };
        let mut ranking = rank::given(candidates);
        ranking.sort_by_key(|&index| place(index));
        ranking
    }

    /// Whether the guard is active. A budget with nothing left is spent, whatever the setting.
    fn nearly_spent(&self, budget: Budget) -> bool {
        budget.left == 0 || (budget.left as f64) < self.local_below * budget.limit as f64
    }
}

/// The rest of a budget, for the reason: a share and not the amount, which is the tenant's private matter.
fn left(budget: Budget) -> String {
    let percent = u128::from(budget.left) * 100 / u128::from(budget.limit.max(1));
    format!("{percent} % of the budget left")
}

wasmgate_policy::export!(routing: BudgetGuard);

#[cfg(test)]
mod tests;
