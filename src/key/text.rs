use std::{fmt, fmt::Write as _};

use arrayvec::ArrayString;

use super::MAX_KEY;

/// A text that lives on the stack while it is short.
#[derive(Default)]
pub(crate) struct Text {
    short: ArrayString<MAX_KEY>,
    /// Holds the whole text once it is too long for `short`.
    long: Option<String>,
}

impl Text {
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        self.long.as_deref().unwrap_or(&self.short)
    }

    /// Whether it has room on the stack, and so is no longer than a key may be.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.long.is_none()
    }

    /// Appends a piece that is often empty, as a prefix is: a copy of nothing is a call all the same.
    #[inline]
    pub(crate) fn push(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.push_some(piece);
        }
    }

    /// Appends a piece that is hardly ever empty.
    #[inline]
    pub(crate) fn push_some(&mut self, piece: &str) {
        if self.short.try_push_str(piece).is_err() {
            self.push_long(piece);
        }
    }

    #[cold]
    fn push_long(&mut self, piece: &str) {
        let long = self.long.get_or_insert_with(|| {
            let mut long = String::with_capacity(2 * MAX_KEY.max(piece.len()));
            long.push_str(&self.short);
            // So that no other piece goes there: that it is full is the one thing each `push` asks.
            while self.short.try_push(' ').is_ok() {}
            long
        });
        long.push_str(piece);
    }

    pub(crate) fn push_number(&mut self, number: impl fmt::Display) {
        let mut digits = ArrayString::<39>::new();
        // 39 digits hold any 128-bit number, and no other kind is given.
        let _ = write!(digits, "{number}");
        self.push(&digits);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut own = Self::default();
        own.push(text);
        own
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_outgrows_the_stack_keeps_all_of_itself() {
        let mut text = Text::default();
        for _ in 0..200 {
            text.push("seven..");
        }
        assert_eq!(text.as_str(), "seven..".repeat(200));
    }
}
