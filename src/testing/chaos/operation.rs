/// What a backend is asked to do, one for each method of [`Backend`](crate::Backend).
///
/// One of them is a list of itself, so that [`Chaos::on`](super::Chaos::on) takes it.
///
/// # Examples
///
/// ```
/// use axum_caching::testing::Operation;
///
/// assert_eq!(Operation::GetMany.as_str(), "get_many");
/// assert!(Operation::READS.iter().chain(&Operation::WRITES).all(|operation| Operation::ALL.contains(operation)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `get`, and `get_now` where that has an answer.
    Get,
    /// `set`
    Set,
    /// `add`
    Add,
    /// `delete`
    Delete,
    /// `increment`
    Increment,
    /// `clear`
    Clear,
    /// `compare_and_set`
    CompareAndSet,
    /// `has`
    Has,
    /// `get_many`
    GetMany,
    /// `set_many`
    SetMany,
    /// `delete_many`
    DeleteMany,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Get,
        Self::Set,
        Self::Add,
        Self::Delete,
        Self::Increment,
        Self::Clear,
        Self::CompareAndSet,
        Self::Has,
        Self::GetMany,
        Self::SetMany,
        Self::DeleteMany,
    ];

    /// Those that change nothing.
    pub const READS: [Self; 3] = [Self::Get, Self::Has, Self::GetMany];

    /// The others.
    pub const WRITES: [Self; 8] = [
        Self::Set,
        Self::Add,
        Self::Delete,
        Self::Increment,
        Self::Clear,
        Self::CompareAndSet,
        Self::SetMany,
        Self::DeleteMany,
    ];

    /// The name of the method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Add => "add",
            Self::Delete => "delete",
            Self::Increment => "increment",
            Self::Clear => "clear",
            Self::CompareAndSet => "compare_and_set",
            Self::Has => "has",
            Self::GetMany => "get_many",
            Self::SetMany => "set_many",
            Self::DeleteMany => "delete_many",
        }
    }
}

impl IntoIterator for Operation {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}
