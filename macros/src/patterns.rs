//! The patterns of arguments: what they bind, and how what they took apart is put together again.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Error, Pat, PatIdent, Result, visit::Visit, visit_mut::VisitMut};

/// The names that a pattern binds, in their order.
pub(crate) fn bindings(pattern: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
            // One that begins with a capital too: a unit struct looks the same, and `skip(..)` is for it.
            self.0.push(pattern.ident.clone());
            syn::visit::visit_pat_ident(self, pattern);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pattern);
    names.0
}

/// A pattern that binds what this does, by value, and the expression that is the whole argument.
pub(crate) fn outside(pattern: &Pat, index: usize) -> Result<(Pat, TokenStream)> {
    if let Pat::Wild(_) = pattern {
        let name = format_ident!("argument_{}", index + 1, span = Span::mixed_site());
        return Ok((syn::parse_quote!(#name), name.into_token_stream()));
    }
    let mut plain = pattern.clone();
    Plain.visit_pat_mut(&mut plain);
    let whole = whole(&plain)?;
    Ok((plain, whole))
}

/// Takes `mut` and `ref` away: they are the business of the body.
struct Plain;

impl VisitMut for Plain {
    fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
        (pattern.mutability, pattern.by_ref) = (None, None);
        syn::visit_mut::visit_pat_ident_mut(self, pattern);
    }
}

fn whole(pattern: &Pat) -> Result<TokenStream> {
    let all = |patterns: &syn::punctuated::Punctuated<Pat, syn::Token![,]>| -> Result<TokenStream> {
        patterns.iter().map(|pattern| whole(pattern).map(|whole| quote!(#whole,))).collect()
    };
    Ok(match pattern {
        Pat::Ident(PatIdent { ident, subpat: None, .. }) => quote!(#ident),
        Pat::Path(path) => quote!(#path),
        Pat::Paren(inner) => whole(&inner.pat)?,
        Pat::Tuple(tuple) => {
            let parts = all(&tuple.elems)?;
            quote!((#parts))
        }
        Pat::TupleStruct(tuple) => {
            let (path, parts) = (&tuple.path, all(&tuple.elems)?);
            quote!(#path(#parts))
        }
        Pat::Struct(fields) if fields.rest.is_none() => {
            let path = &fields.path;
            let parts = fields.fields.iter().map(|field| {
                let (member, part) = (&field.member, whole(&field.pat)?);
                Ok(quote!(#member: #part,))
            });
            let parts: TokenStream = parts.collect::<Result<_>>()?;
            quote!(#path { #parts })
        }
        Pat::Reference(reference) if reference.mutability.is_none() => {
            let part = whole(&reference.pat)?;
            quote!(&#part)
        }
        other => {
            let message = "this pattern cannot be put together again: give the argument a name, and take it apart in \
                           the body with `let`";
            return Err(Error::new_spanned(other, message));
        }
    })
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    fn pattern(text: &str) -> Pat {
        Pat::parse_single.parse_str(text).expect("a pattern")
    }

    #[test]
    fn what_was_taken_apart_is_put_together() {
        let round = |text| outside(&pattern(text), 0).map(|(plain, whole)| [plain.to_token_stream(), whole]);
        let plain = |text| round(text).map(|both| both.map(|tokens| tokens.to_string().replace(' ', "")));
        assert_eq!(plain("mut a").expect("plain"), ["a", "a"]);
        assert_eq!(plain("(mut a, Path(b))").expect("plain"), ["(a,Path(b))", "(a,Path(b,),)"]);
        assert_eq!(plain("Point { x, y: (p, q) }").expect("plain"), ["Point{x,y:(p,q)}", "Point{x:x,y:(p,q,),}"]);
        assert_eq!(plain("&a").expect("plain"), ["&a", "&a"]);
        assert_eq!(plain("_").expect("plain"), ["argument_1", "argument_1"]);
        assert!(round("Point { x, .. }").is_err() && round("(a, _)").is_err() && round("all @ (a, b)").is_err());
    }

    #[test]
    fn all_names_are_found() {
        assert_eq!(bindings(&pattern("(a, Point { x, y: [b, ..] }, Unit, _)")), ["a", "x", "b", "Unit"]);
        assert_eq!(bindings(&pattern("T")), ["T"]);
    }
}
