//! Through which interface packets to an address leave: the kernel is asked for the route that it would take now.

use crate::netlink::{Message, Request, Socket};
use pnet::datalink;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// `RTM_NEWROUTE` and `RTM_GETROUTE` (`linux/rtnetlink.h`).
pub(super) const NEW_ROUTE: u16 = 24;
pub(super) const GET_ROUTE: u16 = 26;
/// Bytes of `struct rtmsg`: family, prefix lengths, type of service, table, protocol, scope, type, flags.
pub(super) const HEADER: usize = 12;
/// Attributes of both.
pub(super) const DESTINATION: u16 = 1;
const OUT_INTERFACE: u16 = 4;

/// The ways to others, as they are now.
pub struct Ways {
    socket: Socket,
    names: HashMap<u32, String>,
}

impl Ways {
    /// Gets ready to ask.
    ///
    /// # Errors
    ///
    /// If there is no netlink socket to be had.
    pub fn open() -> io::Result<Self> {
        let names = datalink::interfaces().into_iter().map(|interface| (interface.index, interface.name)).collect();
        Ok(Self { socket: Socket::open(libc::NETLINK_ROUTE, 0)?, names })
    }

    /// The name of the interface; `None` where no way leads to the address, or where it is one of a link (`fe80::1`),
    /// which each interface has another of.
    pub fn interface_to(&mut self, address: IpAddr) -> Option<&str> {
        self.socket.send(question(address, 0)).ok()?;
        let mut index = None;
        // The kernel has answered when `send` returns.
        self.socket.receive(false, &mut |message| index = index.or(interface(&message))).ok()?;
        self.names.get(&index?).map(String::as_str)
    }
}

/// Asks for the route to an address.
pub(super) fn question(address: IpAddr, flags: i32) -> Request {
    let mut header = [0; HEADER];
    let (family, bits) = match address {
        IpAddr::V4(_) => (libc::AF_INET, 32),
        IpAddr::V6(_) => (libc::AF_INET6, 128),
    };
    // Families are small numbers.
    [header[0], header[1]] = [u8::try_from(family).unwrap_or(0), bits];
    let request = Request::new(GET_ROUTE, flags).body(&header);
    match address {
        IpAddr::V4(address) => request.attribute(DESTINATION, &address.octets()),
        IpAddr::V6(address) => request.attribute(DESTINATION, &address.octets()),
    }
}

/// The index of the interface by which a route leaves.
pub(super) fn interface(message: &Message<'_>) -> Option<u32> {
    let (_, mut attributes) = message.split::<HEADER>().filter(|_| message.kind == NEW_ROUTE)?;
    attributes.find(|attribute| attribute.kind == OUT_INTERFACE).and_then(|attribute| attribute.u32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_machine_itself_is_loopback() {
        let mut ways = Ways::open().expect("everyone may ask");
        assert_eq!(ways.interface_to("127.0.0.1".parse().unwrap()), Some("lo"));
        assert_eq!(ways.interface_to("::1".parse().unwrap()), Some("lo"));
    }

    #[test]
    fn an_answer_is_read_for_its_interface_and_nothing_else_is_taken_for_one() {
        let mut payload = [0_u8; 28];
        payload[12..].copy_from_slice(&[8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 4, 0, 3, 0, 0, 0]);
        #[cfg(target_endian = "little")]
        assert_eq!(interface(&Message { kind: NEW_ROUTE, flags: 0, sequence: 1, payload: &payload }), Some(3));
        for len in 0..28 {
            let message = Message { kind: NEW_ROUTE, flags: 0, sequence: 1, payload: &payload[..len] };
            assert_eq!(interface(&message), None);
        }
        assert_eq!(interface(&Message { kind: 2, flags: 0, sequence: 1, payload: &payload }), None);
    }
}
