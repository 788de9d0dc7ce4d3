//! The table of sightings, line by line, and what the kernel's messages make of the list.

use super::*;
use crate::netlink::{Attributes, Message};
use crate::packet::Link;
use crate::time::Timestamp;

/// A frame as the ring hands it out: interface and packet type.
fn frame(interface: u32, packet_type: PacketType) -> Frame<'static> {
    Frame {
        time: Timestamp::default(),
        interface,
        packet_type: Some(packet_type),
        vlan: None,
        sender: None,
        link: Link::Cooked { ethertype: 0x0800 },
        bytes: &[],
        original_len: 0,
        read: None,
    }
}

fn tagged(interface: u32, packet_type: PacketType, vlan: u16) -> Frame<'static> {
    Frame { vlan: Some(vlan), ..frame(interface, packet_type) }
}

fn sent_by(interface: u32, last: u8) -> Frame<'static> {
    Frame { sender: Some(mac(last)), ..frame(interface, PacketType::Outgoing) }
}

fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

const IN: [PacketType; 3] = [PacketType::Host, PacketType::Broadcast, PacketType::Multicast];
const OUT: PacketType = PacketType::Outgoing;

const fn line(interface: u32) -> Sighting {
    Sighting::Line { interface, loopback: false }
}

const fn looped(interface: u32) -> Sighting {
    Sighting::Line { interface, loopback: true }
}

/// An interface that is up; its address ends in its index.
fn interface(index: u32, name: &str, kind: &str) -> Interface {
    Interface {
        index,
        name: name.to_owned(),
        kind: kind.to_owned(),
        address: Some(mac(u8::try_from(index).unwrap())),
        up: true,
        running: true,
        ..Interface::default()
    }
}

fn port(index: u32, master: u32) -> Interface {
    Interface { master: Some(master), ..interface(index, &format!("p{index}"), "veth") }
}

fn above(index: u32, kind: &str, lower: u32) -> Interface {
    Interface { lower: Some(lower), ..interface(index, &format!("u{index}"), kind) }
}

fn vlan(index: u32, lower: u32, id: u16) -> Interface {
    Interface { vlan: Some(id), ..above(index, "vlan", lower) }
}

fn interfaces(list: impl IntoIterator<Item = Interface>) -> Interfaces {
    let mut interfaces = Interfaces::default();
    for interface in list {
        interfaces.update(interface);
    }
    interfaces.relate();
    interfaces
}

#[test]
fn a_device_that_stands_alone_has_a_line_for_each_frame_of_this_host() {
    for kind in ["", "veth", "tun", "wireguard", "gre", "vxlan", "bridge", "bond"] {
        let interfaces = interfaces([interface(2, "x", kind)]);
        for packet_type in IN {
            assert_eq!(interfaces.sighting(&frame(2, packet_type)), line(2));
        }
        assert_eq!(interfaces.sighting(&frame(2, OUT)), line(2));
        assert_eq!(interfaces.sighting(&frame(2, PacketType::OtherHost)), Sighting::OtherHost);
    }
}

#[test]
fn a_loopback_packet_has_its_line_when_it_comes_in() {
    let interfaces = interfaces([Interface { loopback: true, ..interface(1, "lo", "") }]);
    assert_eq!(interfaces.sighting(&frame(1, OUT)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&frame(1, PacketType::Host)), looped(1));
}

#[test]
fn the_frames_of_a_port_are_those_of_the_device_above() {
    for kind in ["bridge", "bond", "team", "openvswitch", "hsr", ""] {
        let interfaces = interfaces([interface(2, "above", kind), port(3, 2)]);
        for packet_type in IN.into_iter().chain([OUT, PacketType::OtherHost]) {
            assert_eq!(interfaces.sighting(&frame(3, packet_type)), Sighting::Duplicate);
        }
        assert_eq!(interfaces.sighting(&frame(2, PacketType::Host)), line(2));
        assert_eq!(interfaces.sighting(&frame(2, OUT)), line(2));
        let above = interfaces.device_above(interfaces.get(3).unwrap());
        assert_eq!(above.map(|above| &*above.name), Some("above"));
        assert_eq!(interfaces.device_above(interfaces.get(2).unwrap()), None);
    }
}

#[test]
fn a_bond_below_a_bridge_is_a_port_too() {
    let bond = Interface { master: Some(2), ..interface(3, "bond0", "bond") };
    let interfaces = interfaces([interface(2, "br0", "bridge"), bond, port(4, 3)]);
    let seen = [2, 3, 4].map(|index| interfaces.sighting(&frame(index, PacketType::Host)));
    assert_eq!(seen, [line(2), Sighting::Duplicate, Sighting::Duplicate]);
}

