//! What is odd about a single packet, with its numbers.

use super::Alert;
use std::fmt;

/// Something that a single packet tells: which of the names it is, the number that was found and the one it is held
/// against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Oddity {
    /// What it is.
    pub alert: Alert,
    /// What was found; what it counts depends on the alert.
    pub found: u32,
    /// What it is held against.
    pub bound: u32,
}

impl fmt::Display for Oddity {
    /// A sentence: `no TCP flag is set (flags 0x00)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, bound, .. } = *self;
        match self.alert {
            Alert::TcpFlagsNone => write!(f, "no TCP flag is set (flags {found:#04x}), which no connection knows"),
            Alert::TcpFlagsSynFin => write!(f, "SYN and FIN together (flags {found:#04x}): opens and ends at once"),
            Alert::TcpFlagsSynRst => write!(f, "SYN and RST together (flags {found:#04x}): opens and resets at once"),
            Alert::TcpFlagsXmas => write!(f, "FIN, PSH and URG without ACK (flags {found:#04x}): a Xmas probe"),
            Alert::TcpFlagsAll => write!(f, "all six flags are set (flags {found:#04x})"),
            Alert::IpPortZero => {
                let end = if bound == 0 { "source" } else { "destination" };
                write!(f, "{end} port {found}, which nothing can use")
            }
            Alert::IpLand => f.write_str("source and destination are the same address, and it came from outside"),
            Alert::IpSourceMulticast => f.write_str("the source is a multicast address, which nobody has"),
            Alert::IpSourceBroadcast => f.write_str("the source is the broadcast address, which nobody has"),
            Alert::IpSourceLoopback => f.write_str("a loopback address as source, from outside"),
            Alert::IpSourceUnspecified => f.write_str("the source is the unspecified address"),
            Alert::IpOwnSource => f.write_str("one of this machine's own addresses as source, from outside"),
            Alert::Ipv4SourceRoute => {
                let kind = if bound == 0 { "loose" } else { "strict" };
                write!(f, "{kind} source route of {found} addresses")
            }
            Alert::IpTinyFragment => {
                write!(f, "first fragment with {found} bytes of a transport header of {bound}")
            }
            Alert::IpFragmentInHeader => {
                write!(f, "fragment at offset {found}, inside the TCP header of {bound} bytes")
            }
            Alert::Ipv6ExtensionRepeated => write!(f, "extension header {found} more often than {bound} times"),
            Alert::Ipv6ExtensionOrder => write!(f, "extension header {found} behind extension header {bound}"),
            Alert::Ipv6ExtensionCount => write!(f, "{found} extension headers, at most {bound} make sense"),
            Alert::Ipv6RoutingType0 => write!(f, "routing header of type 0 with {found} segments left"),
            Alert::IcmpRedirect => write!(f, "redirect (code {found}) from who is none of {bound} known gateways"),
            _ => f.write_str(self.alert.entry().trigger),
        }
    }
}
