//! What is asked of the subjects, and the requests that ask it.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Uri},
};

/// What an ordinary browser sends.
const REQUEST_HEADERS: [(&str, &str); 7] = [
    ("host", "shop.example.org"),
    ("connection", "keep-alive"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.org/items"),
];
const COOKIE: [(&str, &str); 1] = [("cookie", "session=4c2f0b8e")];

/// One kind of request.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Size of the response body in bytes.
    pub(crate) body: usize,
    /// Whether what differs between addresses is a query of two parameters, not the path.
    query: bool,
    headers: &'static [(&'static str, &'static str)],
    /// How many addresses there are; of a miss, how many entries the cache holds.
    keys: u32,
    /// How many requests are measured.
    pub(crate) count: u32,
}

/// How a cache has to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hit,
    Miss,
    Bypass,
}

impl Scenario {
    /// A hit on one address, with a body of 4 KiB, without request headers.
    pub(crate) const fn hit(name: &'static str) -> Self {
        Self { name, kind: Kind::Hit, body: 4096, query: false, headers: &[], keys: 1, count: 500 }
    }

    /// Misses: each request its own address, in a cache that is full.
    pub(crate) const fn miss(name: &'static str) -> Self {
        Self { kind: Kind::Miss, keys: 1000, ..Self::hit(name) }
    }

    /// Requests with a cookie, which a careful cache leaves alone.
    pub(crate) const fn bypass(name: &'static str) -> Self {
        Self { kind: Kind::Bypass, headers: &COOKIE, ..Self::hit(name) }
    }

    pub(crate) const fn with_query(self) -> Self {
        Self { query: true, ..self }
    }

    pub(crate) const fn with_headers(self) -> Self {
        Self { headers: &REQUEST_HEADERS, ..self }
    }

    pub(crate) const fn with_body(self, body: usize) -> Self {
        Self { body, ..self }
    }

    pub(crate) const fn with_keys(self, keys: u32) -> Self {
        Self { keys, ..self }
    }

    pub(crate) const fn with_count(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// How many entries the cache is to hold.
    pub(crate) fn capacity(&self) -> u32 {
        match self.kind {
            Kind::Miss => self.keys,
            Kind::Hit | Kind::Bypass => (2 * self.keys).max(10_000),
        }
    }

    /// What fills the cache.
    pub(crate) fn filling(&self) -> Load {
        match self.kind {
            // Twice, so that what is done once after a fill is not charged to the hits measured; with
            // many keys that would take too long, and the hits measured are few among them.
            Kind::Hit if self.keys <= 10_000 => self.load(0..self.keys, 2 * self.keys, true),
            Kind::Hit => self.load(0..self.keys, self.keys, true),
            // Twice what the cache holds, so that each fill measured evicts an entry.
            Kind::Miss => self.load(0..2 * self.keys, 2 * self.keys, true),
            Kind::Bypass => self.load(0..self.keys, 64, true),
        }
    }

    /// What is measured. After a miss spawned tasks get their turn, so that work put off is counted.
    pub(crate) fn measured(&self) -> Load {
        match self.kind {
            Kind::Hit => self.load(0..self.keys, self.count, false),
            Kind::Miss => self.load(2 * self.keys..2 * self.keys + self.count, self.count, true),
            Kind::Bypass => self.load(0..self.keys, self.count, true),
        }
    }

    /// `count` requests to addresses of a range, all of the same length and visited in strides: each of
    /// them once a round, or as many as there are requests.
    pub(crate) fn load(&self, range: Range<u32>, count: u32, yields: bool) -> Load {
        let length = u64::from(range.end - range.start);
        let address = |i: u32| {
            let number = 1_000_000 + u64::from(range.start) + u64::from(i) * 7919 % length;
            if self.query { format!("/item/7?page={number}&sort=asc") } else { format!("/item/{number}") }
        };
        let header = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Load {
            addresses: (0..count).take(range.len()).map(|i| address(i).parse().expect("a valid address")).collect(),
            headers: self.headers.iter().map(header).collect(),
            count: count as usize,
            yields,
        }
    }
}

/// A batch of requests, made beforehand as far as that is possible.
pub(crate) struct Load {
    addresses: Vec<Uri>,
    headers: HeaderMap,
    pub(crate) count: usize,
    /// Whether spawned tasks get their turn after each request.
    pub(crate) yields: bool,
}

impl Load {
    /// The `i`th request.
    pub(crate) fn request(&self, i: usize) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = self.addresses[i % self.addresses.len()].clone();
        if !self.headers.is_empty() {
            *request.headers_mut() = self.headers.clone();
        }
        request
    }
}
