//! What a request and a response are, to a layer: the decisions that need no lookup.

mod request;
mod response;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use arrayvec::ArrayVec;
use http::{HeaderName, Method, header};

use super::{
    catalogue::{Cookies, KeyPrefix, Minded, Prefix, Query},
    sets::Sets,
    status,
};
use crate::{
    cache::{FillContext, Kind},
    key::HashMethod,
    profile::{Early, Profile},
    reason::BypassReason,
    response::{Selector, StoredResponse},
    ttl::Ttl,
};

pub(super) use self::{
    request::Use,
    response::{Verdict, is_negative},
};

pub(super) type RequestTest = Arc<dyn Fn(&http::request::Parts) -> bool + Send + Sync>;
pub(super) type StaleTest = Arc<dyn Fn(&http::request::Parts, &StoredResponse) -> bool + Send + Sync>;
pub(super) type ResponseTest = Arc<dyn Fn(&http::response::Parts) -> bool + Send + Sync>;
pub(super) type TagsFn = Arc<dyn Fn(&http::request::Parts) -> Vec<String> + Send + Sync>;
pub(super) type KeyFn = Arc<dyn Fn(&http::request::Parts) -> Option<String> + Send + Sync>;

/// What is made anew for each answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    Age,
    HitHeader,
    Status,
}

/// The settings of a layer; never changed once requests come.
#[derive(Clone)]
pub(super) struct Rules {
    /// As it was set.
    pub(super) own: Profile,
    /// With what the cache says; follows from the one above.
    pub(super) profile: Profile,
    pub(super) early: Early,
    /// Of answers that say that there is nothing.
    pub(super) negative: Option<Ttl>,
    pub(super) key_prefix: KeyPrefix,
    pub(super) make_cache_key: Option<KeyFn>,
    pub(super) query: Query,
    pub(super) hash: HashMethod,
    pub(super) version: Option<String>,
    pub(super) methods: Vec<Method>,
    pub(super) tags: Vec<String>,
    pub(super) tags_by: Option<TagsFn>,
    pub(super) sets: Sets,
    pub(super) purge_on_write: bool,
    pub(super) cache_groups: bool,
    /// The most bytes of a request body that are read for a key; `None`: none are.
    pub(super) key_by_body: Option<usize>,
    pub(super) unless: Option<RequestTest>,
    pub(super) forced_update: Option<RequestTest>,
    pub(super) is_stale: Option<StaleTest>,
    pub(super) response_filter: Option<ResponseTest>,
    pub(super) vary_by: Vec<HeaderName>,
    pub(super) cookies: Cookies,
    pub(super) ignore_authorization: bool,
    pub(super) ignore_host: bool,
    pub(super) obey_response: bool,
    pub(super) obey_request: bool,
    pub(super) strip_set_cookie: bool,
    pub(super) not_modified: bool,
    pub(super) etag: bool,
    pub(super) ranges: bool,
    pub(super) conditional_refresh: bool,
    pub(super) hit_header: Option<HeaderName>,
    pub(super) age_header: bool,
    pub(super) cache_status: Option<String>,
    /// Fields that change at every hit: what `hit_header`, `age_header` and `cache_status` come to.
    pub(super) slots: Arc<[HeaderName]>,
    /// What is in each of them.
    pub(super) made: ArrayVec<Made, 3>,
    /// What selects before any response is known.
    pub(super) selectors: Arc<[Selector]>,
    pub(super) max_body_size: usize,
    pub(super) body_wait: Duration,
    /// For which reasons the user was told how to cache what bypasses: one bit each.
    pub(super) hinted: Arc<AtomicU32>,
}

