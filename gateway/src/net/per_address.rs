//! How many connections each client address has, so that one of them cannot take all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open connections of each address. Addresses of IPv6 count by their first 64 bits, which one client owns.
#[derive(Debug, Default)]
pub(super) struct PerAddress {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Arc<PerAddress>,
    address: IpAddr,
}

impl PerAddress {
    /// Counts a connection of `address`; `None` if it has `most` already.
    pub(super) fn count(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Counted> {
        let address = owner(address);
        let mut open = self.open();
        let count = open.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted { counts: Arc::clone(self), address })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.counts.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_and_gets_it_back() {
        let counts = Arc::new(PerAddress::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = counts.count(address("10.0.0.1"), 2).unwrap();
        let second = counts.count(address("::ffff:10.0.0.1"), 2).unwrap();
        assert!(counts.count(address("10.0.0.1"), 2).is_none());
        let other = counts.count(address("2001:db8::1"), 1).unwrap();
        assert!(counts.count(address("2001:db8::2"), 1).is_none(), "the same network of one client");
        assert!(counts.count(address("2001:db8:0:1::1"), 1).is_some());
        drop(first);
        let _again = counts.count(address("10.0.0.1"), 2).unwrap();
        drop((second, other, _again));
        assert!(counts.open().is_empty());
    }
}
