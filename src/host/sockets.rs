//! `/proc/net/{tcp,udp}` and their IPv6 twins: which sockets there are, and who is at the other end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The states that are of interest (`net/tcp_states.h`); an unconnected UDP socket is in the last one.
const ESTABLISHED: &str = "01";
const CLOSE: &str = "07";
const LISTEN: &str = "0A";

/// A line of one of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket<'a> {
    local: SocketAddr,
    remote: SocketAddr,
    state: &'a str,
}

/// The sockets in a file; lines that are none are left out.
pub(super) fn sockets(text: &str) -> impl Iterator<Item = Socket<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Socket { local: address(local)?, remote: address(remote)?, state })
    })
}

/// The remote ends of connections that others opened to one of `ports`: those whose port is listened on, too. (One
/// of our own connections may have got such a port for its own end, but then nobody listens there.)
pub(super) fn peers_of(ports: &[u16], tcp: &str) -> Vec<IpAddr> {
    let listening: Vec<u16> =
        sockets(tcp).filter(|socket| socket.state == LISTEN).map(|socket| socket.local.port()).collect();
    let is_server = |port: u16| ports.contains(&port) && listening.contains(&port);
    sockets(tcp)
        .filter(|socket| socket.state == ESTABLISHED && is_server(socket.local.port()))
        .map(|socket| socket.remote.ip())
        .collect()
}

/// Addresses and ports of the sockets on loopback addresses that wait for others: TCP sockets that listen.
pub(super) fn tcp_listeners_on_loopback(tcp: &str) -> Vec<SocketAddr> {
    on_loopback(tcp, LISTEN)
}

/// Addresses and ports of the sockets on loopback addresses that wait for others: UDP sockets that are bound and not
/// connected.
pub(super) fn udp_listeners_on_loopback(udp: &str) -> Vec<SocketAddr> {
    on_loopback(udp, CLOSE)
}

fn on_loopback(text: &str, state: &str) -> Vec<SocketAddr> {
    let waiting = sockets(text).filter(|socket| socket.state == state && socket.local.port() != 0);
    waiting.map(|socket| socket.local).filter(|local| local.ip().is_loopback()).collect()
}

/// `0100007F:0035`: the address as hexadecimal words of the machine's byte order, then the port.
fn address(field: &str) -> Option<SocketAddr> {
    let (address, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(address)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(address.get(8 * place..8 * place + 8)?)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Four bytes of an address, from a word that `/proc` prints as the machine's number.
pub(super) fn word(digits: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 2 1 0 100 0 0 10 0
   2: 0500000A:0016 0701A8C0:D431 01 00000000:00000000 02:000A7214 00000000     0        0 3 2 0 20 4 30 10 -1
   3: 0500000A:C001 0901A8C0:0016 01 00000000:00000000 02:000A7214 00000000     0        0 4 2 0 20 4 30 10 -1
   4: 0500000A:0016 0801A8C0:D432 06 00000000:00000000 02:000A7214 00000000     0        0 5 2 0 20 4 30 10 -1
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000500000A:0016 0000000000000000FFFF00000701A8C0:D431 01 00000000:00000000
   3: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:D431 01 00000000:00000000
";
    const UDP: &str = "\
   0: 3500007F:0035 00000000:0000 07 00000000:00000000
   1: 0100007F:1234 0100007F:0035 01 00000000:00000000
   2: 00000000:0044 00000000:0000 07 00000000:00000000
   3: 0100007F:0000 00000000:0000 07 00000000:00000000
";

    fn ips(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map_while(|ip| ip.parse().ok()).collect()
    }

    #[test]
    fn peers_are_those_that_came_to_us() {
        assert_eq!(peers_of(&[22], TCP), ips(&["192.168.1.7"]));
        assert_eq!(peers_of(&[2222], TCP), ips(&[]));
        // Port 49153 is ours, but nobody listens there: we opened that connection.
        assert_eq!(peers_of(&[0xc001], TCP), ips(&[]));
    }

    #[test]
    fn mapped_addresses_are_given_as_ipv4() {
        assert_eq!(peers_of(&[22], TCP6), ips(&["192.168.1.7", "2001:db8::2"]));
    }

    #[test]
    fn listeners_on_loopback_are_found() {
        assert_eq!(tcp_listeners_on_loopback(TCP), ["127.0.0.53:53".parse().unwrap()]);
        assert_eq!(tcp_listeners_on_loopback(TCP6), ["[::1]:8080".parse().unwrap()]);
        assert_eq!(udp_listeners_on_loopback(UDP), ["127.0.0.53:53".parse().unwrap()]);
    }

    #[test]
    fn lines_that_are_no_sockets_are_left_out() {
        for line in
            ["", "0: x y z", "0: 0100007F 0100007F 0A", "0: 0100007F:10000 0100007F:0 0A", "0: é0100007:0 0:0 0A"]
        {
            assert_eq!(sockets(line).count(), 0, "{line}");
        }
    }
}
