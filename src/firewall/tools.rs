//! The programs that speak to the kernel: where they are, and which kind.

use super::error::Error;
use super::family::Family;
use super::kernel;
use super::process::Invocation;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for: never in what the environment says.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Which iptables is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The one that `iptables` stands for on this machine.
    #[default]
    Usual,
    /// The one on top of nftables.
    Nft,
    /// The one with tables of its own.
    Legacy,
}

/// Whose tables the rules are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `nf_tables`: iptables-nft.
    NfTables,
    /// `ip_tables` and `ip6_tables`: iptables-legacy. Its matches for TCP and UDP drop what has no whole header of these,
    /// and tell nobody (`hotdrop`, `net/netfilter/xt_tcpudp.c`).
    IpTables,
}

/// The first version of iptables-nft that compares ports and flags by `nf_tables`' own expressions.
const OWN_MATCHES: [u32; 3] = [1, 8, 8];

/// The programs of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tables {
    restore: PathBuf,
    save: PathBuf,
}

/// The programs, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    variant: Variant,
    version: String,
    v4: Tables,
    v6: Option<Tables>,
    ipset: Option<PathBuf>,
}

impl Variant {
    /// The word for it in names of programs, and in the guardian's arguments.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Nft => "-nft",
            Self::Legacy => "-legacy",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Usual, Self::Nft, Self::Legacy].into_iter().find(|variant| variant.word() == word)
    }
}

impl Tables {
    /// The programs of a variant, by family.
    fn of(variant: Variant) -> Result<(Self, Option<Self>), Error> {
        let mut missing = Vec::new();
        let mut tables = |family: Family| {
            let mut program = |verb: &str| {
                let name = format!("{}{}-{verb}", family.tool(), variant.word());
                find(&name).unwrap_or_else(|| {
                    missing.push(name);
                    PathBuf::new()
                })
            };
            Self { restore: program("restore"), save: program("save") }
        };
        let v4 = tables(Family::V4);
        let v6 = Path::new("/proc/net/if_inet6").exists().then(|| tables(Family::V6));
        if missing.is_empty() { Ok((v4, v6)) } else { Err(Error::Missing(missing)) }
    }

    /// Whether they are the same files, by whatever names.
    fn are_same(&self, other: &Self) -> bool {
        let same = |one: &Path, other: &Path| {
            one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
        };
        same(&self.restore, &other.restore) && same(&self.save, &other.save)
    }
}

impl Tools {
    /// Finds the programs of a variant. IPv6's are needed if the kernel speaks IPv6, ipset by plans with sets.
    ///
    /// What the usual ones stand for now they go on to stand for: they are called by names that nobody leads elsewhere
    /// (`update-alternatives`), where they have such.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] with the names of all that are missing; [`Error::Command`] if iptables does not run.
    pub fn find(variant: Variant) -> Result<Self, Error> {
        let (v4, v6) = Tables::of(variant)?;
        let version = Invocation { program: &v4.restore, args: &["--version"], input: "" }.run()?;
        let found = Self { variant, version: version.trim().to_owned(), v4, v6, ipset: find("ipset") };
        Ok(if variant == Variant::Usual { found.by_own_names() } else { found })
    }

    /// The same programs by the names of their variant, which stay theirs.
    fn by_own_names(self) -> Self {
        let variant = if self.is_legacy() { Variant::Legacy } else { Variant::Nft };
        match Tables::of(variant) {
            Ok((v4, v6)) if v4.are_same(&self.v4) && are_same(v6.as_ref(), self.v6.as_ref()) => {
                Self { variant, v4, v6, ..self }
            }
            _ => self,
        }
    }

