//! What operators upload: a component or a script, which gets the settings and limits of a slot. It is loaded for the slot, or to be
//! asked about a request of the decision log without serving anybody.

use std::sync::Arc;

use bytes::Bytes as Body;
use serde_json::Map;
use tokio::sync::oneshot;

use super::checks::Checks;
use super::desired::{self, Bytes, Loaded};
use super::{Control, Done, models};
use crate::rollout::api::{NotDone, Upload};
use crate::rollout::slot::Slot;
use crate::rollout::slot_state::{Spec, UPLOADED};
use wasmgate_base::digest::sha256;
use wasmgate_policy_host::{KnownModel, LoadError, Loader, MAX_SETTING_BYTES, Policy, builtin, script};

/// An upload with its settings and limits.
pub(super) struct Prepared {
    component: Body,
    spec: Spec,
    /// Whether its settings are those of the slot.
    inherited: bool,
}

impl Control {
    /// Gives an upload the settings of a slot, unless it has its own, and the slot's limits.
    ///
    /// # Errors
    /// If it is neither a component nor a script, or has what it must not have.
    pub(super) fn prepare(&self, slot: &Slot, upload: Upload) -> Result<Prepared, String> {
        let Upload { component, name, settings } = upload;
        let configured = self.config.policy(slot);
        let like = configured.unwrap_or(&self.config.hook(slot.hook).active);
        let like_settings = || {
            let from = if configured.is_some() { slot.clone() } else { Slot::active(slot.hook) };
            let serving = self.slots.serving(&from);
            let mut settings = like.settings.clone();
            // Settings from files are copied from the version that serves.
            for name in like.setting_files.keys() {
                if let Some(text) = serving.and_then(|revision| revision.spec.settings.get(name)) {
                    settings.insert(name.clone(), text.clone());
                }
            }
            settings
        };
        let uploaded = Uploaded::of(component, name)?;
        // A script and a component have no settings in common.
        let alike = uploaded.script.is_some() == like.script().is_some();
        if uploaded.script.is_some() && settings.as_ref().is_some_and(|given| given.contains_key(script::SETTING)) {
            return Err(format!("the upload is a script, but its settings also have `{}`", script::SETTING));
        }
        let inherited = settings.is_none() && alike;
        let mut settings = settings.unwrap_or_else(|| if alike { like_settings() } else { Map::new() });
        if let Some(Script { text, .. }) = &uploaded.script {
            settings.insert(script::SETTING.into(), text.clone().into());
        }
        let spec = Spec {
            origin: UPLOADED.to_owned(),
            digest: String::new(),
            script: uploaded.script.map(|script| script.default_name),
            fixtures: None,
            settings,
            limits: like.limits.clone(),
        };
        Ok(Prepared { component: uploaded.component, spec, inherited })
    }

    /// Loads an upload as one for the active routing slot, and gives it to who asked. No slot gets it, and nothing of it is kept.
    pub(super) fn try_out(&mut self, upload: Upload, reply: oneshot::Sender<Result<Policy, NotDone>>) {
        let slot = Slot::active(wasmgate_policy_host::Hook::Routing);
        let prepared = match self.prepare(&slot, upload) {
            Ok(prepared) => prepared,
            Err(message) => {
                let _ = reply.send(Err(NotDone::Conflict(message)));
                return;
            }
        };
        let (loader, models) = (Arc::clone(&self.loader), models::known(&self.catalog));
        self.jobs.spawn(async move {
            // The slot's own status does not show it.
            let (_, outcome) = prepared.load(&loader, &Checks::default(), &models, &slot).await;
            let refused =
                |error: LoadError| NotDone::Refused(format!("not {}: {}", error.stage.as_str(), error.reason));
            let _ = reply.send(outcome.map(|loaded| loaded.policy).map_err(refused));
            Done::TriedOut
        });
    }
}

impl Prepared {
    /// Takes it through all stages. `models` are those that its settings may name.
    pub(super) async fn load(
        self,
        loader: &Loader,
        checks: &Checks,
        models: &[KnownModel],
        slot: &Slot,
    ) -> (Spec, Result<Loaded, LoadError>) {
        let Self { component, mut spec, inherited } = self;
        let read = tokio::task::spawn_blocking(move || (sha256(&component), Arc::from(&component[..]))).await;
        let (digest, component) = match read {
            Ok(read) => read,
            Err(error) => return (spec, Err(desired::unreadable(UPLOADED, error.to_string()))),
        };
        spec.digest = digest;
        let bytes = Bytes { component, fixtures: None };
        let loaded = desired::load(loader, checks, Some(models), slot, spec.clone(), bytes).await;
        (spec, loaded.map_err(|error| if inherited { with_way_out(error) } else { error }))
    }
}

/// What an operator uploaded: a component, or a script with the component that runs it.
struct Uploaded {
    component: Body,
    script: Option<Script>,
}

struct Script {
    text: String,
    /// Its name if it states none.
    default_name: String,
}

impl Uploaded {
    /// What does not begin like a component is a script.
    fn of(body: Body, name: Option<String>) -> Result<Self, String> {
        if script::is_wasm(&body) {
            return match name {
                None => Ok(Self { component: body, script: None }),
                Some(_) => Err("`name` is for scripts, but this is a component; its manifest has its name".into()),
            };
        }
        let wrong = |found: String| format!("the upload is neither a component nor a script: {found}");
        let text = wasmgate_base::text::of_bytes(&body).map_err(|error| wrong(error.to_string()))?;
        if body.len() > MAX_SETTING_BYTES {
            let found = format!("{} bytes, expected at most {MAX_SETTING_BYTES} of a script", body.len());
            return Err(wrong(found));
        }
        let default_name = name.unwrap_or_else(|| script::COMPONENT.to_owned());
        let component = Body::from_static(builtin::component(script::COMPONENT).unwrap_or_default());
        Ok(Self { component, script: Some(Script { text: text.to_owned(), default_name }) })
    }
}

/// An upload without settings takes those of the slot, which another policy may not know.
fn with_way_out(error: LoadError) -> LoadError {
    if error.settings.is_empty() {
        return error;
    }
    let way_out =
        "the upload has no settings of its own, so it takes those of the slot; `settings` gives others, {} none";
    LoadError { reason: format!("{}; {way_out}", error.reason), ..error }
}
