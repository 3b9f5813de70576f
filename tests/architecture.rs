//! The rules of ARCHITECTURE.md that a machine can check.
#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file may be this long, in lines.
const CEILING: usize = 400;

/// Modules import from lower levels and from their own children.
const LEVELS: &[(&str, usize)] = &[
    ("error", 0),
    ("clock", 0),
    ("ttl", 0),
    ("reason", 0),
    ("fields", 0),
    ("sync", 0),
    ("timer", 0),
    ("key", 1),
    ("value", 1),
    ("profile", 1),
    ("stamps", 1),
    ("backend", 2),
    ("codec", 3),
    ("record", 3),
    ("observe", 3),
    ("freshness", 4),
    ("flight", 4),
    ("cache", 5),
    ("config", 6),
    ("policy", 6),
    ("response", 6),
    ("memo", 6),
    ("axum", 7),
    ("layer", 8),
    ("testing", 9),
    ("private", 9),
    ("macros", 9),
    ("lib", 10),
];

/// Crates that only some files may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("http", &["policy", "response", "axum", "layer"]),
    ("http_body", &["layer"]),
    ("tower_layer", &["layer"]),
    ("tower_service", &["layer"]),
    // `CacheLayer::around` makes the body type of `axum::serve`.
    ("axum", &["axum", "layer/around.rs"]),
    ("quick_cache", &["backend/memory", "backend/tiered"]),
    ("rustix", &["backend/file"]),
    ("nix", &["clock.rs"]),
    ("sha2", &["backend/file", "backend/envelope"]),
    ("chacha20poly1305", &["backend/envelope"]),
    ("data_encoding", &["backend/envelope"]),
    ("zstd", &["backend/envelope"]),
    ("redis", &["backend/redis"]),
    ("socket2", &["backend/memcached/socket.rs"]),
    ("rustls", &["backend/redis/tls.rs"]),
    ("dashmap", &["sync.rs", "cache/functions.rs"]),
    ("loom", &["sync", "flight/model", "cache/model.rs"]),
    ("metrics", &["observe/metrics.rs"]),
    ("postcard", &["codec", "record", "memo/keep.rs"]),
    ("serde_urlencoded", &["layer/key_by.rs"]),
    ("percent_encoding", &["fields", "layer/key_by.rs", "config/address.rs"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of this crate").map(|entry| entry.expect("readable")) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Each file of `src`, by its path below it, without its tests and its comments.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    rust_files(&src)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&src).expect("inside").display().to_string();
            let text = fs::read_to_string(&path).expect("text");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (name, code.join("\n"))
        })
        .collect()
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().expect("a name")
}

fn level(module: &str) -> usize {
    let known = LEVELS.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("src/{module} has no level: give it one here and in ARCHITECTURE.md")).1
}

/// The modules that a file names with `crate::`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `axum_caching::` in an example is no import, nor is `$crate`.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(top_level_names(group)),
            None => names.extend(identifier(rest)),
        }
    }
    // Re-exports at the root: types, not modules.
    names.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    names
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first identifier of each member of a group of imports.
fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut begins) = (0_usize, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && (c.is_alphanumeric() || c == '_') => {
                names.extend(identifier(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn a_module_imports_only_from_lower_levels() {
    let mut wrong = Vec::new();
    for (file, code) in sources().iter().filter(|(file, _)| file != "lib.rs") {
        let own = module(file);
        for import in imports(code).iter().filter(|import| *import != own) {
            if level(import) >= level(own) {
                wrong.push(format!("src/{file} ({}) imports crate::{import} ({})", level(own), level(import)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_freshness_compares_a_time_of_a_record_with_a_bound() {
    let mut wrong = Vec::new();
    for (file, code) in sources().iter().filter(|(file, _)| file != "freshness.rs") {
        let names_a_time =
            |line: &&str| ["fresh_until", "stale_until", "error_until"].iter().any(|it| line.contains(it));
        let compares =
            |line: &&str| [" < ", " > ", " <= ", " >= ", ".min(", ".max("].iter().any(|it| line.contains(it));
        wrong.extend(code.lines().filter(names_a_time).filter(compares).map(|line| format!("src/{file}: {line}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outside_crates_are_named_only_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in RESERVED {
            let names_it = code.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with(&format!("use {name}::")) || line.contains(&format!("<{name}::"))
            });
            if names_it && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("src/{file} names {name}, which belongs in {places:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let mut wrong = Vec::new();
    for folder in ["src", "macros/src", "tests", "examples", "benches"] {
        for path in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&path).expect("text").lines().count();
            if lines > CEILING && !path.display().to_string().contains("/target/") {
                wrong.push(format!("{}: {lines} lines, expected {CEILING} at most", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_under_tests_is_compiled() {
    let tests = root().join("tests");
    // What is in `ui` must not compile: `macros_ui` sees to that.
    let targets: Vec<_> = rust_files(&tests).into_iter().filter(|path| !path.starts_with(tests.join("ui"))).collect();
    let is_target = |path: &&PathBuf| {
        let folder = path.parent();
        let is_main = path.file_name().is_some_and(|name| name == "main.rs");
        folder == Some(&tests) || is_main && folder.and_then(Path::parent) == Some(&tests)
    };
    let mut compiled: BTreeSet<PathBuf> = targets.iter().filter(is_target).cloned().collect();
    let mut found = true;
    while found {
        let declared: BTreeSet<PathBuf> = compiled.iter().flat_map(|file| declared_by(file)).collect();
        let before = compiled.len();
        compiled.extend(declared);
        found = compiled.len() > before;
    }
    let orphans: Vec<_> = targets.iter().filter(|path| !compiled.contains(*path)).collect();
    assert!(orphans.is_empty(), "no target compiles {orphans:?}");
}

/// The files that a file declares as its modules.
fn declared_by(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).expect("text");
    let folder = file.parent().expect("inside tests");
    let is_root =
        folder.ends_with("tests") || file.file_name().is_some_and(|name| name == "mod.rs" || name == "main.rs");
    let below = if is_root { folder.to_owned() } else { file.with_extension("") };
    let names = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    });
    let files = names.flat_map(|name| [below.join(format!("{name}.rs")), below.join(name).join("mod.rs")]);
    files.filter(|path| path.exists()).collect()
}

#[test]
fn every_example_is_in_the_index() {
    let index = fs::read_to_string(root().join("examples/README.md")).expect("an index");
    for entry in fs::read_dir(root().join("examples")).expect("examples").map(|entry| entry.expect("readable")) {
        let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
        assert!(name == "README.md" || index.contains(&name), "examples/README.md does not name {name}");
    }
}

#[test]
fn every_feature_is_documented() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let docs = fs::read_to_string(root().join("src/lib.rs")).expect("crate docs");
    let features = manifest.split("[features]").nth(1).and_then(|rest| rest.split("\n[").next()).expect("features");
    for line in features.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, _)) = line.split_once(" = ") else { continue };
        assert!(name == "default" || docs.contains(&format!("`{name}`")), "the crate docs do not name `{name}`");
    }
}
