//! Where the server is, and with which password it is spoken to.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// An address with its password, which is never shown.
#[derive(Clone)]
pub struct Address(ConnectionInfo);

impl Address {
    /// Reads an address as in `redis://user@host:6379/0` or `rediss://host`, the latter with TLS.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it: it may hold a password.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, &'static str> {
        let is_known =
            ["redis://", "rediss://", "valkey://", "valkeys://"].iter().any(|scheme| url.starts_with(scheme));
        if !is_known {
            return Err("not an address that begins with redis:// or rediss://");
        }
        let info = url.into_connection_info().map_err(|_| "not a complete address")?;
        if info.redis_settings().password().is_some() {
            return Err("has a password in it");
        }
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err("asks for TLS without a check of the server's certificate");
        }
        let settings = info.redis_settings().clone();
        let settings = if let Some(password) = password { settings.set_password(password) } else { settings };
        Ok(Self(info.set_redis_settings(settings)))
    }

    pub(crate) fn info(&self) -> ConnectionInfo {
        self.0.clone()
    }
}

/// As in `127.0.0.1:6379`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.addr())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.redis_settings();
        let tls = matches!(self.0.addr(), ConnectionAddr::TcpTls { .. });
        write!(f, "{self}/{} user {:?} tls {tls}", settings.db(), settings.username())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_and_never_in_the_address() {
        let address = Address::parse("redis://anna@localhost:6380/2", Some("hunter2")).expect("an address");
        assert_eq!(address.info().redis_settings().password(), Some("hunter2"));
        assert_eq!(address.to_string(), "localhost:6380");
        let shown = format!("{address} {address:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        for (wrong, said) in [
            ("redis://:hunter2@localhost", "password"),
            ("http://localhost", "redis://"),
            ("localhost:6379", "redis://"),
            ("redis://", "complete"),
            ("rediss://localhost/#insecure", "certificate"),
        ] {
            let error = Address::parse(wrong, None).expect_err(wrong);
            assert!(error.contains(said) && !error.contains("hunter2"), "{wrong}: {error}");
        }
        assert!(Address::parse("rediss://localhost", None).is_ok());
    }
}
