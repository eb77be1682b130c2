//! Changes of rows in the order of their keys, as a fold of many events makes them: written once, never read back.

/// Changes in ascending order of their keys, each key once; no value is a removal.
#[derive(Debug, Default)]
pub(crate) struct Run {
    changes: Vec<Change>,
    /// Keys and values, one after the other in the order of the changes.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    start: usize,
    value: usize,
    is_removal: bool,
}

impl Run {
    /// Sets the value at `key`, which comes after all before.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.put_with(key, |out| out.extend_from_slice(value));
    }

    /// The same, with a value that `write` appends.
    pub(crate) fn put_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.changes.push(Change { start, value: self.bytes.len(), is_removal: false });
        write(&mut self.bytes);
    }

    /// Removes the row at `key`, which comes after all before.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.changes.push(Change { start, value: self.bytes.len(), is_removal: true });
    }

    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let ends = self.changes.iter().skip(1).map(|next| next.start);
        let ends = ends.chain(std::iter::once(self.bytes.len()));
        self.changes.iter().zip(ends).map(|(change, end)| {
            let value = (!change.is_removal).then(|| &self.bytes[change.value..end]);
            (&self.bytes[change.start..change.value], value)
        })
    }
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
