use std::{borrow::Cow, error, fmt};

/// The error type of this crate's dependencies, as `tower` and `axum` have it.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

/// `std::result::Result` with [`Error`] filled in.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in the cache, its backend or its configuration.
///
/// It is one pointer wide. [`kind`](Error::kind) tells what to do about it, `Display` says what was expected and
/// what was found, and `source` has the cause. The text is for people and may change.
///
/// # Examples
///
/// ```
/// use axum_caching::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Connect, "no server at localhost:6379");
/// assert_eq!(error.kind(), ErrorKind::Connect);
/// assert_eq!(error.to_string(), "cannot reach the backend: no server at localhost:6379");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

/// The kinds of [`Error`].
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use axum_caching::{Cache, ErrorKind, NullBackend, Ttl};
///
/// let cache = Cache::new(NullBackend::default());
/// let error = cache.set(&"k".repeat(9_000), &1, Ttl::Default).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Key);
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The backend cannot be reached.
    Connect,
    /// The backend did not answer in time: it is not known whether what was asked for was done.
    Timeout,
    /// The backend was not asked, since it failed before, or earlier writes of the key took too long: nothing was done.
    Unavailable,
    /// The backend answered something that its protocol does not allow.
    Protocol,
    /// A value could not be turned into bytes.
    Encode,
    /// Stored bytes are not what was asked for.
    Decode,
    /// A value is larger than the backend takes.
    TooLarge,
    /// A key or a path cannot be used as one.
    Key,
    /// The operation needs an integer, the entry is something else, or the sum does not fit.
    NotAnInteger,
    /// The backend cannot do this.
    Unsupported,
    /// The configuration makes no sense.
    Config,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// A short name, as metrics have it.
    ///
    /// ```
    /// use axum_caching::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::TooLarge.as_str(), "too-large");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::TooLarge => "too-large",
            Self::Key => "key",
            Self::NotAnInteger => "not-an-integer",
            Self::Unsupported => "unsupported",
            Self::Config => "config",
            Self::Other => "other",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Connect => "cannot reach the backend",
            Self::Timeout => "the backend did not answer in time",
            Self::Unavailable => "the backend was not asked",
            Self::Protocol => "the backend broke its protocol",
            Self::Encode => "cannot encode the value",
            Self::Decode => "cannot decode the stored bytes",
            Self::TooLarge => "too large to store",
            Self::Key => "not a usable key",
            Self::NotAnInteger => "not a usable integer",
            Self::Unsupported => "not supported by this backend",
            Self::Config => "wrong configuration",
            Self::Other => "cache error",
        }
    }
}

impl Error {
    /// Makes an error of a kind, with what is to be said about it.
    ///
    /// Anything that is an error or a text will do: `Error::new(ErrorKind::Connect, io_error)`.
    pub fn new(kind: ErrorKind, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self(Box::new(Inner { kind, message: Cow::Owned(source.to_string()), source: Some(source) }))
    }

    /// An error without a cause of its own.
    pub(crate) fn message(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.message
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.text(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // The message already repeats the cause, so the chain goes on below it.
        self.0.source.as_ref().and_then(|cause| cause.source())
    }
}
