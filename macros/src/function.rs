//! The function that an attribute is on.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, FnArg, Pat, Receiver, Result, Signature, Token, Type, Visibility,
    parse::{ParseStream, Parser},
    visit_mut::VisitMut,
};

use crate::{
    args::Args,
    generics::Named,
    mention::{borrow, mentions, mentions_any, mentions_self},
    patterns,
    value::Value,
};

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// As it is: it is not looked into, so that what is half written is for the compiler to judge.
    pub(crate) body: Group,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) generics: Named,
    pub(crate) value: Value,
    /// It stands in an `impl` block, where no type can be declared.
    pub(crate) is_method: bool,
}

pub(crate) struct Argument {
    /// How the function around the body takes it, which hands it on.
    pub(crate) outside: Pat,
    pub(crate) whole: TokenStream,
    /// Its type has an `impl Trait`.
    pub(crate) is_hidden: bool,
    /// Its type, with a name in place of each `impl Trait`.
    pub(crate) named: Type,
    pub(crate) bindings: Vec<Ident>,
    /// Those that are in the key.
    pub(crate) in_key: Vec<Ident>,
    /// Whether it has a place in companions that are about one key.
    pub(crate) is_of_key: bool,
}

impl Function {
    pub(crate) fn parse(args: &Args, tokens: TokenStream) -> Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let attributes = input.call(Attribute::parse_outer)?;
            let visibility: Visibility = input.parse()?;
            let start = input.span();
            let signature: Signature = input.parse().map_err(|error| {
                let is_function = !error.to_string().contains("`fn`");
                let elsewhere = || Error::new(start, format!("`#[{}]` goes on an `async fn`", args.own.name));
                if is_function { error } else { elsewhere() }
            })?;
            if input.peek(Token![;]) {
                let message = format!(
                    "`#[{}]` keeps what a body makes, and there is none here: put it on the function in the `impl` block",
                    args.own.name
                );
                return Err(Error::new_spanned(&signature.ident, message));
            }
            let body: TokenTree = input.parse()?;
            match body {
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                    Ok((attributes, visibility, signature, body))
                }
                other => Err(Error::new(other.span(), "the body of the function belongs here")),
            }
        };
        let (attributes, visibility, signature, body) = parser.parse2(tokens)?;
        check_kind(args, &signature)?;
        let value = Value::of(&signature.output)?;
        let mut generics = Named::of(&signature.generics);
        let (mut receiver, mut arguments) = (None, Vec::new());
        for (index, input) in signature.inputs.iter().enumerate() {
            match input {
                FnArg::Receiver(own) => receiver = Some(own.clone()),
                FnArg::Typed(argument) => {
                    let (outside, whole) = patterns::outside(&argument.pat, index)?;
                    let mut named = (*argument.ty).clone();
                    let hidden = generics.hidden;
                    generics.visit_type_mut(&mut named);
                    let is_hidden = generics.hidden > hidden;
                    if is_hidden && !matches!(outside, Pat::Ident(_)) {
                        let message = "give an argument of a type `impl ..` a name, and take it apart in the body";
                        return Err(Error::new_spanned(&argument.pat, message));
                    }
                    let bindings = patterns::bindings(&argument.pat);
                    let in_key = Vec::new();
                    arguments.push(Argument { outside, whole, is_hidden, named, bindings, in_key, is_of_key: false });
                }
            }
        }
        let own_type = Ident::new("Self", Span::call_site());
        let is_method = receiver.is_some() || args.has("method") || mentions(&types(&signature), &own_type);
        let mut function =
            Self { attributes, visibility, signature, body, receiver, arguments, generics, value, is_method };
        function.settle_key(args)?;
        function.check(args)?;
        Ok(function)
    }

    /// Decides what is in the key.
    fn settle_key(&mut self, args: &Args) -> Result<()> {
        let known: Vec<String> = self.bindings().map(ToString::to_string).collect();
        for name in args.skipped() {
            if !known.contains(&name.to_string()) {
                let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                let message = match names.len() {
                    0 => format!("there is no argument `{name}`: the function has none"),
                    _ => format!("there is no argument `{name}`; there is {}", names.join(", ")),
                };
                return Err(Error::new_spanned(name, message));
            }
        }
        let key = args.expr("key").filter(|_| !args.is_cached());
        for argument in &mut self.arguments {
            let is_skipped = |name: &&Ident| args.skipped().contains(name);
            if let Some(key) = key {
                argument.is_of_key = mentions_any(key, &argument.bindings);
                continue;
            }
            argument.in_key = argument.bindings.iter().filter(|name| !is_skipped(name)).cloned().collect();
            if args.is_cached() {
                let is_of_cache = |name: &&Ident| !args.expr("cache").is_some_and(|cache| mentions(cache, name));
                let left = argument.in_key.iter().find(is_of_cache);
                if let Some(name) = left {
                    let message = format!(
                        "`#[cached]` keeps one result, whatever `{name}` is: write `skip({name})` if the result does \
                         not depend on it, or use `#[memoize]`"
                    );
                    return Err(Error::new_spanned(name, message));
                }
                argument.in_key.clear();
            }
            argument.is_of_key = !argument.in_key.is_empty();
        }
        Ok(())
    }

    fn check(&self, args: &Args) -> Result<()> {
        if let Some(instance) = args.get("instance") {
            if self.receiver.is_none() {
                let message = "`instance` says which `self` a result belongs to, and there is no `self` here";
                return Err(Error::new(instance.span, message));
            }
            let expr = args.expr("instance").into_token_stream();
            if let Some(name) = self.bindings().find(|name| mentions(&expr, name)) {
                let message = format!("`instance` is about `self` alone: `{name}` is in the key already");
                return Err(Error::new(instance.span, message));
            }
        }
        if let Some(flag) = args.get("no_companions").filter(|_| !self.is_method) {
            let message = "`no_companions` is for methods, whose companions an `impl` of a trait has no place for";
            return Err(Error::new(flag.span, message));
        }
        self.check_background(args)?;
        let of_function = [
            "negative",
            "version",
            "name",
            "make_name",
            "hash_method",
            "profile",
            "stale_while_revalidate",
            "stale_if_error",
            "refresh_ahead",
            "soft_timeout",
            "sliding",
        ];
        let of_function = of_function.into_iter().chain(args.is_cached().then_some("key"));
        for given in of_function.filter_map(|name| args.get(name)) {
            let (tokens, own) = (given.tokens(), given.bindings());
            if let Some(name) = self.bindings().find(|name| mentions(&tokens, name) && !own.contains(name)) {
                let message = format!("this is settled once for the function, before there is a `{name}`");
                return Err(Error::new(given.span, message));
            }
        }
        Ok(())
    }

    /// What runs in the background outlives its caller, and with it whatever that lent.
    fn check_background(&self, args: &Args) -> Result<()> {
        let Some(option) = args.in_background() else { return Ok(()) };
        let name = option.known.name;
        if let Some(receiver) = self.receiver.as_ref().filter(|receiver| receiver.reference.is_some()) {
            let own = receiver.self_token.span;
            let message = format!(
                "with `{name}` the body may run in the background, where `self` cannot be borrowed: take \
                 `self: Arc<Self>`, or `self` of a type that is cheap to clone"
            );
            let mut error = Error::new(option.span, message);
            error.combine(Error::new(own, "this is borrowed"));
            return Err(error);
        }
        for argument in &self.arguments {
            if let Some(borrowed) = borrow(&argument.named) {
                let names: Vec<_> = argument.bindings.iter().map(|name| format!("`{name}`")).collect();
                let message = format!(
                    "with `{name}` the body may run in the background, where {} cannot be borrowed: take an owned \
                     argument, as `String` for `&str`, `Arc<App>` for `&App`, `Cache` for `&Cache`",
                    names.join(", ")
                );
                let mut error = Error::new(option.span, message);
                error.combine(Error::new(borrowed, "this is borrowed"));
                return Err(error);
            }
        }
        Ok(())
    }

    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Ident> {
        self.arguments.iter().flat_map(|argument| &argument.bindings)
    }

    /// Whether an expression is about a call, not about the function.
    pub(crate) fn is_of_call(&self, expr: &Expr) -> bool {
        mentions_self(expr) || mentions_any(expr, self.bindings())
    }

    /// Whether an expression names only arguments that companions about one key have.
    pub(crate) fn is_of_key(&self, expr: &Expr) -> bool {
        let others = self.arguments.iter().filter(|argument| !argument.is_of_key);
        !mentions_self(expr) && !mentions_any(expr, others.flat_map(|argument| &argument.bindings))
    }
}

fn check_kind(args: &Args, signature: &Signature) -> Result<()> {
    let name = args.own.name;
    let error = |tokens: &dyn ToTokens, message: String| Err(Error::new_spanned(tokens.to_token_stream(), message));
    if let Some(token) = &signature.constness {
        return error(token, format!("`#[{name}]` goes on an `async fn`: a `const fn` has no cache to look into"));
    }
    if let Some(token) = &signature.unsafety {
        return error(token, format!("`#[{name}]` goes on a safe `async fn`: put the `unsafe` block into its body"));
    }
    if let Some(token) = &signature.abi {
        return error(token, format!("`#[{name}]` goes on an `async fn`, which cannot be `extern`"));
    }
    if signature.asyncness.is_none() {
        let message = format!(
            "`#[{name}]` waits for the cache, so the function has to be async: write `async fn {}`, the body may stay \
             as it is. Or leave it as it is, and call it through `cache.memoizer(\"..\")` in async code",
            signature.ident
        );
        return error(&signature.fn_token, message);
    }
    Ok(())
}

fn types(signature: &Signature) -> TokenStream {
    let (inputs, output) = (&signature.inputs, &signature.output);
    quote!(#inputs #output)
}
