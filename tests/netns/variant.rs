//! Which iptables `iptables` stands for, in the mount namespace of a case.

use crate::world::sh;

/// Both, by the words in the names of their tools.
pub const BOTH: [&str; 2] = ["nft", "legacy"];

/// Lets `iptables` and its like stand for those of a variant, as `update-alternatives` would. The machine's own stay as they
/// are: what is written to lies over them in this namespace alone, which a folder that was there before would not prove.
pub fn choose(variant: &str) {
    sh(&format!(
        "mountpoint -q /etc/alternatives || {{ mount -t tmpfs tmpfs /mnt && cp -a /etc/alternatives/. /mnt && mount --move /mnt /etc/alternatives; }} && \
         for family in iptables ip6tables; do for verb in '' -save -restore; do \
         ln -sf /usr/sbin/$family-{variant}$verb /etc/alternatives/$family$verb; done; done; \
         iptables --version | grep -q {}",
        if variant == "nft" { "nf_tables" } else { variant }
    ));
}
