//! What the attribute macros say to what they cannot make sense of.
#![cfg(all(feature = "memory", feature = "macros"))]

#[test]
fn every_misuse_is_told_what_to_write() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
