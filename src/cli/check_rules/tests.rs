use super::*;
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;

/// Exit, standard output, standard error.
type Ran = (Exit, String, String);

fn ran(path: &Path, flags: &[&str]) -> Ran {
    let flag = |name| flags.contains(&name);
    let args =
        CheckRulesArgs { rules: path.into(), strict: flag("strict"), json: flag("json"), schema: flag("schema") };
    let host = Host { gateways: vec![IpAddr::from([10, 0, 0, 1])], ..Host::default() };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = check(&args, &host, Timestamp::from_parts(1_780_272_000, 0), &mut out, &mut err).unwrap();
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Checks a folder with `rules.json` and `drop.txt`; messages name the file without its folder.
fn checked(text: &str, flags: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.json");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("drop.txt"), "10.1.0.0/16\n10.1.2.3\n10.1.2.3\n2001:db8::/48\n").unwrap();
    let prefix = format!("{}/", folder.path().display());
    let (exit, out, err) = ran(&path, flags);
    (exit, out.replace(&prefix, ""), err.replace(&prefix, ""))
}

#[test]
fn rules_are_printed_in_the_order_in_which_they_act() {
    let (exit, out, err) = checked(
        r#"{ "default_policy": { "in": "deny" }, "allow_protocols": ["udp", "tcp"],
             "block_ips": ["@bad", "!192.0.2.1", { "ip": "198.51.100.1", "enabled": false, "id": "off" }],
             "block_lists": ["drop.txt"], "sets": { "bad": ["192.0.2.0/24", "2001:db8:bad::/48"] },
             "rules": [{ "id": "ssh", "action": "allow", "direction": "in", "dst_port": 22, "expires": "2027-01-01T00:00:00Z",
                         "comment": "from \u202eanywhere" }] }"#,
        &[],
    );
    let wanted = "\
rules.json is valid: 18 rules in the order in which they act, and 1 without effect now

step 1: guards
     1  allow   guard:neighbour-discovery  ICMPv6 133 to 136 with hop limit 255
     2  allow   guard:path-mtu             ICMP fragmentation-needed, ICMPv6 packet-too-big

step 3: block_ips, block_lists
     3  block   block_ips:@bad             192.0.2.0/24, 2001:db8:bad::/48
     4  except  block_ips:not:192.0.2.1    !192.0.2.1
     -  block   off                        198.51.100.1                        [disabled]
     5  block   block_lists:drop.txt       drop.txt: 4 entries (3 distinct): 65,536 IPv4 addresses, 65,536 IPv6 networks of /64

step 4: guards
     6  allow   guard:dhcp                 DHCP and DHCPv6 as a client
     7  allow   guard:multicast-listener   ICMPv6 130 to 132 and 143
     8  allow   guard:igmp                 IGMP

step 7: replies
     9  allow   reply                      replies on connections that were let through
    10  allow   related                    ICMP errors about such connections

step 8: rules
    11  allow   ssh                        in; protocol tcp, udp; dst_port 22  [until 2027-01-01T00:00:00Z] # from \u{fffd}anywhere

step 9: loopback
    12  allow   loopback                   what this machine sends to itself
    13  allow   own-multicast              copies of its own multicast and broadcast

step 10: allow_protocols
    14  allow   allow_protocols:udp        udp
    15  allow   allow_protocols:tcp        tcp
    16  block   allow_protocols            every other protocol

step 11: default_policy
    17  block   default_policy             every other incoming packet
    18  allow   default_policy             every other outgoing packet
";
    assert_eq!(out, wanted);
    assert_eq!(
        err,
        "rules.json:1:21: default_policy: never acts: allow_protocols decides every packet that comes so far\n"
    );
    assert_eq!(exit, Exit::Fine);
}

#[test]
fn errors_go_to_standard_error_and_the_exit_says_a_wrong_file() {
    let (exit, out, err) = checked("{ \"block_ports\": [70000],\n  \"rulez\": [] }", &[]);
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert_eq!(
        err,
        "rules.json:1:19: block_ports[0]: 70000 is not a port (0 to 65535)\n\
         rules.json:2:3: rulez: unknown key; did you mean \"rules\"?\n"
    );
}

#[test]
fn warnings_fail_only_a_strict_check() {
    let text = r#"{ "block_ips": ["10.0.0.0/24"] }"#;
    let (exit, _, err) = checked(text, &[]);
    assert_eq!(
        (exit, err.as_str()),
        (Exit::Fine, "rules.json:1:17: block_ips[0]: blocks 10.0.0.1 (a default gateway)\n")
    );
    assert_eq!(checked(text, &["strict"]).0, Exit::Failed);
    assert_eq!(checked("{}", &["strict"]).0, Exit::Fine);
}

#[test]
fn a_missing_file_is_a_wrong_file() {
    let (exit, _, err) = ran(Path::new("/nonexistent/rules.json"), &[]);
    assert_eq!(
        (exit, err.as_str()),
        (Exit::Usage, "/nonexistent/rules.json: No such file or directory (os error 2)\n")
    );
}

#[test]
fn json_says_the_same_to_programs() {
    let (exit, out, err) =
        checked(r#"{ "block_ips": ["10.0.0.0/24"], "block_lists": ["drop.txt"] }"#, &["json", "strict"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, err.as_str()), (Exit::Failed, ""));
    assert_eq!(report["valid"], true);
    assert_eq!(report["warnings"][0]["path"], "block_ips[0]");
    assert_eq!((&report["warnings"][0]["line"], &report["warnings"][0]["column"]), (&1.into(), &17.into()));
    assert_eq!(report["rules"][2]["id"], "block_ips:10.0.0.0/24");
    assert_eq!((&report["rules"][2]["step"], &report["rules"][2]["number"]), (&3.into(), &3.into()));
    assert_eq!(report["rules"][3]["block_list"]["distinct"], 3);

    let (exit, out, _) = checked(r#"{ "block_ports": [-1] }"#, &["json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &report["valid"]), (Exit::Usage, &false.into()));
    assert_eq!(report["errors"][0]["message"], "-1 is not a port (0 to 65535)");
}

#[test]
fn the_schema_is_printed_without_a_file() {
    let (exit, out, _) = ran(Path::new("/nonexistent"), &["schema"]);
    assert_eq!(exit, Exit::Fine);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}
