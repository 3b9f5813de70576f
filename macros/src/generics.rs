//! Generic parameters: those of the function, and those that `impl Trait` stands for.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    GenericParam, Generics, Lifetime, LifetimeParam, ParenthesizedGenericArguments, Type, TypeParam, TypeReference,
    visit_mut::VisitMut,
};

/// Gives the types of arguments names in place of `impl Trait`.
pub(crate) struct Named {
    /// Those of the function, and then those for `impl Trait`.
    pub(crate) generics: Generics,
    /// How many `impl Trait` there are.
    pub(crate) hidden: usize,
}

/// What is written for each `impl Trait`.
#[derive(Clone, Copy)]
pub(crate) enum Hidden {
    Absent,
    Inferred,
    Named,
}

impl Named {
    pub(crate) fn of(generics: &Generics) -> Self {
        Self { generics: generics.clone(), hidden: 0 }
    }

    /// Between angle brackets, for a call.
    pub(crate) fn turbofish(&self, hidden: Hidden) -> TokenStream {
        let own = names(&self.generics).count() - self.hidden;
        let names = names(&self.generics).enumerate().filter_map(|(index, name)| match hidden {
            Hidden::Absent if index >= own => None,
            Hidden::Inferred if index >= own => Some(quote!(_)),
            _ => Some(quote!(#name)),
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
    }

    /// What tells monomorphisations apart.
    pub(crate) fn texts(&self) -> Vec<TokenStream> {
        let texts = self.generics.params.iter().filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(TypeParam { ident, .. }) => Some(quote!(::std::any::type_name::<#ident>())),
            GenericParam::Const(parameter) => {
                let ident = &parameter.ident;
                Some(quote!(&::std::string::ToString::to_string(&#ident)))
            }
        });
        texts.collect()
    }
}

fn names(generics: &Generics) -> impl Iterator<Item = &Ident> {
    generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(_) => None,
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
    })
}

impl VisitMut for Named {
    fn visit_type_mut(&mut self, of: &mut Type) {
        let Type::ImplTrait(hidden) = of else { return syn::visit_mut::visit_type_mut(self, of) };
        self.hidden += 1;
        let name = format_ident!("__Argument{}", self.hidden, span = Span::mixed_site());
        let mut lifetimes = Lifetimes { of: self.hidden, new: Vec::new() };
        hidden.bounds.iter_mut().for_each(|bound| lifetimes.visit_type_param_bound_mut(bound));
        let bounds = &hidden.bounds;
        let parameter: TypeParam = syn::parse_quote!(#name: #bounds);
        self.generics.params.push(parameter.into());
        for lifetime in lifetimes.new {
            self.generics.params.insert(0, LifetimeParam::new(lifetime).into());
        }
        *of = syn::parse2(quote_spanned!(Span::mixed_site()=> #name)).expect("a name is a type");
    }
}

/// Gives names to lifetimes that have none: bounds of a named parameter cannot leave them out.
struct Lifetimes {
    of: usize,
    new: Vec<Lifetime>,
}

impl Lifetimes {
    fn new_one(&mut self) -> Lifetime {
        let lifetime = Lifetime::new(&format!("'__argument{}_{}", self.of, self.new.len() + 1), Span::mixed_site());
        self.new.push(lifetime.clone());
        lifetime
    }
}

impl VisitMut for Lifetimes {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.new_one();
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.is_none() {
            reference.lifetime = Some(self.new_one());
        }
        syn::visit_mut::visit_type_reference_mut(self, reference);
    }

    // `Fn(&T)` is for every lifetime.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}
}
