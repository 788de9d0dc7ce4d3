//! Connections that are open when rules come into force keep working if the rules would have let them be opened: the
//! kernel's connection tracking and the engine's are told of them, and who opened each.

use crate::conntrack::{self, Entered};
use crate::host;
use crate::host::connections::{self, Connection, Connections, MAX_CONNECTIONS};

/// Connections that the engine is to know because the kernel does.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// They.
    pub connections: Vec<Connection>,
    /// The kernel knows no others: it begins to track with these.
    pub are_all: bool,
}

/// The connections that are open now. What keeps them from being read, or some of them, is said.
pub fn open_connections(say: &mut dyn FnMut(&str)) -> Connections {
    match connections::read(host::ephemeral_ports()) {
        Ok(connections) => {
            if connections.left_out > 0 {
                let others = connections.left_out;
                say(&format!(
                    "of the open connections {others} are not looked at: there are more than {MAX_CONNECTIONS}"
                ));
            }
            connections
        }
        Err(error) => {
            say(&format!("cannot read which connections are open ({error}): those that need it may be cut"));
            Connections::default()
        }
    }
}

/// Tells the kernel of the connections that are open. What goes wrong is said, and keeps nothing from going on; that
/// they can't be read has been said when they were held against the rules.
pub fn seed_kernel(say: &mut dyn FnMut(&str)) -> Seeds {
    let connections = open_connections(&mut |_| ()).open;
    let are_all = match conntrack::enter(&connections) {
        Ok(entered) => {
            if let Some(words) = what_was_refused(&entered) {
                say(&words);
            }
            !entered.was_tracking
        }
        Err(error) => {
            say(&format!(
                "cannot tell connection tracking which connections are open ({error}): replies of theirs may be blocked"
            ));
            false
        }
    };
    Seeds { connections, are_all }
}

fn what_was_refused(entered: &Entered) -> Option<String> {
    let why = entered.refusal.as_ref()?;
    let n = entered.refused;
    Some(format!("connection tracking refused {n} of the open connections ({why}): replies of theirs may be blocked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_said_with_the_reason() {
        assert_eq!(what_was_refused(&Entered::default()), None);
        let refusal = Some(std::io::Error::from_raw_os_error(libc::ENOMEM));
        let entered = Entered { refused: 2, refusal, ..Entered::default() };
        let words = what_was_refused(&entered).unwrap();
        assert!(words.contains("refused 2 of the open connections (Cannot allocate memory"), "{words}");
    }
}
