//! Changes from several places, each in order, as one: so that a large batch is written without being put together in
//! memory first.

use super::batch::Changed;
use super::run::Run;

/// Changes in ascending order of their keys, of which one is looked at at a time; no value is a removal.
pub(crate) trait Source: std::fmt::Debug {
    /// The key of the change that is looked at; none after the last.
    fn key(&self) -> Option<&[u8]>;

    /// Its value. Asked only while there is a key.
    fn value(&self) -> Option<&[u8]>;

    /// Goes on to the next change.
    fn advance(&mut self);
}

/// The changes of a run from the first on.
#[derive(Debug)]
pub(crate) struct OfRun<'a> {
    run: &'a Run,
    number: usize,
}

impl<'a> OfRun<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self { run, number: 0 }
    }
}

impl Source for OfRun<'_> {
    fn key(&self) -> Option<&[u8]> {
        self.run.get(self.number).map(|(key, _)| key)
    }

    fn value(&self) -> Option<&[u8]> {
        self.run.get(self.number).and_then(|(_, value)| value)
    }

    fn advance(&mut self) {
        self.number += 1;
    }
}

impl Source for std::slice::Iter<'_, Changed<'_>> {
    fn key(&self) -> Option<&[u8]> {
        self.as_slice().first().map(|changed| changed.key)
    }

    fn value(&self) -> Option<&[u8]> {
        self.as_slice().first().and_then(|changed| changed.value)
    }

    fn advance(&mut self) {
        self.next();
    }
}

/// What is called for each change: its key, and the value if there is one.
pub(crate) type Visit<'a, E> = dyn FnMut(&[u8], Option<&[u8]>) -> Result<(), E> + 'a;

/// Visits the changes of all sources in order of their keys. Where several change one row, the last source counts.
pub(crate) fn merge<E>(
    mut sources: Vec<Box<dyn Source + '_>>,
    visit: &mut Visit<'_, E>,
) -> Result<(), E> {
    loop {
        sources.retain(|source| source.key().is_some());
        let last_of_first = |first: usize, other: usize| {
            if sources[other].key() <= sources[first].key() { other } else { first }
        };
        let Some(first) = (0..sources.len()).reduce(last_of_first) else { return Ok(()) };
        let (before, rest) = sources.split_at_mut(first);
        let (source, after) = rest.split_first_mut().expect("it is one of them");
        let others = || before.iter().chain(after.iter());
        let until = others().filter_map(|other| other.key()).min().map(<[u8]>::to_vec);
        let mut alone = false;
        // Mostly a table to its end, as the sources are of different tables.
        while let Some(key) = source.key()
            && until.as_deref().is_none_or(|until| key < until)
        {
            visit(key, source.value())?;
            source.advance();
            alone = true;
        }
        if alone {
            continue;
        }
        let key = until.expect("others have the same key");
        visit(&key, source.value())?;
        for same in sources.iter_mut().filter(|source| source.key() == Some(&key)) {
            same.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_source_that_changes_a_row_counts(
            sources in prop::collection::vec(
                prop::collection::btree_map(
                    prop::collection::vec(0u8..4, 0..3),
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..3)),
                    0..12,
                ),
                0..5,
            ),
        ) {
            let mut expected = BTreeMap::new();
            let mut runs = Vec::new();
            for source in sources {
                let mut run = Run::default();
                for (key, value) in &source {
                    match value {
                        Some(value) => run.put(key, value),
                        None => run.delete(key),
                    }
                }
                runs.push(run);
                expected.extend(source);
            }
            let mut sources: Vec<Box<dyn Source + '_>> = Vec::new();
            for run in &runs {
                sources.push(Box::new(OfRun::new(run)));
            }
            let mut merged = Vec::new();
            merge(sources, &mut |key: &[u8], value: Option<&[u8]>| {
                merged.push((key.to_vec(), value.map(<[u8]>::to_vec)));
                Ok::<_, Infallible>(())
            })
            .unwrap();
            prop_assert_eq!(merged, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
