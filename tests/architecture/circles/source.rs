//! The modules of a target: what each declares, imports and names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Item, ItemMod};

use super::syntax;

/// What a declared name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A type or trait, behind whose name `::` may follow.
    Type,
    /// A function, constant, static or macro.
    Value,
}

/// One name that a `use` brings into a module, or all names of a path.
#[derive(Debug)]
pub struct Import {
    /// Segments from the first on, renaming aside.
    pub path: Vec<String>,
    /// The name in the importing module; none for `*` and `_`.
    pub name: Option<String>,
    pub is_glob: bool,
    /// Whether it has a visibility of its own: `pub`, `pub(crate)` or `pub(super)`.
    pub is_exported: bool,
}

/// A module: a file, or a part of one.
#[derive(Debug, Default)]
pub struct Module {
    pub file: PathBuf,
    pub parent: Option<usize>,
    pub children: BTreeMap<String, usize>,
    pub declared: Vec<(String, Kind)>,
    /// Macros that code behind them and in child modules may use without a path.
    pub macros: Vec<String>,
    pub imports: Vec<Import>,
    /// Paths in signatures, bodies, attributes and macros' arguments. Those of one segment are names that no binding of
    /// the file has.
    pub paths: Vec<Vec<String>>,
    /// Macros that are called without a path.
    pub called_macros: Vec<String>,
}

/// All modules of a target; the first is its root.
#[derive(Debug)]
pub struct Tree {
    pub modules: Vec<Module>,
}

impl Tree {
    /// Reads the module tree that begins at a target's root file.
    pub fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut tree = Self {
            modules: Vec::new(),
        };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let text = read(root).unwrap_or_else(|| panic!("cannot read `{}`", root.display()));
        tree.add_file(root.to_owned(), &text, &folder, None, read);
        tree
    }

    /// Whether a module is another one or below it.
    pub fn is_within(&self, module: usize, ancestor: usize) -> bool {
        let mut at = Some(module);
        while let Some(module) = at {
            if module == ancestor {
                return true;
            }
            at = self.modules[module].parent;
        }
        false
    }

    fn add_file(
        &mut self,
        file: PathBuf,
        text: &str,
        folder: &Path,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> usize {
        let parsed = syn::parse_file(text)
            .unwrap_or_else(|error| panic!("cannot parse `{}`: {error}", file.display()));
        self.add(file, &parsed.items, folder, parent, read)
    }

    /// Adds a module whose children's files lie in `folder`.
    fn add(
        &mut self,
        file: PathBuf,
        items: &[Item],
        folder: &Path,
        parent: Option<usize>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> usize {
        let module = self.modules.len();
        self.modules.push(Module {
            file: file.clone(),
            parent,
            ..Module::default()
        });
        let found = syntax::read(items);
        for child in found.children {
            let name = syntax::name(&child.ident);
            let index = self.add_child(child, &name, &file, folder, module, read);
            self.modules[module].children.insert(name, index);
        }
        let this = &mut self.modules[module];
        this.declared = found.declared;
        this.macros = found.macros;
        this.imports = found.imports;
        this.paths = found.paths;
        this.called_macros = found.called_macros;
        module
    }

    fn add_child(
        &mut self,
        child: &ItemMod,
        name: &str,
        file: &Path,
        folder: &Path,
        parent: usize,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> usize {
        let below = folder.join(name);
        if let Some((_, items)) = &child.content {
            return self.add(file.to_owned(), items, &below, Some(parent), read);
        }
        let candidates = match syntax::path_attribute(child) {
            Some(path) => {
                let path = file.with_file_name(path);
                // The children of a file that is named so lie beside it.
                let below = path.parent().unwrap_or(Path::new("")).to_owned();
                vec![(path, below)]
            }
            None => vec![
                (folder.join(format!("{name}.rs")), below.clone()),
                (below.join("mod.rs"), below),
            ],
        };
        for (path, below) in candidates {
            if let Some(text) = read(&path) {
                return self.add_file(path, &text, &below, Some(parent), read);
            }
        }
        panic!(
            "`{}` declares `mod {name}`, which has no file",
            file.display()
        );
    }
}
