//! From a place's choice in the configuration to what is wanted there: the component, read and known by its digest, with
//! the operator's fixtures beside it, its settings and limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, Sight};
use super::operate::UnixSeconds;
use super::place::Spec;
use super::slot::{Place as SlotPlace, Slot};
use crate::config::{PolicyChoice, PolicySource};
use crate::policy::{Fixtures, LoadError, Loader, Pace, Policy, Source, Stage};
use crate::sha256;

/// What is wanted in a place, by what can be seen of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Desire {
    /// This.
    Spec(Box<Spec>),
    /// Its file is not there.
    Missing(String),
    /// Its file is changing.
    Unsettled,
    /// Its file cannot be read, and why.
    Unreadable(String),
}

impl Desire {
    /// What is wanted, where that is known.
    pub(super) fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Spec(spec) => Some(&**spec),
            Self::Missing(_) | Self::Unsettled | Self::Unreadable(_) => None,
        }
    }
}

/// The bytes that it takes to run a spec.
#[derive(Debug, Clone)]
pub(super) struct Bytes {
    pub(super) component: Arc<[u8]>,
    pub(super) fixtures: Option<Fixtures>,
}

/// Where a choice's component comes from, for people.
pub(super) fn origin(choice: &PolicyChoice) -> String {
    match &choice.source {
        PolicySource::BuiltIn(name) => format!("{name} (built in)"),
        PolicySource::File(path) => path.display().to_string(),
    }
}

/// The operator's fixtures for a component: beside it, with its name.
pub(super) fn fixtures_of(component: &Path) -> PathBuf {
    component.with_extension("fixtures.json")
}

/// Looks at what a choice asks for. `touched` is set where a file was written without becoming another.
pub(super) fn look(files: &mut Files, choice: &PolicyChoice, at_once: bool, touched: &mut bool) -> Desire {
    let mut digest_of = |path: &Path| match files.look(path, at_once) {
        Sight::Settled { digest, touched: only_touched } => {
            *touched |= only_touched;
            Ok(digest)
        }
        Sight::Missing => Err(Desire::Missing(path.display().to_string())),
        Sight::Unsettled => Err(Desire::Unsettled),
        Sight::Unreadable(why) => Err(Desire::Unreadable(format!("{}: {why}", path.display()))),
    };
    let (digest, fixtures) = match &choice.source {
        PolicySource::BuiltIn(name) => (sha256(crate::builtin::component(name).unwrap_or_default()), None),
        PolicySource::File(path) => match (digest_of(path), digest_of(&fixtures_of(path))) {
            (Ok(digest), Ok(fixtures)) => (digest, Some(fixtures)),
            // Most have none.
            (Ok(digest), Err(Desire::Missing(_))) => (digest, None),
            (Err(other), _) | (Ok(_), Err(other)) => return other,
        },
    };
    let (settings, limits) = (choice.settings.clone(), choice.limits.clone());
    Desire::Spec(Box::new(Spec { origin: origin(choice), digest, fixtures, settings, limits }))
}

/// Reads what was looked at. Where it changed since, it is to be looked at again.
pub(super) fn read(files: &Files, choice: &PolicyChoice, spec: &Spec) -> Result<Bytes, Desire> {
    let as_desire = |sight| match sight {
        Sight::Missing => Desire::Missing(spec.origin.clone()),
        Sight::Unreadable(why) => Desire::Unreadable(format!("{}: {why}", spec.origin)),
        Sight::Unsettled | Sight::Settled { .. } => Desire::Unsettled,
    };
    match &choice.source {
        PolicySource::BuiltIn(name) => {
            Ok(Bytes { component: crate::builtin::component(name).unwrap_or_default().into(), fixtures: None })
        }
        PolicySource::File(path) => {
            let component = files.read(path, &spec.digest).map_err(as_desire)?;
            let fixtures = match &spec.fixtures {
                None => None,
                Some(digest) => {
                    let path = fixtures_of(path);
                    let bytes = files.read(&path, digest).map_err(as_desire)?;
                    let text = std::str::from_utf8(&bytes)
                        .map_err(|error| Desire::Unreadable(format!("{}: {error}", path.display())))?;
                    Some(Fixtures { origin: path.display().to_string(), text: text.into() })
                }
            };
            Ok(Bytes { component, fixtures })
        }
    }
}

/// Takes a spec through all stages.
///
/// # Errors
/// Where a stage refuses it.
pub(super) async fn load(loader: &Loader, slot: &Slot, spec: &Spec, bytes: &Bytes) -> Result<Policy, LoadError> {
    let source =
        Source { origin: spec.origin.clone(), bytes: Arc::clone(&bytes.component), fixtures: bytes.fixtures.clone() };
    let pace = match slot.place {
        SlotPlace::Active | SlotPlace::Canary => Pace::Serving,
        SlotPlace::Shadow(_) => Pace::Background,
    };
    Policy::load(loader, &source, slot.hook, &spec.settings, &spec.limits, pace).await
}

/// A refusal of what could not even be read.
pub(super) fn unreadable(origin: &str, reason: String) -> LoadError {
    LoadError { origin: origin.to_owned(), stage: Stage::Observed, reason }
}

/// Now, in seconds since 1970.
pub(super) fn now() -> UnixSeconds {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
