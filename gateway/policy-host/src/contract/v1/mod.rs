//! Version 1 of the contract: its own bindings, and conversions to and from the host's types.

mod bindings;
mod convert;

use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Result, Store};

use crate::contract::call::{Answer, Call};
use crate::hook::Hook;
use bindings::cost::{CostPolicy, CostPolicyIndices};
use bindings::routing::{RoutingPolicy, RoutingPolicyIndices};

pub(in super::super) use bindings::routing::wasmgate::policy::{log, settings, types};
#[cfg(test)]
pub(in super::super) use convert::meaning;
pub(in super::super) use convert::value;

/// The version that the bindings were generated from.
pub(super) const VERSION: &str = "1.0.0";

/// Store data that implements the imports of the contract.
pub(in super::super) trait Host: types::Host + settings::Host + log::Host + Send + 'static {}

/// Links the imports of the contract.
pub(super) fn add_to_linker<T: Host>(linker: &mut Linker<T>) -> Result<()> {
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
    pub(super) fn find<T: Host>(pre: &InstancePre<T>, hook: Hook) -> Result<Self> {
        Ok(match hook {
            Hook::Routing => Self::Routing(RoutingPolicyIndices::new(pre)?),
            Hook::Cost => Self::Cost(CostPolicyIndices::new(pre)?),
        })
    }

    /// The hook's functions in an instance.
    pub(super) fn of<T: Host>(&self, store: &mut Store<T>, instance: &Instance) -> Result<Functions> {
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
    pub(super) async fn configure<T: Host>(&self, store: &mut Store<T>) -> Result<Result<(), String>> {
        match self {
            Self::Routing(policy) => policy.wasmgate_policy_routing().call_configure(store).await,
            Self::Cost(policy) => policy.wasmgate_policy_cost().call_configure(store).await,
        }
    }

    /// Calls the guest; `None` if it does not have that hook.
    pub(super) async fn ask<T: Host>(
        &self,
        store: &mut Store<T>,
        call: Call<'_>,
    ) -> Result<Option<Result<Answer, String>>> {
        let answer = match (self, call) {
            (Self::Routing(policy), Call::Route(question)) => {
                let hints = question.shown.hints(question.request);
                let lists = convert::Lists::of(&question, &hints);
                let candidates = convert::candidates(question.models, question.candidates);
                let hook = policy.wasmgate_policy_routing();
                let verdict = hook.call_route(store, lists.request(&question), &candidates).await?;
                verdict.map(|verdict| Answer::Verdict(convert::verdict(verdict), None))
            }
            (Self::Cost(policy), Call::Estimate(question)) => {
                let hints = question.shown.hints(question.request);
                let lists = convert::Lists::of(&question, &hints);
                let candidates = convert::candidates(question.models, question.candidates);
                let hook = policy.wasmgate_policy_cost();
                let estimates = hook.call_estimate(store, lists.request(&question), &candidates).await?;
                estimates.map(|all| Answer::Estimates(all.into_iter().map(convert::estimate).collect()))
            }
            (Self::Routing(policy), Call::Describe) => {
                let manifest = policy.wasmgate_policy_routing().call_describe(store).await?;
                Ok(Answer::Manifest(convert::manifest(manifest)))
            }
            (Self::Cost(policy), Call::Describe) => {
                let manifest = policy.wasmgate_policy_cost().call_describe(store).await?;
                Ok(Answer::Manifest(convert::manifest(manifest)))
            }
            (Self::Routing(_), Call::Estimate(..)) | (Self::Cost(_), Call::Route(..)) => return Ok(None),
        };
        Ok(Some(answer))
    }
}
