//! The table of alerts.

use super::{Kind, Severity};

/// What is known of an alert.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The alert.
    pub alert: Alert,
    /// The name for machines, which stays the same from version to version: `scan.syn`.
    pub name: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// How much traffic it takes to see it.
    pub kind: Kind,
    /// What raises it.
    pub trigger: &'static str,
    /// What it is and why it matters.
    pub meaning: &'static str,
    /// What else causes it.
    pub harmless: &'static str,
    /// The keys of `detect` that change it.
    pub keys: &'static [&'static str],
}

/// Makes [`Alert`] and [`ALERTS`] from rows of `Variant: Severity, Kind, "name", ...;`.
macro_rules! alerts {
    ($($alert:ident: $severity:ident, $kind:ident, $name:literal,
       trigger: $trigger:literal,
       meaning: $meaning:literal,
       harmless: $harmless:literal,
       keys: $keys:expr;)*) => {
        /// Everything suspicious that has a name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Alert {
            $(#[doc = concat!("`", $name, "`")] $alert,)*
        }

        /// Every alert, in the order of their discriminants: first what one packet tells, then what many do.
        pub const ALERTS: &[Entry] = &[$(Alert::$alert.entry(),)*];

        impl Alert {
            /// Its row of the table.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$alert => Entry {
                        alert: self,
                        name: $name,
                        severity: Severity::$severity,
                        kind: Kind::$kind,
                        trigger: $trigger,
                        meaning: $meaning,
                        harmless: $harmless,
                        keys: &$keys,
                    },)*
                }
            }
        }
    };
}

