//! Whether a packet that came in gets as far as the rules: the kernel is asked what it would do with it now.
//!
//! The tap sees every packet in front of routing, which discards some without a word: those to a group that nobody here
//! has joined, those from or to an address that can't be at the other end of this interface, those for another
//! machine that are not passed on, and those that say themselves which way they are to take (`ip_route_input_slow`,
//! `ip_forward`, `ip_rcv_options`, `ip6_rcv_core`, `ip6_mc_input`, `ip6_forward`).

use super::translation::translates;
use super::ways::{HEADER, NEW_ROUTE, interface, question};
use crate::netlink::{Message, Socket};
use pnet::datalink;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Attributes of the request (`linux/rtnetlink.h`).
const SOURCE: u16 = 2;
const IN_INTERFACE: u16 = 3;

/// Where the groups of IPv6 are told that this machine has joined.
const GROUPS: &str = "/proc/net/igmp6";

/// How long an answer holds for packets of the same ends: they often come in rows.
const FRESH: Duration = Duration::from_millis(100);

/// Asks the kernel about packets.
#[derive(Default)]
pub struct Arrivals {
    socket: Option<Socket>,
    /// The latest answer, when it was given and to what.
    latest: Option<(Instant, Arrival, Option<Discard>)>,
    /// The same for packets that are for another machine.
    latest_on: Option<(Instant, Arrival, Option<Discard>)>,
    /// Whether there are rules that translate, and when they were looked for.
    translates: Option<(Instant, bool)>,
}

/// What routing goes by with a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its source.
    pub src: IpAddr,
    /// Its destination.
    pub dst: IpAddr,
    /// The index of the interface.
    pub interface: u32,
    /// Whether it says itself by which hosts it is to go (RFC 791 section 3.1).
    pub source_routed: bool,
    /// Its time to live, or hop limit.
    pub ttl: u8,
    /// Whether this machine passes packets of its family on.
    pub forwards: bool,
}

impl Arrival {
    /// Whether its addresses or its time to live make it likely that it is not passed on. `owns` tells what comes to this
    /// machine.
    pub fn may_end_here(&self, owns: impl Fn(IpAddr) -> bool) -> bool {
        self.ends_here().is_some() || has_no_sender(self.src, owns) || is_nobody(self.dst)
    }

    /// Why it is not passed on, wherever it is to go.
    fn ends_here(&self) -> Option<Discard> {
        match self.src {
            _ if self.ttl <= 1 => Some(Discard::TimeToLive),
            IpAddr::V6(src) if src.is_unicast_link_local() => Some(Discard::BeyondLink),
            _ => None,
        }
    }
}

/// Why a packet is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// It is for a group.
    NotJoined,
    /// There is no way from or to such an address by that interface.
    NoRoute,
    /// The way leads to another machine, and was not taken: what is passed on came for this station alone, to a machine
    /// that passes packets on.
    ForAnother,
    /// Hardly any machine has senders choose the way.
    SourceRouted,
    /// It is for another machine, if need be once it is translated, and has come as far as it may.
    TimeToLive,
    /// It is for another machine, if need be once it is translated, and its source means nothing there.
    BeyondLink,
}

impl Discard {
    /// What is said of such a packet.
    pub fn reason(self) -> String {
        format!("discarded by the kernel before any rule: {}", self.words())
    }

    /// In words.
    const fn words(self) -> &'static str {
        match self {
            Self::NotJoined => "nobody here has joined that group",
            Self::NoRoute => "no packet comes in by that interface from or to such an address",
            Self::ForAnother => "it is for another machine, and the kernel does not pass it on",
            Self::SourceRouted => "it has a source route, which the kernel does not accept",
            Self::TimeToLive => "it is for another machine, and its time to live ends here",
            Self::BeyondLink => "it is for another machine, and its source is an address of the link that it came by",
        }
    }
}

impl Arrivals {
    /// Why routing discards a packet that is for this machine, as far as its addresses and frame tell; `None` if it does
    /// not, or that can't be told. Some microseconds' work.
    pub fn why_discarded(&mut self, arrival: Arrival, now: Instant) -> Option<Discard> {
        if let Some((at, asked, answer)) = self.latest
            && asked == arrival
            && now.duration_since(at) < FRESH
        {
            return answer;
        }
        let answer = self.ask(arrival);
        self.latest = Some((now, arrival, answer));
        answer
    }

