//! The URL of one backend.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{
    backends::{self, Scheme},
    near::nearest,
    parameters::{Parameter, Parameters, is_secret, wrong},
};
use crate::error::Result;

const ESCAPES: &str = "what is not a letter or a digit in a name, a password or a value is written as % and two \
                       hexadecimal digits: `@` is %40, `/` %2F, `?` %3F, `#` %23, `:` %3A, `&` %26, `%` %25, `,` %2C";

/// What is written otherwise in the path of a URL.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'?').add(b'%').add(b'\\');

/// Which backend, where, who asks there, and how.
///
/// The crate `url` knows no lists of hosts, and brings the tables of Unicode.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) scheme: &'static Scheme,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) hosts: Vec<Host>,
    /// Empty, or from its first slash on.
    pub(super) path: String,
    pub(super) parameters: Parameters,
}

impl Address {
    pub(super) fn of(scheme: &'static Scheme) -> Self {
        let (hosts, path) = (Vec::new(), String::new());
        Self { scheme, username: None, password: None, hosts, path, parameters: Parameters::default() }
    }

    /// No error repeats more of the text than names and values of parameters, and none of those if one is a secret:
    /// whatever else there is may be a part of a password that was not encoded.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = scheme(text.trim())?;
        let mut address = Self::of(scheme);
        let whole = |what: &str| wrong(format!("{}://: {what}; {ESCAPES}", scheme.name));
        if rest.contains('#') {
            return Err(whole("there is a `#`"));
        }
        if rest.contains(|c: char| c.is_control()) {
            return Err(whole("there is a control character"));
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') || path.contains('@') && !scheme.is_local {
            return Err(whole("there is an `@` behind the host"));
        }
        let hosts = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => return Err(whole("there is more than one `@`")),
            Some((user, _)) if user.contains(',') => return Err(whole("there is a `,` before the `@`")),
            Some((user, hosts)) => {
                let (username, password) = user.split_once(':').map_or((user, None), |(user, it)| (user, Some(it)));
                let read = |text: &str| decode(text).ok_or_else(|| whole("the user or the password is not encoded"));
                address.username = Some(read(username)?).filter(|name| !name.is_empty());
                address.password = password.map(read).transpose()?;
                hosts
            }
            None => authority,
        };
        address.hosts = hosts_of(hosts).map_err(|error| wrong(format!("{}://: {}", scheme.name, error.text())))?;
        address.path = decode(path).ok_or_else(|| whole("the path is not encoded"))?;
        address.parameters = query_of(query).ok_or_else(|| whole("the query is not encoded"))?;
        Ok(address)
    }

    /// That it has neither hosts nor users.
    pub(super) fn has_no_host(&self) -> Result<()> {
        match self {
            Self { hosts, username: None, password: None, .. } if hosts.is_empty() => Ok(()),
            _ => Err(wrong(format!(
                "{0}:// has no host and no user: expected `{1}`",
                self.scheme.name, self.scheme.form
            ))),
        }
    }

    pub(super) fn has_no_path(&self) -> Result<()> {
        if self.path.trim_matches('/').is_empty() {
            return Ok(());
        }
        Err(wrong(format!("{0}:// has no path: expected `{1}`", self.scheme.name, self.scheme.form)))
    }
}

fn scheme(text: &str) -> Result<(&'static Scheme, &str)> {
    let all = || backends::SCHEMES.iter().map(|scheme| scheme.name);
    let expected = || all().map(|name| format!("{name}://")).collect::<Vec<_>>().join(", ");
    let Some((name, rest)) = text.split_once("://") else {
        let meant = nearest(text, all()).map(|name| format!("; did you mean `{name}://`?")).unwrap_or_default();
        return Err(wrong(format!("not the URL of a backend{meant}; expected one that begins with {}", expected())));
    };
    if let Some(scheme) = backends::scheme(name) {
        return Ok((scheme, rest));
    }
    // Whatever has digits or signs in it is not a scheme that somebody wrote, and may be a part of a secret.
    let is_word = name.len() <= 20 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'+');
    let what = if is_word { format!("no backend is called {name:?}") } else { "no backend is called so".to_owned() };
    let meant = nearest(name, all()).map(|name| format!("; did you mean `{name}://`?")).unwrap_or_default();
    Err(wrong(format!("{what}{meant}; expected {}", expected())))
}

/// `None` if a `%` stands for something else than a byte, or the bytes are no text.
fn decode(text: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let is_whole = text.split('%').skip(1).all(is_escape);
    is_whole.then(|| percent_decode_str(text).decode_utf8().ok().map(String::from)).flatten()
}

/// A path as it is in a URL.
pub(super) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_A_PATH).to_string()
}

/// What stands behind the `?`. A `+` is a plus.
pub(super) fn query_of(text: &str) -> Option<Parameters> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some(Parameter::new(decode(key)?, decode(value)?))
    });
    let mut parameters = Parameters(pairs.collect::<Option<_>>()?);
    if parameters.0.iter().any(|it| is_secret(&it.key)) {
        // An `&` in a secret that is not encoded makes two of it.
        parameters.0.iter_mut().for_each(|it| it.is_open = false);
    }
    Some(parameters)
}

/// A host, and a port if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// An address of IPv6 is without its brackets.
    pub(super) name: String,
    pub(super) port: Option<u16>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.name),
            (true, None) => write!(f, "[{}]", self.name),
            (false, Some(port)) => write!(f, "{}:{port}", self.name),
            (false, None) => f.write_str(&self.name),
        }
    }
}

/// A list of hosts with commas between. The errors say which one is wrong, and not what it is.
pub(super) fn hosts_of(text: &str) -> Result<Vec<Host>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let hosts = text.split(',').map(str::trim).enumerate();
    hosts.map(|(at, text)| host(text).ok_or_else(|| wrong(format!(
        "host {} is none; expected `host`, `host:port` or `[::1]:port`, with a port from 1 to 65535, and a comma between two",
        at + 1
    )))).collect()
}

fn host(text: &str) -> Option<Host> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (Some(name).filter(|name| !name.is_empty() && name.chars().all(is_name))?, port)
        }
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
    };
    Some(Host { name: name.to_owned(), port })
}
