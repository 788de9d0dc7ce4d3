//! "Did you mean ...?": the known word that is nearest to an unknown one.

/// `; did you mean "x"?` for the candidate nearest to `word`, or nothing if none is near.
pub(super) fn did_you_mean<S: AsRef<str>>(word: &str, candidates: impl IntoIterator<Item = S>) -> String {
    nearest(word, candidates).map(|near| format!("; did you mean \"{}\"?", near.as_ref())).unwrap_or_default()
}

/// The candidate with the fewest typing slips from `word`, one in three characters at most. Case doesn't count, nor
/// does `-` for `_`.
fn nearest<S: AsRef<str>>(word: &str, candidates: impl IntoIterator<Item = S>) -> Option<S> {
    let word = folded(word);
    if word.len() > 64 {
        return None;
    }
    let allowed = word.len() / 3;
    let distances = candidates.into_iter().map(|candidate| (distance(&word, &folded(candidate.as_ref())), candidate));
    distances.filter(|&(slips, _)| slips <= allowed).min_by_key(|&(slips, _)| slips).map(|(_, candidate)| candidate)
}

fn folded(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect()
}

/// Characters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    // Rows of the usual table: two characters ago, one ago, this one.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &in_a) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut previous_b = None;
        for (j, &in_b) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(in_a != in_b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if previous_a == Some(in_b) && previous_b == Some(in_a) {
                best = best.min(at(&before_last, j.saturating_sub(1)) + 1);
            }
            row.push(best);
            previous_b = Some(in_b);
        }
        before_last = std::mem::replace(&mut last, row);
        previous_a = Some(in_a);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slips(a: &str, b: &str) -> usize {
        distance(&folded(a), &folded(b))
    }

    #[test]
    fn slips_are_counted() {
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("dst_port", "dst-port"), 0);
        assert_eq!(slips("dts_port", "dst_port"), 1);
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    #[test]
    fn only_near_words_are_offered() {
        let words = ["allow", "block", "dst_port", "src_port"];
        assert_eq!(did_you_mean("alow", words), "; did you mean \"allow\"?");
        assert_eq!(did_you_mean("dstport", words), "; did you mean \"dst_port\"?");
        assert_eq!(did_you_mean("zebra", words), "");
        assert_eq!(did_you_mean(&"x".repeat(100), words), "");
    }
}
