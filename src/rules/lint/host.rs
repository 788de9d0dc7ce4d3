//! Entries that touch this machine itself: its addresses, its way out, its resolvers, what it does on loopback.

use super::Active;
use crate::host::Host;
use crate::rules::address::{AddressRange, AddressSet};
use crate::rules::diagnostic::Finding;
use crate::rules::exact::ExactSet;
use crate::rules::model::BlockList;
use crate::rules::port::PortSet;
use crate::rules::ranges::Ranges;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn lint(active: &Active<'_>, machine: &Host, findings: &mut Vec<Finding>) {
    let places = Places::of(machine);
    block_ips(active, &places, findings);
    block_ports(active, machine, findings);
    for (index, list) in &active.block_lists {
        block_list(*index, list, active, &places, findings);
    }
}

/// The addresses that this machine can't do without, each with what it is.
struct Places {
    named: Vec<(AddressRange, String)>,
    /// The networks that it is in.
    networks: Vec<AddressRange>,
    /// All of them.
    set: AddressSet,
}

impl Places {
    fn of(machine: &Host) -> Self {
        let loopback = [
            AddressRange::V4 { first: Ipv4Addr::new(127, 0, 0, 0), last: Ipv4Addr::new(127, 255, 255, 255) },
            AddressRange::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        let mut named: Vec<_> = loopback.iter().map(|range| (*range, format!("{range} (loopback)"))).collect();
        let addresses: Vec<_> = machine.addresses.iter().map(|&(address, _)| address).collect();
        for (addresses, what) in [
            (&addresses, "an address of this machine"),
            (&machine.gateways, "a default gateway"),
            (&machine.resolvers, "a DNS resolver"),
            (&machine.ssh_peers, "the other end of an open SSH session"),
        ] {
            let outside = addresses.iter().filter(|address| !address.is_loopback());
            named.extend(outside.map(|&address| (AddressRange::from(address), format!("{address} ({what})"))));
        }
        let outside = machine.addresses.iter().filter(|(address, _)| !address.is_loopback());
        let mut networks: Vec<_> = outside.filter_map(|&(address, length)| connected(address, length)).collect();
        networks.sort_unstable();
        networks.dedup();
        let set = named.iter().map(|(range, _)| range).chain(&networks).collect();
        Self { named, networks, set }
    }

    /// Those that are in `set`, at least in part, in words; three of them, and how many more.
    fn within(&self, set: &AddressSet) -> Option<String> {
        let within = self.named.iter().filter(|(range, _)| set.overlaps(range)).map(|(_, words)| words.as_str());
        listed(&within.collect::<Vec<_>>())
    }
}

/// The network of an own address, unless it is that address alone.
fn connected(address: IpAddr, length: u8) -> Option<AddressRange> {
    let network = ipnetwork::IpNetwork::new(address, length).ok()?;
    let range = match network {
        ipnetwork::IpNetwork::V4(network) => AddressRange::from(network),
        ipnetwork::IpNetwork::V6(network) => AddressRange::from(network),
    };
    (range.first() != range.last()).then_some(range)
}

/// The first three, and how many more there are.
fn listed(words: &[&str]) -> Option<String> {
    const SHOWN: usize = 3;
    let shown = words.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match words.len() {
        0 => None,
        count if count > SHOWN => Some(format!("{shown} and {} more", count - SHOWN)),
        _ => Some(shown),
    }
}

fn block_ips(active: &Active<'_>, places: &Places, findings: &mut Vec<Finding>) {
    let list = &active.block_ips;
    let tell = |set: &AddressSet| {
        let acting = set.intersection(&list.meaning).difference(&active.allow_ips.meaning);
        places.within(&acting).map(|what| format!("blocks {what}"))
    };
    if list.only_negated() {
        let first = list.active.first();
        findings.extend(first.and_then(|first| Some(list.finding(first, tell(&list.meaning)?))));
        return;
    }
    for element in &list.active {
        // Of a long list hardly any entry touches the machine: those that don't cost one look.
        if element.entries.iter().any(|entry| places.set.overlaps(&entry.value))
            && let Some(message) = tell(&element.positive())
        {
            findings.push(list.finding(element, message));
        }
    }
}

/// Listed ports that something on loopback uses, or that the kernel takes for connections of its own.
fn block_ports(active: &Active<'_>, machine: &Host, findings: &mut Vec<Finding>) {
    let list = &active.block_ports;
    let of_protocol =
        |ports: &PortSet, protocol: &str| if protocol == "tcp" { ports.tcp.clone() } else { ports.udp.clone() };
    let whole = list.only_negated().then_some(&list.meaning);
    let elements = list.active.iter().take(if whole.is_some() { 1 } else { usize::MAX });
    for element in elements {
        let acting = whole.unwrap_or(&element.positive()).intersection(&list.meaning);
        let used = machine.loopback_listeners.iter();
        let used = used.filter(|(protocol, socket)| of_protocol(&acting, protocol).contains(socket.port()));
        let used: Vec<_> = used.map(|(protocol, socket)| format!("{socket} ({protocol})")).collect();
        if let Some(used) = listed(&used.iter().map(String::as_str).collect::<Vec<_>>()) {
            findings
                .push(list.finding(element, format!("in use on this machine, {used}: the block acts on loopback too")));
        }
        if let Some((first, last)) = machine.ephemeral_ports {
            let own = Ranges::from_ranges([(first, last)]);
            if !acting.tcp.intersection(&own).is_empty() || !acting.udp.intersection(&own).is_empty() {
                let range = format!("{first}-{last}");
                let message =
                    format!("within {range}, which this machine takes for its own connections: some of them will fail");
                findings.push(list.finding(element, message));
            }
        }
    }
}

/// What a block list would take from this machine: its own places are spared, connected networks are not.
fn block_list(index: usize, list: &BlockList, active: &Active<'_>, places: &Places, findings: &mut Vec<Finding>) {
    let near: AddressSet = list.networks.iter().filter(|range| places.set.overlaps(range)).collect();
    let near = near.difference(&active.allow_ips.meaning);
    let mut tell = |message: String| findings.push(Finding::new(list.offset, format!("block_lists[{index}]"), message));
    if let Some(spared) = places.within(&near) {
        tell(format!("lists {spared}: spared, a block list never acts there"));
    }
    let networks: Vec<_> =
        places.networks.iter().filter(|network| near.covers(network)).map(ToString::to_string).collect();
    if let Some(networks) = listed(&networks.iter().map(String::as_str).collect::<Vec<_>>()) {
        tell(format!("covers {networks}, to which this machine is connected directly"));
    }
}
