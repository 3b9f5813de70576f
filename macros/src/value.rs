//! What a function returns, as far as can be read from its signature.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, GenericArgument, PathArguments, Result, ReturnType, Type, TypeImplTrait, visit::Visit};

use crate::mention::borrow;

/// The value that is kept.
pub(crate) struct Value {
    /// `T`.
    pub(crate) kept: TokenStream,
    /// `Result<T, E>`: only `Ok` is kept.
    pub(crate) is_result: bool,
    /// `Arc<T>`: it is shared.
    pub(crate) is_shared: bool,
}

impl Value {
    pub(crate) fn of(output: &ReturnType) -> Result<Self> {
        let ReturnType::Type(_, output) = output else {
            return Ok(Self { kept: quote!(()), is_result: false, is_shared: false });
        };
        if let Some(hidden) = find_impl(output) {
            let message = "a result that is kept needs a type with a name: write it out, or `Arc<dyn ..>` with `live`";
            return Err(Error::new_spanned(hidden, message));
        }
        let (value, is_result) = match arguments(output, "Result") {
            Some(arguments) => match arguments.first() {
                Some(value) => (*value, true),
                None => {
                    let message = "it cannot be seen what is in this `Result`: write `Result<T, E>`";
                    return Err(Error::new_spanned(output, message));
                }
            },
            None => (&**output, false),
        };
        if let Some(borrowed) = borrow(value) {
            let message = "a result is kept for longer than its call: return it owned, as `String` for `&str`";
            return Err(Error::new(borrowed, message));
        }
        match arguments(value, "Arc").as_deref() {
            // What has no size is not stored by itself, but in its `Arc`.
            Some([inner]) if !matches!(inner, Type::TraitObject(_) | Type::Slice(_)) && !is_str(inner) => {
                Ok(Self { kept: inner.to_token_stream(), is_result, is_shared: true })
            }
            _ => Ok(Self { kept: value.to_token_stream(), is_result, is_shared: false }),
        }
    }
}

/// The types between the angle brackets, if it is that type.
fn arguments<'a>(of: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let of = match of {
        Type::Paren(inner) => &inner.elem,
        Type::Group(inner) => &inner.elem,
        other => other,
    };
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(Vec::new()) };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    });
    Some(types.collect())
}

fn is_str(of: &Type) -> bool {
    matches!(of, Type::Path(path) if path.path.is_ident("str"))
}

fn find_impl(of: &Type) -> Option<&TypeImplTrait> {
    struct Find<'a>(Option<&'a TypeImplTrait>);
    impl<'ast> Visit<'ast> for Find<'ast> {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.0 = Some(found);
        }
    }
    let mut find = Find(None);
    find.visit_type(of);
    find.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, bool, bool)> {
        let value = Value::of(&syn::parse_str(text).expect("a return type")).ok()?;
        Some((value.kept.to_string().replace(' ', ""), value.is_result, value.is_shared))
    }

    #[test]
    fn the_value_is_found_in_its_wrappers() {
        let value = |kept: &str, is_result, is_shared| Some((kept.to_owned(), is_result, is_shared));
        assert_eq!(read(""), value("()", false, false));
        assert_eq!(read("-> Option<u8>"), value("Option<u8>", false, false));
        assert_eq!(read("-> Result<u8, E>"), value("u8", true, false));
        assert_eq!(read("-> std::io::Result<Arc<Page>>"), value("Page", true, true));
        assert_eq!(read("-> Arc<str>"), value("Arc<str>", false, false));
        assert_eq!(read("-> Arc<dyn Any>"), value("Arc<dynAny>", false, false));
        assert!(read("-> std::fmt::Result").is_none() && read("-> Vec<impl Copy>").is_none());
        assert_eq!(read("-> Result<&'static str, &str>"), value("&'staticstr", true, false));
        assert!(read("-> &str").is_none() && read("-> Option<Cow<'a, str>>").is_none());
    }
}
