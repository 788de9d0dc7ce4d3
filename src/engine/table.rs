//! The address table: what holds for an address, of either family, among any number of networks.

use super::index::Index;
use super::sweep::Interval;
use super::tree::Tree;
use std::net::IpAddr;

/// A table of each family.
#[derive(Debug)]
pub(super) struct AddressTable {
    v4: Index,
    v6: Tree,
}

impl AddressTable {
    /// From disjoint intervals in ascending order.
    pub(super) fn new(v4: &[Interval<u32>], v6: &[Interval<u128>]) -> Self {
        Self { v4: Index::new(v4), v6: Tree::new(v6) }
    }

    /// The value of the interval that holds `address`.
    pub(super) fn get(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.v4.get(address.to_bits()),
            IpAddr::V6(address) => self.v6.get(address.to_bits()),
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sweep;
    use super::*;
    use prefix_trie::PrefixMap;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A test that holds a table of addresses that are `$number`s against an independent trie, which finds all
    /// networks over an address: the table names the one that came first.
    macro_rules! agrees_with_a_trie {
        ($test:ident, $number:ty, $table:ty) => {
            proptest! {
                #[test]
                fn $test(
                    networks in vec((0_u8..4, any::<$number>(), 0..=<$number>::BITS), 0..60),
                    anywhere in any::<$number>(),
                ) {
                    let (mut trie, mut ranges) = (PrefixMap::new(), Vec::new());
                    for (value, (first_byte, rest, prefix)) in (0..).zip(networks) {
                        // Few first bytes, so that the networks overlap.
                        let address = <$number>::from(first_byte) << (<$number>::BITS - 8) | rest >> 8;
                        let open = <$number>::MAX.checked_shr(prefix).unwrap_or(0);
                        ranges.push(Interval { first: address & !open, last: address | open, value });
                        trie.entry((address & !open, u8::try_from(prefix).unwrap())).or_insert(value);
                    }
                    let ends = ranges.iter().flat_map(|range| [range.first, range.last]);
                    let near = |end: $number| [end.wrapping_sub(1), end, end.wrapping_add(1)];
                    let probes: Vec<_> = ends.flat_map(near).chain([anywhere, 0, <$number>::MAX]).collect();
                    let table = <$table>::new(&sweep::lowest(ranges));
                    for address in probes {
                        let over = trie.cover(&(address, u8::try_from(<$number>::BITS).unwrap()));
                        prop_assert_eq!(table.get(address), over.map(|(_, &value)| value).min());
                    }
                }
            }
        };
    }

    agrees_with_a_trie!(the_ipv4_index_names_the_first_network_over_an_address, u32, Index);
    agrees_with_a_trie!(the_ipv6_tree_names_the_first_network_over_an_address, u128, Tree);
}
