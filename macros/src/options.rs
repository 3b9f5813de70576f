//! The options that there are, and what to say to those that there are not.

/// An attribute macro.
pub(crate) struct Macro {
    pub(crate) name: &'static str,
    pub(crate) options: &'static [Known],
}

/// An option.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// How it is written.
    pub(crate) example: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `name = expression`
    Expr,
    /// `name = expression`, where a text makes sense.
    Text,
    /// `name = Type`
    Type,
    /// `name`
    Flag,
    /// `name(a, b)`
    List,
    /// `name(closure, ttl)`
    Pair,
}

const fn known(name: &'static str, form: Form, example: &'static str) -> Known {
    Known { name, form, example }
}

const CACHE: Known = known("cache", Form::Expr, "cache = state.cache");
const TTL: Known = known("ttl", Form::Expr, "ttl = Duration::from_secs(60)");
const PROFILE: Known = known("profile", Form::Expr, "profile = HARDY");
const STALE_WHILE_REVALIDATE: Known =
    known("stale_while_revalidate", Form::Expr, "stale_while_revalidate = Duration::from_secs(600)");
const STALE_IF_ERROR: Known = known("stale_if_error", Form::Expr, "stale_if_error = Duration::from_secs(3600)");
const REFRESH_AHEAD: Known = known("refresh_ahead", Form::Expr, "refresh_ahead = 0.8");
const SOFT_TIMEOUT: Known = known("soft_timeout", Form::Expr, "soft_timeout = Duration::from_millis(200)");
const SLIDING: Known = known("sliding", Form::Expr, "sliding = Duration::from_secs(600)");
const BACKGROUND: Known = known("background", Form::Flag, "background");
const SKIP: Known = known("skip", Form::List, "skip(state)");
const UNLESS: Known = known("unless", Form::Expr, "unless = id == 0");
const FORCED_UPDATE: Known = known("forced_update", Form::Expr, "forced_update = refresh");
const IS_STALE: Known = known("is_stale", Form::Expr, "is_stale = |page| page.is_draft");
const RESPONSE_FILTER: Known = known("response_filter", Form::Expr, "response_filter = |page| page.is_complete");
const NEGATIVE: Known = known("negative", Form::Pair, "negative(Option::is_none, Duration::from_secs(5))");
const TAGS: Known = known("tags", Form::Expr, "tags = [format!(\"user:{id}\")]");
const VERSION: Known = known("version", Form::Text, "version = \"2\"");
const SOURCE_CHECK: Known = known("source_check", Form::Flag, "source_check");
const LIVE: Known = known("live", Form::Flag, "live");
const INSTANCE: Known = known("instance", Form::Expr, "instance = self.id");
const METHOD: Known = known("method", Form::Flag, "method");
const NO_COMPANIONS: Known = known("no_companions", Form::Flag, "no_companions");

pub(crate) const MEMOIZE: Macro = Macro {
    name: "memoize",
    options: &[
        CACHE,
        TTL,
        PROFILE,
        STALE_WHILE_REVALIDATE,
        STALE_IF_ERROR,
        REFRESH_AHEAD,
        SOFT_TIMEOUT,
        SLIDING,
        BACKGROUND,
        SKIP,
        known("key", Form::Expr, "key = (tenant, &user.name)"),
        UNLESS,
        FORCED_UPDATE,
        IS_STALE,
        RESPONSE_FILTER,
        NEGATIVE,
        TAGS,
        known("name", Form::Text, "name = \"users::by_id\""),
        known("make_name", Form::Expr, "make_name = |name| format!(\"v2-{name}\")"),
        known("hash_method", Form::Type, "hash_method = sha2::Sha256"),
        VERSION,
        SOURCE_CHECK,
        LIVE,
        INSTANCE,
        METHOD,
        NO_COMPANIONS,
    ],
};

pub(crate) const CACHED: Macro = Macro {
    name: "cached",
    options: &[
        CACHE,
        known("key", Form::Text, "key = \"front page\""),
        TTL,
        PROFILE,
        STALE_WHILE_REVALIDATE,
        STALE_IF_ERROR,
        REFRESH_AHEAD,
        SOFT_TIMEOUT,
        SLIDING,
        BACKGROUND,
        SKIP,
        UNLESS,
        FORCED_UPDATE,
        IS_STALE,
        RESPONSE_FILTER,
        NEGATIVE,
        TAGS,
        VERSION,
        SOURCE_CHECK,
        LIVE,
        INSTANCE,
        METHOD,
        NO_COMPANIONS,
    ],
};

/// What runs in the background, where nothing may be borrowed.
pub(crate) const IN_BACKGROUND: [&str; 4] = ["stale_while_revalidate", "refresh_ahead", "soft_timeout", "background"];

/// Other words for options, from here and elsewhere.
const ALIASES: &[(&str, &str)] = &[("args_to_ignore", "skip")];
const ELSEWHERE: &[(&str, &str)] = &[
    ("timeout", "ttl"),
    ("time", "ttl"),
    ("expire", "ttl"),
    ("expires", "ttl"),
    ("time_to_live", "ttl"),
    ("lifetime", "ttl"),
    ("convert", "key"),
    ("key_prefix", "key"),
    ("ignore", "skip"),
    ("skip_all", "skip"),
    ("store", "cache"),
    ("backend", "cache"),
    ("filter", "response_filter"),
    ("force_refresh", "forced_update"),
    ("tag", "tags"),
    ("swr", "stale_while_revalidate"),
    ("grace", "stale_while_revalidate"),
    ("fail_safe", "stale_if_error"),
    ("eager_refresh", "refresh_ahead"),
];

impl Macro {
    pub(crate) fn option(&self, name: &str) -> Option<&'static Known> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, own)| own);
        self.options.iter().find(|known| known.name == name)
    }

    /// What to say to an option that is not there.
    pub(crate) fn unknown(&self, name: &str) -> String {
        let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name).map(|(_, own)| *own);
        let near = || {
            let distances = self.options.iter().map(|known| (distance(name, known.name), known.name));
            let nearest = distances.min().filter(|(distance, _)| *distance <= 2.min(name.len() / 2));
            nearest.map(|(_, name)| name)
        };
        let meant = elsewhere.or_else(near).and_then(|own| self.option(own));
        let hint = meant.map_or_else(String::new, |known| format!("; did you mean `{}`?", known.example));
        let names: Vec<_> = self.options.iter().map(|known| format!("`{}`", known.name)).collect();
        format!("there is no option `{name}`{hint}\nthe options of `#[{}]` are {}", self.name, names.join(", "))
    }
}

/// How many letters have to be changed, put in or left out.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_is_not() {
        assert!(MEMOIZE.unknown("tll").contains("did you mean `ttl = Duration::from_secs(60)`?"));
        assert!(MEMOIZE.unknown("timeout").contains("did you mean `ttl"));
        assert!(!MEMOIZE.unknown("colour").contains("did you mean"));
        assert!(!CACHED.unknown("convert").contains("`hash_method`"));
    }

    #[test]
    fn a_distance_counts_letters() {
        assert_eq!(["ttl", "tl", "tttl", "xtl", ""].map(|name| distance("ttl", name)), [0, 1, 1, 1, 3]);
    }
}
