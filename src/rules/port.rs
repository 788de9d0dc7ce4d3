//! Ports in rules: TCP and UDP ports, told apart.

use super::diagnostic::{quoted, shown};
use super::ranges::Ranges;
use std::fmt;

/// A set of TCP and UDP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet {
    /// TCP ports.
    pub tcp: Ranges<u16>,
    /// UDP ports.
    pub udp: Ranges<u16>,
}

/// Reads `22`, `22/tcp`, `20-25` or `20-25/udp`; without a protocol it is both.
pub(super) fn parse(text: &str) -> Result<PortSet, String> {
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol)),
        None => (text, None),
    };
    let ports = Ranges::from_ranges([bounds(ports)?]);
    match protocol.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(PortSet { tcp: ports.clone(), udp: ports }),
        Some("tcp") => Ok(PortSet { tcp: ports, udp: Ranges::default() }),
        Some("udp") => Ok(PortSet { tcp: Ranges::default(), udp: ports }),
        Some(other) => Err(format!("{} is not a protocol with ports: tcp or udp", quoted(other))),
    }
}

/// First and last port of `20-25` or `22`.
fn bounds(text: &str) -> Result<(u16, u16), String> {
    let Some((first, last)) = text.split_once('-').filter(|(first, _)| !first.is_empty()) else {
        let port = number(text)?;
        return Ok((port, port));
    };
    match (number(first)?, number(last)?) {
        (first, last) if first <= last => Ok((first, last)),
        (first, last) => Err(format!("the range {first}-{last} ends before it begins; write {last}-{first}")),
    }
}

fn number(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u16>().ok().filter(|_| digits);
    match number {
        Some(port) if text.len() > 1 && text.starts_with('0') => Err(format!("{text} has leading zeros; write {port}")),
        Some(port) => Ok(port),
        None if digits || text.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok()) => {
            Err(format!("{} is not a port (0 to 65535)", shown(text)))
        }
        None if text.parse::<f64>().is_ok() => Err(format!("{} is not a port: a whole number is needed", shown(text))),
        None => Err(format!("{} is not a port; write 22, \"22/tcp\" or \"20-25/udp\"", quoted(text))),
    }
}

impl fmt::Display for PortSet {
    /// The ports as the rules file spells them: `22`, `20-25/udp`; several stand behind each other with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = self.tcp.intersection(&self.udp);
        let parts = [("", &both), ("/tcp", &self.tcp.difference(&both)), ("/udp", &self.udp.difference(&both))];
        let mut separator = "";
        for (suffix, ports) in parts {
            for (first, last) in ports.iter() {
                write!(f, "{separator}{first}")?;
                if last > first {
                    write!(f, "-{last}")?;
                }
                f.write_str(suffix)?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_and_prints_alike() {
        for text in ["0", "22", "65535", "20-25", "22/tcp", "20-25/udp"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("7-7/UDP").unwrap().to_string(), "7/udp");
        let tcp = parse("22/tcp").unwrap();
        assert!(tcp.tcp.contains(22) && tcp.udp.is_empty());
    }

    #[test]
    fn what_is_no_port_is_refused_with_its_reason() {
        for (text, reason) in [
            ("70000", "70000 is not a port (0 to 65535)"),
            ("-1", "-1 is not a port (0 to 65535)"),
            ("80.0", "80.0 is not a port: a whole number is needed"),
            ("022", "022 has leading zeros; write 22"),
            ("25-20", "the range 25-20 ends before it begins; write 20-25"),
            ("22/sctp", "\"sctp\" is not a protocol with ports: tcp or udp"),
            ("", "\"\" is not a port; write 22, \"22/tcp\" or \"20-25/udp\""),
            ("+22", "+22 is not a port: a whole number is needed"),
            ("22 ", "\"22 \" is not a port; write 22, \"22/tcp\" or \"20-25/udp\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason);
        }
        assert!(parse("20-").is_err());
        assert!(parse("1-2-3").is_err());
    }
}
