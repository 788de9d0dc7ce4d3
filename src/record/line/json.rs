//! Events as JSON objects with the field names of Suricata's EVE.

use super::super::bytes::Word;
use super::super::escape::{Place, escape_from, push_escaped};
use super::super::pen::Pen;
use super::super::stamp::Stamp;
use super::Desk;
use super::event::{AlertLine, AnomalyLine, Format, Lost, PacketLine, PfwLine, Sighting, Verdict};
use super::names::{self, Labels};
use crate::engine::Direction;
use crate::packet::{Arp, Fragment, Icmp, Ip, Net, Ports, Tcp, Transport};
use crate::time::Timestamp;

#[inline]
pub(super) fn packet(out: &mut Vec<u8>, desk: &mut Desk, line: &PacketLine<'_>, reason: impl FnOnce(&mut Vec<u8>)) {
    let (pen, stamp, labels) = desk.pen();
    let pen = begin(pen, stamp, line.seen.time).slice(line.seen.interface.json()).text(b",\"event_type\":\"packet\"");
    let mut pen = sighting(pen, labels, &line.seen);
    if let Some(uid) = line.uid {
        pen = number(pen, b",\"uid\":", uid.into());
    }
    pen.word(verdict(line.verdict)).end(out);
    let end = |out: &mut Vec<u8>| {
        out.extend_from_slice(line.rule.json());
        end_with_reason(out, reason);
    };
    match line.standing {
        Some(standing) => out.extend_from_slice(line.rule.ending(Format::Json, standing, end)),
        None => end(out),
    }
}

pub(super) fn anomaly(out: &mut Vec<u8>, desk: &mut Desk, line: &AnomalyLine<'_>) {
    let (pen, stamp, labels) = desk.pen();
    let pen = begin(pen, stamp, line.seen.time).slice(line.seen.interface.json()).text(b",\"event_type\":\"anomaly\"");
    // EVE's own shape: what Suricata's decoder objects to has the type `decode`.
    let pen = sighting(pen, labels, &line.seen)
        .text(b",\"anomaly\":{\"type\":\"decode\",\"event\":\"")
        .with(|out| push_escaped(out, Place::Json, line.anomaly.name().as_bytes()));
    let pen = number(pen, b"\"},\"severity\":", line.anomaly.severity().number().into()).text(b",\"reason\":\"");
    pen.end(out);
    end_with_reason(out, |out| names::push_anomaly(out, line.anomaly));
}

pub(super) fn alert(out: &mut Vec<u8>, desk: &mut Desk, line: &AlertLine<'_>) {
    let (pen, stamp, labels) = desk.pen();
    let pen = begin(pen, stamp, line.seen.time).slice(line.seen.interface.json()).text(b",\"event_type\":\"alert\"");
    // EVE's own shape; the signature is our name, and what is observed is not blocked by that.
    let pen = sighting(pen, labels, &line.seen)
        .text(b",\"alert\":{\"action\":\"allowed\",\"signature\":\"")
        .with(|out| push_escaped(out, Place::Json, line.alert.name().as_bytes()));
    let pen = number(pen, b"\",\"severity\":", line.alert.severity().number().into());
    let pen = number(pen, b"},\"incident\":", line.incident);
    let pen = number(pen, b",\"packets\":", line.packets).text(b",\"reason\":\"");
    pen.end(out);
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

pub(super) fn lost(out: &mut Vec<u8>, desk: &mut Desk, lost: &Lost) {
    let (pen, stamp, _) = desk.pen();
    let pen = number(begin(pen, stamp, lost.to), b",\"event_type\":\"lost\",\"n\":", lost.n);
    let pen = pen.text(b",\"cause\":\"").slice(lost.cause.name().as_bytes());
    let pen = stamp.write(pen.text(b"\",\"from\":\""), lost.from);
    let pen = stamp.write(pen.text(b"\",\"to\":\""), lost.to).text(b"\",\"reason\":\"");
    pen.end(out);
    end_with_reason(out, |out| out.extend_from_slice(lost.cause.reason().as_bytes()));
}

pub(super) fn pfw(out: &mut Vec<u8>, desk: &mut Desk, line: &PfwLine<'_>) {
    let (pen, stamp, _) = desk.pen();
    let mut pen = begin(pen, stamp, line.time);
    if let Some(interface) = line.interface {
        pen = pen.slice(interface.json());
    }
    let pen = pen.text(b",\"event_type\":\"pfw\",\"event\":\"").slice(line.event.name().as_bytes());
    pen.text(b"\",\"reason\":\"").end(out);
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

#[inline]
fn begin<'a>(pen: Pen<'a>, stamp: &mut Stamp, time: Timestamp) -> Pen<'a> {
    stamp.write(pen.text(b"{\"timestamp\":\""), time).byte(b'"')
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
        Some(Direction::Loopback | Direction::LedAway) => &LOOPBACK,
        Some(Direction::Forwarded) => &FORWARDED,
        None => &UNKNOWN,
    }
}

