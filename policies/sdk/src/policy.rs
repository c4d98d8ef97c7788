//! The traits that an author implements, and the macro that makes a policy a component.
//!
//! The macro is necessary: a component's exports are symbols with fixed names in the final crate, each of them calls
//! one concrete type, and in stable Rust a library cannot find "the type that implements this trait". Everything that
//! can be a function is one (below, in `glue`); the macro only creates the static that holds the configured policy.

use crate::{Candidate, CostEstimate, Manifest, Reads, ReadsPrompt, Request, Setting, Settings, Verdict};
use alloc::string::String;
use alloc::vec::Vec;

/// What both kinds of policies share.
///
/// The configured policy lives as long as its instance and must not change from call to call: the gateway chooses
/// whether to reuse instances, so do not rely on that. Hence `&self` in the hooks, and `Send + Sync`, which plain data
/// is anyway.
pub trait Policy: Sized + Send + Sync + 'static {
    /// What this policy is: its name, version, purpose and settings.
    fn manifest() -> Manifest;

    /// Creates the policy from the operator's settings. An error refuses the component or its settings. It is a
    /// sentence that names the setting and what it should be (the readers in [`crate::settings`] write such sentences).
    fn configure(settings: &Settings) -> Result<Self, String>;
}

/// A policy that decides which model answers.
pub trait Routing: Policy {
    /// Decides one request; there is at least one candidate. An error is a failure of the policy.
    fn route(&self, request: &Request, candidates: &[Candidate]) -> Result<Verdict, String>;
}

/// A policy that says what a request is expected to cost.
pub trait Cost: Policy {
    /// One estimate for each candidate, in their order. An error is a failure of the policy.
    fn estimate(&self, request: &Request, candidates: &[Candidate]) -> Result<Vec<CostEstimate>, String>;
}

/// A manifest from its parts; `settings` are the `entry()` of each reader. It says that the policy denies no request, and has
/// no reasons by number: set these fields where it does.
pub fn manifest(name: &str, version: &str, summary: &str, reads: Reads, settings: &[Setting]) -> Manifest {
    Manifest {
        name: name.into(),
        version: version.into(),
        summary: summary.into(),
        settings: settings.to_vec(),
        reads,
        denies: false,
        reasons: Vec::new(),
    }
}

impl Manifest {
    /// The same with the texts of reasons that the policy gives by number ([`Reason::coded`](crate::Reason::coded)).
    #[must_use]
    pub fn with_reasons(mut self, reasons: &[&str]) -> Self {
        self.reasons = reasons.iter().map(|&reason| reason.into()).collect();
        self
    }
}

/// What a policy reads of requests. What it does not read, it cannot see.
impl Reads {
    /// No text, no label, no tenant.
    #[must_use]
    pub fn nothing() -> Self {
        Self { prompt: ReadsPrompt::None, labels: Vec::new(), tenant: false }
    }

    /// The text of the user's newest message.
    #[must_use]
    pub fn newest() -> Self {
        Self { prompt: ReadsPrompt::Newest, ..Self::nothing() }
    }

    /// The texts of all messages.
    #[must_use]
    pub fn conversation() -> Self {
        Self { prompt: ReadsPrompt::Conversation, ..Self::nothing() }
    }

    /// These labels too, by name in lower case; `*`: all of them.
    #[must_use]
    pub fn with_labels(mut self, labels: &[&str]) -> Self {
        self.labels = labels.iter().map(|&label| label.into()).collect();
        self
    }

    /// The tenant's name, budget and limits too.
    #[must_use]
    pub fn with_tenant(mut self) -> Self {
        self.tenant = true;
        self
    }
}

