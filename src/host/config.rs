//! What configuration files say: resolvers (`resolv.conf(5)`), the ports of the SSH server (`sshd_config(5)`).

use std::net::{IpAddr, SocketAddr};

/// The port that sshd has when its configuration names none.
pub(super) const SSH_PORT: u16 = 22;

/// The addresses behind `nameserver`, without zones.
pub(super) fn nameservers(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|&word| word == "nameserver").and_then(|_| words.next())?;
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(address).collect()
}

/// Whether systemd's stub stands between programs and the real resolvers, which another file names.
pub(super) fn is_systemd_stub(resolver: &IpAddr) -> bool {
    matches!(resolver, IpAddr::V4(v4) if matches!(v4.octets(), [127, 0, 0, 53 | 54]))
}

/// The ports that an sshd configuration names, by `Port` and `ListenAddress`.
pub(super) fn ssh_ports(text: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=').filter(|word| !word.is_empty());
        let (keyword, value) = (words.next()?, words.next()?);
        match keyword.to_ascii_lowercase().as_str() {
            "port" => value.parse().ok(),
            "listenaddress" => {
                let (host, port) = value.rsplit_once(':')?;
                // A bare IPv6 address has colons, too, and no port.
                (host.ends_with(']') || !host.contains(':')).then(|| port.parse().ok()).flatten()
            }
            _ => None,
        }
    };
    text.lines().filter_map(port).collect()
}

/// The ends in `SSH_CONNECTION` (`ssh(1)`), the client's first, without zones.
pub(super) fn ssh_ends(variable: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = variable.split_ascii_whitespace();
    let mut end = || {
        let address = words.next()?.split('%').next()?.parse::<IpAddr>().ok()?;
        Some(SocketAddr::new(address.to_canonical(), words.next()?.parse().ok()?))
    };
    Some((end()?, end()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_read_with_their_zones_cut_off() {
        let text = "# nameserver 192.0.2.1\n; x\nsearch example.org\nnameserver 192.0.2.53\n nameserver\tfe80::1%eth0 \nnameserver x\nnameserver\noptions edns0\n";
        assert_eq!(nameservers(text), ["192.0.2.53", "fe80::1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn systemds_stub_is_known() {
        for (address, expected) in [("127.0.0.53", true), ("127.0.0.54", true), ("127.0.0.1", false), ("::1", false)] {
            assert_eq!(is_systemd_stub(&address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn ports_of_sshd_are_read() {
        let text = "#Port 1\nPort 2222\nport=2200\nListenAddress 0.0.0.0:2201\nListenAddress [::]:2202\nListenAddress ::1\nListenAddress 10.0.0.1\nPort x\nPort\nPermitRootLogin no\n";
        assert_eq!(ssh_ports(text), [2222, 2200, 2201, 2202]);
    }

    #[test]
    fn the_variable_of_a_session_names_its_ends() {
        let ends = |client: &str, server: &str| Some((client.parse().unwrap(), server.parse().unwrap()));
        assert_eq!(ssh_ends("192.0.2.7 51512 10.0.0.5 22"), ends("192.0.2.7:51512", "10.0.0.5:22"));
        assert_eq!(ssh_ends("fe80::7%eth0 51512 fe80::1%eth0 22"), ends("[fe80::7]:51512", "[fe80::1]:22"));
        assert_eq!(ssh_ends("::ffff:192.0.2.7 51512 ::ffff:10.0.0.5 22"), ends("192.0.2.7:51512", "10.0.0.5:22"));
        for text in ["", "x y", "192.0.2.7", "192.0.2.7 51512 10.0.0.5", "192.0.2.7 x 10.0.0.5 22"] {
            assert_eq!(ssh_ends(text), None, "{text}");
        }
    }
}
