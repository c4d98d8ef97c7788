//! `NO_PROXY`: the hosts that requests reach without a proxy.

use std::net::IpAddr;

/// The entries of `NO_PROXY`, separated by commas or white space. `*` stands for all hosts, `example.com` and `.example.com`
/// for that name and all below it, an address for itself, `10.0.0.0/8` for a network. A port after a name or an address
/// restricts it to that port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    All,
    Name(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Entries that are none of these match nothing, as in other programs that read the variable.
    pub(super) fn parse(text: &str) -> Self {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Whether requests to this host and port use no proxy. The host of an IPv6 address may be in brackets.
    pub(super) fn exempts(&self, host: &str, port: u16) -> bool {
        let host = bare(host).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        self.0.iter().any(|entry| match entry {
            Entry::All => true,
            Entry::Name(name, only) => {
                address.is_none() && only.is_none_or(|only| only == port) && is_below(&host, name)
            }
            Entry::Address(known, only) => address == Some(*known) && only.is_none_or(|only| only == port),
            Entry::Network(network, prefix) => address.is_some_and(|address| is_within(address, *network, *prefix)),
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((network, prefix)) = text.split_once('/') {
            let (network, prefix) = (bare(network).parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?);
            return (prefix <= bits(network)).then_some(Self::Network(network, prefix));
        }
        if let Ok(address) = bare(text).parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = bare(host).parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical(), port));
        }
        let name = host.strip_prefix('*').unwrap_or(host);
        let name = name.strip_prefix('.').unwrap_or(name).trim_end_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name, port))
    }
}

/// Without the brackets of an IPv6 address and the dot at the end of a name.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).trim_end_matches('.')
}

fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn is_within(address: IpAddr, network: IpAddr, prefix: u32) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let beyond = bits(network) - prefix;
    let start = |address: IpAddr| number(address).checked_shr(beyond).unwrap_or(0);
    address.is_ipv4() == network.is_ipv4() && start(address) == start(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_exempts_what_it_stands_for() {
        let cases = [
            ("*", &["example.com", "10.1.2.3", "[::1]"][..], &[][..]),
            ("", &[], &["example.com", "10.1.2.3"]),
            (
                "example.com",
                &["example.com", "a.example.com", "EXAMPLE.com", "example.com."],
                &["badexample.com", "com"],
            ),
            (".example.com", &["example.com", "a.b.example.com"], &["badexample.com", "example.com.evil"]),
            ("*.example.com", &["a.example.com"], &["badexample.com"]),
            ("a.example, b.example\tc.example", &["a.example", "b.example", "c.example"], &["d.example"]),
            ("10.1.2.3", &["10.1.2.3"], &["10.1.2.30", "110.1.2.3"]),
            ("10.0.0.0/8", &["10.255.0.1"], &["11.0.0.1", "ten.example", "[a00::1]"]),
            ("10.0.0.0/33, 10.0.0.0/x, /8", &[], &["10.0.0.1"]),
            ("0.0.0.0/0", &["8.8.8.8"], &["[2001:db8::1]"]),
            ("2001:db8::/32", &["[2001:db8:1::1]", "2001:db8::5"], &["[2001:db9::1]"]),
            ("::/0", &["[2001:db8::1]"], &["8.8.8.8"]),
            ("2001:db8::1", &["[2001:db8::1]"], &["[2001:db8::2]"]),
            ("example.com:443", &["example.com", "a.example.com"], &[]),
            ("example.com:8443", &[], &["example.com"]),
            ("10.1.2.3:443, [2001:db8::1]:443", &["10.1.2.3", "[2001:db8::1]"], &["10.1.2.4"]),
            ("10.1.2.3:80, [2001:db8::1]:80", &[], &["10.1.2.3", "[2001:db8::1]"]),
            ("[::ffff:10.1.2.3]", &["10.1.2.3"], &[]),
            (".", &[], &["example.com"]),
            ("example.com:port", &[], &["example.com"]),
            ("0", &[], &["10.0.0.0"]),
        ];
        for (text, exempt, others) in cases {
            let no_proxy = NoProxy::parse(text);
            for host in exempt {
                assert!(no_proxy.exempts(host, 443), "{text:?} exempts {host}");
            }
            for host in others {
                assert!(!no_proxy.exempts(host, 443), "{text:?} does not exempt {host}");
            }
        }
    }
}
