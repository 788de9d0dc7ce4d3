//! Events as lines of text.

use super::super::bytes::{self, Word};
use super::super::escape::{Place, escape_from, push_escaped};
use super::super::stamp::Stamp;
use super::event::{AlertLine, AnomalyLine, Lost, PacketLine, PfwLine, Sighting, Verdict};
use super::names::{self, Labels};
use crate::packet::{Arp, Icmp, Ip, Net, Packet, Ports, Transport};
use std::net::IpAddr;

pub(super) fn packet(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    labels: &Labels,
    line: &PacketLine<'_>,
    reason: impl FnOnce(&mut Vec<u8>),
) {
    stamp.push(out, line.seen.time);
    verdict(line.verdict).push(out);
    sighting(out, labels, &line.seen);
    if let Some(uid) = line.uid {
        out.extend_from_slice(b" uid=");
        bytes::push_decimal(out, uid.into());
    }
    out.extend_from_slice(line.rule.text());
    end_with_reason(out, reason);
}

pub(super) fn anomaly(out: &mut Vec<u8>, stamp: &mut Stamp, labels: &Labels, line: &AnomalyLine<'_>) {
    stamp.push(out, line.seen.time);
    out.extend_from_slice(b" [SUSPICIOUS] ");
    sighting(out, labels, &line.seen);
    out.extend_from_slice(b" anomaly=");
    push_escaped(out, Place::Bare, line.anomaly.name().as_bytes());
    out.extend_from_slice(b" severity=");
    out.extend_from_slice(line.anomaly.severity().name().as_bytes());
    out.extend_from_slice(b" reason=\"");
    end_with_reason(out, |out| names::push_anomaly(out, line.anomaly));
}

