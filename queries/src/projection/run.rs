//! Changes of rows in the order of their keys, as a fold of many events makes them: written once, never read back.

/// Changes in ascending order of their keys, each key once; no value is a removal. Far less than 4 GB.
#[derive(Debug, Default)]
pub(crate) struct Run {
    changes: Vec<Change>,
    /// Keys and values, one after the other in the order of the changes.
    bytes: Vec<u8>,
}

/// Where a change begins and how long its key is; its value goes on to the next change.
#[derive(Clone, Copy, Debug)]
struct Change {
    start: u32,
    key: u16,
    is_removal: bool,
}

impl Run {
    /// Sets the value at `key`, which comes after all before.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.put_with(key, |out| out.extend_from_slice(value));
    }

    /// The same, with a value that `write` appends.
    pub(crate) fn put_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.push(key, false);
        write(&mut self.bytes);
    }

    /// Removes the row at `key`, which comes after all before.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.push(key, true);
    }

    fn push(&mut self, key: &[u8], is_removal: bool) {
        let start = u32::try_from(self.bytes.len()).expect("a batch is below 4 GB");
        let length = u16::try_from(key.len()).expect("keys are short");
        self.bytes.extend_from_slice(key);
        self.changes.push(Change { start, key: length, is_removal });
    }

    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The bytes of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of changes.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// The change of that number: the key, and the value if there is one.
    pub(crate) fn get(&self, number: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let change = self.changes.get(number)?;
        let start = usize_of(change.start);
        let end =
            self.changes.get(number + 1).map_or(self.bytes.len(), |next| usize_of(next.start));
        let (key, value) = self.bytes[start..end].split_at(usize::from(change.key));
        Some((key, (!change.is_removal).then_some(value)))
    }

    /// The changes in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        (0..self.len()).map_while(|number| self.get(number))
    }
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).expect("usize has 32 bits or more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_given_back_in_order() {
        let mut run = Run::default();
        assert!(run.is_empty() && run.iter().next().is_none());
        run.put(b"a", b"1");
        run.delete(b"b");
        run.put(b"c", b"");
        run.put_with(b"d", |out| out.extend_from_slice(b"22"));
        let all: Vec<(&[u8], Option<&[u8]>)> = run.iter().collect();
        let expected: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"1")), (b"b", None), (b"c", Some(b"")), (b"d", Some(b"22"))];
        assert_eq!(all, expected);
    }
}
