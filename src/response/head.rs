use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::shape::{Line, SHARED, Shape, copied};

/// The memory one value of an entry's own takes beside its bytes.
const OWN: usize = size_of::<(u16, HeaderValue)>();

/// The fields of a stored response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    shape: Arc<Shape>,
    /// Which values are not those of the shape, by the position of their line.
    own: Box<[(u16, HeaderValue)]>,
}

/// The fields that are made for one answer: for each slot of a layer its value, or that it has none.
pub(crate) struct Filled<'a, F> {
    pub(crate) slots: &'a Arc<[HeaderName]>,
    /// Of the slot at a position.
    pub(crate) value: F,
}

impl Head {
    /// Keeps these lines, which are in the order of a header map, and gives room for slots that they do not fill
    /// themselves. What is `behind` is copied together with the values.
    pub(super) fn new(lines: &[Line<'_>], slots: &Arc<[HeaderName]>, behind: &[u8]) -> (Self, Bytes) {
        let is_missing = |slot: &&HeaderName| lines.iter().all(|(name, _)| name != slot);
        let shape = if slots.iter().all(|slot| is_missing(&slot)) {
            SHARED.shape(lines, slots)
        } else {
            SHARED.shape(lines, &slots.iter().filter(is_missing).cloned().collect())
        };
        let differing: Vec<(u16, &HeaderValue)> = (0..)
            .zip(lines.iter().zip(shape.lines()))
            .filter(|(_, ((_, value), (_, common)))| value != common || value.is_sensitive() != common.is_sensitive())
            .map(|(position, ((_, value), _))| (position, *value))
            .collect();
        let (own, behind) = copied(differing.iter().copied(), behind);
        (Self { shape, own }, behind)
    }

    /// The lines, without slots.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut own = self.own.iter().peekable();
        self.shape.lines().enumerate().map(move |(position, (name, value))| {
            let own = own.next_if(|(at, _)| usize::from(*at) == position);
            (name, own.map_or(value, |(_, own)| own))
        })
    }

    /// The fields of one answer, with what is made for it.
    #[inline]
    pub(super) fn answer(&self, filled: &Filled<'_, impl Fn(usize) -> Option<HeaderValue>>) -> HeaderMap {
        let mut headers = self.shape.map.clone();
        if !self.own.is_empty() {
            self.put_own(&mut headers);
        }
        let has_slots = !self.shape.slots.is_empty() || !filled.slots.is_empty();
        if has_slots && !self.fill(&mut headers, filled) {
            self.fill_by_name(&mut headers, filled);
        }
        headers
    }

    /// Fills the slots where they are, if these are the slots and there is a value for each.
    fn fill(&self, headers: &mut HeaderMap, filled: &Filled<'_, impl Fn(usize) -> Option<HeaderValue>>) -> bool {
        let mut places = (0..filled.slots.len()).zip(headers.values_mut());
        self.shape.has_slots(filled.slots)
            && places.all(|(at, place)| (filled.value)(at).map(|value| *place = value).is_some())
    }

    fn put_own(&self, headers: &mut HeaderMap) {
        let mut values = headers.values_mut();
        let mut next = 0;
        for (position, value) in &self.own {
            let position = self.shape.slots.len() + usize::from(*position);
            if let Some(place) = values.nth(position - next) {
                *place = value.clone();
            }
            next = position + 1;
        }
    }

    /// For what was stored by a layer with other options, or by an origin that sends such a field itself.
    #[cold]
    fn fill_by_name(&self, headers: &mut HeaderMap, filled: &Filled<'_, impl Fn(usize) -> Option<HeaderValue>>) {
        for slot in &*self.shape.slots {
            headers.remove(slot);
        }
        for (at, name) in filled.slots.iter().enumerate() {
            let Some(value) = (filled.value)(at) else { continue };
            // A map that is full cannot tell; that is no reason to fail. Each cache on the way adds its own
            // `Cache-Status`, and ours comes after those nearer the origin.
            if name == "cache-status" {
                let _ = headers.try_append(name, value);
            } else {
                let _ = headers.try_insert(name, value);
            }
        }
    }

    pub(super) fn weight(&self) -> usize {
        let own: usize = self.own.iter().map(|(_, value)| value.len() + OWN).sum();
        self.shape.weight() + own
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    fn head(headers: &HeaderMap, slots: &Arc<[HeaderName]>) -> Head {
        let lines: Vec<Line<'_>> = headers.iter().collect();
        Head::new(&lines, slots, b"").0
    }

    fn plain(headers: &HeaderMap) -> Head {
        head(headers, &Arc::default())
    }

    fn answer(head: &Head) -> HeaderMap {
        head.answer(&Filled { slots: &Arc::default(), value: |_| None })
    }

    #[test]
    fn heads_with_the_same_names_keep_their_own_values() {
        let one = map(&[("x-head-test", "1"), ("link", "a"), ("link", "b"), ("etag", "1")]);
        let two = map(&[("x-head-test", "1"), ("link", "a"), ("link", "c"), ("etag", "2")]);

        let (first, second) = (plain(&one), plain(&two));

        assert!(Arc::ptr_eq(&first.shape, &second.shape));
        assert_eq!((first.own.len(), second.own.len()), (0, 2));
        assert_eq!((answer(&first), answer(&second)), (one, two));
        assert!(second.weight() < 150, "{}", second.weight());
    }

    #[test]
    fn a_value_that_is_sensitive_stays_so_and_does_not_make_others_so() {
        let open = map(&[("x-sensitive-test", "1")]);
        let mut secret = open.clone();
        secret.values_mut().for_each(|value| value.set_sensitive(true));

        for headers in [&open, &secret, &open] {
            let answer = answer(&plain(headers));
            assert_eq!(answer["x-sensitive-test"].is_sensitive(), headers["x-sensitive-test"].is_sensitive());
        }
    }

    #[test]
    fn slots_are_filled_where_they_are_and_what_an_origin_sends_itself_is_no_slot() {
        let slots: Arc<[HeaderName]> = [header::AGE, HeaderName::from_static("cache-status")].into();
        let fill = |head: &Head, values: [Option<&'static str>; 2]| {
            head.answer(&Filled { slots: &slots, value: |at: usize| values[at].map(HeaderValue::from_static) })
        };

        let stored = head(&map(&[("x-slot-test", "1")]), &slots);
        let both = map(&[("x-slot-test", "1"), ("age", "7"), ("cache-status", "c; hit")]);
        assert_eq!(fill(&stored, [Some("7"), Some("c; hit")]), both);
        assert_eq!(fill(&stored, [None, Some("c")]), map(&[("x-slot-test", "1"), ("cache-status", "c")]));
        assert_eq!(answer(&stored), map(&[("x-slot-test", "1")]), "a layer with other options");
        assert_eq!(stored.lines().count(), 1);

        let own = head(&map(&[("x-slot-test", "2"), ("cache-status", "origin")]), &slots);
        let expected = [("x-slot-test", "2"), ("cache-status", "origin"), ("cache-status", "c; hit"), ("age", "7")];
        assert_eq!(fill(&own, [Some("7"), Some("c; hit")]), map(&expected));

        let other = head(&map(&[("x-slot-test", "3")]), &slots);
        assert_eq!(fill(&other, [Some("7"), Some("c; hit")])["x-slot-test"], "3");
    }

    #[test]
    fn a_head_that_shares_its_shape_with_nobody_weighs_all_of_it() {
        let many: Vec<_> = (0..100).map(|_| ("link", "x")).collect();
        assert!(plain(&map(&many)).weight() > 10_000);
    }
}
