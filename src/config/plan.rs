//! All that is said, understood, and nothing of it done.

use super::{
    CacheConfig,
    address::Address,
    backends::{Family, Make, tiers},
    parameters::{Parameter, may_show, wrong},
    settings::{self, Settings},
};
use crate::error::Result;

/// What stands between the URLs of tiers.
pub(super) const NEXT_TIER: &str = " + ";

/// A backend, as far as it was read.
#[derive(Clone)]
pub(super) enum Tier {
    /// Not looked at yet: errors of serde come with the line that they stand in.
    Text(String),
    Address(Box<Address>),
}

impl Tier {
    pub(super) fn all(text: &str) -> Vec<Self> {
        text.split(NEXT_TIER).map(|text| Self::Text(text.to_owned())).collect()
    }

    pub(super) fn read(&self) -> Result<Address> {
        match self {
            Self::Text(text) => Address::parse(text),
            Self::Address(address) => Ok((**address).clone()),
        }
    }

    /// Without users, passwords, and what may be a part of them.
    pub(super) fn shown(&self) -> String {
        let Ok(address) = self.read() else { return "..".to_owned() };
        let user = if address.username.is_some() || address.password.is_some() { "..@" } else { "" };
        let hosts: Vec<_> = address.hosts.iter().map(ToString::to_string).collect();
        let is_known = |key: &str| address.scheme.keys.contains(&key) || settings::keys().any(|known| known == key);
        let open = address.parameters.0.iter().filter(|it| it.is_open && may_show(&it.text) && is_known(&it.key));
        let open: Vec<_> = open.map(|it| format!("{}={}", it.key, it.text)).collect();
        let query = if open.is_empty() { String::new() } else { format!("?{}", open.join("&")) };
        // Where it is the path of a directory it may have an `@`.
        let is_file = address.scheme.family == Family::File;
        let path = if is_file { address.path.replace('@', "") } else { address.path.clone() };
        let path = if may_show(&path) { &*address.path } else { "/.." };
        format!("{}://{user}{}{path}{query}", address.scheme.name, hosts.join(","))
    }
}

impl CacheConfig {
    pub(super) fn plan(&self) -> Result<(Make, Settings)> {
        let mut addresses = self.tiers.iter().map(Tier::read).collect::<Result<Vec<_>>>()?;
        let common: Vec<_> = settings::keys().collect();
        let mut beside = self.parameters.clone();
        let mut settings = beside.split_off(&common);
        for address in &mut addresses {
            settings.0.extend(address.parameters.split_off(&common).0);
        }
        for parameter in beside.0 {
            let at = match addresses.len() {
                1 => 0,
                _ => tier_of(&parameter, &addresses)?,
            };
            addresses[at].parameters.0.push(parameter);
        }
        let make = tiers::read(addresses)?;
        Ok((make, Settings::read(settings)?))
    }
}

/// Which of several tiers a parameter is for that stands beside their URLs.
fn tier_of(parameter: &Parameter, tiers: &[Address]) -> Result<usize> {
    let mut whose = tiers.iter().enumerate().filter(|(_, tier)| tier.scheme.keys.contains(&parameter.key.as_str()));
    match (whose.next(), whose.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => Err(wrong(format!("{parameter} means nothing to any of the tiers"))),
        (Some(_), Some(_)) => {
            Err(wrong(format!("{parameter} may be for several tiers: it belongs into the URL of one of them")))
        }
    }
}
