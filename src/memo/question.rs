use super::{Shared, call::Settings, keep::Memo};
use crate::{
    cache::Question,
    flight::Head,
    profile::{Early, Profile},
    record::Record,
};

/// Every caller of a key takes every value under it, but for those that it finds stale, or could not read.
pub(super) struct Ask<'a, T> {
    pub(super) of_all: &'a Shared<T>,
    pub(super) of_call: Option<&'a Settings<'a, T>>,
    pub(super) unfit: Option<u64>,
}

impl<T> Ask<'_, T> {
    #[inline]
    pub(super) fn is_taken(&self, value: &T) -> bool {
        !self.of_all.is_stale.as_ref().is_some_and(|is_stale| is_stale(value))
            && !self.of_call.and_then(|own| own.is_stale.as_ref()).is_some_and(|is_stale| is_stale(value))
    }
}

impl<T: Send + Sync + 'static> Question for Ask<'_, T> {
    type Payload = Memo<T>;

    #[inline]
    fn is_answered_by(&self, _: &Memo<T>) -> bool {
        true
    }

    fn variant_key(&self, primary: &str, _: &Record<Memo<T>>) -> String {
        primary.to_owned()
    }

    fn id(&self, _: Option<&Memo<T>>) -> u64 {
        0
    }

    fn leaves(&self, _: &Head) -> Option<u64> {
        None
    }

    fn profile(&self) -> &Profile {
        &self.of_all.profile
    }

    #[inline]
    fn early(&self) -> Early {
        self.of_all.early
    }

    #[inline]
    fn takes(&self, record: &Record<Memo<T>>) -> bool {
        self.unfit != Some(record.meta.nonce) && record.payload.live().is_none_or(|value| self.is_taken(value))
    }
}