#[test]
fn the_members_of_a_vrf_speak_for_it() {
    let interfaces = interfaces([interface(2, "red", "vrf"), port(3, 2), vlan(4, 3, 7)]);
    assert_eq!(interfaces.sighting(&frame(3, PacketType::Host)), line(2));
    assert_eq!(interfaces.sighting(&frame(3, OUT)), line(2));
    assert_eq!(interfaces.sighting(&frame(3, PacketType::OtherHost)), Sighting::OtherHost);
    assert_eq!(interfaces.sighting(&tagged(3, PacketType::Host, 7)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&frame(2, OUT)), looped(2));
    assert_eq!(interfaces.device_above(interfaces.get(3).unwrap()), None);
}

#[test]
fn a_tagged_frame_is_the_vlans() {
    let down = Interface { up: false, ..vlan(5, 2, 9) };
    let interfaces = interfaces([interface(2, "eth0", ""), interface(3, "eth1", ""), vlan(4, 2, 7), down]);
    for packet_type in IN {
        assert_eq!(interfaces.sighting(&tagged(2, packet_type, 7)), Sighting::Duplicate);
        // Another id, the right id on another device, a device that is down.
        assert_eq!(interfaces.sighting(&tagged(2, packet_type, 8)), Sighting::NotForStack);
        assert_eq!(interfaces.sighting(&tagged(3, packet_type, 7)), Sighting::NotForStack);
        assert_eq!(interfaces.sighting(&tagged(2, packet_type, 9)), Sighting::NotForStack);
        // A priority without a VLAN.
        assert_eq!(interfaces.sighting(&tagged(2, packet_type, 0)), line(2));
    }
    assert_eq!(interfaces.sighting(&tagged(2, OUT, 7)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&tagged(2, OUT, 9)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&tagged(2, OUT, 8)), line(2));
    assert_eq!(interfaces.sighting(&frame(4, PacketType::Host)), line(4));
    assert_eq!(interfaces.sighting(&frame(4, OUT)), line(4));
}

#[test]
fn a_vlan_on_a_bridge_is_found_there() {
    let interfaces = interfaces([interface(2, "br0", "bridge"), port(3, 2), vlan(4, 2, 7)]);
    let seen = [tagged(3, OUT, 7), tagged(2, OUT, 7), frame(4, OUT)].map(|frame| interfaces.sighting(&frame));
    assert_eq!(seen, [Sighting::Duplicate, Sighting::Duplicate, line(4)]);
}

#[test]
fn what_a_macvlan_sends_is_not_what_the_device_below_sends() {
    let interfaces = interfaces([interface(2, "eth0", ""), above(3, "macvlan", 2), above(4, "macvtap", 2)]);
    assert_eq!(interfaces.sighting(&sent_by(3, 3)), line(3));
    assert_eq!(interfaces.sighting(&sent_by(2, 3)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&sent_by(2, 4)), Sighting::Duplicate);
    assert_eq!(interfaces.sighting(&sent_by(2, 2)), line(2));
    // A sender's address on its way in says nothing.
    assert_eq!(interfaces.sighting(&Frame { sender: Some(mac(3)), ..frame(2, PacketType::Broadcast) }), line(2));
}

#[test]
fn guests_and_mirrors_have_no_lines() {
    for (kind, expected) in [
        ("macvtap", Sighting::NotForStack),
        ("ipvtap", Sighting::NotForStack),
        ("ifb", Sighting::Duplicate),
        ("nlmon", Sighting::Duplicate),
        ("vsockmon", Sighting::Duplicate),
    ] {
        let interfaces = interfaces([interface(2, "x", kind)]);
        assert_eq!(interfaces.sighting(&frame(2, PacketType::Host)), expected);
        assert_eq!(interfaces.sighting(&frame(2, OUT)), expected);
    }
}

#[test]
fn an_unknown_interface_is_taken_for_an_ordinary_one() {
    let interfaces = Interfaces::default();
    assert_eq!(interfaces.sighting(&frame(9, PacketType::Host)), line(9));
    assert_eq!(interfaces.sighting(&frame(9, PacketType::OtherHost)), Sighting::OtherHost);
    assert_eq!(interfaces.name(9), None);
}

#[test]
fn a_vanished_interface_keeps_its_name_and_place_for_a_while() {
    let mut interfaces = interfaces([interface(2, "br0", "bridge"), port(3, 2)]);
    assert_eq!(interfaces.remove(3), Some(LinkEvent::Vanished { name: "p3".to_owned() }));
    assert_eq!(interfaces.remove(3), None);
    interfaces.relate();
    assert_eq!(interfaces.sighting(&frame(3, PacketType::Host)), Sighting::Duplicate);
    assert_eq!((interfaces.name(3), interfaces.find("p3"), interfaces.iter().count()), (Some("p3"), None, 1));
    for index in 4..=u32::try_from(3 + MAX_GONE).unwrap() {
        interfaces.update(interface(index, "x", ""));
        interfaces.remove(index);
    }
    assert_eq!((interfaces.name(3), interfaces.name(4), interfaces.gone.len()), (None, Some("x"), MAX_GONE));
}

