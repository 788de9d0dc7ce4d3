//! Whether a packet that came in gets as far as the rules: the kernel is asked what it would do with it now.
//!
//! The tap sees every packet in front of routing, which discards some without a word: those to a group that nobody here
//! has joined, those from or to an address that can't be at the other end of this interface (`ip_route_input_slow`,
//! `ip6_rcv_core`, `ip6_mc_input`).

use super::ways::question;
use crate::netlink::{Message, Socket};
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
    latest: Option<(Instant, Ends, bool)>,
}

/// Where a packet comes from and goes to, and the index of the interface that it came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Its source.
    pub src: IpAddr,
    /// Its destination.
    pub dst: IpAddr,
    /// The interface.
    pub interface: u32,
}

impl Arrivals {
    /// Whether routing discards a packet. What can't be told does not count as that. Some microseconds' work.
    pub fn are_discarded(&mut self, ends: Ends, now: Instant) -> bool {
        if let Some((at, asked, answer)) = self.latest
            && asked == ends
            && now.duration_since(at) < FRESH
        {
            return answer;
        }
        let answer = self.ask(ends);
        self.latest = Some((now, ends, answer));
        answer
    }

    fn ask(&mut self, ends: Ends) -> bool {
        match (ends.src, ends.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) if is_never_outside(src, dst) => true,
            (_, IpAddr::V6(dst)) if dst.is_multicast() => {
                std::fs::read_to_string(GROUPS).is_ok_and(|groups| !is_joined(&groups, dst, ends.interface))
            }
            _ => self.is_refused(ends),
        }
    }

    /// Whether there is no route for a packet that comes in there.
    fn is_refused(&mut self, ends: Ends) -> bool {
        if self.socket.is_none() {
            self.socket = Socket::open(libc::NETLINK_ROUTE, 0).ok();
        }
        let Some(socket) = &mut self.socket else { return false };
        let request = question(ends.dst, libc::NLM_F_ACK).attribute(IN_INTERFACE, &ends.interface.to_ne_bytes());
        let request = match ends.src {
            IpAddr::V4(src) => request.attribute(SOURCE, &src.octets()),
            IpAddr::V6(src) => request.attribute(SOURCE, &src.octets()),
        };
        is_refusal(&socket.ask(request, &mut |_: Message<'_>| ()))
    }
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
        let ends = Ends { src: src.parse().unwrap(), dst: dst.parse().unwrap(), interface: LOOPBACK };
        Arrivals::default().are_discarded(ends, Instant::now())
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
