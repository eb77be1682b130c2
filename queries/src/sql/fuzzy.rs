//! PostgreSQL's guess at the column that was meant: `updateFuzzyAttrMatchState` in `parse_relation.c`.

/// The largest distance that counts as alike.
const DISTANCE_MAX: usize = 3;

/// The columns found so far that are nearest to what was written: at most two equally near ones are named.
#[derive(Debug)]
pub(super) struct Guess {
    distance: usize,
    first: Option<(String, String)>,
    second: Option<(String, String)>,
}

impl Default for Guess {
    fn default() -> Self {
        Self { distance: DISTANCE_MAX + 1, first: None, second: None }
    }
}

impl Guess {
    /// Compares a relation's column with what was written. The penalty is the distance between the relation's names.
    pub(super) fn consider(&mut self, penalty: usize, relation: &str, column: &str, written: &str) {
        if penalty > self.distance {
            return;
        }
        let columns = distance(column, written);
        // More than half of it different is no likeness.
        if columns > written.len() / 2 {
            return;
        }
        let total = columns + penalty;
        let candidate = || Some((relation.to_owned(), column.to_owned()));
        if total < self.distance {
            (self.distance, self.first, self.second) = (total, candidate(), None);
        } else if total == self.distance {
            if self.second.is_some() {
                (self.first, self.second) = (None, None);
                self.distance = total.saturating_sub(1);
            } else if self.first.is_some() {
                self.second = candidate();
            } else if self.distance <= DISTANCE_MAX {
                self.first = candidate();
            }
        }
    }

    /// The hint, if there is a guess.
    pub(super) fn hint(&self) -> Option<String> {
        let (relation, column) = self.first.as_ref()?;
        Some(match &self.second {
            None => format!("Perhaps you meant to reference the column \"{relation}.{column}\"."),
            Some((other, second)) => format!(
                "Perhaps you meant to reference the column \"{relation}.{column}\" or the column \"{other}.{second}\"."
            ),
        })
    }
}

/// The Levenshtein distance between two names.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (n, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = n + 1;
        for (m, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
