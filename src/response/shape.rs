//! What the heads of many responses have in common, kept once.
//!
//! The responses of one route mostly have the same fields in the same order, and many of them with the same values. A
//! header map takes a hundred bytes for each field, so an entry keeps only what is its own.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// One field line of a head.
pub(super) type Line<'a> = (&'a HeaderName, &'a HeaderValue);

/// How many shapes are shared in this process.
const PLACES: usize = 512;

/// A larger shape is not shared, so that all of them together stay under a few MiB.
const MAX_LINES: usize = 32;
const MAX_VALUES: usize = 4 * 1024;

/// The memory one field of a header map takes beside its value.
const FIELD: usize = 112;

/// What is in a slot until an answer is made.
const EMPTY_SLOT: &str = "-";

/// The shapes of this process.
pub(super) static SHARED: Shapes = Shapes::new();

/// Shapes that entries share, each in the one place that its names come to.
pub(super) struct Shapes([Mutex<Option<Arc<Shape>>>; PLACES]);

/// Slots, and after them the names of a head with the values of the first response that had them.
#[derive(Debug)]
pub(super) struct Shape {
    /// Every answer begins as a clone of it. The slots are in it too: `HeaderMap` reallocates when it grows after a
    /// clone.
    pub(super) map: HeaderMap,
    /// The names of its first lines, which are made anew for each answer. Mostly those of the layer, which all share.
    pub(super) slots: Arc<[HeaderName]>,
    is_shared: bool,
}

impl Shapes {
    const fn new() -> Self {
        Self([const { Mutex::new(None) }; PLACES])
    }

    /// The shape of these lines: one that others use too, or a new one.
    pub(super) fn shape(&self, lines: &[Line<'_>], slots: &Arc<[HeaderName]>) -> Arc<Shape> {
        if lines.len() > MAX_LINES || size_of_values(lines) > MAX_VALUES {
            return Arc::new(Shape::new(lines, slots, false));
        }
        let mut place = self.place(lines).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = place.as_ref().filter(|shape| shape.has_names(lines, slots)) {
            return Arc::clone(shape);
        }
        // One that no entry uses makes room. Otherwise this one is not shared, and weighs what it is.
        let makes_room = place.as_ref().is_none_or(|old| Arc::strong_count(old) == 1);
        let shape = Arc::new(Shape::new(lines, slots, makes_room));
        if makes_room {
            *place = Some(Arc::clone(&shape));
        }
        shape
    }

    fn place(&self, lines: &[Line<'_>]) -> &Mutex<Option<Arc<Shape>>> {
        let mut hasher = foldhash::fast::FixedState::default().build_hasher();
        for (name, _) in lines {
            name.hash(&mut hasher);
        }
        // The remainder is below the number of places.
        &self.0[usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0)]
    }
}

impl Shape {
    fn new(lines: &[Line<'_>], slots: &Arc<[HeaderName]>, is_shared: bool) -> Self {
        let (values, _) = copied(lines.iter().copied(), b"");
        let mut map = HeaderMap::with_capacity(lines.len() + slots.len());
        for slot in &**slots {
            map.append(slot, HeaderValue::from_static(EMPTY_SLOT));
        }
        for (name, value) in values {
            map.append(name, value);
        }
        // A clone is exact: no room that was only needed while it grew.
        Self { map: map.clone(), slots: Arc::clone(slots), is_shared }
    }

    fn has_names(&self, lines: &[Line<'_>], slots: &Arc<[HeaderName]>) -> bool {
        self.map.len() == lines.len() + slots.len()
            && self.has_slots(slots)
            && self.lines().zip(lines).all(|((own, _), (name, _))| own == *name)
    }

    #[inline]
    pub(super) fn has_slots(&self, slots: &Arc<[HeaderName]>) -> bool {
        Arc::ptr_eq(&self.slots, slots) || self.slots == *slots
    }

    /// What is no slot.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.map.iter().skip(self.slots.len())
    }

    /// What an entry of this shape has to account for.
    pub(super) fn weight(&self) -> usize {
        if self.is_shared {
            return 0;
        }
        self.map.len() * FIELD + self.map.values().map(HeaderValue::len).sum::<usize>()
    }
}

fn size_of_values(lines: &[Line<'_>]) -> usize {
    lines.iter().map(|(_, value)| value.len()).sum()
}

/// Copies values, and what is to be behind them, into one buffer of exactly their size: a small slice of a large read
/// buffer, as proxying handlers make them, would keep all of it alive.
pub(super) fn copied<'a, T>(
    values: impl Iterator<Item = (T, &'a HeaderValue)> + Clone,
    behind: &[u8],
) -> (Box<[(T, HeaderValue)]>, Bytes) {
    let size: usize = values.clone().map(|(_, value)| value.len()).sum();
    let mut buffer = Vec::with_capacity(size + behind.len());
    values.clone().for_each(|(_, value)| buffer.extend_from_slice(value.as_bytes()));
    buffer.extend_from_slice(behind);
    // The first clone of a buffer makes its count. Here that is a part of storing, and not of the first hit.
    let owner = Bytes::from(buffer);
    let mut rest = owner.clone();
    let copies = values.map(|(at, value)| {
        let mut copy = HeaderValue::from_maybe_shared(rest.split_to(value.len()))
            .expect("copied from a header value, byte for byte");
        copy.set_sensitive(value.is_sensitive());
        (at, copy)
    });
    (copies.collect(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_makes_room_only_when_no_entry_uses_it() {
        static SHAPES: Shapes = Shapes::new();
        let slots = Arc::default();
        let shape = |n: usize| {
            let name = HeaderName::try_from(format!("x-room-{n}")).expect("a name");
            SHAPES.shape(&[(&name, &HeaderValue::from(n))], &slots)
        };
        // More than there are places.
        let used: Vec<_> = (0..2_000).map(shape).collect();
        assert!(used.iter().any(|shape| !shape.is_shared), "who found no place weighs what it is");
        assert!((0..2_000).all(|n| shape(n).map[format!("x-room-{n}")] == n.to_string()));
        drop(used);
        assert!((2_000..2_100).all(|n| shape(n).is_shared), "nobody uses what was there");
    }
}