    /// All variants that have tables in the kernel now, or could have: asking legacy makes its tables, so it is asked
    /// only where they are already.
    pub(super) fn all_in_use() -> Result<Vec<Self>, Error> {
        let usual = Self::find(Variant::Usual)?;
        let legacy_tables = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
        let has_legacy =
            legacy_tables.iter().any(|path| std::fs::read_to_string(path).is_ok_and(|names| !names.trim().is_empty()));
        let others = [(Variant::Nft, usual.is_legacy()), (Variant::Legacy, !usual.is_legacy() && has_legacy)];
        let mut all = vec![usual];
        for (variant, _) in others.into_iter().filter(|&(_, ask)| ask) {
            match Self::find(variant) {
                Ok(tools) => all.push(tools),
                // Whoever uses it has it; the tables are another's, or empty.
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Some of that version, which are nowhere.
    #[cfg(test)]
    pub(super) fn named(version: &str) -> Self {
        let nowhere = Tables { restore: PathBuf::new(), save: PathBuf::new() };
        let version = version.to_owned();
        Self { variant: Variant::Usual, version, v4: nowhere.clone(), v6: Some(nowhere), ipset: None }
    }

    /// The variant: the usual one only where its programs have no other names.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Whose tables they write.
    pub fn backend(&self) -> Backend {
        let is_nft = self.version.contains("nf_tables") && !self.version.contains("legacy");
        if is_nft { Backend::NfTables } else { Backend::IpTables }
    }

    /// Whose matches their rules are made of: before 1.8.8 iptables-nft has those of `ip_tables` for TCP and UDP.
    pub fn matches(&self) -> Backend {
        if self.number().is_some_and(|number| number < OWN_MATCHES) { Backend::IpTables } else { self.backend() }
    }

    /// The number of the version, as in `iptables-restore v1.8.9 (nf_tables)`.
    fn number(&self) -> Option<[u32; 3]> {
        let number = self.version.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
        let mut parts = number.split('.').map(str::parse);
        let mut next = || parts.next()?.ok();
        Some([next()?, next()?, next()?])
    }

    /// Whether these are the tools with tables of their own.
    pub fn is_legacy(&self) -> bool {
        self.backend() == Backend::IpTables
    }

    /// Whether the kernel has a raw table for every family. `nf_tables` make it, legacy has a module for it, which this
    /// loads.
    pub fn have_raw(&self) -> bool {
        let has = |family| Invocation { program: self.save(family), args: &["-t", "raw"], input: "" }.run().is_ok();
        !self.is_legacy() || self.families().all(has)
    }

    /// Whether the kernel runs BPF programs for rules of IPv6 (`xt_bpf`), where it speaks that. Legacy does not ask it.
    pub fn have_bpf(&self) -> bool {
        const NO_PACKET: &str = "*filter\n:PFW-PROBE - [0:0]\n-A PFW-PROBE -m bpf --bytecode \"1,6 0 0 0\"\nCOMMIT\n";
        self.v6.is_none() || kernel::test(self, Family::V6, NO_PACKET).is_ok()
    }

    /// The families that the kernel speaks, in the order in which they are changed.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> + use<> {
        let v6 = self.v6.is_some();
        Family::BOTH.into_iter().filter(move |&family| family == Family::V4 || v6)
    }

    pub(super) fn restore(&self, family: Family) -> &Path {
        &self.tables(family).restore
    }

    pub(super) fn save(&self, family: Family) -> &Path {
        &self.tables(family).save
    }

    pub(super) fn ipset(&self) -> Option<&Path> {
        self.ipset.as_deref()
    }

    fn tables(&self, family: Family) -> &Tables {
        match (family, &self.v6) {
            (Family::V6, Some(v6)) => v6,
            _ => &self.v4,
        }
    }
}

/// As the tools name themselves: `iptables v1.8.9 (nf_tables)`.
impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iptables {}", self.version.strip_prefix("iptables-restore").map_or(&*self.version, str::trim_start))
    }
}

fn are_same(one: Option<&Tables>, other: Option<&Tables>) -> bool {
    one.zip(other).map_or(one.is_none() && other.is_none(), |(one, other)| one.are_same(other))
}

/// A program that only its owner can have changed.
fn find(name: &str) -> Option<PathBuf> {
    let trusted = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|data| {
            data.is_file() && data.permissions().mode() & 0o111 != 0 && data.permissions().mode() & 0o022 == 0
        })
    };
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(trusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_iptables_nft_has_the_matches_of_the_other() {
        for (version, backend, matches) in [
            ("iptables-restore v1.8.9 (nf_tables)", Backend::NfTables, Backend::NfTables),
            ("iptables-restore v1.8.7 (nf_tables)", Backend::NfTables, Backend::IpTables),
            ("iptables-restore v1.8.11 (nf_tables)", Backend::NfTables, Backend::NfTables),
            ("iptables-restore v1.8.9 (legacy)", Backend::IpTables, Backend::IpTables),
            ("iptables-restore v1.6.1", Backend::IpTables, Backend::IpTables),
        ] {
            let tools = Tools::named(version);
            assert_eq!((tools.backend(), tools.matches()), (backend, matches), "{version}");
        }
    }
}