#[test]
fn a_port_that_leaves_its_bridge_is_on_its_own() {
    let mut interfaces = interfaces([interface(2, "br0", "bridge"), port(3, 2)]);
    assert_eq!(interfaces.update(Interface { master: None, ..port(3, 2) }), []);
    interfaces.relate();
    assert_eq!(interfaces.sighting(&frame(3, PacketType::Host)), line(3));
}

#[test]
fn what_changes_is_told() {
    let mut interfaces = Interfaces::default();
    let down = Interface { running: false, ..interface(2, "eth0", "") };
    let name = || "eth0".to_owned();
    assert_eq!(interfaces.update(down.clone()), [LinkEvent::Appeared { name: name() }]);
    assert_eq!(interfaces.update(down.clone()), []);
    assert_eq!(interfaces.update(interface(2, "eth0", "")), [LinkEvent::Up { name: name() }]);
    assert_eq!(interfaces.update(down), [LinkEvent::Down { name: name() }]);
    let to = "lan0".to_owned();
    let renamed = interfaces.update(interface(2, "lan0", ""));
    assert_eq!(renamed, [LinkEvent::Renamed { from: name(), to: to.clone() }, LinkEvent::Up { name: to }]);
    assert_eq!(renamed[0].to_string(), "interface eth0 is now lan0");
}

/// An attribute as the kernel lays it out.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + payload.len()).unwrap();
    let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn read(family: u8, flags: u32, attributes: &[Vec<u8>]) -> Option<Interface> {
    let info = [&[family, 0, 1, 0, 7, 0, 0, 0][..], &flags.to_ne_bytes(), &[0; 4]].concat();
    let payload = [info, attributes.concat()].concat();
    Interface::read(&Message { kind: libc::RTM_NEWLINK, flags: 0, sequence: 0, payload: &payload })
}

#[test]
fn a_link_message_is_read() {
    let data = attribute(2, &attribute(1, &[7, 0]));
    let vlan_info = attribute(18, &[attribute(1, b"vlan\0"), data].concat());
    let address = attribute(1, &mac(9));
    let attributes =
        [attribute(3, b"eth0.7\0"), address, vlan_info, attribute(5, &[2, 0, 0, 0]), attribute(10, &[3, 0, 0, 0])];
    let expected = Interface {
        index: 7,
        name: "eth0.7".to_owned(),
        kind: "vlan".to_owned(),
        hardware: 1,
        address: Some(mac(9)),
        master: Some(3),
        lower: Some(2),
        vlan: Some(7),
        loopback: false,
        up: true,
        running: true,
    };
    assert_eq!(read(0, 0x41, &attributes), Some(expected.clone()));
    assert_eq!(read(0, 0x09, &[]).map(|link| (link.loopback, link.up, link.running)), Some((true, true, false)));
    // The device below is in another network namespace, and its number means another one here.
    let elsewhere = [&attributes[..], &[attribute(37, &[0; 4])]].concat();
    assert_eq!(read(0, 0x41, &elsewhere), Some(Interface { lower: None, ..expected }));
    assert_eq!(Attributes(&attributes.concat()).count(), 5);
}

#[test]
fn messages_that_describe_no_link_are_left_alone() {
    // A port's place in its bridge (AF_BRIDGE), and the news of a radio.
    assert_eq!(read(7, 0x41, &[attribute(3, b"eth0\0")]), None);
    assert_eq!(read(0, 0x41, &[attribute(3, b"eth0\0"), attribute(11, &[1])]), None);
}

#[test]
fn the_kernels_list_has_a_loopback_interface() {
    let watch = Watch::open().unwrap();
    let lo = watch.interfaces().find("lo").unwrap();
    assert!(lo.loopback);
    assert_eq!(watch.interfaces().name(lo.index), Some("lo"));
}

#[test]
fn networks_where_others_may_be_now_are_those_of_what_lost_its_carrier_or_left() {
    let bridge = || interface(1, "br0", "bridge");
    let before =
        interfaces([bridge(), port(2, 1), port(3, 1), port(4, 1), interface(5, "wlan0", ""), interface(6, "eth0", "")]);
    let now = interfaces([
        bridge(),
        Interface { running: false, ..port(3, 1) },
        Interface { master: None, ..port(4, 1) },
        Interface { running: false, ..interface(5, "wlan0", "") },
        interface(6, "eth0", ""),
        interface(7, "eth1", ""),
    ]);
    assert_eq!(now.changed_since(&before).collect::<Vec<_>>(), ["br0", "br0", "br0", "wlan0"]);
    assert_eq!(now.changed_since(&now).count(), 0);
}
