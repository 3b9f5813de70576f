//! What selects among the representations of one resource.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use serde::{Deserialize, Serialize};

use crate::{
    fields::{accepted_codings, cookie, forwarded, members},
    key::HashMethod,
    reason::NotStored,
};

/// More fields than this select nothing that is worth keeping.
const MAX_SELECTORS: usize = 8;

/// A longer value is not kept for comparison.
const MAX_VALUE: usize = 4 * 1024;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// One property of a request that selects a representation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Selector {
    /// The host that was asked, from the target or the `Host` field.
    Host,
    /// One cookie of the `Cookie` field.
    Cookie(Box<str>),
    /// A field, all its lines together, by its name in lower case.
    Field(#[serde(with = "name")] HeaderName),
}

impl From<HeaderName> for Selector {
    fn from(name: HeaderName) -> Self {
        if name == header::HOST { Self::Host } else { Self::Field(name) }
    }
}

mod name {
    use http::HeaderName;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What of a request can select.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) uri: &'a Uri,
    pub(crate) host: HostField<'a>,
}

/// What the fields of a request say of its host, found in a pass over them: that costs less than to look names up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum HostField<'a> {
    #[default]
    Absent,
    Only(&'a HeaderValue),
    /// Proxies have their say: handlers believe them, and a client may be the one who says it.
    Proxied,
}

impl<'a> HostField<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut host = Self::Absent;
        for (name, value) in headers {
            host = if *name == header::HOST { host.or(value) } else { host.or_proxied(name) };
        }
        host
    }

    #[inline]
    pub(crate) fn or(self, value: &'a HeaderValue) -> Self {
        if matches!(self, Self::Proxied) { self } else { Self::Only(value) }
    }

    /// With a field that is not `Host`.
    #[inline]
    pub(crate) fn or_proxied(self, name: &HeaderName) -> Self {
        match name.as_str() {
            "forwarded" | "x-forwarded-host" | "x-forwarded-proto" => Self::Proxied,
            _ => self,
        }
    }
}

impl<'a> Asked<'a> {
    pub(crate) fn of(headers: &'a HeaderMap, uri: &'a Uri) -> Self {
        Self { headers, uri, host: HostField::of(headers) }
    }

    /// The value of a selector; absent is not empty (Django CVE-2026-113593).
    #[inline]
    pub(crate) fn value(&self, selector: &Selector) -> Option<Cow<'a, [u8]>> {
        match selector {
            Selector::Host => self.host(),
            // A secret is compared by its digest, and is not kept.
            Selector::Cookie(name) => secret(cookie(self.lines(&header::COOKIE), name).map(Cow::Owned)),
            Selector::Field(name) => match *name {
                header::ACCEPT_ENCODING => {
                    self.headers.contains_key(name).then(|| Cow::Owned(accepted_codings(self.lines(name))))
                }
                header::AUTHORIZATION | header::COOKIE => secret(self.field(name)),
                _ => self.field(name),
            },
        }
    }

    /// Whether this is the value of a selector.
    #[inline]
    fn has(&self, selector: &Selector, value: Option<&[u8]>) -> bool {
        match (selector, self.host, value) {
            _ if self.uri.scheme().is_some() => self.compares(selector, value),
            (Selector::Host, HostField::Absent, None) => true,
            // Most write it as it is kept, in lower case.
            (Selector::Host, HostField::Only(host), Some(value)) if value == host.as_bytes() => true,
            _ => self.compares(selector, value),
        }
    }

    #[inline(never)]
    fn compares(&self, selector: &Selector, value: Option<&[u8]>) -> bool {
        self.value(selector).as_deref() == value
    }

    /// The host in lower case. A target that names one goes before the field (RFC 9112 §3.2.2).
    #[inline]
    fn host(&self) -> Option<Cow<'a, [u8]>> {
        let host = match self.host {
            _ if self.uri.scheme().is_some() => return Some(Cow::Owned(self.whole_host())),
            HostField::Proxied => return Some(Cow::Owned(self.whole_host())),
            HostField::Absent => return None,
            HostField::Only(host) => host.as_bytes(),
        };
        if host.iter().any(u8::is_ascii_uppercase) {
            return Some(Cow::Owned(host.to_ascii_lowercase()));
        }
        Some(Cow::Borrowed(host))
    }

    /// Scheme, host, and what proxies say of them.
    #[cold]
    fn whole_host(&self) -> Vec<u8> {
        let own = match self.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => self.headers.get(header::HOST).map(HeaderValue::as_bytes),
        };
        let mut all = own.unwrap_or(b"-").to_ascii_lowercase();
        let mut add = |name: &[u8], value: &[u8]| {
            all.push(b'\n');
            all.extend_from_slice(name);
            all.extend_from_slice(value);
        };
        add(b"s:", self.uri.scheme_str().unwrap_or_default().as_bytes());
        self.lines(&X_FORWARDED_HOST).for_each(|host| add(b"h:", host));
        self.lines(&X_FORWARDED_PROTO).for_each(|scheme| add(b"p:", scheme));
        forwarded(self.lines(&header::FORWARDED)).for_each(|pair| add(b"f:", pair));
        all
    }

    fn field(&self, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
        let mut lines = self.lines(name);
        let first = lines.next()?;
        let mut all = Cow::Borrowed(first);
        for line in lines {
            all.to_mut().extend_from_slice(b", ");
            all.to_mut().extend_from_slice(line);
        }
        Some(all)
    }

    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.headers.get_all(name).into_iter().map(|value| value.as_bytes().trim_ascii())
    }
}

