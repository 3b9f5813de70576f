//! The attribute macros of [`axum-caching`](https://docs.rs/axum-caching), which re-exports and documents them.

mod args;
mod companions;
mod expand;
mod function;
mod generics;
mod mention;
mod options;
mod patterns;
mod value;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;

use self::{
    args::Args,
    function::Function,
    options::{CACHED, MEMOIZE, Macro},
};

/// Only `axum_caching` can name what this makes: depend on that.
#[proc_macro_attribute]
pub fn memoize(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(&MEMOIZE, options, item)
}

/// Only `axum_caching` can name what this makes: depend on that.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(&CACHED, options, item)
}

fn attribute(own: &'static Macro, options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = Args::parse(own, options.into()).and_then(|args| {
        let function = Function::parse(&args, item.clone().into())?;
        Ok(expand::expand(&args, &function))
    });
    match expanded {
        Ok(tokens) => tokens.into(),
        // The function stays, so that what calls it is not wrong as well.
        Err(error) => {
            let (error, item) = (error.into_compile_error(), TokenStream2::from(item));
            quote!(#error #[allow(unused_variables)] #item).into()
        }
    }
}
