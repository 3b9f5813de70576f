//! The environment: `CACHE_URL`, parameters as variables, and what Flask-Caching has there.

mod anchor;
mod kind;

use std::{collections::BTreeMap, ffi::OsString};

use self::kind::Kind;
use super::{
    CacheConfig, Tier,
    address::query_of,
    backends,
    parameters::{Parameter, Parameters, unknown, wrong},
};
use crate::error::Result;

const PREFIX: &str = "CACHE_";

/// The variables that are not yet used, so that none goes unseen.
struct Vars(BTreeMap<String, String>);

impl Vars {
    fn collect(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let mut found = BTreeMap::new();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with(PREFIX) || value.is_empty() {
                continue;
            }
            let value = value.into_string().map_err(|_| wrong(format!("`{name}` is no UTF-8 text")))?;
            found.insert(name, value);
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }
}

pub(super) fn read(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<CacheConfig> {
    let mut vars = Vars::collect(vars)?;
    anchor::inert(&mut vars)?;
    let kind = vars.take("CACHE_TYPE").map(|name| Kind::of(&name)).transpose()?;
    let tiers = match (vars.take("CACHE_URL"), kind) {
        (Some(url), kind) => {
            let tiers = Tier::all(&url);
            let read: Result<Vec<_>> = tiers.iter().map(Tier::read).collect();
            let read = read.map_err(|error| wrong(format!("`CACHE_URL`: {}", error.text())))?;
            if let Some(kind) = kind.filter(|kind| !read.iter().any(|address| kind.names(address))) {
                return Err(wrong(format!(
                    "`CACHE_TYPE` and `CACHE_URL` contradict each other: expected {} in `CACHE_URL`, or no `CACHE_TYPE`",
                    kind.expected()
                )));
            }
            tiers
        }
        (None, Some(kind)) => vec![Tier::Address(Box::new(kind.address(&mut vars)?))],
        (None, None) => vec![Tier::Text("memory://".to_owned())],
    };
    let parameters = parameters(vars, &tiers)?;
    Ok(CacheConfig::of(tiers, parameters))
}

/// All that is left: parameters, under the names of Flask-Caching or their own.
fn parameters(mut vars: Vars, tiers: &[Tier]) -> Result<Parameters> {
    let families = tiers.iter().map(|tier| Ok(tier.read()?.scheme.family)).collect::<Result<Vec<_>>>()?;
    let options = vars.take("CACHE_OPTIONS");
    let mut parameters = options.map(|options| options_of(&options)).transpose()?.unwrap_or_default();
    for (name, text) in vars.0 {
        let key = match anchor::parameter(&name) {
            Some((family, _)) if !families.contains(&family) => {
                return Err(wrong(format!(
                    "`{name}` is for {}, which neither `CACHE_TYPE` nor `CACHE_URL` names",
                    anchor::types_of(family)
                )));
            }
            Some((_, Some(key))) => key.to_owned(),
            Some((_, None)) => {
                return Err(wrong(format!("`{name}` says where the backend is, and another variable says that too")));
            }
            None => name.strip_prefix(PREFIX).unwrap_or(&name).to_ascii_lowercase(),
        };
        let parameter = Parameter::of_variable(key, text, &name);
        if !backends::has_key(&parameter.key) {
            return Err(stranger(&parameter));
        }
        parameters.0.push(parameter);
    }
    Ok(parameters)
}

fn options_of(text: &str) -> Result<Parameters> {
    let expected = "parameters as a URL has them, like `max_bytes=64MiB&sync=true`";
    if text.trim_start().starts_with(['{', '[']) {
        return Err(wrong(format!("`CACHE_OPTIONS` is no dictionary here; expected {expected}")));
    }
    query_of(text).ok_or_else(|| wrong(format!("`CACHE_OPTIONS` is not encoded; expected {expected}")))
}

fn stranger(parameter: &Parameter) -> crate::error::Error {
    let mut known: Vec<String> =
        ["url", "type", "options"].into_iter().chain(backends::keys()).map(String::from).collect();
    known.extend(anchor::names().filter_map(|name| name.strip_prefix(PREFIX)).map(str::to_ascii_lowercase));
    known.sort_unstable();
    known.dedup();
    unknown(
        parameter,
        "this cache (whoever has such variables of their own filters them: `CacheConfig::from_vars`)",
        &known,
    )
}
