//! "Did you mean …?"

/// The candidate that is spelled most alike, as a question; `None` where nothing is near.
pub(crate) fn did_you_mean(word: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    nearest(word, candidates).map(|found| format!("did you mean {found}?"))
}

/// The candidate within a third of the word's length of edits, and the nearest.
pub fn nearest(word: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let words = || ["users", "orders", "Order"].map(ToOwned::to_owned);
        assert_eq!(nearest("usres", words()), Some("users".to_owned()));
        assert_eq!(nearest("order", words()), Some("Order".to_owned()));
        assert_eq!(nearest("payments", words()), None);
    }
}
