//! Settings as somebody wrote them: a name and a text, and where it stands.

use std::{fmt, time::Duration};

use super::{near::nearest, units};
use crate::error::{Error, ErrorKind, Result};

/// Words of which one in a name says that its value is nobody's business.
const SECRET: &[&str] = &["pass", "pwd", "secret", "token", "user", "tls_key"];

/// Names of which a slip is one for the same.
const SECRET_NAMES: [&str; 3] = ["password", "username", "tls_key"];

/// How much of a text an error repeats.
const MOST_SHOWN: usize = 80;

pub(super) fn wrong(text: impl Into<String>) -> Error {
    Error::message(ErrorKind::Config, text.into())
}

/// One setting.
#[derive(Clone)]
pub(super) struct Parameter {
    pub(super) key: String,
    pub(super) text: String,
    /// The variable it stands in, if it does.
    pub(super) variable: Option<String>,
    /// Whether errors may repeat the text.
    pub(super) is_open: bool,
}

impl Parameter {
    pub(super) fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        let key = key.into();
        Self { is_open: !is_secret(&key), key, text: text.into(), variable: None }
    }

    pub(super) fn of_variable(key: impl Into<String>, text: impl Into<String>, variable: &str) -> Self {
        let is_open = !is_secret(variable);
        let parameter = Self::new(key, text);
        Self { is_open: is_open && parameter.is_open, variable: Some(variable.to_owned()), ..parameter }
    }

    /// What is wrong with the text.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        if self.is_open && may_show(&self.text) {
            let shown: String = self.text.chars().take(MOST_SHOWN).collect();
            wrong(format!("{self} is {shown:?}, expected {expected}"))
        } else {
            wrong(format!("{self} has a value that is not shown here, expected {expected}"))
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variable {
            Some(variable) if is_name(variable) => write!(f, "`{variable}`"),
            _ if is_name(&self.key) => write!(f, "`{}`", self.key),
            _ => f.write_str("a parameter"),
        }
    }
}

/// Without the text.
impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether what stands under this name is not to be shown.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word)) || nearest(&name, SECRET_NAMES).is_some()
}

/// Whether a text may be shown that is not known to be a secret: the user of a URL that got into the wrong place is one,
/// and so is the content of a file in place of its path. What is shown stays one line.
pub(super) fn may_show(text: &str) -> bool {
    !text.contains('@') && !text.contains("-----BEGIN") && !text.contains(char::is_control)
}

/// Whether it can be a name at all; a part of a password that was not encoded often is not.
pub(super) fn is_name(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The settings of one backend, or those of a cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(pub(super) Vec<Parameter>);

impl Parameters {
    /// The one of these names, all of which mean the same.
    pub(super) fn take(&mut self, keys: &[&str]) -> Result<Option<Parameter>> {
        let (taken, rest): (Vec<_>, _) = self.0.drain(..).partition(|it| keys.contains(&it.key.as_str()));
        self.0 = rest;
        let mut taken = taken.into_iter();
        let Some(first) = taken.next() else { return Ok(None) };
        match taken.find(|other| other.text != first.text) {
            None => Ok(Some(first)),
            Some(other) if first.to_string() == other.to_string() => {
                Err(wrong(format!("{first} is there twice, with different values: leave one out")))
            }
            Some(other) => Err(wrong(format!("{first} and {other} contradict each other: leave one out"))),
        }
    }

    pub(super) fn read<T>(
        &mut self,
        keys: &[&str],
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(parameter) = self.take(keys)? else { return Ok(None) };
        read(&parameter.text).map(Some).ok_or_else(|| parameter.wrong(expected))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.take(&[key])?.map(|it| it.text))
    }

    pub(super) fn bytes<T: TryFrom<u64>>(&mut self, key: &str) -> Result<Option<T>> {
        self.read(&[key], units::BYTES, units::bytes)
    }

    pub(super) fn count<T: TryFrom<u64>>(&mut self, keys: &[&str]) -> Result<Option<T>> {
        self.read(keys, units::COUNT, units::count)
    }

    pub(super) fn timeout(&mut self, key: &str) -> Result<Option<Duration>> {
        self.read(&[key], units::TIMEOUT, units::timeout)
    }

    pub(super) fn yes_or_no(&mut self, key: &str) -> Result<Option<bool>> {
        self.read(&[key], units::YES_OR_NO, units::yes_or_no)
    }

    /// Takes out those that have one of these names.
    pub(super) fn split_off(&mut self, keys: &[&str]) -> Self {
        let (taken, rest) = self.0.drain(..).partition(|it| keys.contains(&it.key.as_str()));
        self.0 = rest;
        Self(taken)
    }
}

/// A name that nothing has, and what was meant by it.
pub(super) fn unknown(parameter: &Parameter, whose: &str, known: &[impl AsRef<str>]) -> Error {
    let is_variable = parameter.variable.is_some();
    let written = |key: &str| {
        if is_variable { format!("`CACHE_{}`", key.to_ascii_uppercase()) } else { format!("`{key}`") }
    };
    let meant = nearest(&parameter.key, known.iter().map(AsRef::as_ref));
    // What stands beside a secret may be a part of it.
    let may_show = parameter.is_open || is_variable || meant.is_some();
    let what = if may_show { parameter.to_string() } else { "a parameter".to_owned() };
    let meant = meant.map(|key| format!("; did you mean {}?", written(key))).unwrap_or_default();
    let known: Vec<_> = known.iter().map(|key| written(key.as_ref())).collect();
    wrong(format!("{what} means nothing to {whose}{meant}; expected one of {}", known.join(", ")))
}
