//! Events as lines of text.

use super::super::bytes::Word;
use super::super::escape::{Place, escape_from, push_escaped};
use super::super::pen::Pen;
use super::Desk;
use super::event::{AlertLine, AnomalyLine, Format, Lost, PacketLine, PfwLine, Sighting, Verdict};
use super::names::{self, Labels};
use crate::packet::{Arp, Icmp, Ip, Net, Packet, Ports, Transport};
use std::net::IpAddr;

#[inline]
pub(super) fn packet(out: &mut Vec<u8>, desk: &mut Desk, line: &PacketLine<'_>, reason: impl FnOnce(&mut Vec<u8>)) {
    let (pen, stamp, labels) = desk.pen();
    let pen = stamp.write(pen, line.seen.time).word(verdict(line.verdict));
    let mut pen = sighting(pen, labels, &line.seen);
    if let Some(uid) = line.uid {
        pen = pen.text(b" uid=").decimal(uid.into());
    }
    pen.end(out);
    let end = |out: &mut Vec<u8>| {
        out.extend_from_slice(line.rule.text());
        end_with_reason(out, reason);
    };
    match line.standing {
        Some(standing) => out.extend_from_slice(line.rule.ending(Format::Text, standing, end)),
        None => end(out),
    }
}

pub(super) fn anomaly(out: &mut Vec<u8>, desk: &mut Desk, line: &AnomalyLine<'_>) {
    let (pen, stamp, labels) = desk.pen();
    let pen = stamp.write(pen, line.seen.time).text(b" [SUSPICIOUS] ");
    let pen = sighting(pen, labels, &line.seen)
        .text(b" anomaly=")
        .with(|out| push_escaped(out, Place::Bare, line.anomaly.name().as_bytes()))
        .text(b" severity=")
        .slice(line.anomaly.severity().name().as_bytes())
        .text(b" reason=\"");
    pen.end(out);
    end_with_reason(out, |out| names::push_anomaly(out, line.anomaly));
}

pub(super) fn alert(out: &mut Vec<u8>, desk: &mut Desk, line: &AlertLine<'_>) {
    let (pen, stamp, labels) = desk.pen();
    let pen = stamp.write(pen, line.seen.time).text(b" [SUSPICIOUS] ");
    let pen = sighting(pen, labels, &line.seen)
        .text(b" alert=")
        .with(|out| push_escaped(out, Place::Bare, line.alert.name().as_bytes()))
        .text(b" severity=")
        .slice(line.alert.severity().name().as_bytes())
        .text(b" incident=")
        .decimal(line.incident)
        .text(b" packets=")
        .decimal(line.packets)
        .text(b" reason=\"");
    pen.end(out);
    end_with_reason(out, |out| out.extend_from_slice(line.reason.as_bytes()));
}

pub(super) fn lost(out: &mut Vec<u8>, desk: &mut Desk, lost: &Lost) {
    let (pen, stamp, _) = desk.pen();
    let pen = stamp.write(pen, lost.to).text(b" [LOST] n=").decimal(lost.n);
    let pen = stamp.write(pen.text(b" cause=").slice(lost.cause.name().as_bytes()).text(b" from="), lost.from);
    let pen = stamp.write(pen.text(b" to="), lost.to).text(b" reason=\"");
    pen.end(out);
    end_with_reason(out, |out| out.extend_from_slice(lost.cause.reason().as_bytes()));
}

pub(super) fn pfw(out: &mut Vec<u8>, desk: &mut Desk, line: &PfwLine<'_>) {
    let (pen, stamp, _) = desk.pen();
    let pen = stamp.write(pen, line.time).text(b" [PFW] event=").slice(line.event.name().as_bytes()).byte(b' ');
    let pen = match line.interface {
        Some(interface) => pen.text(b"interface=").slice(interface.text()),
        None => pen,
    };
    pen.text(b"reason=\"").end(out);
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
fn sighting<'a>(pen: Pen<'a>, labels: &Labels, seen: &Sighting<'_>) -> Pen<'a> {
    let pen = pen.word(names::direction(seen.direction)).slice(seen.interface.text());
    let pen = match &seen.packet.net {
        Net::Ip(ip) => ip_packet(pen, labels, ip),
        Net::Arp(arp) => arp_packet(pen, arp),
        Net::Other { ethertype, len } => other_frame(pen, *ethertype, *len),
    };
    vlan(pen, seen.packet)
}

#[inline]
fn ip_packet<'a>(pen: Pen<'a>, labels: &Labels, ip: &Ip) -> Pen<'a> {
    let pen = pen.word(labels.text(ip.protocol));
    let mut pen = match ip.transport {
        Transport::Tcp(tcp) => endpoints(pen, ip, tcp.ports).word(names::tcp_flags(tcp.flags)),
        Transport::Udp(ports) | Transport::Sctp(ports) => endpoints(pen, ip, ports),
        Transport::Icmp(icmp) => icmp_fields(addresses(pen, ip), icmp),
        Transport::TcpRest(_) | Transport::None => addresses(pen, ip),
    };
    if let Some(fragment) = ip.fragment {
        pen = pen.text(b" frag=").decimal(fragment.offset.into());
        if fragment.more {
            pen = pen.byte(b'+');
        }
    }
    pen
}

/// `192.168.1.7:443 > [2001:db8::1]:51512 len=60`, both ends of one family.
#[inline]
fn endpoints<'a>(pen: Pen<'a>, ip: &Ip, ports: Ports) -> Pen<'a> {
    let pen = address_and_colon(pen, ip.src).port_and_arrow(ports.src);
    length(address_and_colon(pen, ip.dst).decimal(ports.dst.into()), ip.len)
}

#[inline]
fn address_and_colon(pen: Pen<'_>, address: IpAddr) -> Pen<'_> {
    match address {
        IpAddr::V4(address) => pen.ipv4_and(address, b':'),
        IpAddr::V6(address) => pen.byte(b'[').ipv6(address).text(b"]:"),
    }
}

/// `192.168.1.7 > 10.0.0.5 len=84`
fn addresses<'a>(pen: Pen<'a>, ip: &Ip) -> Pen<'a> {
    length(pen.address(ip.src).text(b" > ").address(ip.dst), ip.len)
}

#[inline]
fn length(pen: Pen<'_>, len: u32) -> Pen<'_> {
    pen.text(b" len=").decimal(len.into())
}

fn icmp_fields(pen: Pen<'_>, icmp: Icmp) -> Pen<'_> {
    pen.text(b" type=").decimal(icmp.kind.into()).text(b" code=").decimal(icmp.code.into())
}

fn arp_packet<'a>(pen: Pen<'a>, arp: &Arp) -> Pen<'a> {
    let pen = length(pen.text(b"ARP ").ipv4(arp.sender).text(b" > ").ipv4(arp.target), arp.len);
    names::arp_operation(pen.text(b" arp="), arp.operation)
}

fn other_frame(pen: Pen<'_>, ethertype: u16, len: u32) -> Pen<'_> {
    length(names::ethertype(pen, ethertype).text(b" - > -"), len)
}

#[inline]
fn vlan<'a>(pen: Pen<'a>, packet: &Packet) -> Pen<'a> {
    match packet.vlan {
        Some(vlan) => pen.text(b" vlan=").decimal(vlan.into()),
        None => pen,
    }
}