impl Default for Rules {
    fn default() -> Self {
        let mut rules = Self {
            own: Profile::default(),
            profile: Profile::default(),
            early: Early::default(),
            negative: None,
            key_prefix: KeyPrefix::default(),
            make_cache_key: None,
            query: Query::all(),
            hash: HashMethod::default(),
            version: None,
            methods: Vec::new(),
            tags: Vec::new(),
            tags_by: None,
            sets: Sets::default(),
            purge_on_write: false,
            cache_groups: false,
            key_by_body: None,
            unless: None,
            forced_update: None,
            is_stale: None,
            response_filter: None,
            vary_by: Vec::new(),
            cookies: Cookies::bypass(),
            ignore_authorization: false,
            ignore_host: false,
            obey_response: true,
            obey_request: false,
            strip_set_cookie: false,
            not_modified: false,
            etag: false,
            ranges: false,
            conditional_refresh: false,
            hit_header: None,
            age_header: false,
            cache_status: None,
            slots: Arc::default(),
            made: ArrayVec::new(),
            selectors: Arc::default(),
            max_body_size: 1 << 20,
            body_wait: Duration::from_secs(1),
            hinted: Arc::default(),
        };
        rules.settle(&Profile::default());
        rules
    }
}

impl Rules {
    /// Works out what follows from the settings.
    pub(super) fn settle(&mut self, cache: &Profile) {
        self.profile = self.own.or(*cache);
        self.early = self.profile.early();
        let age = self.age_header.then_some((header::AGE, Made::Age));
        let hit = self.hit_header.clone().map(|name| (name, Made::HitHeader));
        let status = self.cache_status.is_some().then_some((status::NAME, Made::Status));
        let slots = || [&age, &hit, &status].into_iter().flatten();
        self.slots = slots().map(|(name, _)| name.clone()).collect();
        self.made = slots().map(|(_, made)| *made).collect();

        let host = (!self.ignore_host || self.vary_by.contains(&header::HOST)).then_some(Selector::Host);
        let fields = self.vary_by.iter().cloned().map(Selector::from);
        let fields = fields.filter(|field| *field != Selector::Host);
        let names: &[String] = if let Minded::Only(names) = &self.cookies.0 { names } else { &[] };
        let cookies = names.iter().map(|name| Selector::Cookie(name.as_str().into()));
        self.selectors = host.into_iter().chain(fields).chain(cookies).collect();
    }

    /// The tags of a response that are known before it is made.
    pub(super) fn tags_of(&self, parts: &http::request::Parts) -> Vec<(Kind, String)> {
        let own = self.tags_by.as_ref().map_or_else(Vec::new, |tags| tags(parts));
        let named = self.tags.iter().cloned().chain(own).map(|tag| (Kind::Named, tag));
        named.chain(self.sets.of(parts)).collect()
    }

    /// The tags of a layer inside the fill of another one are those of that fill.
    pub(super) fn tag_outer(&self, parts: &http::request::Parts) {
        let outer = FillContext::current();
        self.tags_of(parts).into_iter().for_each(|(kind, name)| outer.tag_as(kind, name));
    }

    /// Whether a function makes the key, or a part of it.
    pub(super) fn has_own_key(&self) -> bool {
        self.make_cache_key.is_some() || matches!(self.key_prefix.0, Prefix::Custom(_))
    }

    /// Says once how to cache what bypasses; to `tracing`, if that is there.
    pub(super) fn hint(&self, reason: BypassReason) {
        #[cfg(feature = "tracing")]
        if let Some(hint) = reason.hint() {
            let bit = 1 << (reason as u32);
            if self.hinted.fetch_or(bit, std::sync::atomic::Ordering::Relaxed) & bit == 0 {
                tracing::warn!(target: "axum_caching", reason = reason.as_str(), "not cached; if it should be, {hint}");
            }
        }
        #[cfg(not(feature = "tracing"))]
        let _ = (&self.hinted, reason);
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("profile", &self.own)
            .field("key_prefix", &self.key_prefix)
            .field("query", &self.query)
            .field("methods", &self.methods)
            .field("vary_by", &self.vary_by)
            .field("cookies", &self.cookies)
            .field("max_body_size", &self.max_body_size)
            .finish_non_exhaustive()
    }
}
