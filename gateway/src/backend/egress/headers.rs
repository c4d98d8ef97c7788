//! Headers that an operator adds to each request to a backend.

use std::fmt;

use hyper::header::{HeaderName, HeaderValue};

/// Headers that belong to one connection, that frame a message, or that the gateway writes because it reads the answer.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Headers whose value is a secret: it does not belong into the configuration, and policies never see it.
pub const SECRET_HEADERS: [&str; 5] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"];

/// A header. Its debug output does not show a secret value.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl ExtraHeader {
    /// A header of this name and value. `secret`: the value must not appear anywhere.
    ///
    /// # Errors
    /// If the name is none, or belongs to the gateway, or if the value is not possible in a header. The message does not repeat
    /// the value.
    pub fn new(name: &str, value: &str, secret: bool) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        if !secret && SECRET_HEADERS.contains(&lower.as_str()) {
            return Err("this header holds a secret, expected `{ env = \"NAME\" }` or `{ file = \"PATH\" }`".into());
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(
                "the gateway sets this header itself, or it belongs to the connection; expected another one".into()
            );
        }
        let name = HeaderName::from_bytes(lower.as_bytes())
            .map_err(|_| "not the name of a header, expected letters, digits and `-`".to_owned())?;
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| "the value has a character that an HTTP header cannot carry".to_owned())?;
        value.set_sensitive(secret);
        Ok(Self { name, value })
    }

    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The value, marked as sensitive if it is secret.
    #[must_use]
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Whether the value is secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.value.is_sensitive()
    }

    /// The secret value, and without its scheme if it has one.
    pub(super) fn secrets(&self) -> Vec<String> {
        let value = self.value.to_str().ok().filter(|_| self.is_secret());
        let credentials = |value: &str| value.split_once(' ').map(|(_, credentials)| credentials.trim().to_owned());
        value.into_iter().flat_map(|value| [Some(value.to_owned()), credentials(value)]).flatten().collect()
    }
}

impl fmt::Debug for ExtraHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A sensitive value shows as `Sensitive`.
        write!(f, "{}: {:?}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_of_the_message_are_refused() {
        for name in RESERVED {
            assert!(ExtraHeader::new(&name.to_ascii_uppercase(), "x", false).is_err(), "{name}");
        }
        for name in ["", "a b", ":path", "ä"] {
            assert!(ExtraHeader::new(name, "x", false).is_err(), "{name}");
        }
        assert!(ExtraHeader::new("x-org", "a\r\nb: c", false).is_err());
        assert_eq!(ExtraHeader::new("X-Org", "me", false).unwrap().name(), "x-org");
    }

    #[test]
    fn a_secret_value_is_never_shown() {
        for name in ["x-org", "authorization", "cookie"] {
            let header = ExtraHeader::new(name, "Bearer opaque", true).unwrap();
            assert!(header.is_secret() && !format!("{header:?}").contains("opaque"), "{header:?}");
            assert_eq!(header.secrets(), ["Bearer opaque", "opaque"]);
        }
        assert!(!ExtraHeader::new("Authorization", "Bearer opaque", false).unwrap_err().contains("opaque"));
        let shown = ExtraHeader::new("x-org", "me", false).unwrap();
        assert!(!shown.is_secret() && shown.secrets().is_empty());
    }
}
