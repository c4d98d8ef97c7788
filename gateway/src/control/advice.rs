//! What a valid configuration should say differently: `wasmgate check` prints it, and the gateway logs it at its start and
//! when it applies a configuration.
//!
//! This module must not know: how anything is loaded.

use crate::config::{Config, OnFailure, Server};
use crate::rollout::slot::{Role, Slot};
use wasmgate_policy_host::{CanDeny, OVERHEAD_BYTES, Policy};

/// A sentence for each setting that contradicts another, or that has no effect.
pub(super) fn advice<'a>(config: &Config, policies: impl Iterator<Item = (&'a Slot, &'a Policy)>) -> Vec<String> {
    let largest = largest_request(&config.server);
    let mut advice = Vec::new();
    for (slot, policy) in policies {
        let shown = policy.limits().input_bytes;
        // Where prompts have no bound, a policy that only ranks does well with the beginning and the end of a long one.
        if shown < largest && (config.server.max_prompt_chars.is_some() || policy.can_deny().is_yes()) {
            advice.push(format!(
                "policies.{slot}.limits: input_bytes is {shown}, but the limits in [server] let in requests of {largest} bytes; \
                 of a larger one the policy sees the first message and the newest, and a hint says what it does not see"
            ));
        }
        let decides = !matches!(slot.role, Role::Shadow(_));
        let (hook, name) = (slot.hook.as_str(), &policy.manifest().name);
        match (policy.can_deny(), config.hook(slot.hook).on_failure) {
            (can, Some(OnFailure::DefaultDecision)) if decides && can.is_yes() => advice.push(format!(
                "policies.{hook}: on_failure is \"default-decision\", but {slot} can deny requests; the gateway answers a request on \
                 which it fails, so a client that makes it fail bypasses it; expected \"fail-closed\""
            )),
            (CanDeny::Unknown, None) if decides => advice.push(format!(
                "policies.{hook}: {name} in {slot} does not say whether it can deny requests; until it has denied one, the gateway \
                 answers a request on which it fails; if it can, set on_failure = \"fail-closed\", else \"default-decision\""
            )),
            _ => {}
        }
        if policy.reads_tenants() && config.access.accounts.groups().is_empty() {
            advice.push(format!(
                "policies.{slot}: {name} decides by tenants or budgets, and no group is configured; that part has no effect"
            ));
        }
    }
    advice
}

/// The size of the largest request that the limits let in, as a policy is shown it, in bytes: a character has up to four, and
/// the texts of a message's parts are joined by line breaks.
fn largest_request(server: &Server) -> usize {
    // Without a bound in characters, only the body's bounds a prompt.
    let texts = server.max_prompt_chars.map_or(server.max_body_bytes, |most| most.saturating_mul(4));
    let messages = server.bounds.messages.saturating_mul(OVERHEAD_BYTES).saturating_add(server.bounds.parts);
    let labels = match server.label_headers.len() {
        0 => 0,
        count => server.max_head_bytes.saturating_add(count.saturating_mul(OVERHEAD_BYTES)),
    };
    texts.saturating_add(messages).saturating_add(labels)
}
