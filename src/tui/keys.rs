//! The keys, in one table: what is pressed is looked up in it, and the help is made from it.

use super::state::Pane;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Leave the view.
    Leave,
    /// Stop it for a while, and have the shell back.
    Suspend,
    /// Show the keys.
    Help,
    /// Show a pane.
    Show(Pane),
    /// The next pane.
    NextPane,
    /// The pane before.
    PreviousPane,
    /// Move in a list.
    Move(Motion),
    /// All about the selected line.
    Details,
    /// Everything that somebody should look at.
    Warnings,
    /// Take what was typed back, close what is open.
    Back,
    /// Let the log run, or hold it.
    Follow,
    /// Show only some lines.
    Filter,
    /// Look for lines.
    Search,
    /// The next line that was looked for.
    NextFound,
    /// The one before.
    PreviousFound,
    /// Block the peer of the selected line.
    BlockPeer,
    /// Block the port of the selected line.
    BlockPort,
    /// Allow the peer of the selected line.
    AllowPeer,
    /// Allow the port of the selected line.
    AllowPort,
    /// Block what is typed.
    Block,
    /// Allow what is typed.
    Allow,
    /// Take the selected rule away.
    Remove,
    /// Switch the selected rule on or off.
    Switch,
    /// Block ICMP, or no longer.
    ToggleIcmp,
    /// Take the last change back.
    Undo,
    /// Stop looking at packets, or go on.
    Monitoring,
    /// Take the rules out of the kernel, or put them back.
    Enforcement,
    /// Block everything, or no longer.
    Panic,
    /// Take a ban back.
    Unban,
    /// The next table of talkers.
    NextTable,
    /// The table before.
    PreviousTable,
    /// Read the rules file again.
    Reload,
    /// The rules of `--confirm` may stay.
    Confirm,
}

/// A movement in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Motion {
    /// One up.
    Up,
    /// One down.
    Down,
    /// A screenful up.
    PageUp,
    /// A screenful down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
}

/// Where a key has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever nothing is typed.
    Everywhere,
    /// In each list.
    Lists,
    /// In each list of packets and their ends: all but the rules.
    Ends,
    /// In one pane.
    In(Pane),
}

impl Place {
    /// All places, in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Everywhere,
        Self::Lists,
        Self::Ends,
        Self::In(Pane::Live),
        Self::In(Pane::Rules),
        Self::In(Pane::Talkers),
        Self::In(Pane::Incidents),
    ];

    /// Whether a pane is such a place.
    fn is_in(self, pane: Pane) -> bool {
        match self {
            Self::Everywhere | Self::Lists => true,
            Self::Ends => pane != Pane::Rules,
            Self::In(place) => place == pane,
        }
    }

    /// The heading in the help.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere (what changes the firewall is asked back; y does it)",
            Self::Lists => "In a list (the mouse selects, its wheel scrolls)",
            Self::Ends => "In the log, the talkers, the connections and the incidents",
            Self::In(Pane::Live) => "In the log",
            Self::In(Pane::Rules) => "In the rules",
            Self::In(Pane::Talkers) => "In the talkers",
            Self::In(Pane::Connections) => "In the connections",
            Self::In(Pane::Incidents) => "In the incidents",
        }
    }
}

/// A key, or several with the same meaning.
#[derive(Debug)]
pub struct Binding {
    /// Where.
    pub place: Place,
    /// Which keys.
    keys: &'static [Key],
    /// How they are written in the help.
    pub shown: &'static str,
    /// What they ask for.
    pub command: Command,
    /// That in words.
    pub words: &'static str,
    /// A word or two for the foot of the screen, if it belongs there.
    pub hint: &'static str,
}

/// A key, and whether Ctrl is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(KeyCode, bool);

const fn key(code: KeyCode) -> Key {
    Key(code, false)
}

const fn char(char: char) -> Key {
    Key(KeyCode::Char(char), false)
}

const fn bind(
    place: Place,
    keys: &'static [Key],
    shown: &'static str,
    command: Command,
    hint: &'static str,
    words: &'static str,
) -> Binding {
    Binding { place, keys, shown, command, words, hint }
}

