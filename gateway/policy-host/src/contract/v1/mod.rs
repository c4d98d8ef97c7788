//! Version 1 of the contract, the newest: its types are the host's own, so nothing is converted.

mod bindings;
mod call;

use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Result, Store};

use crate::hook::Hook;
use bindings::cost::{CostPolicy, CostPolicyIndices};
use bindings::routing::{RoutingPolicy, RoutingPolicyIndices};
pub(in super::super) use call::{Answer, Call};

pub use bindings::routing::exports::wasmgate::policy::routing::{Decision, Denial, Tier, Verdict};
pub(in super::super) use bindings::routing::wasmgate::policy::{log, settings, types};

/// The version that the bindings were generated from.
pub(super) const VERSION: &str = "1.0.0";

/// The newest minor version that this host supports, like all before it. Patches only change comments.
const MINOR: u32 = 0;

/// The interfaces that a policy may import, and what each gives it.
const GRANTED: [(&str, &str); 3] = [
    ("wasmgate:policy/types@", "nothing: names of types"),
    ("wasmgate:policy/settings@", "what the operator configured"),
    ("wasmgate:policy/log@", "lines to the operator's log"),
];

/// Whether this host supports components that were built against `version`.
pub(super) fn speaks(version: &str) -> bool {
    let numbers: Option<Vec<u32>> = version.split('.').map(|number| number.parse().ok()).collect();
    matches!(numbers.as_deref(), Some([1, minor, _patch]) if (0..=MINOR).contains(minor))
}

/// What an import of the contract's package gives a policy; `None` if it is none of the interfaces.
pub(super) fn grant(import: &str) -> Option<&'static str> {
    GRANTED.iter().find(|(name, _)| import.starts_with(name)).map(|(_, grant)| *grant)
}

/// Store data that implements the imports of the contract.
pub(in super::super) trait Host: types::Host + settings::Host + log::Host + Send + 'static {}

/// Links the imports of the contract.
pub(in super::super) fn add_to_linker<T: Host>(linker: &mut Linker<T>) -> Result<()> {
    types::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)?;
    settings::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)
}

/// The positions of a hook's functions in a component.
pub(in super::super) enum Exports {
    Routing(RoutingPolicyIndices),
    Cost(CostPolicyIndices),
}

impl Exports {
    pub(in super::super) fn find<T: Host>(pre: &InstancePre<T>, hook: Hook) -> Result<Self> {
        Ok(match hook {
            Hook::Routing => Self::Routing(RoutingPolicyIndices::new(pre)?),
            Hook::Cost => Self::Cost(CostPolicyIndices::new(pre)?),
        })
    }

    /// The hook's functions in an instance.
    pub(in super::super) fn of<T: Host>(&self, store: &mut Store<T>, instance: &Instance) -> Result<Functions> {
        Ok(match self {
            Self::Routing(indices) => Functions::Routing(indices.load(store, instance)?),
            Self::Cost(indices) => Functions::Cost(indices.load(store, instance)?),
        })
    }
}

/// The functions of a hook.
pub(in super::super) enum Functions {
    Routing(RoutingPolicy),
    Cost(CostPolicy),
}

impl Functions {
    /// Calls `configure`, in which the guest reads its settings.
    pub(in super::super) async fn configure<T: Host>(&self, store: &mut Store<T>) -> Result<Result<(), String>> {
        match self {
            Self::Routing(policy) => policy.wasmgate_policy_routing().call_configure(store).await,
            Self::Cost(policy) => policy.wasmgate_policy_cost().call_configure(store).await,
        }
    }

    /// Calls the guest; `None` if it does not have that hook.
    pub(in super::super) async fn ask<T: Host>(
        &self,
        store: &mut Store<T>,
        call: Call<'_>,
    ) -> Result<Option<Result<Answer, String>>> {
        let answer = match (self, call) {
            (Self::Routing(policy), Call::Route(request, candidates)) => {
                let verdict = policy.wasmgate_policy_routing().call_route(store, request, candidates).await?;
                verdict.map(Answer::Verdict)
            }
            (Self::Cost(policy), Call::Estimate(request, candidates)) => {
                let estimates = policy.wasmgate_policy_cost().call_estimate(store, request, candidates).await?;
                estimates.map(Answer::Estimates)
            }
            (Self::Routing(policy), Call::Describe) => {
                Ok(Answer::Manifest(policy.wasmgate_policy_routing().call_describe(store).await?))
            }
            (Self::Cost(policy), Call::Describe) => {
                Ok(Answer::Manifest(policy.wasmgate_policy_cost().call_describe(store).await?))
            }
            (Self::Routing(_), Call::Estimate(..)) | (Self::Cost(_), Call::Route(..)) => return Ok(None),
        };
        Ok(Some(answer))
    }
}
