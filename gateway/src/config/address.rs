//! Addresses to listen on, as in `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.

use std::net::SocketAddr;

/// The address in a text. `localhost` stands for 127.0.0.1.
///
/// # Errors
/// If it is none; the message says what is expected.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse(),
        None => text.parse(),
    };
    address.map_err(|_| {
        let missing = match text.rsplit_once(':') {
            _ if text.contains("://") => "an address and a port without a scheme",
            Some(("", _)) => "an address before the port (0.0.0.0 for all)",
            None if text.parse::<u16>().is_ok() => "an address before the port (0.0.0.0 for all)",
            None => "an address with a port",
            Some(_) => "an IP address or localhost, and a port",
        };
        format!("{missing}, as in 127.0.0.1:8080")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_forms_that_people_write() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (" [::1]:0", "[::1]:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        for (text, said) in [
            (":8080", "before the port"),
            ("8080", "before the port"),
            ("localhost", "with a port"),
            ("http://127.0.0.1:8080", "without a scheme"),
            ("localhost:99999", "IP address or localhost"),
            ("example.com:80", "IP address or localhost"),
        ] {
            assert!(listen_address(text).unwrap_err().contains(said), "{text}");
        }
    }
}
