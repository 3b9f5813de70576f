//! Where a server listens, as a user writes it.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

pub(super) const DEFAULT_PORT: u16 = 11_211;

/// A host and a port, or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(String),
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let expected = "expected `host`, `host:port`, `[::1]:port` or the path of a socket, `/run/memcached.sock`";
            Err(Error::message(ErrorKind::Config, format!("`{text}` is no server: {why}; {expected}")))
        };
        let path = text.strip_prefix("unix:").or(text.starts_with('/').then_some(text));
        if let Some(path) = path {
            return if path.is_empty() { wrong("there is no path") } else { Ok(Self::Unix(path.to_owned())) };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, rest)) if rest.starts_with(':') => (host, Some(&rest[1..])),
                _ => return wrong("the bracket is not closed, or something else than a port comes after it"),
            },
            None => match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => return wrong("an IPv6 address stands in brackets"),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port.map(str::parse) {
            None => DEFAULT_PORT,
            Some(Ok(port)) if port != 0 => port,
            Some(_) => return wrong("the port is no number from 1 to 65535"),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '@') {
            return wrong("the host is no name and no address");
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// What libmemcached hashes for the places of a server on the ring.
    pub(super) fn on_the_ring(&self) -> String {
        match self {
            Self::Tcp { host, port: DEFAULT_PORT } => host.clone(),
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Unix(path) => format!("{path}:0"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_people_write_them() {
        for (text, shown, ring) in [
            ("localhost", "localhost:11211", "localhost"),
            ("10.0.0.1:11212", "10.0.0.1:11212", "10.0.0.1:11212"),
            ("[::1]", "[::1]:11211", "::1"),
            ("[::1]:1", "[::1]:1", "::1:1"),
            ("/run/m.sock", "/run/m.sock", "/run/m.sock:0"),
            ("unix:m.sock", "m.sock", "m.sock:0"),
        ] {
            let address = Address::parse(text).expect("a server");
            assert_eq!((address.to_string().as_str(), address.on_the_ring().as_str()), (shown, ring));
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_what_is_expected() {
        for text in
            ["", ":1", "a:", "a:0", "a:65536", "a:b", "::1", "[::1", "[::1]x", "a b", "unix:", "http://a:1", "u@h"]
        {
            let error = Address::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&format!("`{text}` is no server")), "{error}");
        }
    }
}
