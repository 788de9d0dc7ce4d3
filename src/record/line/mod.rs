//! The form of every event, as text and as JSON: one event, one line, fixed order.
//!
//! # Text
//!
//! `TIME [WORD] ...`, fields between single spaces. After time and word the order is:
//!
//! - a packet: direction, interface, protocol, `SRC > DST`, `len=`, then what the packet has of `flags=` (TCP: letters
//!   of `FSRPAUEW`, or `none`), `type=` and `code=` (ICMP), `arp=` (`request`, `reply` or a number), `frag=` (offset in
//!   bytes, `+` if more fragments follow), `vlan=` and `uid=` (the user whose socket sent a blocked packet, or was to get
//!   it, where the kernel told), then `rule=` and `reason="..."`;
//! - a `[SUSPICIOUS]` packet: the same with `anomaly=` and `severity=` (`high`, `medium`, `low`) in the place of `rule=`;
//! - `[SUSPICIOUS]` traffic: the packet that made it so, with `alert=`, `severity=`, `incident=` (the number that its
//!   lines share) and `packets=` (those of the incident so far) in the place of `rule=`;
//! - `[LOST] n=COUNT cause=CAUSE from=TIME to=TIME reason="..."`: all events that were lost lie between the times;
//! - `[PFW] event=EVENT [interface=NAME] reason="..."`.
//!
//! `len` is the length of the IP packet, or without IP of all that stands behind the link-layer header. Ports follow
//! the address behind a colon, an IPv6 address with a port stands in brackets, and what is not known is `-`. Frames
//! that carry no IP have the name of their EtherType, or its number (`0x1234`), in the protocol's place.
//!
//! # JSON
//!
//! One object a line, with the names of Suricata's EVE where EVE has the field (`timestamp`, `in_iface`,
//! `event_type`, `vlan`, `src_ip`, `src_port`, `dest_ip`, `dest_port`, `proto`, `icmp_type`, `icmp_code`,
//! `tcp_flags`, `pkt_len`, `arp`, `anomaly`, `alert`), and ours: `direction`, `uid`, `verdict`, `step`, `rule`,
//! `reason`, `fragment`, `severity` (1 to 3, 1 the gravest), `incident`, `packets`, and for `lost` and `pfw` the fields of
//! the text form by the same names. A field that has no value is not there.

mod event;
mod json;
mod names;
#[cfg(test)]
mod tests;
mod text;

pub use event::{
    AlertLine, Anomaly, AnomalyLine, Format, Lost, LostCause, PacketLine, PfwEvent, PfwLine, RuleText, Selection,
    Sighting, Verdict,
};

use super::pen::{Pen, Sheet};
use super::stamp::Stamp;
use jiff::tz::TimeZone;
use names::Labels;

/// Turns events into lines. Each call appends one whole line with its end, and nothing else.
#[derive(Clone, Debug)]
pub struct Formatter {
    format: Format,
    desk: Desk,
}

/// What it takes to write a line, whatever the event is.
#[derive(Clone, Debug)]
struct Desk {
    stamp: Stamp,
    labels: Box<Labels>,
    sheet: Box<Sheet>,
}

impl Formatter {
    /// Lines of this format with times of this zone.
    pub fn new(format: Format, zone: TimeZone) -> Self {
        let (labels, sheet) = (Box::new(Labels::new()), Box::new(Sheet::new()));
        Self { format, desk: Desk { stamp: Stamp::new(format, zone), labels, sheet } }
    }

    /// The format of the lines.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Appends the line of a packet's verdict. `reason` appends why, in plain words; what it writes is escaped.
    #[inline]
    pub fn packet(&mut self, out: &mut Vec<u8>, line: &PacketLine<'_>, reason: impl FnOnce(&mut Vec<u8>)) {
        match self.format {
            Format::Text => text::packet(out, &mut self.desk, line, reason),
            Format::Json => json::packet(out, &mut self.desk, line, reason),
        }
    }

    /// Appends the line of a malformed or odd packet.
    pub fn anomaly(&mut self, out: &mut Vec<u8>, line: &AnomalyLine<'_>) {
        match self.format {
            Format::Text => text::anomaly(out, &mut self.desk, line),
            Format::Json => json::anomaly(out, &mut self.desk, line),
        }
    }

    /// Appends the line of suspicious traffic.
    pub fn alert(&mut self, out: &mut Vec<u8>, line: &AlertLine<'_>) {
        match self.format {
            Format::Text => text::alert(out, &mut self.desk, line),
            Format::Json => json::alert(out, &mut self.desk, line),
        }
    }

    /// Appends the line of events that were not logged. It carries the time of the last of them.
    pub fn lost(&mut self, out: &mut Vec<u8>, lost: &Lost) {
        match self.format {
            Format::Text => text::lost(out, &mut self.desk, lost),
            Format::Json => json::lost(out, &mut self.desk, lost),
        }
    }

    /// Appends a line about pfw itself.
    pub fn pfw(&mut self, out: &mut Vec<u8>, line: &PfwLine<'_>) {
        match self.format {
            Format::Text => text::pfw(out, &mut self.desk, line),
            Format::Json => json::pfw(out, &mut self.desk, line),
        }
    }
}

impl Desk {
    /// A pen on the empty sheet, and what else is on the desk.
    #[inline]
    fn pen(&mut self) -> (Pen<'_>, &mut Stamp, &Labels) {
        (self.sheet.pen(), &mut self.stamp, &self.labels)
    }
}
