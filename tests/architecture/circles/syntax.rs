//! What the items of one module declare, import and name.

use std::collections::BTreeSet;
use std::mem;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, Meta, UseTree, Visibility};

use super::source::{Import, Kind};

/// What is found in a module.
#[derive(Default)]
pub struct Found<'a> {
    pub children: Vec<&'a ItemMod>,
    pub declared: Vec<(String, Kind)>,
    pub macros: Vec<String>,
    pub imports: Vec<Import>,
    pub paths: Vec<Vec<String>>,
    pub called_macros: Vec<String>,
    /// Names of parameters and local variables.
    bound: BTreeSet<String>,
}

/// Reads the items of a module, but for the content of its child modules.
pub fn read(items: &[Item]) -> Found<'_> {
    let mut found = Found::default();
    for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
        found.declare(item);
        found.visit_item(item);
    }
    let bound = mem::take(&mut found.bound);
    found
        .paths
        .retain(|path| path.len() > 1 || !bound.contains(&path[0]));
    found
}

/// An identifier without the `r#` of a raw one.
pub fn name(identifier: &Ident) -> String {
    identifier.unraw().to_string()
}

/// The file that a module declaration names with `#[path = "…"]`, from the folder of the declaring file on.
pub fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

impl Found<'_> {
    fn declare(&mut self, item: &Item) {
        let (identifier, kind) = match item {
            Item::Enum(item) => (&item.ident, Kind::Type),
            Item::Struct(item) => (&item.ident, Kind::Type),
            Item::Trait(item) => (&item.ident, Kind::Type),
            Item::TraitAlias(item) => (&item.ident, Kind::Type),
            Item::Type(item) => (&item.ident, Kind::Type),
            Item::Union(item) => (&item.ident, Kind::Type),
            Item::Const(item) => (&item.ident, Kind::Value),
            Item::Static(item) => (&item.ident, Kind::Value),
            Item::Fn(item) => (&item.sig.ident, Kind::Value),
            Item::Macro(item) => match &item.ident {
                Some(identifier) => {
                    self.macros.push(name(identifier));
                    (identifier, Kind::Value)
                }
                None => return,
            },
            _ => return,
        };
        self.declared.push((name(identifier), kind));
    }

    fn import(&mut self, tree: &UseTree, path: &mut Vec<String>, is_exported: bool) {
        match tree {
            UseTree::Path(tree) => {
                path.push(name(&tree.ident));
                self.import(&tree.tree, path, is_exported);
                path.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, is_exported);
                }
            }
            UseTree::Glob(_) => self.imports.push(Import {
                path: path.clone(),
                name: None,
                is_glob: true,
                is_exported,
            }),
            UseTree::Name(tree) => self.import_name(&tree.ident, &tree.ident, path, is_exported),
            UseTree::Rename(tree) => {
                self.import_name(&tree.ident, &tree.rename, path, is_exported);
            }
        }
    }

    fn import_name(&mut self, of: &Ident, rename: &Ident, path: &[String], is_exported: bool) {
        let (mut path, of, mut rename) = (path.to_vec(), name(of), name(rename));
        // `a::{self}` brings in `a` by that name.
        if of != "self" || path.is_empty() {
            path.push(of);
        } else if rename == "self" {
            rename.clone_from(&path[path.len() - 1]);
        }
        self.imports.push(Import {
            path,
            name: (rename != "_").then_some(rename),
            is_glob: false,
            is_exported,
        });
    }

    /// Paths in tokens that have not been parsed: identifiers with `::` between them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(identifier) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(name(&identifier));
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && colons < 2 => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.end(&mut path);
                    colons = 0;
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        let path = mem::take(path);
        if !path.is_empty() {
            self.paths.push(path);
        }
    }
}

impl<'a> Visit<'a> for Found<'a> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        self.children.push(module);
    }

    fn visit_item_use(&mut self, import: &'a ItemUse) {
        if import.leading_colon.is_none() {
            let is_exported = !matches!(import.vis, Visibility::Inherited);
            self.import(&import.tree, &mut Vec::new(), is_exported);
        }
    }

    fn visit_impl_item(&mut self, item: &'a syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(item) => &item.attrs[..],
            syn::ImplItem::Const(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        match call.path.get_ident() {
            Some(identifier) => self.called_macros.push(name(identifier)),
            None => self.visit_path(&call.path),
        }
        self.tokens(call.tokens.clone());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.paths
                .push(segments.map(|segment| name(&segment.ident)).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pattern: &'a syn::PatIdent) {
        self.bound.insert(name(&pattern.ident));
        visit::visit_pat_ident(self, pattern);
    }
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether something is compiled for tests alone: `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => needs_test(list.tokens.clone()),
        _ => false,
    })
}

/// Whether a predicate of `cfg` can only hold where `test` does.
fn needs_test(predicate: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = predicate.into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(identifier)] => *identifier == "test",
        [TokenTree::Ident(identifier), TokenTree::Group(group)] => {
            let parts: Vec<TokenTree> = group.stream().into_iter().collect();
            let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
            let mut parts = parts
                .split(is_comma)
                .filter(|part| !part.is_empty())
                .map(|part| needs_test(part.iter().cloned().collect()));
            match identifier.to_string().as_str() {
                "all" => parts.any(|needs| needs),
                "any" => parts.all(|needs| needs),
                _ => false,
            }
        }
        _ => false,
    }
}
