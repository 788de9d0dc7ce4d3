//! What a value of the file comes to when it has been read.

/// A value, and what there is to say of the way it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed<T> {
    /// The value.
    pub(super) value: T,
    /// A warning, without its place.
    pub(super) warning: Option<String>,
}

impl<T> From<T> for Parsed<T> {
    fn from(value: T) -> Self {
        Self { value, warning: None }
    }
}