    fn ask(&mut self, arrival: Arrival) -> Option<Discard> {
        let Arrival { src, dst, interface, source_routed, .. } = arrival;
        match (src, dst) {
            _ if source_routed && !accepts_source_routes(interface) => Some(Discard::SourceRouted),
            (IpAddr::V6(src), IpAddr::V6(dst)) if dst.is_multicast() => {
                let is_nobodys =
                    || std::fs::read_to_string(GROUPS).is_ok_and(|groups| !is_joined(&groups, dst, interface));
                (is_never_outside(src, dst) || is_nobodys()).then_some(Discard::NotJoined)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) if is_never_outside(src, dst) => Some(Discard::NoRoute),
            _ => self.refusal(arrival),
        }
    }

    /// Why a packet that was for this machine is not passed on, where translation may have led it away.
    pub fn led_away(&mut self, arrival: Arrival, now: Instant) -> Option<Discard> {
        let why = arrival.ends_here().filter(|_| arrival.forwards && !arrival.dst.is_multicast())?;
        let known = self.translates.filter(|&(at, _)| now.duration_since(at) < FRESH);
        let (_, translates) = *self.translates.insert(known.unwrap_or_else(|| (now, translates(true))));
        translates.then_some(why)
    }

    /// Why a packet that is for another machine is not passed on, where this one passes packets on; `None` if it is, or that
    /// can't be told. It is one that may [end here](Arrival::may_end_here): routing is asked.
    pub fn why_not_passed_on(&mut self, arrival: Arrival, now: Instant) -> Option<Discard> {
        if let Some((at, asked, answer)) = self.latest_on
            && asked == arrival
            && now.duration_since(at) < FRESH
        {
            return answer;
        }
        let answer = match self.way(arrival) {
            // IPv6 has routes to what it never takes from outside.
            _ if matches!((arrival.src, arrival.dst), (IpAddr::V6(src), IpAddr::V6(dst)) if is_never_outside(src, dst)) => {
                Some(Discard::NoRoute)
            }
            Way::Refused => Some(Discard::NoRoute),
            Way::On(_) if arrival.ttl <= 1 => Some(Discard::TimeToLive),
            // What goes back by where it came may have any source.
            Way::On(Some(interface)) if interface != arrival.interface => match arrival.src {
                IpAddr::V6(src) if src.is_unspecified() => Some(Discard::NoRoute),
                _ => arrival.ends_here(),
            },
            Way::On(_) | Way::Here | Way::Unknown => None,
        };
        self.latest_on = Some((now, arrival, answer));
        answer
    }

    /// What the answer of routing is about a packet that comes in there.
    fn refusal(&mut self, arrival: Arrival) -> Option<Discard> {
        match self.way(arrival) {
            Way::On(_) => Some(Discard::ForAnother),
            Way::Refused if arrival.dst.is_multicast() => Some(Discard::NotJoined),
            Way::Refused => Some(Discard::NoRoute),
            Way::Here | Way::Unknown => None,
        }
    }

    /// The way that routing has for a packet that comes in there.
    fn way(&mut self, arrival: Arrival) -> Way {
        if self.socket.is_none() {
            self.socket = Socket::open(libc::NETLINK_ROUTE, 0).ok();
        }
        let Some(socket) = self.socket.as_mut() else { return Way::Unknown };
        let request = question(arrival.dst, libc::NLM_F_ACK).attribute(IN_INTERFACE, &arrival.interface.to_ne_bytes());
        let request = match arrival.src {
            IpAddr::V4(src) => request.attribute(SOURCE, &src.octets()),
            IpAddr::V6(src) => request.attribute(SOURCE, &src.octets()),
        };
        let mut way = Way::Here;
        let answer = socket.ask(request, &mut |message| {
            if is_to_another(&message) {
                way = Way::On(interface(&message));
            }
        });
        match answer {
            Ok(()) => way,
            answer if is_refusal(&answer) => Way::Refused,
            _ => Way::Unknown,
        }
    }
}

/// Where routing has a packet go that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To this machine.
    Here,
    /// To another one, by the interface of that index.
    On(Option<u32>),
    /// Nowhere.
    Refused,
    /// It did not say.
    Unknown,
}

