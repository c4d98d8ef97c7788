//! Which policies can deny requests without declaring it. The contract has no field for that, so the gateway learns it from a
//! denial, and remembers it by the policy's name: over a restart, and for later versions. Until then such a policy fails open.

use super::Control;
use wasmgate_policy_host::CanDeny;

impl Control {
    /// Learns from the loaded versions, and tells them what earlier ones did. Returns whether it learned something.
    pub(super) fn learn_denials(&mut self) -> bool {
        let mut learned = Vec::new();
        for (slot, entry) in self.slots.iter() {
            let Some(version) = &entry.version else { continue };
            let (policy, name) = (&version.policy, &version.policy.manifest().name);
            let known = self.denied.contains(name);
            if known {
                policy.note_denied();
            } else if policy.can_deny() == CanDeny::HasDenied && !learned.contains(name) {
                learned.push(name.clone());
                tracing::warn!(
                    %slot,
                    policy = version.label,
                    "the policy denied a request, and no setting of it says that it can: it fails closed from now on, unless \
                     `on_failure` says otherwise"
                );
            }
        }
        if learned.is_empty() {
            return false;
        }
        // Names of policies that are gone.
        let slots = &self.slots;
        let has = |name: &String| {
            slots.iter().any(|(_, entry)| entry.state.revisions().any(|revision| revision.policy == *name))
        };
        self.denied.retain(has);
        self.denied.extend(learned);
        true
    }
}