pub(super) fn alert(out: &mut Vec<u8>, stamp: &mut Stamp, labels: &Labels, line: &AlertLine<'_>) {
    stamp.push(out, line.seen.time);
    out.extend_from_slice(b" [SUSPICIOUS] ");
    sighting(out, labels, &line.seen);
    out.extend_from_slice(b" alert=");
    push_escaped(out, Place::Bare, line.alert.name().as_bytes());
    out.extend_from_slice(b" severity=");
    out.extend_from_slice(line.alert.severity().name().as_bytes());
    out.extend_from_slice(b" incident=");
    bytes::push_decimal(out, line.incident);
    out.extend_from_slice(b" packets=");
    bytes::push_decimal(out, line.packets);
    out.extend_from_slice(b" reason=\"");
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

pub(super) fn lost(out: &mut Vec<u8>, stamp: &mut Stamp, lost: &Lost) {
    stamp.push(out, lost.to);
    out.extend_from_slice(b" [LOST] n=");
    bytes::push_decimal(out, lost.n);
    out.extend_from_slice(b" cause=");
    out.extend_from_slice(lost.cause.name().as_bytes());
    out.extend_from_slice(b" from=");
    stamp.push(out, lost.from);
    out.extend_from_slice(b" to=");
    stamp.push(out, lost.to);
    out.extend_from_slice(b" reason=\"");
    end_with_reason(out, |out| out.extend_from_slice(lost.cause.reason().as_bytes()));
}

pub(super) fn pfw(out: &mut Vec<u8>, stamp: &mut Stamp, line: &PfwLine<'_>) {
    stamp.push(out, line.time);
    out.extend_from_slice(b" [PFW] event=");
    out.extend_from_slice(line.event.name().as_bytes());
    if let Some(interface) = line.interface {
        out.extend_from_slice(b" interface=");
        out.extend_from_slice(interface.text());
        out.extend_from_slice(b"reason=\"");
    } else {
        out.extend_from_slice(b" reason=\"");
    }
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

/// What `reason` appends, escaped, and the end of the line.
#[inline]
fn end_with_reason(out: &mut Vec<u8>, reason: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    reason(out);
    escape_from(out, Place::Quoted, from);
    out.extend_from_slice(b"\"\n");
}

#[inline]
fn verdict(verdict: Verdict) -> &'static Word<16> {
    static ALLOWED: Word<16> = Word::new(" [ALLOWED] ");
    static BLOCKED: Word<16> = Word::new(" [BLOCKED] ");
    static WOULD_BLOCK: Word<16> = Word::new(" [WOULD-BLOCK] ");
    match verdict {
        Verdict::Allowed => &ALLOWED,
        Verdict::Blocked => &BLOCKED,
        Verdict::WouldBlock => &WOULD_BLOCK,
    }
}

/// From the direction to the last field of the packet.
#[inline]
fn sighting(out: &mut Vec<u8>, labels: &Labels, seen: &Sighting<'_>) {
    names::direction(seen.direction).push(out);
    out.extend_from_slice(seen.interface.text());
    match &seen.packet.net {
        Net::Ip(ip) => ip_packet(out, labels, ip),
        Net::Arp(arp) => arp_packet(out, arp),
        Net::Other { ethertype, len } => other_frame(out, *ethertype, *len),
    }
    vlan(out, seen.packet);
}

#[inline]
fn ip_packet(out: &mut Vec<u8>, labels: &Labels, ip: &Ip) {
    labels.text(ip.protocol).push(out);
    match ip.transport {
        Transport::Tcp(tcp) => {
            endpoints(out, ip, tcp.ports);
            names::tcp_flags(tcp.flags).push(out);
        }
        Transport::Udp(ports) | Transport::Sctp(ports) => endpoints(out, ip, ports),
        Transport::Icmp(icmp) => {
            addresses(out, ip);
            icmp_fields(out, icmp);
        }
        Transport::None => addresses(out, ip),
    }
    if let Some(fragment) = ip.fragment {
        out.extend_from_slice(b" frag=");
        bytes::push_decimal(out, fragment.offset.into());
        if fragment.more {
            out.push(b'+');
        }
    }
}

/// `192.168.1.7:443 > [2001:db8::1]:51512 len=60`, both ends of one family.
#[inline]
fn endpoints(out: &mut Vec<u8>, ip: &Ip, ports: Ports) {
    address_and_colon(out, ip.src);
    bytes::push_port_and_arrow(out, ports.src);
    address_and_colon(out, ip.dst);
    bytes::push_decimal(out, ports.dst.into());
    length(out, ip.len);
}

#[inline]
fn address_and_colon(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => bytes::push_ipv4(out, address, b':'),
        IpAddr::V6(address) => {
            out.push(b'[');
            bytes::push_ipv6(out, address);
            out.extend_from_slice(b"]:");
        }
    }
}

/// `192.168.1.7 > 10.0.0.5 len=84`
fn addresses(out: &mut Vec<u8>, ip: &Ip) {
    bytes::push_address(out, ip.src);
    out.extend_from_slice(b" > ");
    bytes::push_address(out, ip.dst);
    length(out, ip.len);
}

#[inline]
fn length(out: &mut Vec<u8>, len: u32) {
    out.extend_from_slice(b" len=");
    bytes::push_decimal(out, len.into());
}

fn icmp_fields(out: &mut Vec<u8>, icmp: Icmp) {
    out.extend_from_slice(b" type=");
    bytes::push_decimal(out, icmp.kind.into());
    out.extend_from_slice(b" code=");
    bytes::push_decimal(out, icmp.code.into());
}

fn arp_packet(out: &mut Vec<u8>, arp: &Arp) {
    out.extend_from_slice(b"ARP ");
    bytes::push_address(out, arp.sender.into());
    out.extend_from_slice(b" > ");
    bytes::push_address(out, arp.target.into());
    length(out, arp.len);
    out.extend_from_slice(b" arp=");
    names::push_arp_operation(out, arp.operation);
}

fn other_frame(out: &mut Vec<u8>, ethertype: u16, len: u32) {
    names::push_ethertype(out, ethertype);
    out.extend_from_slice(b" - > -");
    length(out, len);
}

#[inline]
fn vlan(out: &mut Vec<u8>, packet: &Packet) {
    if let Some(vlan) = packet.vlan {
        out.extend_from_slice(b" vlan=");
        bytes::push_decimal(out, vlan.into());
    }
}
