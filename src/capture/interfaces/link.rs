//! An interface as rtnetlink describes it (`linux/if_link.h`, `linux/rtnetlink.h`).

use crate::netlink::{Attribute, Message};
use libc::{
    IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO,
    IFLA_MASTER, IFLA_WIRELESS, ifinfomsg,
};
use std::mem::offset_of;

/// Bytes of the fixed part of a message about a link.
pub(super) const INFO: usize = size_of::<ifinfomsg>();
/// The id in the data of a link of kind `vlan` (`linux/if_link.h`).
const IFLA_VLAN_ID: u16 = 1;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name; whatever the kernel lets be a name, which is any bytes but `/` and white space.
    pub name: String,
    /// The kind of a virtual device (`bridge`, `vlan`, `veth`, ...); empty for others.
    pub kind: String,
    /// The type of its frames (`ARPHRD_*`).
    pub hardware: u16,
    /// Its address, where that is a MAC address.
    pub address: Option<[u8; 6]>,
    /// Index of the device that it is a port or member of.
    pub master: Option<u32>,
    /// Index of the device that it stands on, where that is in the same network namespace.
    pub lower: Option<u32>,
    /// The id of a VLAN's device.
    pub vlan: Option<u16>,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// Whether it was brought up.
    pub up: bool,
    /// Whether it has a carrier, too, so that packets can pass.
    pub running: bool,
}

impl Interface {
    /// Index and description in a message of type `RTM_NEWLINK` or `RTM_DELLINK`. `None`: it is not about a link as
    /// such but about its place in a bridge (another address family) or its radio, and doesn't describe it whole.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let (info, attributes) = message.split::<INFO>()?;
        if info.first().copied().map(i32::from) != Some(libc::AF_UNSPEC) {
            return None;
        }
        let flags = u32_at(info, offset_of!(ifinfomsg, ifi_flags))?;
        let has = |flag: i32| flags & flag.cast_unsigned() != 0;
        let mut interface = Self {
            index: u32_at(info, offset_of!(ifinfomsg, ifi_index))?,
            hardware: info.get(offset_of!(ifinfomsg, ifi_type)..)?.first_chunk().map(|&b| u16::from_ne_bytes(b))?,
            loopback: has(libc::IFF_LOOPBACK),
            up: has(libc::IFF_UP),
            running: has(libc::IFF_UP) && has(libc::IFF_RUNNING),
            ..Self::default()
        };
        let mut other_namespace = false;
        for attribute in attributes {
            match attribute.kind {
                IFLA_IFNAME => interface.name = attribute.text(),
                IFLA_ADDRESS => interface.address = attribute.payload.try_into().ok(),
                IFLA_MASTER => interface.master = attribute.u32(),
                IFLA_LINK => interface.lower = attribute.u32(),
                IFLA_LINK_NETNSID => other_namespace = true,
                IFLA_LINKINFO => interface.read_info(&attribute),
                IFLA_WIRELESS => return None,
                _ => {}
            }
        }
        interface.lower = interface.lower.filter(|_| !other_namespace);
        Some(interface)
    }

    fn read_info(&mut self, info: &Attribute<'_>) {
        for attribute in info.nested() {
            match attribute.kind {
                IFLA_INFO_KIND => self.kind = attribute.text(),
                IFLA_INFO_DATA if self.kind == "vlan" => {
                    self.vlan = attribute.nested().find(|data| data.kind == IFLA_VLAN_ID).and_then(|id| id.u16());
                }
                _ => {}
            }
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|&bytes| u32::from_ne_bytes(bytes))
}
