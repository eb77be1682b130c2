//! A map with a bound in bytes that gives up what was not used for longest.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// No slot.
const NONE: usize = usize::MAX;

/// A least-recently-used map. The newest slot is the head of a doubly linked list through the slots.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    places: FxHashMap<K, usize>,
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    bytes: usize,
    newer: usize,
    older: usize,
}

impl<K: Clone + Eq + Hash, V> Lru<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            places: FxHashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value, without counting as a use.
    pub(crate) fn peek_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.places.get(key)?;
        Some(&mut self.slot(at).value)
    }

    /// The value, which becomes the newest.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.places.get(key)?;
        self.unlink(at);
        self.link_newest(at);
        Some(&mut self.slot(at).value)
    }

    /// Puts a value of so many bytes, as the newest, in place of what was there.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        let slot = Slot { key: key.clone(), value, bytes, newer: NONE, older: NONE };
        let at = if let Some(at) = self.free.pop() {
            self.slots[at] = Some(slot);
            at
        } else {
            self.slots.push(Some(slot));
            self.slots.len() - 1
        };
        self.bytes += bytes;
        self.link_newest(at);
        self.places.insert(key, at);
    }

    /// Says that a value takes another number of bytes now.
    pub(crate) fn resize(&mut self, key: &K, bytes: usize) {
        if let Some(&at) = self.places.get(key) {
            let before = std::mem::replace(&mut self.slot(at).bytes, bytes);
            self.bytes = self.bytes - before + bytes;
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.places.remove(key)?;
        self.unlink(at);
        let slot = self.slots[at].take().expect("a place names a slot");
        self.free.push(at);
        self.bytes -= slot.bytes;
        Some(slot.value)
    }

    /// Removes the value that was not used for longest, unless it is the only one.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        if self.oldest == self.newest {
            return None;
        }
        let key = self.slot(self.oldest).key.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    fn slot(&mut self, at: usize) -> &mut Slot<K, V> {
        self.slots[at].as_mut().expect("a linked slot is filled")
    }

    fn unlink(&mut self, at: usize) {
        let (newer, older) = (self.slot(at).newer, self.slot(at).older);
        match newer {
            NONE => self.newest = older,
            _ => self.slot(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            _ => self.slot(older).newer = newer,
        }
    }

    fn link_newest(&mut self, at: usize) {
        let older = std::mem::replace(&mut self.newest, at);
        let slot = self.slot(at);
        (slot.newer, slot.older) = (NONE, older);
        match older {
            NONE => self.oldest = at,
            _ => self.slot(older).newer = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Use {
        Get(u8),
        Insert(u8, usize),
        Remove(u8),
        Resize(u8, usize),
        Pop,
    }

    fn any_use() -> impl Strategy<Value = Use> {
        let key = 0..8_u8;
        prop_oneof![
            key.clone().prop_map(Use::Get),
            (key.clone(), 0..100_usize).prop_map(|(key, bytes)| Use::Insert(key, bytes)),
            key.clone().prop_map(Use::Remove),
            (key, 0..100_usize).prop_map(|(key, bytes)| Use::Resize(key, bytes)),
            Just(Use::Pop),
        ]
    }

    proptest! {
        /// The model is a list from the oldest to the newest.
        #[test]
        fn it_gives_up_what_was_not_used_for_longest(uses in proptest::collection::vec(any_use(), 0..200)) {
            let mut lru = Lru::new();
            let mut model: Vec<(u8, usize)> = Vec::new();
            for it in uses {
                match it {
                    Use::Get(key) => {
                        let at = model.iter().position(|(known, _)| *known == key);
                        prop_assert_eq!(lru.get(&key).copied(), at.map(|_| key));
                        if let Some(at) = at {
                            let entry = model.remove(at);
                            model.push(entry);
                        }
                    }
                    Use::Insert(key, bytes) => {
                        lru.insert(key, key, bytes);
                        model.retain(|(known, _)| *known != key);
                        model.push((key, bytes));
                    }
                    Use::Remove(key) => {
                        lru.remove(&key);
                        model.retain(|(known, _)| *known != key);
                    }
                    Use::Resize(key, bytes) => {
                        lru.resize(&key, bytes);
                        model.iter_mut().filter(|(known, _)| *known == key).for_each(|entry| entry.1 = bytes);
                    }
                    Use::Pop => {
                        let popped = lru.pop_oldest().map(|(key, _)| key);
                        let expected = (model.len() > 1).then(|| model.remove(0).0);
                        prop_assert_eq!(popped, expected);
                    }
                }
                prop_assert_eq!(lru.len(), model.len());
                prop_assert_eq!(lru.bytes(), model.iter().map(|(_, bytes)| bytes).sum::<usize>());
            }
        }
    }
}
