//! The connections that pfw tracks, gathered page by page; the newest first.

use super::cursor::List;
use crate::control::report::{ConnectionRow, ConnectionsPage};

/// Connections that are gathered at most; of more, some are shown, and it is said of how many.
pub const MAX_ROWS: usize = 10_000;

/// The connections.
#[derive(Debug, Default)]
pub struct Connections {
    /// Those that are here.
    pub list: List<ConnectionRow>,
    total: usize,
    /// The pages of the next picture.
    coming: Vec<ConnectionRow>,
}

impl Connections {
    /// Takes in a page. Where the next one begins, if it is to be asked for.
    pub fn take(&mut self, page: ConnectionsPage, height: usize) -> Option<usize> {
        self.coming.extend(page.rows);
        let next = page.next.filter(|_| self.coming.len() < MAX_ROWS);
        if next.is_none() {
            // pfw's own count has those that have expired and were not noticed yet.
            self.total = if page.next.is_some() { page.total.max(self.coming.len()) } else { self.coming.len() };
            self.show(height);
        }
        next
    }

    /// The next page begins a new picture.
    pub fn begin(&mut self) {
        self.coming.clear();
    }

    /// Shows what was gathered. The selected connection stays selected while it is there.
    fn show(&mut self, height: usize) {
        let selected = self.list.selected().map(identity);
        self.coming.sort_by(|a, b| a.known_for.cmp(&b.known_for).then_with(|| identity(a).cmp(&identity(b))));
        self.coming.truncate(MAX_ROWS);
        self.list.rows = std::mem::take(&mut self.coming);
        let place = selected.and_then(|selected| self.list.rows.iter().position(|row| identity(row) == selected));
        if let Some(place) = place.filter(|_| self.list.cursor.selected > 0) {
            self.list.cursor.selected = place;
        }
        self.list.fit(height);
    }

    /// How many are here, and how many there are.
    pub fn len(&self) -> (usize, usize) {
        (self.list.rows.len(), self.total)
    }
}

/// What tells connections apart.
fn identity(row: &ConnectionRow) -> impl Ord + use<> {
    (row.src, row.src_port, row.dst, row.dst_port, row.protocol.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::Motion;

    fn row(port: u16, known_for: u64) -> ConnectionRow {
        ConnectionRow {
            protocol: "UDP".into(),
            src: "192.0.2.1".parse().unwrap(),
            src_port: Some(port),
            dst: "192.0.2.2".parse().unwrap(),
            dst_port: Some(53),
            direction: "outgoing".into(),
            state: String::new(),
            answered: true,
            known_for,
            expires_in: 30,
            rule: "default_policy".into(),
            allowed: true,
        }
    }

    fn page(ports: std::ops::Range<u16>, next: Option<usize>) -> ConnectionsPage {
        ConnectionsPage { total: 3, next, rows: ports.map(|port| row(port, port.into())).collect() }
    }

    fn ports(connections: &Connections) -> Vec<u16> {
        connections.list.rows.iter().filter_map(|row| row.src_port).collect()
    }

    #[test]
    fn pages_are_shown_together_with_the_newest_first_and_the_selected_one_stays() {
        let mut connections = Connections::default();
        assert_eq!(connections.take(page(5..8, Some(99)), 10), Some(99));
        assert_eq!(connections.len(), (0, 0));
        assert_eq!(connections.take(page(2..4, None), 10), None);
        assert_eq!((ports(&connections), connections.len()), (vec![2, 3, 5, 6, 7], (5, 5)));
        connections.list.go(Motion::Last, 10);
        connections.list.go(Motion::Up, 10);
        connections.begin();
        connections.take(page(6..9, None), 10);
        assert_eq!(connections.list.selected().and_then(|row| row.src_port), Some(6));
    }

    #[test]
    fn no_more_is_gathered_than_can_be_shown() {
        let mut connections = Connections::default();
        let next = (0..20)
            .map(|n| connections.take(page(n * 1_000..(n + 1) * 1_000, Some(1)), 10))
            .take_while(Option::is_some);
        assert_eq!(next.count(), MAX_ROWS / 1_000 - 1);
        assert_eq!(connections.len().0, MAX_ROWS);
    }
}