use Command as C;
use Place::{Ends, Everywhere, In, Lists};

/// All keys.
pub static BINDINGS: &[Binding] = &[
    bind(Everywhere, &[char('?'), key(KeyCode::F(1))], "?", C::Help, "help", "these keys"),
    bind(Everywhere, &[char('q'), Key(KeyCode::Char('c'), true)], "q Ctrl-C", C::Leave, "leave", "leave the view"),
    bind(
        Everywhere,
        &[Key(KeyCode::Char('z'), true)],
        "Ctrl-Z",
        C::Suspend,
        "",
        "back to the shell; fg brings the view back (pfw tui alone)",
    ),
    bind(Everywhere, &[char('1')], "1", C::Show(Pane::Live), "", "the chart and the live log"),
    bind(Everywhere, &[char('2')], "2", C::Show(Pane::Rules), "", "the rules in the order in which they act"),
    bind(Everywhere, &[char('3')], "3", C::Show(Pane::Talkers), "", "the busiest peers, ports and protocols"),
    bind(Everywhere, &[char('4')], "4", C::Show(Pane::Connections), "", "the connections that are tracked"),
    bind(Everywhere, &[char('5')], "5", C::Show(Pane::Incidents), "", "what is suspicious, and who is banned for it"),
    bind(Everywhere, &[key(KeyCode::Tab)], "Tab", C::NextPane, "", "the next of these"),
    bind(Everywhere, &[key(KeyCode::BackTab)], "Shift-Tab", C::PreviousPane, "", "the one before"),
    bind(Everywhere, &[key(KeyCode::Esc)], "Esc", C::Back, "", "close what is open; take filter and search away"),
    bind(Everywhere, &[char('+')], "+", C::Block, "block", "block an address, a network, a port or a protocol"),
    bind(Everywhere, &[char('*')], "*", C::Allow, "", "allow one"),
    bind(Everywhere, &[char('i')], "i", C::ToggleIcmp, "ICMP", "block ICMP, or no longer"),
    bind(Everywhere, &[char('u')], "u", C::Undo, "undo", "take the last change back"),
    bind(Everywhere, &[char('m')], "m", C::Monitoring, "", "pause monitoring, or go on"),
    bind(Everywhere, &[char('e')], "e", C::Enforcement, "", "take the rules out of the kernel, or put them back"),
    bind(Everywhere, &[char('P')], "P", C::Panic, "", "block everything but loopback, or no longer"),
    bind(Everywhere, &[char('w')], "w", C::Warnings, "", "all warnings, and what is wrong with the rules file"),
    bind(Everywhere, &[char('R')], "R", C::Reload, "", "read the rules file again"),
    bind(Everywhere, &[char('C')], "C", C::Confirm, "", "the rules of 'run --confirm' may stay; in its window Enter"),
    bind(Lists, &[key(KeyCode::Up), char('k')], "Up k", C::Move(Motion::Up), "", "one up"),
    bind(Lists, &[key(KeyCode::Down), char('j')], "Down j", C::Move(Motion::Down), "", "one down"),
    bind(Lists, &[key(KeyCode::PageUp)], "PgUp", C::Move(Motion::PageUp), "", "a screenful up"),
    bind(Lists, &[key(KeyCode::PageDown)], "PgDn", C::Move(Motion::PageDown), "", "a screenful down"),
    bind(Lists, &[key(KeyCode::Home), char('g')], "Home g", C::Move(Motion::First), "", "to the first"),
    bind(Lists, &[key(KeyCode::End), char('G')], "End G", C::Move(Motion::Last), "", "to the last; the log runs on"),
    bind(Lists, &[key(KeyCode::Enter)], "Enter", C::Details, "details", "all about the selected line"),
    bind(Ends, &[char('b')], "b", C::BlockPeer, "block peer", "block the peer of the selected line"),
    bind(Ends, &[char('B')], "B", C::BlockPort, "", "block its port"),
    bind(Ends, &[char('a')], "a", C::AllowPeer, "", "allow its peer"),
    bind(Ends, &[char('A')], "A", C::AllowPort, "", "allow its port"),
    bind(In(Pane::Live), &[char(' ')], "Space", C::Follow, "hold", "hold the log, or let it run on"),
    bind(In(Pane::Live), &[char('/')], "/", C::Search, "search", "look for lines; words as for the filter"),
    bind(In(Pane::Live), &[char('n')], "n", C::NextFound, "", "the next line that was looked for"),
    bind(In(Pane::Live), &[char('N')], "N", C::PreviousFound, "", "the one before"),
    bind(
        In(Pane::Live),
        &[char('f')],
        "f",
        C::Filter,
        "filter",
        "only lines for which all words are true: blocked in tcp 10.0.0.0/8 :443 rule:web !udp",
    ),
    bind(In(Pane::Rules), &[char(' ')], "Space", C::Switch, "on/off", "switch the selected rule on or off"),
    bind(
        In(Pane::Rules),
        &[char('-'), char('d'), key(KeyCode::Delete)],
        "- d Del",
        C::Remove,
        "remove",
        "take it away",
    ),
    bind(
        In(Pane::Incidents),
        &[char('-'), key(KeyCode::Delete)],
        "- Del",
        C::Unban,
        "unban",
        "take the ban of its source back",
    ),
    bind(In(Pane::Talkers), &[key(KeyCode::Right), char('l')], "Right l", C::NextTable, "table", "the next table"),
    bind(In(Pane::Talkers), &[key(KeyCode::Left), char('h')], "Left h", C::PreviousTable, "", "the table before"),
];