fn secret(value: Option<Cow<'_, [u8]>>) -> Option<Cow<'static, [u8]>> {
    value.map(|value| Cow::Owned(HashMethod::default().hex(&value).as_bytes().to_vec()))
}

/// The selectors of a response, with the values that its request had for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selecting {
    /// Mostly those of the layer itself, which all its entries share.
    selectors: Arc<[Selector]>,
    values: Box<[Selected]>,
}

/// The value of a request; absent is not empty.
pub(crate) type Selected = Option<Box<[u8]>>;

impl Selecting {
    /// Reads the values of a request.
    pub(crate) fn of(selectors: &Arc<[Selector]>, asked: Asked<'_>) -> Result<Self, NotStored> {
        if selectors.len() > MAX_SELECTORS {
            return Err(NotStored::TooManySelectors);
        }
        let mut values = Vec::with_capacity(selectors.len());
        for selector in &**selectors {
            let value = asked.value(selector);
            if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
                return Err(NotStored::TooManySelectors);
            }
            values.push(value.map(|value| value.into_owned().into()));
        }
        Ok(Self { selectors: Arc::clone(selectors), values: values.into() })
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Selector, &Selected)> {
        self.selectors.iter().zip(&self.values)
    }

    #[inline]
    pub(crate) fn matches(&self, asked: Asked<'_>) -> bool {
        self.pairs().all(|(selector, value)| asked.has(selector, value.as_deref()))
    }

    pub(crate) fn selectors(&self) -> &Arc<[Selector]> {
        &self.selectors
    }

    /// A digest of a request's values for these selectors.
    pub(crate) fn digest(&self, asked: Asked<'_>, hash: HashMethod) -> String {
        let values = self.selectors.iter().map(|selector| asked.value(selector));
        hash.hex(&written(values)).as_str().to_owned()
    }

    /// The digest that the request of these values has.
    pub(crate) fn own_digest(&self, hash: HashMethod) -> String {
        hash.hex(&written(self.values.iter().map(Option::as_deref))).as_str().to_owned()
    }

    /// Whether all of these are among the selectors.
    #[inline]
    pub(crate) fn covers(&self, selectors: &Arc<[Selector]>) -> bool {
        Arc::ptr_eq(&self.selectors, selectors) || selectors.iter().all(|wanted| self.selectors.contains(wanted))
    }

    pub(crate) fn weight(&self) -> usize {
        let values = self.values.iter().map(|value| value.as_deref().map_or(0, |value| value.len() + 16));
        // The selectors are the layer's, or else few.
        self.values.len() * size_of::<Selected>() + values.sum::<usize>()
    }
}

impl FromIterator<(Selector, Selected)> for Selecting {
    fn from_iter<I: IntoIterator<Item = (Selector, Selected)>>(pairs: I) -> Self {
        let (selectors, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        Self { selectors: selectors.into(), values: values.into() }
    }
}

/// Values one after the other, length-prefixed; absent is not empty.
fn written(values: impl Iterator<Item = Option<impl AsRef<[u8]>>>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    for value in values {
        match value.as_ref().map(AsRef::as_ref) {
            None => bytes.push(b'-'),
            Some(value) => {
                bytes.push(b'+');
                bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

/// The names in the `Vary` of a response. `*`, or what is no name, means that nothing but chance selects.
pub(crate) fn varied(headers: &HeaderMap) -> Result<Vec<HeaderName>, NotStored> {
    let mut names = Vec::new();
    for line in headers.get_all(header::VARY) {
        for member in members(line.as_bytes()) {
            // Django CVE-2026-6907 stored `Vary: *`.
            let name = HeaderName::from_bytes(member).ok().filter(|name| name.as_str() != "*");
            names.push(name.ok_or(NotStored::VaryAny)?);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Asked<'a> {
        Asked::of(headers, uri)
    }

    #[test]
    fn absent_is_not_empty_and_lines_are_one_list() {
        let uri = Uri::from_static("/");
        let field = Selector::Field(header::ACCEPT_LANGUAGE);
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&headers, &uri).value(&field), None);
        headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_static(""));
        assert_eq!(asked(&headers, &uri).value(&field).as_deref(), Some(&b""[..]));
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("de"));
        headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_static(" en"));
        assert_eq!(asked(&headers, &uri).value(&field).as_deref(), Some(&b"de, en"[..]));
    }

    #[test]
    fn values_cannot_be_shifted_between_selectors() {
        let uri = Uri::from_static("/");
        let selectors = [Selector::Field(header::ACCEPT), Selector::Field(header::ACCEPT_LANGUAGE)];
        let digest = |accept: &'static str, language: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            if let Some(language) = language {
                headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(language));
            }
            written(selectors.iter().map(|selector| asked(&headers, &uri).value(selector)))
        };
        assert_ne!(digest("ab", Some("c")), digest("a", Some("bc")));
        assert_ne!(digest("a", Some("")), digest("a", None));
    }

    #[test]
    fn the_host_of_the_target_goes_before_the_field_and_case_does_not_matter() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("Field.example"));
        let (relative, absolute) = (Uri::from_static("/"), Uri::from_static("http://TARGET.example:8080/"));
        assert_eq!(asked(&headers, &relative).value(&Selector::Host).as_deref(), Some(&b"field.example"[..]));
        let value = asked(&headers, &absolute).value(&Selector::Host).expect("a host");
        assert!(value.starts_with(b"target.example:8080\n"));
    }
}
