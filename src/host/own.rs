//! A machine's own addresses, made to be asked for each packet.

use std::net::IpAddr;

/// A set of addresses, as few as one machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Sorted, each once.
    addresses: Vec<IpAddr>,
    /// A bit for each value that the last six bits of an address have: most others are told apart by it alone.
    endings: u64,
}

impl Own {
    /// Whether `address` is one of them.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.endings & ending(address) != 0 && self.addresses.contains(&address)
    }

    /// The addresses, in order.
    pub fn all(&self) -> &[IpAddr] {
        &self.addresses
    }
}

impl FromIterator<IpAddr> for Own {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut addresses: Vec<_> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let endings = addresses.iter().fold(0, |endings, &address| endings | ending(address));
        Self { addresses, endings }
    }
}

#[inline]
fn ending(address: IpAddr) -> u64 {
    let last = match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    1 << (last & 0x3f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_them_or_not_whatever_its_ending() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let own: Own = ["2001:db8::a", "192.0.2.10", "192.0.2.10", "10.0.0.74"].map(ip).into_iter().collect();
        let all: Vec<_> = own.all().to_vec();
        assert_eq!(all, ["10.0.0.74", "192.0.2.10", "2001:db8::a"].map(ip));
        assert!(all.into_iter().all(|address| own.contains(address)));
        for stranger in ["192.0.2.74", "10.0.0.10", "2001:db8::4a", "::", "0.0.0.0"] {
            assert!(!own.contains(ip(stranger)), "{stranger}");
        }
        assert!(!Own::default().contains(ip("0.0.0.0")));
    }
}
