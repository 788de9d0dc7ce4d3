//! Sets of rules as rows of bits, and the first rule that several rows have in common.
//!
//! A row is cut into blocks of 512 rules; equal blocks are stored once, and the empty one has number 0. So the many
//! rows of a large rule set are small (they differ in few places), and stretches of rules that one row excludes
//! altogether cost one comparison.

use std::collections::HashMap;

/// 512 rules: a cache line.
type Block = [u64; 8];
/// Rules in a block.
const BLOCK: usize = 512;
/// The block without any rule...
const NO_RULE: Block = [0; 8];
/// ...and its number.
const EMPTY: u32 = 0;

/// All blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
}

/// While they are collected: each block's number.
#[derive(Debug)]
pub(super) struct BlockStore {
    blocks: Vec<Block>,
    numbers: HashMap<Block, u32, foldhash::fast::RandomState>,
}

/// A set of rules, as the numbers of its blocks.
pub(super) type Row = [u32];

impl BlockStore {
    pub(super) fn new() -> Self {
        Self { blocks: vec![NO_RULE], numbers: HashMap::from_iter([(NO_RULE, EMPTY)]) }
    }

    /// The number of `block`.
    pub(super) fn number(&mut self, block: Block) -> u32 {
        *self.numbers.entry(block).or_insert_with(|| {
            self.blocks.push(block);
            // Rules are bounded far below what would make four thousand million different blocks.
            u32::try_from(self.blocks.len() - 1).unwrap_or(u32::MAX)
        })
    }

    pub(super) fn finish(mut self) -> Blocks {
        self.blocks.shrink_to_fit();
        Blocks { blocks: self.blocks }
    }
}

impl Blocks {
    /// The lowest rule that is in all of `rows`.
    pub(super) fn first_common<const N: usize>(&self, rows: [&Row; N]) -> Option<usize> {
        let width = rows.first()?.len();
        (0..width).find_map(|at| {
            let numbers = rows.map(|row| row.get(at).copied().unwrap_or(EMPTY));
            if numbers.contains(&EMPTY) {
                return None;
            }
            let blocks = numbers.map(|number| self.blocks.get(number as usize).unwrap_or(&NO_RULE));
            first_common_bit(blocks).map(|bit| at * BLOCK + bit)
        })
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
    }
}

fn first_common_bit<const N: usize>(blocks: [&Block; N]) -> Option<usize> {
    (0..NO_RULE.len()).find_map(|at| {
        let common = blocks.iter().fold(u64::MAX, |common, block| common & block.get(at).copied().unwrap_or(0));
        (common != 0).then(|| at * 64 + common.trailing_zeros() as usize)
    })
}

/// A set of rules that can be changed one by one, and be written as a row.
#[derive(Clone, Debug)]
pub(super) struct RuleSetBits {
    blocks: Vec<Block>,
}

impl RuleSetBits {
    /// Of `rules` rules, those that `member` picks.
    pub(super) fn new(rules: usize, member: impl Fn(usize) -> bool) -> Self {
        let mut set = Self { blocks: vec![NO_RULE; rules.div_ceil(BLOCK)] };
        for rule in (0..rules).filter(|&rule| member(rule)) {
            set.flip(rule);
        }
        set
    }

    /// Puts the rule in, or takes it out.
    pub(super) fn flip(&mut self, rule: usize) {
        if let Some(word) = self.blocks.get_mut(rule / BLOCK).and_then(|block| block.get_mut(rule % BLOCK / 64)) {
            *word ^= 1 << (rule % 64);
        }
    }

    /// The set as a row.
    pub(super) fn row(&self, store: &mut BlockStore) -> Vec<u32> {
        self.blocks.iter().map(|&block| store.number(block)).collect()
    }

    /// Brings `row`, which was this set's before `rule` was flipped, up to date.
    pub(super) fn update(&self, row: &mut Row, rule: usize, store: &mut BlockStore) {
        if let (Some(number), Some(&block)) = (row.get_mut(rule / BLOCK), self.blocks.get(rule / BLOCK)) {
            *number = store.number(block);
        }
    }
}

/// The rows of one dimension, by class.
#[derive(Debug)]
pub(super) struct Rows {
    /// Blocks in a row.
    width: usize,
    numbers: Vec<u32>,
}

impl Rows {
    /// The row of `class`.
    pub(super) fn get(&self, class: usize) -> &Row {
        self.numbers.get(class * self.width..(class + 1) * self.width).unwrap_or_default()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<u32>()
    }
}

/// While the rows of a dimension are collected: each row's class.
#[derive(Debug)]
pub(super) struct RowStore {
    rows: Rows,
    classes: HashMap<Box<Row>, u32, foldhash::fast::RandomState>,
}

impl RowStore {
    pub(super) fn new(rules: usize) -> Self {
        Self { rows: Rows { width: rules.div_ceil(BLOCK), numbers: Vec::new() }, classes: HashMap::default() }
    }

    /// The class of `row`.
    pub(super) fn class(&mut self, row: &Row) -> u32 {
        if let Some(&class) = self.classes.get(row) {
            return class;
        }
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.push(row);
        self.classes.insert(row.into(), class);
        class
    }

    /// Adds `row` under the next class, for a dimension whose classes are known before.
    pub(super) fn push(&mut self, row: &Row) {
        self.rows.numbers.extend_from_slice(row);
    }

    pub(super) fn finish(mut self) -> Rows {
        self.rows.numbers.shrink_to_fit();
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_common_rule_is_found_across_blocks() {
        let mut store = BlockStore::new();
        let sets = [vec![3, 700, 1300], vec![4, 700, 1300], vec![3, 4, 600, 1300]];
        let rows = sets.map(|set| RuleSetBits::new(1400, |rule| set.contains(&rule)).row(&mut store));
        let blocks = store.finish();
        let rows = rows.each_ref().map(Vec::as_slice);
        assert_eq!(blocks.first_common(rows), Some(1300));
        assert_eq!(blocks.first_common([rows[0], rows[1]]), Some(700));
        assert_eq!(blocks.first_common([rows[0], rows[2]]), Some(3));
    }

    #[test]
    fn nothing_is_common_to_sets_that_do_not_meet() {
        let mut store = BlockStore::new();
        let even = RuleSetBits::new(600, |rule| rule % 2 == 0).row(&mut store);
        let odd = RuleSetBits::new(600, |rule| rule % 2 == 1).row(&mut store);
        assert_eq!(store.finish().first_common([&even, &odd]), None);
    }
}