/// What a key asks for in a pane.
pub fn command(pane: Pane, pressed: KeyEvent) -> Option<Command> {
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    let pressed = Key(pressed.code, control);
    BINDINGS
        .iter()
        .filter(|binding| binding.place.is_in(pane))
        .find(|binding| binding.keys.contains(&pressed))
        .map(|binding| binding.command)
}

/// A key and what it does, for the foot of the screen.
pub type Hint = (&'static str, &'static str);

/// Keys for the foot of the screen: those of a pane, its own first, and those that are always named.
pub fn hints(pane: Pane) -> (Vec<Hint>, Vec<Hint>) {
    let named = |binding: &&Binding| !binding.hint.is_empty();
    let is_always = |binding: &&Binding| matches!(binding.command, Command::Help | Command::Leave);
    let hint = |binding: &Binding| (binding.shown.split(' ').next().unwrap_or_default(), binding.hint);
    let places = [In(pane), Ends, Everywhere, Lists].into_iter().filter(|place| place.is_in(pane));
    let of = |place: Place| BINDINGS.iter().filter(move |binding| binding.place == place);
    let own = places.flat_map(of).filter(named).filter(|binding| !is_always(binding)).map(hint).collect();
    (own, BINDINGS.iter().filter(is_always).map(hint).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_pane() {
        for pane in Pane::ALL {
            let mut seen: Vec<Key> = Vec::new();
            let here = BINDINGS.iter().filter(|binding| binding.place.is_in(pane));
            for key in here.flat_map(|binding| binding.keys) {
                assert!(!seen.contains(key), "{key:?} in {pane:?}");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn keys_are_found_where_they_have_a_meaning() {
        let press = |pane, code| command(pane, KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(press(Pane::Live, KeyCode::Char('f')), Some(Command::Filter));
        assert_eq!(press(Pane::Rules, KeyCode::Char('f')), None);
        assert_eq!(press(Pane::Rules, KeyCode::Char('?')), Some(Command::Help));
        assert_eq!(press(Pane::Live, KeyCode::Char('c')), None);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(command(Pane::Live, ctrl_c), Some(Command::Leave));
        // A terminal may say that Shift is held for what only Shift can type.
        let shifted = KeyEvent::new(KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(command(Pane::Live, shifted), Some(Command::PreviousFound));
    }

    #[test]
    fn each_place_of_the_help_has_keys_and_each_key_has_words() {
        for binding in BINDINGS {
            assert!(Place::ALL.contains(&binding.place) && !binding.words.is_empty() && !binding.keys.is_empty());
        }
    }
}
