//! `[admin]`: the address of the admin listener, and the token that operators must send.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Token;
use super::address::listen_address;
use super::problem::{Code, Problems, Wrong, wrong};
use super::secret::{self, Readers};

/// Environment variable with the token. It overrides the file, so that a secret store need not write one.
const VARIABLE: &str = "WASMGATE_ADMIN_TOKEN";

/// The admin listener.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its address; `None`: disabled.
    pub listen: Option<SocketAddr>,
    /// The token that operators must send. Without one, the address must be loopback.
    pub token: Option<Token>,
}

impl Admin {
    /// Overrides the file's address.
    ///
    /// # Errors
    /// If other machines can reach the address and there is no token.
    pub fn listen_on(&mut self, listen: SocketAddr) -> Result<(), String> {
        check(listen, self.token.as_ref())?;
        self.listen = Some(listen);
        Ok(())
    }
}

/// The table as written in the file.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AdminFile {
    enabled: bool,
    listen: String,
    token_file: Option<PathBuf>,
}

impl Default for AdminFile {
    fn default() -> Self {
        Self { enabled: true, listen: "127.0.0.1:8081".into(), token_file: None }
    }
}

impl AdminFile {
    /// Checks and converts the table. Relative paths are relative to `folder`.
    pub(super) fn meant(self, folder: &Path, problems: &mut Problems) -> Admin {
        let listen = problems.take(listen_address(&self.listen).map_err(|expected| {
            let found = format!("{:?} is not an address", self.listen);
            wrong(&["admin", "listen"], Code::InvalidValue, found, expected.replace("8080", "8081"))
        }));
        let token = problems.take(token(self.token_file.as_deref(), folder));
        let listen = listen.filter(|_| self.enabled);
        // If the token cannot be read, that is the mistake.
        if let (Some(listen), Some(token)) = (listen, &token)
            && let Err(message) = check(listen, token.as_ref())
        {
            problems.add(wrong(&["admin", "listen"], Code::Conflict, message, ""));
        }
        Admin { listen, token: token.flatten() }
    }
}

/// Refuses an address that other machines can reach without a token: any client could replace policies.
fn check(listen: SocketAddr, token: Option<&Token>) -> Result<(), String> {
    if listen.ip().is_loopback() || token.is_some() {
        return Ok(());
    }
    Err(format!(
        "other machines can reach {listen} and there is no token: set admin.token_file or the environment variable \
         {VARIABLE}, or listen on a loopback address such as 127.0.0.1:8081"
    ))
}

fn token(file: Option<&Path>, folder: &Path) -> Result<Option<Token>, Wrong> {
    if let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let refused = |message| {
            wrong(&["admin"], Code::InvalidValue, format!("the environment variable {VARIABLE}: {message}"), "")
        };
        return Token::new(&text.to_string_lossy()).map(Some).map_err(refused);
    }
    let Some(file) = file else { return Ok(None) };
    let refused = |code, message: String| wrong(&["admin", "token_file"], code, message, "");
    let path = folder.join(file);
    let text = secret::read(&path, Readers::Owner).map_err(|message| refused(Code::Unreadable, message))?;
    let invalid = |message| refused(Code::InvalidValue, format!("{}: {message}", path.display()));
    Token::new(&text).map(Some).map_err(invalid)
}
