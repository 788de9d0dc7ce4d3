//! A stretch of a frame: the bytes that were captured of it, and how many there were on the wire.

/// A stretch of a frame. Where `bytes` are fewer than `len`, the capture kept only the beginning.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    bytes: &'a [u8],
    len: u32,
}

impl<'a> Span<'a> {
    /// A whole frame. A record that says it holds more than there was on the wire is taken as its bytes are.
    pub(super) fn new(bytes: &'a [u8], original_len: u32) -> Self {
        let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { bytes, len: original_len.max(captured) }
    }

    /// What was captured.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Length on the wire in bytes.
    pub(super) const fn len(self) -> u32 {
        self.len
    }

    /// Whether the capture kept less than there was.
    pub(super) const fn is_cut(self) -> bool {
        self.bytes.len() < self.len as usize
    }

    /// What is behind the first `size` bytes; nothing, if there are not so many.
    pub(super) fn skip(self, size: u32) -> Self {
        Self { bytes: self.bytes.get(size as usize..).unwrap_or_default(), len: self.len.saturating_sub(size) }
    }

    /// The first `size` bytes; all, if there are not so many.
    pub(super) fn limit(self, size: u32) -> Self {
        Self { bytes: self.bytes.get(..size as usize).unwrap_or(self.bytes), len: self.len.min(size) }
    }

    /// The same bytes with their end unknown, as in a first fragment or a quoted packet: what is missing is
    /// elsewhere, and nothing is too short.
    pub(super) const fn open_ended(self) -> Self {
        Self { bytes: self.bytes, len: u32::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_and_limit_move_both_ends_and_never_go_beyond() {
        let span = Span::new(&[1, 2, 3, 4], 10);
        assert_eq!((span.skip(1).bytes(), span.skip(1).len()), (&[2, 3, 4][..], 9));
        assert_eq!((span.skip(7).bytes(), span.skip(7).len()), (&[][..], 3));
        assert_eq!((span.skip(11).bytes(), span.skip(11).len()), (&[][..], 0));
        assert_eq!((span.limit(2).bytes(), span.limit(2).len()), (&[1, 2][..], 2));
        assert_eq!((span.limit(6).bytes(), span.limit(6).len()), (&[1, 2, 3, 4][..], 6));
        assert_eq!((span.limit(60).bytes(), span.limit(60).len()), (&[1, 2, 3, 4][..], 10));
    }

    #[test]
    fn a_frame_is_never_shorter_than_what_was_captured_of_it() {
        assert_eq!(Span::new(&[0; 4], 0).len(), 4);
    }
}
