//! What is written in the parentheses of an attribute.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{
    Error, Expr, ExprLit, Lit, Result, Token, Type, parenthesized,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::{
    mention::mentions,
    options::{Form, IN_BACKGROUND, Known, Macro},
    patterns::bindings,
};

/// The options of one function.
pub(crate) struct Args {
    pub(crate) own: &'static Macro,
    pub(crate) given: Vec<Given>,
}

/// An option as it was given.
pub(crate) struct Given {
    pub(crate) known: &'static Known,
    pub(crate) span: Span,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Flag,
    Expr(Expr),
    Type(Type),
    Names(Vec<Ident>),
    Pair(Expr, Expr),
}

impl Args {
    pub(crate) fn parse(own: &'static Macro, tokens: TokenStream) -> Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let mut args = Self { own, given: Vec::new() };
            while !input.is_empty() {
                args.option(input)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>().map_err(|error| Error::new(error.span(), "a comma is missing here"))?;
                }
            }
            args.check()?;
            Ok(args)
        };
        parser.parse2(tokens)
    }

    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name: Ident = input.parse().map_err(|error| {
            Error::new(error.span(), format!("the name of an option belongs here, as in `{}`", self.example("ttl")))
        })?;
        let text = name.to_string();
        let known = self.own.option(&text).ok_or_else(|| Error::new(name.span(), self.own.unknown(&text)))?;
        if self.get(known.name).is_some() {
            return Err(Error::new(name.span(), format!("`{}` is there twice", known.name)));
        }
        let value = value(known, &name, input)?;
        self.given.push(Given { known, span: name.span(), value });
        Ok(())
    }

    /// What can be said without a look at the function.
    fn check(&self) -> Result<()> {
        if self.get("cache").is_none() {
            let message = format!(
                "say which cache keeps the results: `#[{}(cache = .., ..)]`, where `..` names an argument or a part \
                 of it (`state.cache`), `self.cache`, or a static",
                self.own.name
            );
            return Err(Error::new(Span::call_site(), message));
        }
        self.excludes("key", "skip", "say with `key` what the key is, or with `skip` what is not in it")?;
        if let (Some(flag), None) = (self.get("no_companions"), self.get(if self.is_cached() { "key" } else { "name" }))
        {
            let message =
                "two traits can have methods of one name: say what the name of this one is, with `name = \"..\"`";
            let message = if self.is_cached() { message.replace("name = \"", "key = \"") } else { message.into() };
            return Err(Error::new(flag.span, message));
        }
        self.excludes("source_check", "version", "both are the version of the function: give one")
    }

    fn excludes(&self, one: &str, other: &str, message: &str) -> Result<()> {
        match (self.get(one), self.get(other)) {
            (Some(_), Some(other)) if !(one == "key" && self.is_cached()) => Err(Error::new(other.span, message)),
            _ => Ok(()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.known.name == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn expr(&self, name: &str) -> Option<&Expr> {
        match &self.get(name)?.value {
            Value::Expr(expr) => Some(expr),
            _ => None,
        }
    }

    pub(crate) fn skipped(&self) -> &[Ident] {
        match self.get("skip") {
            Some(Given { value: Value::Names(names), .. }) => names,
            _ => &[],
        }
    }

    /// Whether an option is about an argument, which is then of use whatever the body does.
    pub(crate) fn mention(&self, argument: &Ident) -> bool {
        self.given.iter().any(|given| mentions(&given.tokens(), argument))
    }

    /// The option for which the body may run in the background.
    pub(crate) fn in_background(&self) -> Option<&Given> {
        IN_BACKGROUND.iter().find_map(|name| self.get(name))
    }

    /// Whether all calls have one result.
    pub(crate) fn is_cached(&self) -> bool {
        self.own.name == "cached"
    }

    fn example(&self, name: &str) -> &'static str {
        self.own.option(name).map_or("", |known| known.example)
    }
}

fn value(known: &'static Known, name: &Ident, input: ParseStream<'_>) -> Result<Value> {
    let wrong = |span| Error::new(span, format!("write `{}`", known.example));
    let is_end = input.is_empty() || input.peek(Token![,]);
    match known.form {
        Form::Flag if is_end => Ok(Value::Flag),
        Form::Flag => Err(Error::new(input.span(), format!("`{}` is a flag: it takes no value", known.name))),
        _ if is_end => Err(wrong(name.span())),
        Form::List | Form::Pair if !input.peek(syn::token::Paren) => Err(wrong(name.span())),
        Form::List => {
            let content;
            parenthesized!(content in input);
            let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, parse_name)?;
            Ok(Value::Names(names.into_iter().collect()))
        }
        Form::Pair => {
            let content;
            parenthesized!(content in input);
            let (first, _, second) = (
                content.parse::<Expr>()?,
                content.parse::<Token![,]>().map_err(|error| wrong(error.span()))?,
                content.parse::<Expr>()?,
            );
            let _: Option<Token![,]> = content.parse()?;
            if content.is_empty() { Ok(Value::Pair(first, second)) } else { Err(wrong(content.span())) }
        }
        Form::Expr | Form::Text | Form::Type if !input.peek(Token![=]) => Err(wrong(name.span())),
        form => {
            input.parse::<Token![=]>()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(wrong(name.span()));
            }
            if form == Form::Type {
                return input.parse().map(Value::Type).map_err(|error| wrong(error.span()));
            }
            let expr: Expr = input.parse()?;
            match &expr {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if form == Form::Expr => {
                    let message = format!("an expression belongs here, not a string: `{}`", known.example);
                    Err(Error::new(text.span(), message))
                }
                _ => Ok(Value::Expr(expr)),
            }
        }
    }
}

impl Given {
    pub(crate) fn tokens(&self) -> TokenStream {
        match &self.value {
            Value::Flag | Value::Names(_) => TokenStream::new(),
            Value::Expr(expr) => quote!(#expr),
            Value::Type(ty) => quote!(#ty),
            Value::Pair(first, second) => quote!(#first, #second),
        }
    }

    /// The names that a closure gives to its own arguments.
    pub(crate) fn bindings(&self) -> Vec<Ident> {
        match &self.value {
            Value::Expr(Expr::Closure(closure)) | Value::Pair(Expr::Closure(closure), _) => {
                closure.inputs.iter().flat_map(bindings).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The name of an argument.
fn parse_name(input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Token![self]) {
        return Err(input.error("`self` is never in the key; `instance = ..` puts there what stands for it"));
    }
    input.parse().map_err(|error| Error::new(error.span(), "the name of an argument belongs here: `skip(state)`"))
}
