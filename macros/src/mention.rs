//! What can be told from tokens alone: which names they use, and whether they are still the same.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Type, visit::Visit};

/// Whether tokens name something, as far as can be seen: format strings count, fields and parts of paths do not.
///
/// Where it cannot be told, it says that they do.
pub(crate) fn mentions(tokens: &impl ToTokens, name: &Ident) -> bool {
    find(tokens.to_token_stream(), &name.to_string())
}

pub(crate) fn mentions_any<'a>(tokens: &impl ToTokens, names: impl IntoIterator<Item = &'a Ident>) -> bool {
    let tokens = tokens.to_token_stream();
    names.into_iter().any(|name| find(tokens.clone(), &name.to_string()))
}

pub(crate) fn mentions_self(tokens: &impl ToTokens) -> bool {
    find(tokens.to_token_stream(), "self")
}

fn find(tokens: TokenStream, name: &str) -> bool {
    let mut before = String::new();
    for token in tokens {
        let found = match &token {
            TokenTree::Group(group) => find(group.stream(), name),
            TokenTree::Ident(ident) => {
                let is_field = before.ends_with('.') && !before.ends_with("..");
                *ident == name && !is_field && !before.ends_with("::")
            }
            TokenTree::Literal(literal) => names_in_format(&literal.to_string(), name),
            TokenTree::Punct(_) => false,
        };
        if found {
            return true;
        }
        match &token {
            TokenTree::Punct(punct) => before.push(punct.as_char()),
            _ => before.clear(),
        }
    }
    false
}

/// `"user:{id}"` names `id`.
fn names_in_format(literal: &str, name: &str) -> bool {
    literal.match_indices(name).any(|(at, _)| {
        let opens = literal[..at].ends_with(['{', '$']) || literal[..at].ends_with(|c: char| ":.".contains(c));
        let ends = literal[at + name.len()..].starts_with(['}', ':', '$']);
        literal.starts_with(['"', 'r']) && opens && ends
    })
}

/// A hash of tokens, whatever the space between them and wherever they are: 128 bits of FNV-1a.
pub(crate) fn hash(tokens: TokenStream) -> String {
    let mut state = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    mix(tokens, &mut state);
    format!("{state:032x}")
}

fn mix(tokens: TokenStream, state: &mut u128) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                feed(open, state);
                mix(group.stream(), state);
                feed(close, state);
            }
            other => feed(&other.to_string(), state),
        }
    }
}

fn feed(token: &str, state: &mut u128) {
    // The end of a token is a byte that no text has.
    for byte in token.bytes().chain([0xff]) {
        *state = (*state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
}

/// Where a type borrows, as far as can be seen.
pub(crate) fn borrow(ty: &Type) -> Option<Span> {
    struct Borrows(Option<Span>);
    impl<'ast> Visit<'ast> for Borrows {
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            let is_static = reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
            if is_static {
                return self.visit_type(&reference.elem);
            }
            self.0.get_or_insert(reference.and_token.span);
        }

        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            if lifetime.ident != "static" {
                self.0.get_or_insert(lifetime.apostrophe);
            }
        }

        // What a function takes is not what it holds.
        fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}

        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }
    let mut borrows = Borrows(None);
    borrows.visit_type(ty);
    borrows.0
}

#[cfg(test)]
mod tests {
    use quote::{format_ident, quote};

    use super::*;

    #[test]
    fn names_are_found_where_they_are_used() {
        let id = format_ident!("id");
        for tokens in [quote!(id), quote!((a, &id.b)), quote!([format!("user:{id}")]), quote!(0..id), quote!("{id:?}")]
        {
            assert!(mentions(&tokens, &id), "{tokens}");
        }
        for tokens in [quote!(user.id), quote!(ids), quote!(ids::id), quote!("id"), quote!("{ids}")] {
            assert!(!mentions(&tokens, &id), "{tokens}");
        }
    }

    #[test]
    fn a_hash_is_of_the_tokens() {
        let one = || hash(quote!({ a + b }));
        assert_eq!(one(), hash("{a+\n b}".parse().expect("tokens")));
        for other in [quote!({ a - b }), quote!({ ab }), quote!((a + b)), quote!({ a + { b } })] {
            assert_ne!(one(), hash(other));
        }
    }
}
