//! Neighbour discovery (RFC 4861): what a message says of the hardware address of a station.

use super::Neighbour;
use std::net::Ipv6Addr;

/// Types of the messages that say something of a station.
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Bytes in front of their options: the header, and the fields of a router or the target.
const ROUTER_FIXED: usize = 16;
const NEIGHBOUR_FIXED: usize = 24;
/// Where the flags and the target of an advertisement stand.
const FLAGS_AT: usize = 4;
const TARGET_AT: usize = 8;
/// The flag of an advertisement that is to replace what its receivers know. One without it comes from who answers for
/// another, or is one of several that have the address (section 7.2.4).
const OVERRIDE: u8 = 0x20;
/// Options that hold the hardware address: of the sender, and of the target.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;
/// Options are as many times so many bytes long as they say.
const OPTION_UNIT: usize = 8;

/// What a message of type `kind` says of a station, if it says anything that holds.
pub(super) fn read(kind: u8, message: &[u8]) -> Option<Neighbour> {
    let (fixed, option) = match kind {
        ROUTER_ADVERTISEMENT => (ROUTER_FIXED, SOURCE_ADDRESS),
        NEIGHBOUR_SOLICITATION => (NEIGHBOUR_FIXED, SOURCE_ADDRESS),
        NEIGHBOUR_ADVERTISEMENT if message.get(FLAGS_AT)? & OVERRIDE != 0 => (NEIGHBOUR_FIXED, TARGET_ADDRESS),
        _ => return None,
    };
    let mac = hardware_address(message.get(fixed..)?, option)?;
    let target = || message.get(TARGET_AT..)?.first_chunk().copied().map(Ipv6Addr::from_octets);
    let advertised = if kind == NEIGHBOUR_ADVERTISEMENT { Some(target()?) } else { None };
    Some(Neighbour { advertised, mac })
}

/// The hardware address in the first option of type `wanted`.
fn hardware_address(mut options: &[u8], wanted: u8) -> Option<[u8; 6]> {
    loop {
        let &[kind, units, ref rest @ ..] = options else { return None };
        if kind == wanted {
            return rest.first_chunk().copied();
        }
        // An option of length 0 has no end.
        options = options.get(OPTION_UNIT * usize::from(units).max(1)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ipv6_of, transport};
    use super::super::{Neighbour, Transport};

    const TARGET: &str = "20010db8000000000000000000000001";

    fn said(message: &str) -> Option<Neighbour> {
        match transport(&ipv6_of(58, message)) {
            Transport::Icmp(icmp) => icmp.neighbour(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_advertisement_says_who_has_its_target() {
        let advertised = |flags: &str| said(&format!("8800 0000 {flags}000000 {TARGET} 02 01 020000000007"));
        let expected = Neighbour { advertised: Some("2001:db8::1".parse().unwrap()), mac: [2, 0, 0, 0, 0, 7] };
        assert_eq!(advertised("20"), Some(expected));
        assert_eq!(advertised("60"), Some(expected), "solicited");
        assert_eq!(advertised("40"), None, "it is not to replace what is known");
    }

    #[test]
    fn solicitations_and_router_advertisements_say_who_sends_them() {
        let expected = Some(Neighbour { advertised: None, mac: [2, 0, 0, 0, 0, 7] });
        assert_eq!(said(&format!("8700 0000 00000000 {TARGET} 01 01 020000000007")), expected);
        let router = "8600 0000 40000708 00000000 00000000";
        assert_eq!(said(&format!("{router} 05 01 0000 000005dc 01 01 020000000007")), expected, "behind the MTU");
        assert_eq!(said(router), None);
    }

    #[test]
    fn messages_that_break_off_or_have_no_end_say_nothing() {
        for options in ["", "02", "0201", "0201 0200000000", "0500 000000000000 0500 000000000000", "0502 000000000000"]
        {
            assert_eq!(said(&format!("8800 0000 20000000 {TARGET} {options}")), None, "{options}");
        }
        assert_eq!(said("8800 0000 20000000 2001"), None);
        assert_eq!(said("8000 0000 12340001"), None);
    }
}
