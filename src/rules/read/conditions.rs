//! The conditions of a rule: reading each, and what they must not say together.

use super::Reader;
use super::list::Listed;
use super::object::Fields;
use crate::packet::Protocol;
use crate::rules::address::{self, AddressRange, AddressSet};
use crate::rules::diagnostic::quoted;
use crate::rules::exact::{ExactSet, Term};
use crate::rules::icmp::{self, IcmpSet, NumbersAre};
use crate::rules::json::Node;
use crate::rules::limits::MAX_INTERFACE_BYTES;
use crate::rules::model::Condition;
use crate::rules::parsed::Parsed;
use crate::rules::port::{self, PortSet};
use crate::rules::protocol::{self, ProtocolSet};

/// All conditions of a rule but its direction.
pub(super) struct Conditions {
    pub(super) protocol: Field<Condition<ProtocolSet, ProtocolSet>>,
    pub(super) src: Field<Condition<AddressRange, AddressSet>>,
    pub(super) dst: Field<Condition<AddressRange, AddressSet>>,
    pub(super) src_port: Field<Condition<PortSet, PortSet>>,
    pub(super) dst_port: Field<Condition<PortSet, PortSet>>,
    pub(super) icmp_type: Field<Condition<IcmpSet, IcmpSet>>,
    pub(super) interface: Vec<(bool, Box<str>)>,
}

/// A condition while its rule is read.
pub(super) enum Field<C> {
    /// It is not there.
    Missing,
    /// It has errors, which have been told: nothing more is to be said of it.
    Broken,
    Read(C),
}

impl<C> Field<C> {
    fn read(&self) -> Option<&C> {
        if let Self::Read(condition) = self { Some(condition) } else { None }
    }

    pub(super) fn into_option(self) -> Option<C> {
        if let Self::Read(condition) = self { Some(condition) } else { None }
    }
}

