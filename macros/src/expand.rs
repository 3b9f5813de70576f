//! The function itself: it asks the memoizer, which asks the body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, ext::IdentExt, spanned::Spanned};

use crate::{
    args::{Args, Value},
    companions,
    function::Function,
    generics::Hidden,
    mention::hash,
};

/// A tuple of more has no serde form.
const MOST_PARTS: usize = 16;

/// What is generated for one function.
pub(crate) struct Expansion<'a> {
    pub(crate) args: &'a Args,
    pub(crate) function: &'a Function,
    pub(crate) names: Names,
}

/// What the companions are called, as they are called from inside.
pub(crate) struct Names {
    /// `Self` of a method, or the type beside a function.
    pub(crate) of: Ident,
    pub(crate) uncached: Ident,
    /// The memoizer, of a cache.
    pub(crate) memoizer: Ident,
    /// The memoizer, of a cache and of the arguments that have hidden types.
    pub(crate) memoizer_like: Ident,
}

pub(crate) fn expand(args: &Args, function: &Function) -> TokenStream {
    let expansion = Expansion { args, function, names: Names::of(args, function) };
    let (function, companions) = (expansion.outside(), companions::beside(&expansion));
    quote!(#function #companions)
}

impl Names {
    fn of(args: &Args, function: &Function) -> Self {
        let name = &function.signature.ident;
        let text = name.unraw();
        let ident = |text: String| Ident::new(&text, name.span());
        if !function.is_method {
            let [uncached, memoizer, like] = ["uncached", "memoizer", "__memoizer_like"].map(|text| ident(text.into()));
            return Self { of: name.clone(), uncached, memoizer, memoizer_like: like };
        }
        let memoizer = match (companions::is_of_self(args, function), args.has("instance")) {
            (true, _) => format!("__{text}_memoizer"),
            (false, true) => format!("{text}_memoizer_of_all"),
            (false, false) => format!("{text}_memoizer"),
        };
        Self {
            of: Ident::new("Self", Span::mixed_site()),
            uncached: ident(format!("{text}_uncached")),
            memoizer: ident(memoizer),
            memoizer_like: ident(format!("__{text}_memoizer_like")),
        }
    }
}

impl Expansion<'_> {
    /// The function under its own name.
    fn outside(&self) -> TokenStream {
        let Function { attributes, visibility, signature, .. } = self.function;
        let is_alone = self.args.has("no_companions");
        let mut signature = signature.clone();
        if !is_alone {
            let mut arguments = self.function.arguments.iter();
            for input in &mut signature.inputs {
                match input {
                    syn::FnArg::Receiver(receiver) if receiver.reference.is_none() => receiver.mutability = None,
                    syn::FnArg::Receiver(_) => {}
                    syn::FnArg::Typed(typed) => {
                        *typed.pat = arguments.next().expect("as many as inputs").outside.clone();
                    }
                }
            }
        }
        let attributes = attributes.iter().map(expected);
        let (kept, value) = (self.located(), &self.function.value);
        let call = match (value.is_result, value.is_shared) {
            (false, false) => "call",
            (false, true) => "call_shared",
            (true, false) => "try_call",
            (true, true) => "try_call_shared",
        };
        let owned = if self.args.in_background().is_some() { "_owned" } else { "" };
        let call = Ident::new(&format!("{call}{owned}"), kept);
        let (memoizer, compute) = (self.memoizer_here(), self.compute(is_alone));
        let memoizing = format_ident!("memoizer", span = kept);
        let (checks, key) = (self.checks(), self.call(&memoizing));
        let more = ["unless", "forced_update", "is_stale", "response_filter"].into_iter().filter_map(|name| {
            let (expr, method) = (self.args.expr(name)?, format_ident!("{name}", span = Span::mixed_site()));
            Some(quote_spanned!(kept=> .#method(#expr)))
        });
        let given = (!value.is_shared).then(|| quote_spanned!(kept=> ::axum_caching::private::given(&#memoizing);));
        let run = quote_spanned! {kept=>
            let #memoizing = #memoizer;
            let #memoizing = ::axum_caching::private::kept(#memoizing);
            #given
            let begun = ::axum_caching::private::begin(#key #(#more)*);
            ::axum_caching::private::#call(begun, #compute).await
        };
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #visibility #signature {
                #[allow(unused_imports)]
                use ::axum_caching::private::NoPart as _;
                #checks
                #run
            }
        }
    }

    /// The memoizer, from inside of the function.
    fn memoizer_here(&self) -> TokenStream {
        let (names, cache) = (&self.names, self.args.expr("cache"));
        let (of, memoizer, like) = (&names.of, &names.memoizer, &names.memoizer_like);
        let at = cache.map_or_else(Span::mixed_site, |cache| cache.span().resolved_at(Span::mixed_site()));
        let cache = quote_spanned!(at=> &(#cache));
        let hidden = self.hidden_arguments().map(|argument| &argument.whole);
        let memoizer = if self.args.has("no_companions") {
            self.memoizer(&cache)
        } else if self.function.generics.hidden > 0 {
            let turbofish = self.function.generics.turbofish(Hidden::Inferred);
            quote_spanned!(Span::mixed_site()=> #of::#like #turbofish(#cache, #(&#hidden),*))
        } else {
            let turbofish = self.function.generics.turbofish(Hidden::Named);
            quote_spanned!(Span::mixed_site()=> #of::#memoizer #turbofish(#cache))
        };
        self.of_instance(memoizer)
    }

    pub(crate) fn hidden_arguments(&self) -> impl Iterator<Item = &crate::function::Argument> {
        self.function.arguments.iter().filter(|argument| argument.is_hidden)
    }

    pub(crate) fn of_instance(&self, memoizer: TokenStream) -> TokenStream {
        let Some(instance) = self.args.expr("instance") else { return memoizer };
        let part = part(instance);
        quote_spanned!(Span::mixed_site()=> ::axum_caching::private::instance(#memoizer, &#part))
    }

    /// The memoizer, from scratch.
    pub(crate) fn memoizer(&self, cache: &TokenStream) -> TokenStream {
        let (args, function, kept) = (self.args, self.function, &self.function.value.kept);
        let text = function.signature.ident.unraw().to_string();
        let given = args.expr(if args.is_cached() { "key" } else { "name" });
        let mut name = match given {
            Some(given) if function.is_method => quote!(given_to_method::<Self>(#given)),
            Some(given) => quote!(given(#given)),
            None if function.is_method => quote!(of_method::<Self>(#text)),
            None => quote!(of_type::<Self>()),
        };
        let parameters = function.generics.texts();
        if !parameters.is_empty() {
            name = quote!(#name.with(&[#(#parameters),*]));
        }
        let making = if args.has("live") { quote!(live_memoizer) } else { quote!(memoizer) };
        let settings = self.settings();
        quote_spanned! {Span::mixed_site()=>
            ::axum_caching::private::#making::<#kept>(
                #cache,
                &::axum_caching::private::Name::#name,
                |memoizer| memoizer #settings,
            )
        }
    }

    /// What is settled once for the function.
    fn settings(&self) -> TokenStream {
        let (args, function) = (self.args, self.function);
        let mut settings = TokenStream::new();
        if let Some(profile) = args.expr("profile") {
            settings.extend(quote_spanned!(Span::mixed_site()=> .profile(#profile)));
        }
        for name in ["stale_while_revalidate", "stale_if_error", "refresh_ahead", "soft_timeout"] {
            if let Some(expr) = args.expr(name) {
                let method = Ident::new(name, Span::mixed_site());
                let profile = quote_spanned!(Span::mixed_site()=> ::axum_caching::Profile::default().#method(#expr));
                settings.extend(quote_spanned!(Span::mixed_site()=> .profile(#profile)));
            }
        }
        if let Some(ttl) = args.expr("ttl").filter(|ttl| !function.is_of_call(ttl)) {
            settings.extend(quote_spanned!(Span::mixed_site()=> .ttl(#ttl)));
        }
        for name in ["make_name", "version", "sliding"] {
            if let Some(expr) = args.expr(name) {
                let method = Ident::new(name, Span::mixed_site());
                settings.extend(quote_spanned!(Span::mixed_site()=> .#method(#expr)));
            }
        }
        if args.has("source_check") {
            let (signature, body) = (&function.signature, &function.body);
            let version = hash(quote!(#signature #body));
            settings.extend(quote_spanned!(Span::mixed_site()=> .version(#version)));
        }
        if let Some(Value::Pair(test, ttl)) = args.get("negative").map(|given| &given.value) {
            settings.extend(quote_spanned!(Span::mixed_site()=> .negative(#test, #ttl)));
        }
        if let Some(Value::Type(method)) = args.get("hash_method").map(|given| &given.value) {
            settings.extend(quote_spanned!(Span::mixed_site()=> .hash_method::<#method>()));
        }
        settings
    }

    /// A call of the memoizer, with its key, lifetime and tags.
    pub(crate) fn call(&self, memoizer: &Ident) -> TokenStream {
        let (args, function, at) = (self.args, self.function, self.located());
        let key = self.key();
        let mut call = quote_spanned!(at=> #memoizer.at(#key));
        if let Some(ttl) = args.expr("ttl").filter(|ttl| function.is_of_call(ttl)) {
            call.extend(quote_spanned!(at=> .ttl(#ttl)));
        }
        if let Some(tags) = args.expr("tags") {
            let owned = quote_spanned!(Span::mixed_site()=> ::axum_caching::private::tags(#tags));
            let tags = if function.is_of_call(tags) { owned } else { tags.to_token_stream() };
            call.extend(quote_spanned!(at=> .tags(#tags)));
        }
        call
    }

    pub(crate) fn key(&self) -> TokenStream {
        let key = match self.args.expr("key").filter(|_| !self.args.is_cached()) {
            Some(key) => part(key),
            None => tuple(self.arguments_in_key().map(part).collect()),
        };
        quote_spanned!(Span::mixed_site()=> &#key)
    }

    fn arguments_in_key(&self) -> impl Iterator<Item = &Ident> {
        self.function.arguments.iter().flat_map(|argument| &argument.in_key)
    }

    /// They are for the compiler alone: what they name is evaluated where the key is made, and nowhere else.
    fn checks(&self) -> TokenStream {
        let key = self.args.expr("key").filter(|_| !self.args.is_cached());
        let parts = key.map(check).into_iter().chain(self.arguments_in_key().map(check));
        let checks: TokenStream = parts.chain(self.args.expr("instance").map(check)).collect();
        if checks.is_empty() { checks } else { quote_spanned!(Span::mixed_site()=> if false { #checks }) }
    }

    /// The closure that runs the body.
    fn compute(&self, is_alone: bool) -> TokenStream {
        let Function { signature, body, receiver, arguments, generics, .. } = self.function;
        if is_alone {
            let output = match &signature.output {
                syn::ReturnType::Default => quote!(()),
                syn::ReturnType::Type(_, output) => output.to_token_stream(),
            };
            return quote_spanned! {Span::mixed_site()=>
                move || ::axum_caching::private::typed::<#output, _>(async move #body)
            };
        }
        let (of, uncached, turbofish) = (&self.names.of, &self.names.uncached, generics.turbofish(Hidden::Absent));
        let receiver = receiver.iter().map(|receiver| receiver.self_token.to_token_stream());
        let all = receiver.chain(arguments.iter().map(|argument| argument.whole.clone()));
        quote_spanned! {Span::mixed_site()=>
            move || async move { #of::#uncached #turbofish(#(#all),*).await }
        }
    }

    /// The place of the type that is returned: what is wrong with it is said there.
    pub(crate) fn located(&self) -> Span {
        self.function.value.kept.span().resolved_at(Span::mixed_site())
    }
}

fn part(expr: &impl ToTokens) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> ::axum_caching::private::Argument(&(#expr)).part())
}

/// Says what is wrong with a part of a key, at its place.
fn check(expr: &impl ToTokens) -> TokenStream {
    let span = expr.span().resolved_at(Span::mixed_site());
    quote_spanned!(span=> ::axum_caching::private::check(&(#expr));)
}

fn tuple(mut parts: Vec<TokenStream>) -> TokenStream {
    while parts.len() > MOST_PARTS {
        parts = parts.chunks(MOST_PARTS).map(|parts| quote!((#(#parts,)*))).collect();
    }
    // One argument is its own key, as it is in `memoizer.call(&7, ..)`.
    if let [part] = &*parts { part.clone() } else { quote!((#(#parts,)*)) }
}

/// What is expected of a function can come true in another of those that are made of it.
pub(crate) fn expected(attribute: &Attribute) -> TokenStream {
    if !attribute.path().is_ident("expect") {
        return attribute.to_token_stream();
    }
    let mut attribute = attribute.clone();
    if let syn::Meta::List(list) = &mut attribute.meta {
        list.path = syn::parse_quote!(allow);
    }
    attribute.to_token_stream()
}