alerts! {
    TcpFlagsNone: Medium, Packet, "tcp.flags_none",
        trigger: "a TCP segment without any of the six flags",
        meaning: "Every segment of a real connection has at least one flag. A host answers one without any with \
            a reset if the port is closed and not at all if it is open: that is how a NULL scan finds open \
            ports behind simple filters.",
        harmless: "Almost nothing; a defective network card or a fuzzer.",
        keys: [];
    TcpFlagsSynFin: Medium, Packet, "tcp.flags_syn_fin",
        trigger: "SYN and FIN in one TCP segment",
        meaning: "No TCP sends a segment that opens and ends a connection. Scanners do, because filters that \
            look for SYN alone let it through while some hosts take it for a SYN.",
        harmless: "Almost nothing; T/TCP (RFC 1644), which nobody uses any more.",
        keys: [];
    TcpFlagsSynRst: Medium, Packet, "tcp.flags_syn_rst",
        trigger: "SYN and RST in one TCP segment",
        meaning: "No TCP sends a segment that opens and resets a connection. It serves to find out how a host or \
            a filter treats nonsense.",
        harmless: "Almost nothing; a defective network card or a fuzzer.",
        keys: [];
    TcpFlagsXmas: Medium, Packet, "tcp.flags_xmas",
        trigger: "FIN, PSH and URG without SYN, RST and ACK in one TCP segment",
        meaning: "A Xmas scan: like a NULL scan it tells closed ports, which answer with a reset, from open \
            ones, which do not, and passes filters that look for SYN.",
        harmless: "Almost nothing; a fuzzer.",
        keys: [];
    TcpFlagsAll: Medium, Packet, "tcp.flags_all",
        trigger: "all six flags in one TCP segment",
        meaning: "A probe that is meant to find out how a host or a filter treats nonsense.",
        harmless: "Almost nothing; a fuzzer.",
        keys: [];
    IpPortZero: Low, Packet, "ip.port_zero",
        trigger: "TCP or SCTP with port 0 at either end, UDP with destination port 0",
        meaning: "Nothing can listen on port 0, so that a packet for it is made by hand: to find out which \
            system answers, or to slip through rules that list ports. (A UDP source port of 0 is legal: it \
            asks for no answer.)",
        harmless: "Defective programs; some tools for measuring networks.",
        keys: [];
    IpLand: High, Packet, "ip.land",
        trigger: "source and destination address are the same, and the packet came from outside",
        meaning: "The LAND attack: some systems answer themselves until they hang. No packet that comes over a \
            wire has the same address at both ends.",
        harmless: "A captured loopback of another machine.",
        keys: [];
    IpSourceMulticast: Medium, Packet, "ip.source_multicast",
        trigger: "a multicast address as source, from outside",
        meaning: "Nobody has such an address, so that the source is forged: answers would go to many hosts.",
        harmless: "Almost nothing; defective devices.",
        keys: [];
    IpSourceBroadcast: Medium, Packet, "ip.source_broadcast",
        trigger: "255.255.255.255 as source, from outside",
        meaning: "Nobody has this address, so that the source is forged: answers would go to all hosts of the \
            network.",
        harmless: "Almost nothing; defective devices.",
        keys: [];
    IpSourceLoopback: High, Packet, "ip.source_loopback",
        trigger: "127.0.0.0/8 or ::1 as source, from outside",
        meaning: "Services that trust the machine itself would take such a packet for its own. It is forged; \
            Linux drops it unless route_localnet is set.",
        harmless: "A defective tunnel or container network.",
        keys: [];
    IpSourceUnspecified: Low, Packet, "ip.source_unspecified",
        trigger: "0.0.0.0 or :: as source, from outside, but for DHCP, IGMP and neighbour discovery",
        meaning: "A host has no address only while it asks for one. With anything else the source was left out \
            on purpose or by defect.",
        harmless: "Devices that start up.",
        keys: [];
    IpOwnSource: High, Packet, "ip.own_source",
        trigger: "an address of this machine as source, from outside",
        meaning: "Either somebody forges it, to use what is trusted to the machine itself, or another machine \
            has the same address.",
        harmless: "A switch or a bridge that sends multicast back to its sender; an address that two machines \
            have.",
        keys: [];
    Ipv4SourceRoute: Medium, Packet, "ipv4.source_route",
        trigger: "an IPv4 loose or strict source route option",
        meaning: "The sender says which way the packet goes, and answers go the same way: with that it can reach \
            hosts that it has no route to, and read answers to forged addresses. Nobody needs it any more \
            (RFC 7126).",
        harmless: "Tests of networks.",
        keys: [];
    IpTinyFragment: Medium, Packet, "ip.tiny_fragment",
        trigger: "a first fragment that ends inside the TCP, UDP or ICMP header",
        meaning: "No network is so narrow that a header needs two packets. It keeps flags or ports from filters \
            that look at single packets (RFC 1858).",
        harmless: "Almost nothing; tests of networks.",
        keys: [];
    IpFragmentInHeader: Medium, Packet, "ip.fragment_in_header",
        trigger: "a later TCP fragment that begins inside the TCP header",
        meaning: "What it carries replaces ports or flags that a filter has let through with the first fragment \
            (RFC 3128).",
        harmless: "Almost nothing; tests of networks.",
        keys: [];
    Ipv6ExtensionRepeated: Medium, Packet, "ipv6.extension_repeated",
        trigger: "an IPv6 extension header that stands more often than RFC 8200 section 4.1 has it",
        meaning: "Each extension header stands once, destination options twice. More of them serve to hide the \
            transport header from filters that look only so far.",
        harmless: "Tests of networks.",
        keys: [];
    Ipv6ExtensionOrder: Low, Packet, "ipv6.extension_order",
        trigger: "IPv6 extension headers in another order than that of RFC 8200 section 4.1",
        meaning: "Hosts take any order, senders use one. Another one serves to confuse filters.",
        harmless: "Unusual systems; tests of networks.",
        keys: [];
    Ipv6ExtensionCount: Medium, Packet, "ipv6.extension_count",
        trigger: "more than eight IPv6 extension headers",
        meaning: "An endless chain of extension headers costs whoever walks it time, and hides the transport \
            header from filters that do not.",
        harmless: "Tests of networks.",
        keys: [];
    Ipv6RoutingType0: High, Packet, "ipv6.routing_type_0",
        trigger: "an IPv6 routing header of type 0",
        meaning: "It lets a packet travel to and fro between two hosts until the link is full, and reach hosts \
            behind others. RFC 5095 forbids it, and hosts drop it.",
        harmless: "Tests of networks.",
        keys: [];
    IcmpRedirect: Medium, Packet, "icmp.redirect",
        trigger: "an ICMP or ICMPv6 redirect, from outside, from an address that is no known gateway",
        meaning: "A redirect tells this machine to send packets another way. From who is no gateway it is an \
            attempt to read or change its traffic.",
        harmless: "A second router in the network that is not the default gateway; in pfw replay any router, unless the \
            capture tells which are gateways.",
        keys: [];
    IpFragmentOverlap: Medium, Traffic, "ip.fragment_overlap",
        trigger: "fragments of one datagram that overlap and are no copies of each other",
        meaning: "What the one says replaces what the other has said, ports and flags for example, and systems \
            differ in which of them counts: that passes filters and detectors (RFC 1858, RFC 3128), and has \
            crashed systems (teardrop). IPv6 forbids it (RFC 5722). Linux drops the whole datagram.",
        harmless: "Almost nothing: a sender that uses the number of a datagram again within half a minute, of \
            which parts were lost.",
        keys: [];
    ScanSyn: Medium, Traffic, "scan.syn",
        trigger: "SYN segments made without an operating system to closed or blocked ports of one host",
        meaning: "Somebody looks for what listens here. A SYN scan asks with segments that a tool makes itself \
            (nmap -sS, masscan), with fewer TCP options than any operating system sends. It is what an \
            attack begins with, and what vulnerability scanners of your own network do.",
        harmless: "Monitoring, vulnerability scanners, a program that tries many ports of a peer.",
        keys: ["scan_ports", "scan_seconds"];
    ScanConnect: Medium, Traffic, "scan.connect",
        trigger: "connections to closed or blocked ports of one host (four times as many of this machine's own)",
        meaning: "Somebody looks for what listens here, by opening connections with the operating system (nmap \
            -sT, nc -z). It is what an attack begins with. With detect.action ban its source is banned once a port \
            was open and the connection was left without a word; if all were closed, nothing tells that the source \
            is not forged, since a refusal needs no answer, and only detect.ban_unverified bans it.",
        harmless: "Monitoring, vulnerability scanners, a program that tries many ports of a peer.",
        keys: ["scan_ports", "scan_seconds"];
    ScanFin: Medium, Traffic, "scan.fin",
        trigger: "TCP segments with FIN alone to several ports of one host",
        meaning: "Somebody looks for open ports with segments that pass filters which look for SYN (nmap -sF): \
            closed ports answer with a reset.",
        harmless: "Almost nothing: a real FIN has an ACK.",
        keys: ["scan_ports", "scan_seconds"];
    ScanNull: Medium, Traffic, "scan.null",
        trigger: "TCP segments without flags to several ports of one host",
        meaning: "Somebody looks for open ports with segments that pass filters which look for SYN (nmap -sN): \
            closed ports answer with a reset.",
        harmless: "Almost nothing.",
        keys: ["scan_ports", "scan_seconds"];
    ScanXmas: Medium, Traffic, "scan.xmas",
        trigger: "TCP segments with FIN, PSH and URG to several ports of one host",
        meaning: "Somebody looks for open ports with segments that pass filters which look for SYN (nmap -sX): \
            closed ports answer with a reset.",
        harmless: "Almost nothing.",
        keys: ["scan_ports", "scan_seconds"];
    ScanAck: Medium, Traffic, "scan.ack",
        trigger: "TCP segments with ACK alone that belong to no connection, to several ports of one host",
        meaning: "Somebody finds out which ports a filter lets through and whether it knows connections (nmap \
            -sA): unfiltered ports answer with a reset.",
        harmless: "Connections that were open before pfw started or that it has forgotten, if they are many and \
            of one peer.",
        keys: ["scan_ports", "scan_seconds"];
    ScanMaimon: Medium, Traffic, "scan.maimon",
        trigger: "TCP segments with FIN and ACK that belong to no connection, to several ports of one host",
        meaning: "Somebody looks for open ports in the way of Uriel Maimon (nmap -sM): some systems answer for \
            closed ports alone.",
        harmless: "A peer that closes many connections which pfw has forgotten.",
        keys: ["scan_ports", "scan_seconds"];
    ScanUdp: Medium, Traffic, "scan.udp",
        trigger: "UDP packets to ports of one host that nothing was sent from, a dozen at most to each (four times \
            as many ports if this machine sends them)",
        meaning: "Somebody looks for UDP services (nmap -sU): closed ports answer with an ICMP error.",
        harmless: "A program that talks to many ports of a peer without an answer; late answers to requests that \
            were not seen.",
        keys: ["scan_ports", "scan_seconds"];
    ScanDistributed: High, Traffic, "scan.distributed",
        trigger: "ports of one host that several sources of one network try together",
        meaning: "A scan that is spread over many addresses, so that none of them stands out.",
        harmless: "A provider behind whose addresses many users are.",
        keys: ["scan_network_ports", "scan_seconds"];
    SweepTcp: Medium, Traffic, "sweep.tcp",
        trigger: "SYN segments of one source to the same port of many hosts, unanswered (four times as many for ports \
            from 1024 up that are no login service)",
        meaning: "Somebody looks for hosts with one service: what worms do, and what comes before an attack on a \
            known hole. If the source is this machine, something on it does.",
        harmless: "Monitoring; file sharing programs, very many of whose peers use the same port.",
        keys: ["sweep_hosts", "sweep_seconds"];
    SweepUdp: Medium, Traffic, "sweep.udp",
        trigger: "UDP packets of one source to the same port of many hosts, unanswered; below 1024, or that of a known \
            service above",
        meaning: "Somebody looks for hosts with one service, often to misuse it as an amplifier. If the source \
            is this machine, something on it does.",
        harmless: "A resolver that asks many servers which do not answer.",
        keys: ["sweep_hosts", "sweep_seconds"];
    SweepIcmp: Low, Traffic, "sweep.icmp",
        trigger: "echo requests of one source to many hosts, unanswered",
        meaning: "Somebody finds out which hosts there are (nmap -sn, fping).",
        harmless: "Monitoring of hosts many of which do not answer.",
        keys: ["sweep_hosts", "sweep_seconds"];
    SweepArp: Low, Traffic, "sweep.arp",
        trigger: "ARP requests of one station for many addresses, unanswered as far as seen",
        meaning: "Somebody in this network finds out which hosts there are (nmap -sn, arp-scan).",
        harmless: "A router that is asked for hosts which do not exist, for example because somebody outside \
            scans the network.",
        keys: ["sweep_hosts", "sweep_seconds"];
    FloodSyn: High, Traffic, "flood.syn",
        trigger: "more SYN segments a second to one port of one host than a threshold",
        meaning: "Somebody opens connections, mostly with forged sources, to fill the table of half-open ones or \
            the machine with work.",
        harmless: "A busy server; a load test.",
        keys: ["flood_packets"];
    FloodUdp: High, Traffic, "flood.udp",
        trigger: "more unsolicited UDP packets a second to one host than a threshold: such as open a flow, are blocked, or are for a \
            port where the host has said that nobody listens",
        meaning: "Somebody fills the link or the machine with packets, often answers of amplifiers to requests \
            with a forged source.",
        harmless: "A busy UDP server.",
        keys: ["flood_packets"];
    FloodIcmp: Medium, Traffic, "flood.icmp",
        trigger: "more ICMP requests or unsolicited ICMP messages a second to one host than a threshold",
        meaning: "Somebody fills the link or the machine with packets (ping -f, smurf).",
        harmless: "A measurement.",
        keys: ["flood_packets"];
    BruteForce: High, Traffic, "brute_force",
        trigger: "many connections of one source to one login service (SSH, FTP, Telnet, SMB, remote desktops; five \
            times as many for mail and databases)",
        meaning: "Somebody tries passwords: each few attempts take a connection of their own.",
        harmless: "Programs that log in anew for each task: backups, deployment, monitoring, mail clients.",
        keys: ["brute_force_attempts", "brute_force_seconds"];
    ArpChanged: Medium, Traffic, "arp.changed",
        trigger: "an address that was seen within twenty minutes has another hardware address now",
        meaning: "Somebody takes over the address of another station to read or change its traffic (ARP \
            spoofing), or two have the same address.",
        harmless: "A device that changes between cable and radio; clusters and routers that hand an address over \
            (VRRP, HSRP).",
        keys: [];
    ArpGateway: High, Traffic, "arp.gateway",
        trigger: "the address of the default gateway has another hardware address now",
        meaning: "Somebody in this network claims to be the gateway, and with that all that goes out goes \
            through him.",
        harmless: "A router that was replaced; two routers that hand an address over (VRRP, HSRP).",
        keys: [];
    NdpChanged: Medium, Traffic, "ndp.changed",
        trigger: "an IPv6 address that was seen within twenty minutes has another hardware address now",
        meaning: "Somebody takes over the address of another station to read or change its traffic (spoofed \
            neighbour discovery, the ARP spoofing of IPv6), or two have the same address.",
        harmless: "A device that changes between cable and radio; clusters and routers that hand an address over \
            (VRRP).",
        keys: [];
    NdpGateway: High, Traffic, "ndp.gateway",
        trigger: "the IPv6 address of a default gateway has another hardware address now",
        meaning: "Somebody in this network claims to be the gateway, by a neighbour or a router advertisement, and \
            with that all that goes out goes through him.",
        harmless: "A router that was replaced; two routers that hand an address over (VRRP).",
        keys: [];
    ArpStorm: Low, Traffic, "arp.gratuitous_storm",
        trigger: "many gratuitous ARP packets of one station",
        meaning: "A station announces its address again and again: tools for ARP spoofing do that to keep caches \
            wrong.",
        harmless: "Clusters; defective devices.",
        keys: ["arp_gratuitous", "arp_seconds"];
    DhcpSecondServer: High, Traffic, "dhcp.second_server",
        trigger: "DHCP answers (IPv4) of a second server, by the server identifier that they carry",
        meaning: "Whoever answers first says which gateway and which resolver the hosts of this network use. A \
            second server is an attack or a router that somebody plugged in.",
        harmless: "Two servers on purpose, one to stand in for the other.",
        keys: [];
    DnsUnsolicited: Medium, Traffic, "dns.unsolicited",
        trigger: "DNS answers that nobody asked for",
        meaning: "Somebody tries to slip a forged answer in, or uses resolvers to flood this machine.",
        harmless: "Answers that come so late that the request is forgotten; requests that were not captured.",
        keys: ["dns_answers", "dns_seconds"];
}
