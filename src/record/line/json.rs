//! Events as JSON objects with the field names of Suricata's EVE.

use super::super::bytes::{self, Word};
use super::super::escape::{Place, escape_from, push_escaped};
use super::super::stamp::Stamp;
use super::event::{AlertLine, AnomalyLine, Lost, PacketLine, PfwLine, Sighting, Verdict};
use super::names::{self, Labels};
use crate::engine::Direction;
use crate::packet::{Arp, Fragment, Icmp, Ip, Net, Ports, Tcp, Transport};
use crate::time::Timestamp;

pub(super) fn packet(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    labels: &Labels,
    line: &PacketLine<'_>,
    reason: impl FnOnce(&mut Vec<u8>),
) {
    begin(out, stamp, line.seen.time);
    out.extend_from_slice(line.seen.interface.json());
    out.extend_from_slice(b",\"event_type\":\"packet\"");
    sighting(out, labels, &line.seen);
    if let Some(uid) = line.uid {
        number(out, b",\"uid\":", uid.into());
    }
    verdict(line.verdict).push(out);
    out.extend_from_slice(line.rule.json());
    end_with_reason(out, reason);
}

pub(super) fn anomaly(out: &mut Vec<u8>, stamp: &mut Stamp, labels: &Labels, line: &AnomalyLine<'_>) {
    begin(out, stamp, line.seen.time);
    out.extend_from_slice(line.seen.interface.json());
    out.extend_from_slice(b",\"event_type\":\"anomaly\"");
    sighting(out, labels, &line.seen);
    // EVE's own shape: what Suricata's decoder objects to has the type `decode`.
    out.extend_from_slice(b",\"anomaly\":{\"type\":\"decode\",\"event\":\"");
    push_escaped(out, Place::Json, line.anomaly.name().as_bytes());
    number(out, b"\"},\"severity\":", line.anomaly.severity().number().into());
    out.extend_from_slice(b",\"reason\":\"");
    end_with_reason(out, |out| names::push_anomaly(out, line.anomaly));
}

pub(super) fn alert(out: &mut Vec<u8>, stamp: &mut Stamp, labels: &Labels, line: &AlertLine<'_>) {
    begin(out, stamp, line.seen.time);
    out.extend_from_slice(line.seen.interface.json());
    out.extend_from_slice(b",\"event_type\":\"alert\"");
    sighting(out, labels, &line.seen);
    // EVE's own shape; the signature is our name, and what is observed is not blocked by that.
    out.extend_from_slice(b",\"alert\":{\"action\":\"allowed\",\"signature\":\"");
    push_escaped(out, Place::Json, line.alert.name().as_bytes());
    number(out, b"\",\"severity\":", line.alert.severity().number().into());
    number(out, b"},\"incident\":", line.incident);
    number(out, b",\"packets\":", line.packets);
    out.extend_from_slice(b",\"reason\":\"");
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

pub(super) fn lost(out: &mut Vec<u8>, stamp: &mut Stamp, lost: &Lost) {
    begin(out, stamp, lost.to);
    out.extend_from_slice(b",\"event_type\":\"lost\",\"n\":");
    bytes::push_decimal(out, lost.n);
    out.extend_from_slice(b",\"cause\":\"");
    out.extend_from_slice(lost.cause.name().as_bytes());
    out.extend_from_slice(b"\",\"from\":\"");
    stamp.push(out, lost.from);
    out.extend_from_slice(b"\",\"to\":\"");
    stamp.push(out, lost.to);
    out.extend_from_slice(b"\",\"reason\":\"");
    end_with_reason(out, |out| out.extend_from_slice(lost.cause.reason().as_bytes()));
}

pub(super) fn pfw(out: &mut Vec<u8>, stamp: &mut Stamp, line: &PfwLine<'_>) {
    begin(out, stamp, line.time);
    if let Some(interface) = line.interface {
        out.extend_from_slice(interface.json());
    }
    out.extend_from_slice(b",\"event_type\":\"pfw\",\"event\":\"");
    out.extend_from_slice(line.event.name().as_bytes());
    out.extend_from_slice(b"\",\"reason\":\"");
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

#[inline]
fn begin(out: &mut Vec<u8>, stamp: &mut Stamp, time: Timestamp) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    stamp.push(out, time);
    out.push(b'"');
}

/// What `reason` appends, escaped, and the end of object and line.
#[inline]
fn end_with_reason(out: &mut Vec<u8>, reason: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    reason(out);
    escape_from(out, Place::Json, from);
    out.extend_from_slice(b"\"}\n");
}

#[inline]
fn verdict(verdict: Verdict) -> &'static Word<32> {
    static ALLOWED: Word<32> = Word::new(",\"verdict\":\"allowed\"");
    static BLOCKED: Word<32> = Word::new(",\"verdict\":\"blocked\"");
    static WOULD_BLOCK: Word<32> = Word::new(",\"verdict\":\"would-block\"");
    match verdict {
        Verdict::Allowed => &ALLOWED,
        Verdict::Blocked => &BLOCKED,
        Verdict::WouldBlock => &WOULD_BLOCK,
    }
}