impl Reader<'_> {
    pub(super) fn conditions(&mut self, fields: &Fields<'_, '_>) -> Conditions {
        let protocol = self.field(fields, "protocol", protocol::parse);
        let icmpv6 = ProtocolSet::from_iter([Protocol::ICMPV6]);
        let only_v6 = protocol.read().is_some_and(|protocol| protocol.set == icmpv6);
        let numbers = if only_v6 { NumbersAre::V6 } else { NumbersAre::V4 };
        let interface = fields.get("interface").and_then(|node| self.items(&node, interface_name)).unwrap_or_default();
        Conditions {
            protocol,
            src: self.field(fields, "src", address::parse),
            dst: self.field(fields, "dst", address::parse),
            src_port: self.field(fields, "src_port", |text| port::parse(text).map(Parsed::from)),
            dst_port: self.field(fields, "dst_port", |text| port::parse(text).map(Parsed::from)),
            icmp_type: self.field(fields, "icmp_type", |text| icmp::parse(text, numbers).map(Parsed::from)),
            interface: interface.iter().flat_map(|item| self.terms(item)).collect(),
        }
    }

    fn field<T: Listed + Term>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Field<Condition<T, T::Set>> {
        match fields.get(key).map(|node| self.condition(&node, parse)) {
            None => Field::Missing,
            Some(None) => Field::Broken,
            Some(Some(condition)) => Field::Read(condition),
        }
    }

    /// Errors for conditions that no packet can fulfil together, whatever their values.
    pub(super) fn check_together(&mut self, rule: &Node<'_, '_>, fields: &Fields<'_, '_>, conditions: &Conditions) {
        let Conditions { protocol, src, dst, src_port, dst_port, icmp_type, .. } = conditions;
        if let (Some(src), Some(dst)) = (src.read(), dst.read())
            && (src.set.v4.is_empty() || dst.set.v4.is_empty())
            && (src.set.v6.is_empty() || dst.set.v6.is_empty())
            && !(src.set.is_empty() || dst.set.is_empty())
        {
            self.error(rule, "src and dst are of different families: no packet has both");
        }
        if icmp_type.read().is_some() && (src_port.read().is_some() || dst_port.read().is_some()) {
            self.error(rule, "icmp_type and ports in one rule: ICMP has no ports");
        }
        if let (Some(src), Some(dst)) = (src_port.read(), dst_port.read())
            && let (src, dst) = (protocols_of(&src.set), protocols_of(&dst.set))
            && src.intersection(dst).is_empty()
            && !(src.is_empty() || dst.is_empty())
        {
            self.error(rule, format!("src_port is of {src} and dst_port of {dst}: no packet has both"));
        }
        let Some(protocol) = protocol.read() else { return };
        for (key, ports) in [("src_port", src_port), ("dst_port", dst_port)] {
            if let Some(ports) = ports.read() {
                self.check_needs(fields, key, protocols_of(&ports.set), protocol);
            }
        }
        if icmp_type.read().is_some() {
            self.check_needs(fields, "icmp_type", ProtocolSet::icmp(), protocol);
        }
    }

    /// An error if the rule's protocol has nothing of what the condition `key` `needs`.
    fn check_needs(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        needs: ProtocolSet,
        protocol: &Condition<ProtocolSet, ProtocolSet>,
    ) {
        if let Some(node) = fields.get(key)
            && needs.intersection(protocol.set).is_empty()
            && !(needs.is_empty() || protocol.set.is_empty())
        {
            let needs = needs.to_string().replace(", ", " or ");
            self.error(&node, format!("this needs protocol {needs}, and the rule's is {}", protocol.text));
        }
    }

    /// Warns of protocols that another condition of the rule leaves without effect.
    pub(super) fn warn_idle_protocols(&mut self, fields: &Fields<'_, '_>, conditions: &Conditions) {
        let (Some(protocol), Some(node)) = (conditions.protocol.read(), fields.get("protocol")) else { return };
        let (needs, why) = match conditions {
            Conditions { icmp_type: Field::Read(_), .. } => (ProtocolSet::icmp(), "only ICMP has an icmp_type"),
            Conditions { src_port: Field::Read(_), .. } | Conditions { dst_port: Field::Read(_), .. } => {
                (ProtocolSet::with_ports(), "only TCP and UDP have ports")
            }
            _ => return,
        };
        let idle = protocol.set.difference(needs);
        // A negated protocol names none of what is left, so that none of it is idle by mistake.
        if !idle.is_empty() && protocol.terms.iter().any(|(negated, _)| !negated) {
            self.warning(&node, format!("{why}: {idle} is without effect here"));
        }
    }
}

impl Conditions {
    /// Gives the rule the protocol that its ports or ICMP types imply, where it names none.
    pub(super) fn imply_protocol(&mut self) {
        if !matches!(self.protocol, Field::Missing) {
            return;
        }
        let ports = [&self.src_port, &self.dst_port].into_iter().filter_map(Field::read);
        let ports = ports.map(|ports| protocols_of(&ports.set)).reduce(ProtocolSet::intersection);
        let icmp = self.icmp_type.read().map(|_| ProtocolSet::icmp());
        if let Some(set) = icmp.or(ports) {
            self.protocol = Field::Read(Condition { terms: vec![(false, set)], set, text: set.to_string().into() });
        }
    }
}

/// TCP, UDP or both: what the ports are of.
fn protocols_of(ports: &PortSet) -> ProtocolSet {
    let tcp = (!ports.tcp.is_empty()).then_some(Protocol::TCP);
    let udp = (!ports.udp.is_empty()).then_some(Protocol::UDP);
    tcp.into_iter().chain(udp).collect()
}

/// The name of an interface, or the beginning of one and `+` (as `dev_valid_name` of the kernel has it).
fn interface_name(text: &str) -> Result<Parsed<Box<str>>, String> {
    let reason = if text.is_empty() {
        "the name is empty"
    } else if text.len() > MAX_INTERFACE_BYTES {
        "a name has 15 bytes at most"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/' || c == ':') {
        "a name has no white space, control character, '/' or ':'"
    } else if text == "." || text == ".." {
        "the kernel allows no such name"
    } else {
        return Ok(Parsed::from(Box::from(text)));
    };
    Err(format!("{} is not an interface: {reason}", quoted(text)))
}