/// Whether routes lead to another machine.
fn is_to_another(message: &Message<'_>) -> bool {
    let route = message.split::<HEADER>().filter(|_| message.kind == NEW_ROUTE);
    route.is_some_and(|(&[_, _, _, _, _, _, _, kind, ..], _)| kind == libc::RTN_UNICAST)
}

/// Whether no other host sends from an address: in IPv4 `owns` tells those of this machine, which it takes from no other.
fn has_no_sender(src: IpAddr, owns: impl Fn(IpAddr) -> bool) -> bool {
    match src {
        IpAddr::V4(v4) => is_nobody(src) || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast() || owns(src),
        IpAddr::V6(_) => is_nobody(src) || src.is_loopback() || src.is_multicast(),
    }
}

/// Whether an address stands for no host yet (RFC 791 section 3.2, RFC 4291 section 2.5.2).
const fn is_nobody(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

/// Whether senders may choose the way of packets that come in there; that must be on for the interface and for all
/// (`ip_rcv_options`).
fn accepts_source_routes(interface: u32) -> bool {
    let accepts = |name: &str| super::is_on(&format!("/proc/sys/net/ipv4/conf/{name}/accept_source_route"));
    let name = || datalink::interfaces().into_iter().find(|one| one.index == interface).map(|one| one.name);
    accepts("all") && name().is_none_or(|name| accepts(&name))
}

/// Whether the answer is that of routing, and no trouble on the way to it.
fn is_refusal(answer: &io::Result<()>) -> bool {
    let refusals = [libc::EINVAL, libc::EXDEV, libc::EHOSTUNREACH, libc::ENETUNREACH];
    answer.as_ref().is_err_and(|error| error.raw_os_error().is_some_and(|number| refusals.contains(&number)))
}

/// What IPv6 takes from no interface but loopback.
fn is_never_outside(src: Ipv6Addr, dst: Ipv6Addr) -> bool {
    // Groups of the interface itself, and of a scope that there is not (RFC 4291 section 2.7).
    let stays = dst.is_multicast() && dst.octets()[1] & 0xf <= 1;
    src.is_loopback() || src.is_multicast() || dst.is_loopback() || stays
}

/// Whether `/proc/net/igmp6` has the group. Its columns: index and name of the interface, group, users, flags, timer.
fn is_joined(groups: &str, group: Ipv6Addr, interface: u32) -> bool {
    let is = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let index = fields.next().and_then(|index| index.parse().ok());
        index == Some(interface) && fields.nth(1).is_some_and(|digits| digits == format!("{:032x}", group.to_bits()))
    };
    groups.lines().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: u32 = 1;

    fn discards(src: &str, dst: &str) -> bool {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        let arrival = Arrival { src, dst, interface: LOOPBACK, source_routed: false, ttl: 64, forwards: false };
        Arrivals::default().why_discarded(arrival, Instant::now()).is_some()
    }

    #[test]
    fn what_has_ends_that_it_cannot_have_or_goes_to_a_group_that_nobody_joined_is_discarded() {
        assert!(discards("224.0.0.1", "127.0.0.1"), "a group sends nothing");
        assert!(discards("::1", "ff05::77:99"));
        assert!(discards("ff02::1", "fe80::1") && discards("2001:db8::1", "ff01::1"));
    }

    #[test]
    fn a_group_is_joined_on_an_interface() {
        let groups = "\
1    lo              ff020000000000000000000000000001     1 0000000C 0
3    eth0            ff0200000000000000000001ff000001     1 00000004 0
";
        let joined = |group: &str, interface| is_joined(groups, group.parse().unwrap(), interface);
        assert!(joined("ff02::1", 1) && joined("ff02::1:ff00:1", 3));
        assert!(!joined("ff02::1", 3) && !joined("ff02::fb", 3) && !joined("ff02::1", 2));
    }

    #[test]
    fn trouble_with_the_question_is_no_answer() {
        let error = |number| Err(io::Error::from_raw_os_error(number));
        assert!(is_refusal(&error(libc::EINVAL)) && is_refusal(&error(libc::EHOSTUNREACH)));
        assert!(!is_refusal(&Ok(())) && !is_refusal(&error(libc::ENOBUFS)) && !is_refusal(&error(libc::EPERM)));
    }
}
