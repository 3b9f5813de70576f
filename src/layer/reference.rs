//! What a field of a response refers to (RFC 3986 §5), as far as it is of the same origin.

use http::{HeaderMap, Uri, header, uri::Authority};

use super::key_by::percent_encoded;

/// The scheme and the host with its port, as far as a request says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// A request that names its host in a field alone does not say it.
    pub(super) scheme: Option<String>,
    /// In lower case, with its port if it has one; `None` if there is none, or if there are two.
    pub(super) host: Option<String>,
}

impl Origin {
    pub(super) fn of(target: &Uri, headers: &HeaderMap) -> Self {
        let named = target.authority().map(Authority::as_str);
        let mut fields = headers.get_all(header::HOST).iter();
        let field = fields.next().map(|host| host.to_str().unwrap_or_default());
        let differ = named.zip(field).is_some_and(|(named, field)| !named.eq_ignore_ascii_case(field));
        let is_one = fields.next().is_none() && !differ;
        let host = named.or(field).filter(|host| is_one && !host.is_empty());
        Self { scheme: target.scheme_str().map(str::to_ascii_lowercase), host: host.map(str::to_ascii_lowercase) }
    }
}

/// The path and the query that a reference has, if it is of this origin. `base` is the path that it is relative to.
///
/// What is of no origin that is known for certain is of another one.
pub(super) fn resolve(reference: &str, base: &str, origin: &Origin) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let reference = match absolute(reference) {
        Some((scheme, rest)) => {
            let (host, path) = split_authority(rest.strip_prefix("//")?);
            if !is_of(origin, Some(scheme), host) {
                return None;
            }
            path
        }
        None => match reference.strip_prefix("//") {
            Some(rest) => {
                let (host, path) = split_authority(rest);
                if !is_of(origin, None, host) {
                    return None;
                }
                path
            }
            None => return target(&relative(reference, base)),
        },
    };
    target(&if reference.starts_with('/') { dotless(reference) } else { format!("/{reference}") })
}

/// The scheme of a reference that has one, and what comes after it.
fn absolute(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    // A colon in a later segment or in the query is no end of a scheme.
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

fn is_of(origin: &Origin, scheme: Option<&str>, host: &str) -> bool {
    let scheme = scheme.map(str::to_ascii_lowercase);
    if !matches!(scheme.as_deref(), None | Some("http" | "https")) {
        return false;
    }
    if let (Some(one), Some(other)) = (&scheme, &origin.scheme) {
        if one != other {
            return false;
        }
    }
    let scheme = scheme.or_else(|| origin.scheme.clone());
    let host = host.to_ascii_lowercase();
    let plain = |host: &str| without_default_port(host, scheme.as_deref()).to_owned();
    !host.is_empty() && origin.host.as_deref().is_some_and(|own| plain(own) == plain(&host))
}

fn without_default_port<'a>(host: &'a str, scheme: Option<&str>) -> &'a str {
    let port = match scheme {
        Some("http") => ":80",
        Some("https") => ":443",
        _ => return host,
    };
    host.strip_suffix(port).unwrap_or(host)
}

/// A reference without a host, against the path that it stands on.
fn relative(reference: &str, base: &str) -> String {
    if reference.is_empty() || reference.starts_with('?') {
        return format!("{base}{reference}");
    }
    if reference.starts_with('/') {
        return dotless(reference);
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    dotless(&format!("{folder}/{reference}"))
}

/// Without the segments `.` and `..` (RFC 3986 §5.2.4); the query is left as it is.
fn dotless(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        is_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    if is_folder {
        segments.push("");
    }
    format!("/{}{query}", segments.join("/"))
}

fn target(text: &str) -> Option<String> {
    let text = percent_encoded(text);
    let uri: Uri = text.parse().ok()?;
    uri.path().starts_with('/').then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(scheme: Option<&str>, host: &str) -> Origin {
        Origin { scheme: scheme.map(Into::into), host: Some(host.into()) }
    }

    fn resolved(reference: &str) -> Option<String> {
        resolve(reference, "/a/b/c", &at(None, "shop.example"))
    }

    #[test]
    fn a_reference_without_a_host_is_read_as_the_standard_says() {
        // RFC 3986 §5.4, without what has no path.
        for (reference, expected) in [
            ("g", "/a/b/g"),
            ("./g", "/a/b/g"),
            ("g/", "/a/b/g/"),
            ("/g", "/g"),
            ("?y", "/a/b/c?y"),
            ("g?y", "/a/b/g?y"),
            ("#s", "/a/b/c"),
            ("g#s", "/a/b/g"),
            ("", "/a/b/c"),
            (".", "/a/b/"),
            ("..", "/a/"),
            ("../g", "/a/g"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g?y/../x", "/a/b/g?y/../x"),
            ("g;x=1/../y", "/a/b/y"),
            ("1:2", "/a/b/1:2"),
            ("/g h?\"", "/g%20h?%22"),
        ] {
            assert_eq!(resolved(reference).as_deref(), Some(expected), "{reference}");
        }
    }

    #[test]
    fn only_the_origin_itself_is_of_the_origin() {
        for (reference, expected) in [
            ("http://shop.example/g?y", Some("/g?y")),
            ("HTTPS://Shop.Example/g", Some("/g")),
            ("//shop.example/g", Some("/g")),
            ("http://shop.example", Some("/")),
            ("http://shop.example?y", Some("/?y")),
            ("http://shop.example:80/g", Some("/g")),
            ("http://shop.example:443/g", None),
            ("http://shop.example:8080/g", None),
            ("http://shop.example.evil/g", None),
            ("http://evil/shop.example/g", None),
            ("http://user@shop.example/g", None),
            ("//evil/g", None),
            ("ftp://shop.example/g", None),
            ("mailto:shop.example", None),
            ("http:/g", None),
            ("http:g", None),
            ("///g", None),
        ] {
            assert_eq!(resolved(reference).as_deref(), expected, "{reference}");
        }
        let secure = at(Some("https"), "shop.example:443");
        assert_eq!(resolve("https://shop.example/g", "/", &secure).as_deref(), Some("/g"));
        assert_eq!(resolve("http://shop.example/g", "/", &secure), None);
        let unknown = Origin { scheme: None, host: None };
        assert_eq!(resolve("http:///g", "/", &unknown), None);
        assert_eq!(resolve("/g", "/", &unknown).as_deref(), Some("/g"));
    }
}
