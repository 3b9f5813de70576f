//! What stands beside a memoized function: associated functions of a type with its name, or of the type that it is a
//! method of.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, ext::IdentExt};

use crate::{
    args::Args,
    expand::{Expansion, expected},
    function::Function,
    generics::Hidden,
    mention::mentions_self,
};

/// Whether a method knows its cache by itself.
pub(crate) fn is_of_self(args: &Args, function: &Function) -> bool {
    function.receiver.is_some() && args.expr("cache").is_some_and(mentions_self)
}

pub(crate) fn beside(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { args, function, .. } = expansion;
    if args.has("no_companions") {
        TokenStream::new()
    } else if function.is_method {
        expansion.of_method()
    } else {
        expansion.of_function()
    }
}

fn quiet() -> TokenStream {
    quote! {
        #[allow(dead_code, unused_variables, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction)]
    }
}

impl Expansion<'_> {
    fn of_function(&self) -> TokenStream {
        let Function { visibility, signature, .. } = self.function;
        let (name, conditions) = (&signature.ident, self.conditions());
        let docs = format!(
            "What goes with the function [`{name}`](fn@{name}), whose results are kept: its body without the cache, \
             its memoizer, its keys."
        );
        let (uncached, memoizer, by_key) = (self.uncached(), self.memoizer_of_cache(), self.by_key());
        let delete = {
            let (generics, bounds) = self.generics();
            let turbofish = self.function.generics.turbofish(Hidden::Named);
            let quiet = quiet();
            quote_spanned! {Span::mixed_site()=>
                /// Takes all results away, however many there are: see `Memoizer::delete_memoized`.
                #quiet
                #visibility async fn delete_memoized #generics(
                    cache: &::axum_caching::Cache,
                ) -> ::axum_caching::Result<()> #bounds {
                    Self::memoizer #turbofish(cache).delete_memoized().await
                }
            }
        };
        let mut located = name.clone();
        located.set_span(Span::mixed_site().located_at(name.span()));
        quote_spanned! {Span::mixed_site()=>
            #(#conditions)*
            #[doc = #docs]
            #[allow(non_camel_case_types, dead_code, unreachable_pub)]
            #[derive(Debug)]
            #visibility struct #located {}

            #(#conditions)*
            impl #name {
                #uncached
                #memoizer
                #delete
                #by_key
            }
        }
    }

    /// The body, with the signature that was written.
    fn uncached(&self) -> TokenStream {
        let Function { attributes, visibility, signature, body, .. } = self.function;
        let inside = body.stream();
        let lints = ["allow", "expect", "warn", "deny", "forbid"];
        let is_lint = |attribute: &&Attribute| lints.iter().any(|lint| attribute.path().is_ident(lint));
        let attributes = attributes.iter().filter(is_lint).map(expected);
        let mut signature = signature.clone();
        signature.ident = self.names.uncached.clone();
        let used = self.function.bindings().filter(|name| self.args.mention(name));
        // It is async because the function has to be, whether it waits or not.
        let body = quote_spanned!(body.span()=> { #(let _ = &#used;)* #inside });
        quote_spanned! {Span::mixed_site()=>
            /// The function without its cache.
            #[allow(clippy::unused_async, clippy::missing_errors_doc, clippy::missing_panics_doc)]
            #(#attributes)*
            #visibility #signature #body
        }
    }

    fn generics(&self) -> (TokenStream, TokenStream) {
        let generics = &self.function.generics.generics;
        let bounds = &generics.where_clause;
        (quote!(#generics), quote!(#bounds))
    }

    fn memoizer_type(&self) -> TokenStream {
        let kept = &self.function.value.kept;
        let keep = if self.args.has("live") { quote!(Live) } else { quote!(Encoded) };
        quote!(::axum_caching::Memoizer<#kept, ::axum_caching::#keep>)
    }

    /// The memoizer of a cache, and one that finds out the types of arguments.
    fn memoizer_of_cache(&self) -> TokenStream {
        let (memoizer, like, quiet) = (&self.names.memoizer, &self.names.memoizer_like, quiet());
        let visibility = &self.function.visibility;
        let ((generics, bounds), of) = (self.generics(), self.memoizer_type());
        let cache = format_ident!("cache", span = Span::mixed_site());
        let made = self.memoizer(&quote!(#cache));
        let docs = if memoizer.to_string().starts_with("__") {
            quote!(#[doc(hidden)])
        } else {
            quote!(#[doc = "The memoizer that keeps the results: all of them."])
        };
        let like = (self.function.generics.hidden > 0).then(|| {
            let types = self.hidden_arguments().map(|argument| &argument.named);
            let turbofish = self.function.generics.turbofish(Hidden::Named);
            let conditions = self.conditions();
            quote_spanned! {Span::mixed_site()=>
                #(#conditions)*
                #[doc(hidden)]
                #quiet
                fn #like #generics(#cache: &::axum_caching::Cache, #(_: &#types),*) -> #of #bounds {
                    Self::#memoizer #turbofish(#cache)
                }
            }
        });
        quote_spanned! {Span::mixed_site()=>
            #docs
            #quiet
            #visibility fn #memoizer #generics(#cache: &::axum_caching::Cache) -> #of #bounds {
                #made
            }
            #like
        }
    }

    /// What is about one key.
    fn by_key(&self) -> TokenStream {
        let Function { visibility, arguments, value, .. } = self.function;
        let ((generics, bounds), quiet) = (self.generics(), quiet());
        let turbofish = self.function.generics.turbofish(Hidden::Named);
        let inputs = arguments.iter().filter(|argument| argument.is_of_key).map(|argument| {
            let (pattern, of) = (&argument.outside, &argument.named);
            quote!(#pattern: #of)
        });
        let inputs: Vec<_> = inputs.collect();
        let key = self.key();
        let cache = format_ident!("cache", span = Span::mixed_site());
        let memoizer = format_ident!("memoizer", span = self.located());
        let prime = self.can_prime().then(|| {
            let (kept, call) = (&value.kept, self.call(&memoizer));
            let kept = if value.is_shared { quote!(::std::sync::Arc<#kept>) } else { kept.clone() };
            let store = quote_spanned! {self.located()=>
                let #memoizer = Self::memoizer #turbofish(#cache);
                let #memoizer = ::axum_caching::private::kept(#memoizer);
                ::axum_caching::private::prime(#call, value).await
            };
            quote_spanned! {Span::mixed_site()=>
                /// Stores a result that is known, with its lifetime and its tags: see `Memoizer::prime`.
                #quiet
                #visibility async fn prime #generics(
                    #cache: &::axum_caching::Cache,
                    #(#inputs,)*
                    value: #kept,
                ) -> ::axum_caching::Result<()> #bounds {
                    #[allow(unused_imports)]
                    use ::axum_caching::private::NoPart as _;
                    #store
                }
            }
        });
        quote_spanned! {Span::mixed_site()=>
            /// Takes one result away; says whether it was there: see `Memoizer::delete_memoized_for`.
            #quiet
            #visibility async fn delete_memoized_for #generics(
                #cache: &::axum_caching::Cache,
                #(#inputs,)*
            ) -> ::axum_caching::Result<bool> #bounds {
                    #[allow(unused_imports)]
                    use ::axum_caching::private::NoPart as _;
                Self::memoizer #turbofish(#cache).delete_memoized_for(#key).await
            }

            /// The key of one result: see `Memoizer::make_cache_key`.
            #quiet
            #visibility fn make_cache_key #generics(
                #cache: &::axum_caching::Cache,
                #(#inputs,)*
            ) -> ::axum_caching::Result<::std::string::String> #bounds {
                    #[allow(unused_imports)]
                    use ::axum_caching::private::NoPart as _;
                Self::memoizer #turbofish(#cache).make_cache_key(#key)
            }

            #prime
        }
    }

    /// Whether lifetime and tags can be told from the arguments in the key.
    fn can_prime(&self) -> bool {
        ["ttl", "tags"].into_iter().filter_map(|name| self.args.expr(name)).all(|expr| self.function.is_of_key(expr))
    }

    fn of_method(&self) -> TokenStream {
        let (conditions, uncached, memoizer) = (self.conditions(), self.uncached(), self.memoizer_of_cache());
        let (core, visibility, quiet) = (&self.names.memoizer, &self.function.visibility, quiet());
        let ((generics, bounds), of) = (self.generics(), self.memoizer_type());
        let turbofish = self.function.generics.turbofish(Hidden::Named);
        let text = self.function.signature.ident.unraw();
        let public = format_ident!("{text}_memoizer", span = core.span());
        let of_all = format_ident!("{text}_memoizer_of_all", span = core.span());
        let this = self.function.receiver.as_ref().map(|receiver| Ident::new("self", receiver.self_token.span));
        let cache = format_ident!("cache", span = Span::mixed_site());
        let is_of_self = is_of_self(self.args, self.function);
        let (input, found) = match self.args.expr("cache").filter(|_| is_of_self) {
            Some(cache) => (None, quote_spanned!(Span::mixed_site()=> &(#cache))),
            None => (Some(quote!(#cache: &::axum_caching::Cache)), quote!(#cache)),
        };
        let all = quote_spanned!(Span::mixed_site()=> Self::#core #turbofish(#found));
        let one = self.of_instance(all.clone());
        let has_instance = self.args.has("instance");
        let of_instance = (has_instance || is_of_self).then(|| {
            let docs = if has_instance {
                "The memoizer that keeps the results of this instance."
            } else {
                "The memoizer that keeps the results: all of them."
            };
            quote_spanned! {Span::mixed_site()=>
                #[doc = #docs]
                #quiet
                #visibility fn #public #generics(&#this, #input) -> #of #bounds {
                    #[allow(unused_imports)]
                    use ::axum_caching::private::NoPart as _;
                    #one
                }
            }
        });
        let of_all = (has_instance && is_of_self).then(|| {
            quote_spanned! {Span::mixed_site()=>
                /// The memoizer that keeps the results of all instances.
                #quiet
                #visibility fn #of_all #generics(&#this) -> #of #bounds { #all }
            }
        });
        let conditional = |item: Option<TokenStream>| item.map(|item| quote!(#(#conditions)* #item));
        let items = [Some(uncached), Some(memoizer), of_instance, of_all].map(conditional);
        quote!(#(#items)*)
    }

    /// What says whether the function is there at all.
    fn conditions(&self) -> Vec<&Attribute> {
        self.function.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect()
    }
}