#[inline]
fn direction(direction: Option<Direction>) -> &'static Word<32> {
    static INCOMING: Word<32> = Word::new(",\"direction\":\"incoming\"");
    static OUTGOING: Word<32> = Word::new(",\"direction\":\"outgoing\"");
    static LOOPBACK: Word<32> = Word::new(",\"direction\":\"loopback\"");
    static FORWARDED: Word<32> = Word::new(",\"direction\":\"forwarded\"");
    static UNKNOWN: Word<32> = Word::EMPTY;
    match direction {
        Some(Direction::Incoming) => &INCOMING,
        Some(Direction::Outgoing) => &OUTGOING,
        Some(Direction::Loopback) => &LOOPBACK,
        Some(Direction::Forwarded) => &FORWARDED,
        None => &UNKNOWN,
    }
}

/// From `vlan` to `direction`.
#[inline]
fn sighting(out: &mut Vec<u8>, labels: &Labels, seen: &Sighting<'_>) {
    if let Some(vlan) = seen.packet.vlan {
        number(out, b",\"vlan\":[", vlan.into());
        out.push(b']');
    }
    match &seen.packet.net {
        Net::Ip(ip) => ip_packet(out, labels, ip),
        Net::Arp(arp) => arp_packet(out, arp),
        Net::Other { ethertype, len } => {
            out.extend_from_slice(b",\"proto\":\"");
            names::push_ethertype(out, *ethertype);
            number(out, b"\",\"pkt_len\":", (*len).into());
        }
    }
    direction(seen.direction).push(out);
}

/// A member whose value is a number; `key` is everything before the value.
#[inline]
fn number<const N: usize>(out: &mut Vec<u8>, key: &[u8; N], value: u64) {
    out.extend_from_slice(key);
    bytes::push_decimal(out, value);
}

#[inline]
fn ip_packet(out: &mut Vec<u8>, labels: &Labels, ip: &Ip) {
    match ip.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Udp(ports) | Transport::Sctp(ports) => endpoints(out, ip, ports),
        Transport::Icmp(_) | Transport::None => addresses(out, ip),
    }
    labels.json(ip.protocol).push(out);
    bytes::push_decimal(out, ip.len.into());
    match ip.transport {
        Transport::Tcp(tcp) => {
            out.extend_from_slice(b",\"tcp_flags\":\"");
            bytes::push_hex_byte(out, tcp.flags.0);
            out.push(b'"');
        }
        Transport::Icmp(icmp) => icmp_fields(out, icmp),
        Transport::Udp(_) | Transport::Sctp(_) | Transport::None => {}
    }
    if let Some(fragment) = ip.fragment {
        fragment_object(out, fragment);
    }
}

#[inline]
fn endpoints(out: &mut Vec<u8>, ip: &Ip, ports: Ports) {
    out.extend_from_slice(b",\"src_ip\":\"");
    bytes::push_address(out, ip.src);
    number(out, b"\",\"src_port\":", ports.src.into());
    out.extend_from_slice(b",\"dest_ip\":\"");
    bytes::push_address(out, ip.dst);
    number(out, b"\",\"dest_port\":", ports.dst.into());
}

fn addresses(out: &mut Vec<u8>, ip: &Ip) {
    out.extend_from_slice(b",\"src_ip\":\"");
    bytes::push_address(out, ip.src);
    out.extend_from_slice(b"\",\"dest_ip\":\"");
    bytes::push_address(out, ip.dst);
    out.push(b'"');
}

fn icmp_fields(out: &mut Vec<u8>, icmp: Icmp) {
    number(out, b",\"icmp_type\":", icmp.kind.into());
    number(out, b",\"icmp_code\":", icmp.code.into());
}

fn fragment_object(out: &mut Vec<u8>, fragment: Fragment) {
    number(out, b",\"fragment\":{\"id\":", fragment.id.into());
    number(out, b",\"offset\":", fragment.offset.into());
    out.extend_from_slice(if fragment.more { b",\"more\":true}" } else { b",\"more\":false}" });
}

/// Addresses, and the rest in the object that Suricata has for ARP.
fn arp_packet(out: &mut Vec<u8>, arp: &Arp) {
    out.extend_from_slice(b",\"src_ip\":\"");
    bytes::push_address(out, arp.sender.into());
    out.extend_from_slice(b"\",\"dest_ip\":\"");
    bytes::push_address(out, arp.target.into());
    number(out, b"\",\"proto\":\"ARP\",\"pkt_len\":", arp.len.into());
    out.extend_from_slice(b",\"arp\":{\"opcode\":\"");
    names::push_arp_operation(out, arp.operation);
    out.extend_from_slice(b"\",\"src_mac\":\"");
    bytes::push_mac(out, arp.sender_mac);
    out.extend_from_slice(b"\",\"dest_mac\":\"");
    bytes::push_mac(out, arp.target_mac);
    out.extend_from_slice(b"\"}");
}
