//! Version 2 of the contract, the newest: where its types fit, they are the host's own.

pub(super) mod bindings;
mod lower;
mod plain;

use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Result, Store};

use crate::candidates::Models;
use crate::contract::call::{Answer, Call, Question};
use crate::hook::Hook;
use bindings::cost::{CostPolicy, CostPolicyIndices};
use bindings::routing::{RoutingPolicy, RoutingPolicyIndices};

pub(in super::super) use bindings::routing::wasmgate::policy::{log, request_facts, settings, types};

/// The version that the bindings were generated from.
pub(super) const VERSION: &str = "2.0.0";

/// Store data that implements the imports of the contract.
pub(in super::super) trait Host:
    types::Host + settings::Host + log::Host + request_facts::Host + Send + 'static
{
    /// Makes the facts of a request available to the guest, until the next call.
    fn hold_facts(&mut self, question: &Question<'_>);
}

/// Links the imports of the contract.
pub(super) fn add_to_linker<T: Host>(linker: &mut Linker<T>) -> Result<()> {
    types::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)?;
    settings::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)?;
    log::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)?;
    request_facts::add_to_linker::<_, HasSelf<T>>(linker, |guest| guest)
}

/// The positions of a hook's functions in a component.
pub(in super::super) struct Exports {
    hook: Indices,
    /// Whether the component may ask for facts of a request.
    asks: bool,
}

enum Indices {
    Routing(RoutingPolicyIndices),
    Cost(CostPolicyIndices),
}

impl Exports {
    pub(super) fn find<T: Host>(pre: &InstancePre<T>, hook: Hook) -> Result<Self> {
        let component = pre.component();
        let of_type = component.component_type();
        let asks =
            of_type.imports(component.engine()).any(|(name, _)| name.starts_with("wasmgate:policy/request-facts@"));
        let hook = match hook {
            Hook::Routing => Indices::Routing(RoutingPolicyIndices::new(pre)?),
            Hook::Cost => Indices::Cost(CostPolicyIndices::new(pre)?),
        };
        Ok(Self { hook, asks })
    }

    /// The hook's functions in an instance.
    pub(super) fn of<T: Host>(&self, store: &mut Store<T>, instance: &Instance) -> Result<Functions> {
        let hook = match &self.hook {
            Indices::Routing(indices) => HookFunctions::Routing(indices.load(store, instance)?),
            Indices::Cost(indices) => HookFunctions::Cost(indices.load(store, instance)?),
        };
        Ok(Functions { hook, asks: self.asks, models: 0 })
    }
}

/// The functions of a hook in an instance.
pub(in super::super) struct Functions {
    hook: HookFunctions,
    asks: bool,
    /// The models that the instance has, by their number; 0 if it has none.
    models: u64,
}

enum HookFunctions {
    Routing(RoutingPolicy),
    Cost(CostPolicy),
}

impl Functions {
    /// Calls `configure`, in which the guest reads its settings.
    pub(super) async fn configure<T: Host>(&self, store: &mut Store<T>) -> Result<Result<(), String>> {
        match &self.hook {
            HookFunctions::Routing(policy) => policy.wasmgate_policy_routing().call_configure(store).await,
            HookFunctions::Cost(policy) => policy.wasmgate_policy_cost().call_configure(store).await,
        }
    }

    /// Whether the guest has these models, by their number.
    pub(super) fn has(&self, models: u64) -> bool {
        self.models == models
    }

    /// Gives the guest the models that a call is about, if it has others.
    async fn set_models<T: Host>(&mut self, store: &mut Store<T>, models: &Models) -> Result<()> {
        if self.models != models.id() {
            let labels = lower::labels(models);
            let lowered = lower::models(models, &labels);
            match &self.hook {
                HookFunctions::Routing(policy) => {
                    policy.wasmgate_policy_routing().call_set_models(store, &lowered).await?;
                }
                HookFunctions::Cost(policy) => policy.wasmgate_policy_cost().call_set_models(store, &lowered).await?,
            }
            self.models = models.id();
        }
        Ok(())
    }

    /// Calls the guest; `None` if it does not have that hook.
    pub(super) async fn ask<T: Host>(
        &mut self,
        store: &mut Store<T>,
        call: Call<'_>,
    ) -> Result<Option<Result<Answer, String>>> {
        if let Some(question) = call.question() {
            self.set_models(store, question.models).await?;
            if self.asks {
                store.data_mut().hold_facts(&question);
            }
        }
        let answer = match (&self.hook, call) {
            (HookFunctions::Routing(policy), Call::Route(question)) => {
                let prompt = lower::Prompt::of(&question);
                let parameters = (lower::request(&question), prompt.lower(), question.candidates);
                let (verdict,) = plain::route(policy).call_async(store, parameters).await?;
                verdict.map(|verdict| {
                    let (verdict, coded) = lower::verdict(verdict);
                    Answer::Verdict(verdict, coded)
                })
            }
            (HookFunctions::Cost(policy), Call::Estimate(question)) => {
                let prompt = lower::Prompt::of(&question);
                let parameters = (lower::request(&question), prompt.lower(), question.candidates);
                let (estimates,) = plain::estimate(policy).call_async(store, parameters).await?;
                estimates.map(|all| Answer::Estimates(lower::estimates(&all)))
            }
            (HookFunctions::Routing(policy), Call::Describe) => {
                Ok(Answer::Manifest(policy.wasmgate_policy_routing().call_describe(store).await?))
            }
            (HookFunctions::Cost(policy), Call::Describe) => {
                Ok(Answer::Manifest(policy.wasmgate_policy_cost().call_describe(store).await?))
            }
            (HookFunctions::Routing(_), Call::Estimate(..)) | (HookFunctions::Cost(_), Call::Route(..)) => {
                return Ok(None);
            }
        };
        Ok(Some(answer))
    }
}