/// Makes a type the policy of this component: `export!(routing: T)`, `export!(cost: T)`, or
/// `export!(routing: T, cost: U)`, where `T` and `U` may be the same type.
///
/// On other targets than Wasm it expands to nothing.
#[macro_export]
macro_rules! export {
    (routing: $policy:ty $(,)?) => {
        $crate::__export_world!($policy, routing, export_routing_world, route, $crate::Verdict);
    };
    (cost: $policy:ty $(,)?) => {
        $crate::__export_world!(
            $policy, cost, export_cost_world, estimate, $crate::policy::glue::Estimates
        );
    };
    (routing: $routing:ty, cost: $cost:ty $(,)?) => {
        $crate::export!(routing: $routing);
        $crate::export!(cost: $cost);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_world {
    ($policy:ty, $world:ident, $export:ident, $decide:ident, $answer:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;
            static POLICY: $crate::OnceBox<$policy> = $crate::OnceBox::new();
            static MODELS: $crate::models::Models = $crate::models::Models::new();

            impl $crate::bindings::$world::exports::wasmgate::policy::$world::Guest for Component {
                fn describe() -> $crate::Manifest {
                    <$policy as $crate::Policy>::manifest()
                }
                fn configure() -> Result<(), $crate::policy::glue::Text> {
                    $crate::policy::glue::configure(&POLICY)
                }
                fn set_models(models: $crate::policy::glue::ModelList) {
                    $crate::policy::glue::set_models(&MODELS, models)
                }
                fn $decide(
                    request: $crate::policy::glue::WireRequest,
                    prompt: $crate::policy::glue::WirePrompt,
                    candidates: $crate::policy::glue::WireCandidates,
                ) -> Result<$answer, $crate::policy::glue::Text> {
                    $crate::policy::glue::$decide(&POLICY, &MODELS, &request, &prompt, &candidates)
                }
            }

    $crate::bindings::$world::$export!(Component with_types_in $crate::bindings::$world);
        };
    };
}

/// The steps between the generated bindings and a policy. Called by [`export!`] only.
#[doc(hidden)]
pub mod glue {
    use super::{Cost, Policy, Routing};
    use crate::bindings::routing::wasmgate::policy::types;
    use crate::models::Models;
    use crate::{Candidate, Model, Reason, Request, Settings, Verdict};
    use alloc::boxed::Box;
    use alloc::format;
    use alloc::vec::Vec;
    use once_cell::race::OnceBox;

    pub type Text = alloc::string::String;
    pub type ModelList = Vec<Model>;
    pub type WireRequest = types::Request;
    pub type WirePrompt = types::Prompt;
    pub type WireCandidates = Vec<types::Candidate>;
    pub type Estimates = Vec<types::CostEstimate>;

    const UNCONFIGURED: &str = "the gateway did not call configure before the first decision";

    pub fn configure<P: Policy>(slot: &OnceBox<P>) -> Result<(), Text> {
        let policy = P::configure(&Settings::host())?;
        slot.set(Box::new(policy)).map_err(|_| "configure was called twice")?;
        keep();
        Ok(())
    }

    pub fn set_models(slot: &Models, models: ModelList) {
        slot.set(models);
        keep();
    }

    /// What was allocated so far outlives the calls.
    fn keep() {
        #[cfg(all(feature = "bare", target_family = "wasm"))]
        crate::bare::keep();
    }

    pub fn route<P: Routing>(
        slot: &OnceBox<P>,
        models: &Models,
        request: &WireRequest,
        prompt: &WirePrompt,
        candidates: &[types::Candidate],
    ) -> Result<Verdict, Text> {
        let models = models.all();
        let (request, candidates) = (Request::lifted(request, prompt, models), lifted(candidates, models)?);
        let mut verdict = slot.get().ok_or(UNCONFIGURED)?.route(&request, &candidates)?;
        match &mut verdict {
            Verdict::Route(decision) => {
                if let Reason::Text(reason) = &mut decision.reason {
                    crate::decision::clip(reason);
                }
            }
            Verdict::Deny(denial) => crate::decision::clip(&mut denial.reason),
            Verdict::Pass => {}
        }
        Ok(verdict)
    }

    pub fn estimate<P: Cost>(
        slot: &OnceBox<P>,
        models: &Models,
        request: &WireRequest,
        prompt: &WirePrompt,
        candidates: &[types::Candidate],
    ) -> Result<Estimates, Text> {
        let models = models.all();
        let (request, candidates) = (Request::lifted(request, prompt, models), lifted(candidates, models)?);
        let estimates = slot.get().ok_or(UNCONFIGURED)?.estimate(&request, &candidates)?;
        Ok(estimates.into_iter().map(types::CostEstimate::from).collect())
    }

    fn lifted<'a>(candidates: &[types::Candidate], models: &'a [Model]) -> Result<Vec<Candidate<'a>>, Text> {
        if let Some(unknown) = candidates.iter().find(|candidate| candidate.model as usize >= models.len()) {
            return Err(format!("a candidate is model {} of {}", unknown.model, models.len()));
        }
        Ok(candidates.iter().map(|candidate| Candidate::lifted(candidate, &models[candidate.model as usize])).collect())
    }
}
