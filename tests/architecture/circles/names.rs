//! Resolution of paths to defining modules.

use std::collections::BTreeSet;

use super::source::{Import, Kind, Tree};

/// Resolves paths in the modules of a target.
pub struct Resolver<'a> {
    tree: &'a Tree,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// Something that a module defines.
    Item(usize, Kind),
}

/// Names that are being looked up, so that imports of each other end.
type Seen = BTreeSet<(usize, String)>;

impl<'a> Resolver<'a> {
    pub fn new(tree: &'a Tree) -> Self {
        Self { tree }
    }

    /// Modules that define the imported items; for `*`, the module or that of the type.
    pub fn import(&self, module: usize, import: &Import) -> Vec<usize> {
        modules(self.follow(module, &import.path, &mut Seen::new()))
    }

    /// Modules that define the item of a path in code.
    ///
    /// A single name counts where it comes from a `*` or from a re-export of the module itself: other imports are
    /// dependencies anyway, and other names are local.
    pub fn path(&self, module: usize, path: &[String]) -> Vec<usize> {
        let content = &self.tree.modules[module];
        let [name] = path else {
            return modules(self.follow(module, path, &mut Seen::new()));
        };
        if content
            .declared
            .iter()
            .any(|(declared, _)| declared == name)
        {
            return Vec::new();
        }
        let mut targets = self.imported(module, name, &mut Seen::new());
        targets.retain(|target| matches!(target, Target::Item(..)));
        modules(targets)
    }

    /// Modules that define a macro which is called by its name alone: the nearest one around.
    pub fn called_macro(&self, module: usize, name: &str) -> Option<usize> {
        let mut at = Some(module);
        while let Some(module) = at {
            let content = &self.tree.modules[module];
            if content.macros.iter().any(|defined| defined == name) {
                return Some(module);
            }
            at = content.parent;
        }
        None
    }

    fn follow(&self, module: usize, path: &[String], seen: &mut Seen) -> Vec<Target> {
        let mut targets = Vec::new();
        for (index, segment) in path.iter().enumerate() {
            let next = match (index, segment.as_str()) {
                (0, "crate") => vec![Target::Module(0)],
                (0, "self") => vec![Target::Module(module)],
                (0, "super") => self.parent(module),
                (0, name) => self.lookup(module, name, seen),
                (_, name) => targets
                    .into_iter()
                    .flat_map(|target| match (target, name) {
                        (Target::Module(module), "super") => self.parent(module),
                        (Target::Module(module), name) => self.lookup(module, name, seen),
                        // Associated items belong to the module of the type.
                        (Target::Item(_, Kind::Type), _) => vec![target],
                        (Target::Item(_, Kind::Value), _) => Vec::new(),
                    })
                    .collect(),
            };
            targets = next;
        }
        targets
    }

    fn parent(&self, module: usize) -> Vec<Target> {
        let parent = self.tree.modules[module].parent;
        parent.map(Target::Module).into_iter().collect()
    }

    /// What a name stands for in a module, in all namespaces.
    fn lookup(&self, module: usize, name: &str, seen: &mut Seen) -> Vec<Target> {
        let content = &self.tree.modules[module];
        let mut targets = Vec::new();
        targets.extend(content.children.get(name).copied().map(Target::Module));
        let declared = content.declared.iter();
        targets.extend(
            declared
                .filter(|(declared, _)| declared == name)
                .map(|(_, kind)| Target::Item(module, *kind)),
        );
        targets.extend(self.imported(module, name, seen));
        targets
    }

    /// What a name stands for by the imports of a module.
    fn imported(&self, module: usize, name: &str, seen: &mut Seen) -> Vec<Target> {
        if !seen.insert((module, name.to_owned())) {
            return Vec::new();
        }
        let imports = &self.tree.modules[module].imports;
        let mut targets = Vec::new();
        for import in imports
            .iter()
            .filter(|import| import.name.as_deref() == Some(name))
        {
            targets.extend(self.follow(module, &import.path, seen));
        }
        if targets.is_empty() {
            for import in imports.iter().filter(|import| import.is_glob) {
                for target in self.follow(module, &import.path, &mut seen.clone()) {
                    if let Target::Module(target) = target {
                        targets.extend(self.lookup(target, name, seen));
                    }
                }
            }
        }
        seen.remove(&(module, name.to_owned()));
        targets
    }
}

fn modules(targets: Vec<Target>) -> Vec<usize> {
    let modules = targets.into_iter().map(|target| match target {
        Target::Module(module) | Target::Item(module, _) => module,
    });
    modules.collect::<BTreeSet<_>>().into_iter().collect()
}
