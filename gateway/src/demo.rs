//! The demo: what `serve` serves if it is given no configuration file. The models are simulated, and a script that the user
//! can edit while the gateway serves chooses among them. The start-up log names the script and has a command for each thing
//! that may happen to a policy: it changes, it breaks, it is brought back.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::{Auth, Config, PolicySource};
use wasmgate_base::paths::platform;
use wasmgate_policy_host::GivenLimits;

/// The script as the demo begins: it decides like the built-in policy `complexity`.
const SCRIPT: &str = include_str!("../../examples/policies/script/complexity.rhai");

/// Maximum run time of a call, in milliseconds: high, so that a busy machine does not spoil a first impression.
const CALL_TIME_MS: u64 = 1000;

/// Bytes of a request that the script sees: all that the embedded configuration lets in.
const INPUT_BYTES: usize = 64 << 20;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Demo {
    /// The folder of the script, or the reason that there is none and a built-in policy decides.
    folder: Result<PathBuf, String>,
}

impl Demo {
    /// Lets the demo's script decide in the embedded configuration. A script that an earlier demo left stays as it is. If
    /// the folder cannot be written, the configuration stays as it is.
    #[must_use]
    pub(crate) fn begin(config: &mut Config) -> Self {
        // Its models are simulated: nobody can spend anything.
        config.access.auth = Auth::Off;
        let folder = match platform("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state") {
            Some(state) => {
                let folder = state.join("demo");
                prepare(&folder).map(|()| folder.clone()).map_err(|error| format!("{}: {error}", folder.display()))
            }
            None => Err("no state folder: neither XDG_STATE_HOME nor HOME is an absolute path".to_owned()),
        };
        if let Ok(folder) = &folder {
            let routing = &mut config.routing.active;
            routing.source = PolicySource::BuiltIn("script".to_owned());
            routing.setting_files = [("script".to_owned(), script(folder))].into();
            let limits = GivenLimits::default();
            routing.limits = GivenLimits { call_time_ms: Some(CALL_TIME_MS), input_bytes: Some(INPUT_BYTES), ..limits };
        }
        Self { folder }
    }

    /// Logs where the script is, and the commands to try.
    pub(crate) fn tell(&self) {
        let folder = match &self.folder {
            Ok(folder) => folder,
            Err(reason) => {
                return tracing::warn!(reason, "the demo has no policy file to edit; a built-in policy decides");
            }
        };
        let file = script(folder);
        let (quoted, original) = (shell(&file), shell(&original(folder)));
        tracing::info!(file = %file.display(), "demo: this script chooses the model; the gateway loads it each time it is saved");
        tracing::info!("try, so that phi2 answers: sed -i 's/^const LOW_BELOW = .*/const LOW_BELOW = 0.0;/' {quoted}");
        tracing::info!("try, to break it (the version before keeps serving): echo 'fn route(' >> {quoted}");
        tracing::info!("try, to bring it back: cp {original} {quoted}");
    }
}

fn script(folder: &Path) -> PathBuf {
    folder.join("route.rhai")
}

fn original(folder: &Path) -> PathBuf {
    folder.join("route.rhai.original")
}

fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::write(original(folder), SCRIPT)?;
    match OpenOptions::new().write(true).create_new(true).open(script(folder)) {
        Ok(mut file) => file.write_all(SCRIPT.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A path as a shell reads it.
fn shell(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
