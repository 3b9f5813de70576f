use std::sync::Arc;

#[cfg(feature = "zstd")]
use super::pack::Pack;
use super::{Backend, Envelope, Work, Wrapping, keys::KeyRing};

/// What is read is not larger than this once it is decompressed, unless somebody says otherwise.
const MAX_DECOMPRESSED: usize = 64 << 20;

/// The level of zstd, unless somebody says otherwise.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 3;

/// Settings of an [`Envelope`].
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "zstd")] {
/// use axum_caching::{Envelope, NullBackend};
///
/// let backend = Envelope::builder(NullBackend::default()).compress_above(4 << 10).compression_level(6).build();
/// assert!(format!("{backend:?}").contains("compress_above: 4096, compression_level: 6"));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct EnvelopeBuilder {
    backend: Arc<dyn Backend>,
    #[cfg(feature = "zstd")]
    compress_above: Option<usize>,
    #[cfg(feature = "zstd")]
    compression_level: i32,
    max_decompressed_bytes: usize,
    keys: Option<KeyRing>,
}

impl EnvelopeBuilder {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            #[cfg(feature = "zstd")]
            compress_above: None,
            #[cfg(feature = "zstd")]
            compression_level: LEVEL,
            max_decompressed_bytes: MAX_DECOMPRESSED,
            keys: None,
        }
    }

    /// Entries of more bytes than this are compressed, where that makes them smaller. None are by default; what is
    /// compressed is read in any case.
    ///
    /// A kilobyte is a good bound: what is smaller hardly gets smaller still.
    #[cfg(feature = "zstd")]
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = Some(bytes);
        self
    }

    /// How hard zstd tries, from 1 to 22. 3 by default; less than 1 counts as 1, more than 22 as 22.
    #[cfg(feature = "zstd")]
    pub fn compression_level(mut self, level: i32) -> Self {
        self.compression_level = level;
        self
    }

    /// Entries are encrypted and authenticated, each for its key, and no others are read; by default they are not. See
    /// [`Envelope`](Envelope#encryption).
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use axum_caching::{Backend, Cache, Envelope, KeyRing, MemoryBackend, Ttl};
    ///
    /// let server = MemoryBackend::default(); // in place of one that processes share
    /// let keys = KeyRing::new([7; 32]); // in place of random bytes
    /// let cache = Cache::new(Envelope::builder(server.clone()).keys(keys).build());
    ///
    /// cache.set("name", "Ada Lovelace", Ttl::Default).await?;
    /// let stored = server.get("name").await?.unwrap();
    /// assert!(!stored.to_bytes()?.windows(3).any(|part| part == b"Ada"));
    ///
    /// // Under another key it does not open.
    /// server.set("other", stored, None).await?;
    /// assert_eq!(cache.get::<String>("other").await?, None);
    /// # Ok::<(), axum_caching::Error>(()) }).unwrap();
    /// ```
    #[cfg(feature = "encryption")]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// An entry that says that it is larger than this once it is decompressed is not read: no memory is taken for it. 64
    /// MiB by default. Larger ones are stored as they are.
    pub fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.max_decompressed_bytes = bytes;
        self
    }

    /// The backend.
    pub fn build(self) -> Envelope {
        #[cfg(feature = "zstd")]
        let pack = self.compress_above.map(|above| Pack { above, level: self.compression_level.clamp(1, 22) });
        #[cfg(not(feature = "zstd"))]
        let pack = None;
        let wrapping = Wrapping { pack, max: self.max_decompressed_bytes, keys: self.keys };
        Envelope { backend: self.backend, wrapping: Arc::new(wrapping), work: Work::new() }
    }
}
