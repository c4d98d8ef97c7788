//! `[shared]`: the server in which several gateways share their limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wasmgate_base::range::Range;
use wasmgate_shared::{Address, Settings, WhenDown};

use super::problem::{Code, Problems, Wrong, wrong};
use super::secret::{self, Readers};
use crate::backend::seconds;

/// The table as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SharedFile {
    url: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    prefix: String,
    slice_percent: f64,
    lease_seconds: f64,
    deadline_ms: u64,
    on_shared_down: WhenDownFile,
}

/// `on_shared_down` as written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WhenDownFile {
    BorrowedOnly,
    Closed,
    LocalShare,
}

impl Default for SharedFile {
    fn default() -> Self {
        Self {
            url: None,
            password_env: None,
            password_file: None,
            prefix: "wasmgate".into(),
            slice_percent: 2.0,
            lease_seconds: 30.0,
            deadline_ms: 250,
            on_shared_down: WhenDownFile::BorrowedOnly,
        }
    }
}

/// The numbers of the table.
pub(super) const RANGES: &[(&str, Range)] = &[
    ("slice_percent", Range::Number(0.0, 50.0)),
    ("lease_seconds", Range::Number(1.0, 3600.0)),
    ("deadline_ms", Range::Whole(1, 60_000)),
];

impl SharedFile {
    /// Checks and converts the table; `None` if it has no server. Relative paths are relative to `folder`.
    pub(super) fn meant(self, folder: &Path, problems: &mut Problems) -> Option<Settings> {
        let at = |key: &'static str| ["shared", key];
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(is_word) {
            let expected = "1 to 64 letters, digits and `-`, `_`, `.` or `:`";
            problems.add(wrong(&at("prefix"), Code::InvalidValue, format!("{:?}", self.prefix), expected));
        }
        let (variable, file) = (self.password_env.as_deref(), self.password_file.as_deref());
        let password = problems.take(password(variable, file.map(|file| folder.join(file)).as_deref()));
        let Some(url) = self.url else {
            if variable.is_some() || file.is_some() {
                let expected = "the address of a server, as in \"redis://127.0.0.1:6379\"";
                problems.add(wrong(&at("url"), Code::Missing, "a password, and no server for it", expected));
            }
            return None;
        };
        let address = Address::parse(&url, password.flatten().as_deref()).map_err(|found| {
            let expected =
                "one as in \"redis://127.0.0.1:6379\", with the password in `password_env` or `password_file`";
            wrong(&at("url"), Code::InvalidValue, found, expected)
        });
        Some(Settings {
            address: problems.take(address)?,
            prefix: self.prefix,
            slice_percent: self.slice_percent,
            lease: seconds(self.lease_seconds),
            deadline: Duration::from_millis(self.deadline_ms),
            when_down: match self.on_shared_down {
                WhenDownFile::BorrowedOnly => WhenDown::BorrowedOnly,
                WhenDownFile::Closed => WhenDown::Closed,
                WhenDownFile::LocalShare => WhenDown::LocalShare,
            },
        })
    }
}

/// The password; `None`: the server needs none.
fn password(variable: Option<&str>, file: Option<&Path>) -> Result<Option<String>, Wrong> {
    match (variable, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let found = "`password_env` is also set";
            Err(wrong(&["shared", "password_file"], Code::Conflict, found, "only one of them"))
        }
        (Some(variable), None) => match std::env::var(variable) {
            Ok(password) if !password.trim().is_empty() => Ok(Some(password.trim().to_owned())),
            // What is written in its place may be the password itself, so it is not repeated.
            _ => {
                let expected = "the name of an environment variable that holds the password";
                Err(wrong(&["shared", "password_env"], Code::Missing, "no such variable is set", expected))
            }
        },
        (None, Some(file)) => match secret::read(file, Readers::Anyone) {
            Ok(password) => Ok(Some(password)),
            Err(message) => Err(wrong(&["shared", "password_file"], Code::Unreadable, message, "")),
        },
    }
}
