//! Turns a slot's configuration into its desired state: the component and the operator's fixtures, each by its digest,
//! with settings and limits. Reads and loads them.

use std::path::Path;
use std::sync::Arc;

use super::checks::Checks;
use super::observed::{Files, Observed};
use crate::config::{PolicyChoice, PolicySource};
use crate::rollout::slot::{Role, Slot};
use crate::rollout::slot_state::Spec;
use wasmgate_base::digest::sha256;
use wasmgate_policy_host::MAX_SETTING_BYTES;
use wasmgate_policy_host::script;
use wasmgate_policy_host::{Fixtures, KnownModel, LoadError, Loader, Pace, Policy, Source, Stage};

/// The desired state of a slot, as far as its files show it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Desired {
    /// The files are complete.
    Spec(Box<Spec>),
    /// A file does not exist: its path.
    Missing(String),
    /// A file is still changing.
    Unsettled,
    /// A file cannot be read: the reason.
    Unreadable(String),
}

impl Desired {
    /// The desired spec, if it is known.
    pub(super) fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Spec(spec) => Some(&**spec),
            Self::Missing(_) | Self::Unsettled | Self::Unreadable(_) => None,
        }
    }
}

/// The bytes that a spec needs to run.
#[derive(Debug, Clone)]
pub(super) struct Bytes {
    pub(super) component: Arc<[u8]>,
    pub(super) fixtures: Option<Fixtures>,
}

/// The source of a choice's component, for messages.
pub(super) fn origin(choice: &PolicyChoice) -> String {
    let script = choice.script().and_then(|_| choice.setting_files.get(script::SETTING));
    let mut origin = match (&choice.source, script) {
        (PolicySource::File(path), _) | (_, Some(path)) => path.display().to_string(),
        (PolicySource::BuiltIn(name), None) => format!("{name} (built in)"),
    };
    for (setting, path) in choice.setting_files.iter().filter(|(_, path)| Some(*path) != script) {
        origin += &format!(", {setting} from {}", path.display());
    }
    origin
}

/// Observes the files of a choice; `at_once` skips the settle time. Sets `touched` if a file was rewritten with the
/// same content.
pub(super) fn look(files: &mut Files, choice: &PolicyChoice, at_once: bool, touched: &mut bool) -> Desired {
    look_at(files, choice, at_once, touched).unwrap_or_else(|other| other)
}

fn look_at(files: &mut Files, choice: &PolicyChoice, at_once: bool, touched: &mut bool) -> Result<Desired, Desired> {
    let mut digest_of = |path: &Path| match files.look(path, at_once) {
        Observed::Settled { digest, touched: only_touched } => {
            *touched |= only_touched;
            Ok(digest)
        }
        sight => Err(as_desire(sight, path)),
    };
    let digest = match &choice.source {
        PolicySource::BuiltIn(name) => sha256(wasmgate_policy_host::builtin::component(name).unwrap_or_default()),
        PolicySource::File(path) => digest_of(path)?,
    };
    let fixtures = match choice.fixtures().map(|path| digest_of(&path)) {
        Some(Ok(digest)) => Some(digest),
        // Fixtures are optional.
        None | Some(Err(Desired::Missing(_))) => None,
        Some(Err(other)) => return Err(other),
    };
    let digests: Vec<_> = choice
        .setting_files
        .iter()
        .map(|(setting, path)| Ok((setting, path, digest_of(path)?)))
        .collect::<Result<_, Desired>>()?;
    let mut settings = choice.settings.clone();
    for (setting, path, digest) in digests {
        let bytes = files.read(path, &digest).map_err(|sight| as_desire(sight, path))?;
        if bytes.len() > MAX_SETTING_BYTES {
            let found = format!("{} bytes, expected at most {MAX_SETTING_BYTES} in a setting's file", bytes.len());
            return Err(Desired::Unreadable(format!("{}: {found}", path.display())));
        }
        // Without a byte order mark, which no setting means.
        settings.insert(setting.clone(), text(&bytes, path)?.trim_start_matches('\u{feff}').into());
    }
    let limits = choice.limits.clone();
    let script = choice.script();
    Ok(Desired::Spec(Box::new(Spec { origin: origin(choice), digest, script, fixtures, settings, limits })))
}

/// Reads the bytes of an observed spec. The error is `Unsettled` if a file has changed since.
pub(super) fn read(files: &Files, choice: &PolicyChoice, spec: &Spec) -> Result<Bytes, Desired> {
    let bytes_of = |path: &Path, digest: &str| files.read(path, digest).map_err(|sight| as_desire(sight, path));
    let component = match &choice.source {
        PolicySource::BuiltIn(name) => wasmgate_policy_host::builtin::component(name).unwrap_or_default().into(),
        PolicySource::File(path) => bytes_of(path, &spec.digest)?,
    };
    let fixtures = match (&spec.fixtures, choice.fixtures()) {
        (Some(digest), Some(path)) => {
            let text = text(&bytes_of(&path, digest)?, &path)?;
            Some(Fixtures { origin: path.display().to_string(), text })
        }
        _ => None,
    };
    Ok(Bytes { component, fixtures })
}

/// The desired state if a file cannot be used.
fn as_desire(sight: Observed, path: &Path) -> Desired {
    match sight {
        Observed::Missing => Desired::Missing(path.display().to_string()),
        Observed::Unreadable(why) => Desired::Unreadable(format!("{}: {why}", path.display())),
        Observed::Unsettled | Observed::Settled { .. } => Desired::Unsettled,
    }
}

/// The whole text: the store knows it by its digest.
fn text(bytes: &[u8], path: &Path) -> Result<String, Desired> {
    let text = wasmgate_base::text::utf8(bytes);
    text.map(str::to_owned).map_err(|error| Desired::Unreadable(format!("{}: {error}", path.display())))
}

/// A spec whose component passed all stages.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) spec: Spec,
    pub(super) policy: Policy,
    /// For the store.
    pub(super) bytes: Bytes,
}

/// Takes a spec through all stages. `models` are those that its settings may name, if all are known.
///
/// # Errors
/// If a stage refuses it.
pub(super) async fn load(
    loader: &Loader,
    checks: &Checks,
    models: Option<&[KnownModel]>,
    slot: &Slot,
    spec: Spec,
    bytes: Bytes,
) -> Result<Loaded, LoadError> {
    let _check = checks.begin(slot, &spec);
    let source = Source {
        origin: spec.origin.clone(),
        bytes: Arc::clone(&bytes.component),
        fixtures: bytes.fixtures.clone(),
        default_name: spec.script.clone(),
    };
    let pace = match slot.role {
        Role::Active | Role::Canary => Pace::Serving,
        Role::Shadow(_) => Pace::Background,
    };
    let policy = Policy::load(loader, &source, slot.hook, &spec.settings, &spec.limits, models, pace).await?;
    Ok(Loaded { spec, policy, bytes })
}

/// The error for a component whose files cannot be read.
pub(super) fn unreadable(origin: &str, reason: String) -> LoadError {
    LoadError { origin: origin.to_owned(), stage: Stage::Observed, reason, policy: None, settings: Vec::new() }
}