/// From `vlan` to `direction`.
#[inline]
fn sighting<'a>(mut pen: Pen<'a>, labels: &Labels, seen: &Sighting<'_>) -> Pen<'a> {
    if let Some(vlan) = seen.packet.vlan {
        pen = number(pen, b",\"vlan\":[", vlan.into()).byte(b']');
    }
    let pen = match &seen.packet.net {
        Net::Ip(ip) => ip_packet(pen, labels, ip),
        Net::Arp(arp) => arp_packet(pen, arp),
        Net::Other { ethertype, len } => {
            number(names::ethertype(pen.text(b",\"proto\":\""), *ethertype), b"\",\"pkt_len\":", (*len).into())
        }
    };
    pen.word(direction(seen.direction))
}

/// A member whose value is a number; `key` is everything before the value.
#[inline]
fn number<'a, const N: usize>(pen: Pen<'a>, key: &[u8; N], value: u64) -> Pen<'a> {
    pen.text(key).decimal(value)
}

#[inline]
fn ip_packet<'a>(pen: Pen<'a>, labels: &Labels, ip: &Ip) -> Pen<'a> {
    let pen = match ip.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Udp(ports) | Transport::Sctp(ports) => endpoints(pen, ip, ports),
        Transport::Icmp(_) | Transport::TcpRest(_) | Transport::None => addresses(pen, ip),
    };
    let pen = pen.word(labels.json(ip.protocol)).decimal(ip.len.into());
    let pen = match ip.transport {
        Transport::Tcp(tcp) => pen.text(b",\"tcp_flags\":\"").hex_byte(tcp.flags.0).byte(b'"'),
        Transport::Icmp(icmp) => icmp_fields(pen, icmp),
        Transport::Udp(_) | Transport::Sctp(_) | Transport::TcpRest(_) | Transport::None => pen,
    };
    match ip.fragment {
        Some(fragment) => fragment_object(pen, fragment),
        None => pen,
    }
}

#[inline]
fn endpoints<'a>(pen: Pen<'a>, ip: &Ip, ports: Ports) -> Pen<'a> {
    let pen = number(pen.text(b",\"src_ip\":\"").address(ip.src), b"\",\"src_port\":", ports.src.into());
    number(pen.text(b",\"dest_ip\":\"").address(ip.dst), b"\",\"dest_port\":", ports.dst.into())
}

fn addresses<'a>(pen: Pen<'a>, ip: &Ip) -> Pen<'a> {
    pen.text(b",\"src_ip\":\"").address(ip.src).text(b"\",\"dest_ip\":\"").address(ip.dst).byte(b'"')
}

fn icmp_fields(pen: Pen<'_>, icmp: Icmp) -> Pen<'_> {
    number(number(pen, b",\"icmp_type\":", icmp.kind.into()), b",\"icmp_code\":", icmp.code.into())
}

fn fragment_object(pen: Pen<'_>, fragment: Fragment) -> Pen<'_> {
    let pen = number(pen, b",\"fragment\":{\"id\":", fragment.id.into());
    let pen = number(pen, b",\"offset\":", fragment.offset.into());
    pen.slice(if fragment.more { b",\"more\":true}" } else { b",\"more\":false}" })
}

/// Addresses, and the rest in the object that Suricata has for ARP.
fn arp_packet<'a>(pen: Pen<'a>, arp: &Arp) -> Pen<'a> {
    let pen = pen.text(b",\"src_ip\":\"").ipv4(arp.sender).text(b"\",\"dest_ip\":\"").ipv4(arp.target);
    let pen = number(pen, b"\",\"proto\":\"ARP\",\"pkt_len\":", arp.len.into()).text(b",\"arp\":{\"opcode\":\"");
    let pen = names::arp_operation(pen, arp.operation).text(b"\",\"src_mac\":\"").mac(arp.sender_mac);
    pen.text(b"\",\"dest_mac\":\"").mac(arp.target_mac).text(b"\"}")
}
