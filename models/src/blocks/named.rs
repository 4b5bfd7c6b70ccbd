//! Modules whose names in state dicts are no identifiers.

use std::fmt;

use burn::module::{
    AutodiffModule, Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::backend::{AutodiffBackend, Backend};

/// Modules by names of any characters but periods, in order: MONAI's state dicts have some that no field of a module can
/// have, such as `(0, 2)` and `mod`.
#[derive(Debug, Clone)]
pub struct NamedModules<M>(Vec<(String, M)>);

/// The kind of container that visitors are told.
const CONTAINER: &str = "NamedModules";

impl<M> NamedModules<M> {
    /// A single module of this name.
    pub fn one(name: &str, module: M) -> Self {
        Self::from_iter([(name.to_owned(), module)])
    }

    /// The first module.
    pub fn single(&self) -> &M {
        let (_, module) = self.0.first().expect("one module");
        module
    }

    /// The modules in order.
    pub fn modules(&self) -> impl Iterator<Item = &M> {
        self.0.iter().map(|(_, module)| module)
    }

    /// The same names with other modules.
    fn each<N>(self, change: impl Fn(M) -> N) -> NamedModules<N> {
        let modules = self.0.into_iter();
        modules
            .map(|(name, module)| (name, change(module)))
            .collect()
    }
}

impl<M> FromIterator<(String, M)> for NamedModules<M> {
    fn from_iter<I: IntoIterator<Item = (String, M)>>(modules: I) -> Self {
        Self(modules.into_iter().collect())
    }
}

impl<B: Backend, M: Module<B>> Module<B> for NamedModules<M> {
    type Record = Vec<M::Record>;

    fn collect_devices(&self, devices: Devices<B>) -> Devices<B> {
        let modules = self.0.iter();
        modules.fold(devices, |devices, (_, module)| {
            module.collect_devices(devices)
        })
    }

    fn fork(self, device: &B::Device) -> Self {
        self.each(|module| module.fork(device))
    }

    fn to_device(self, device: &B::Device) -> Self {
        self.each(|module| module.to_device(device))
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        for (name, module) in &self.0 {
            visitor.enter_module(name, CONTAINER);
            module.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<V: ModuleMapper<B>>(self, mapper: &mut V) -> Self {
        let modules = self.0.into_iter().map(|(name, module)| {
            mapper.enter_module(&name, CONTAINER);
            let module = module.map(mapper);
            mapper.exit_module(&name, CONTAINER);
            (name, module)
        });
        modules.collect()
    }

    fn load_record(self, record: Self::Record) -> Self {
        assert_eq!(self.0.len(), record.len(), "a record of other modules");
        let modules = self.0.into_iter().zip(record);
        let modules = modules.map(|((name, module), record)| (name, module.load_record(record)));
        modules.collect()
    }

    fn into_record(self) -> Self::Record {
        let modules = self.0.into_iter();
        modules.map(|(_, module)| module.into_record()).collect()
    }
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> AutodiffModule<B> for NamedModules<M> {
    type InnerModule = NamedModules<M::InnerModule>;

    fn valid(&self) -> Self::InnerModule {
        let modules = self.0.iter();
        modules
            .map(|(name, module)| (name.clone(), module.valid()))
            .collect()
    }

    fn from_inner(named: Self::InnerModule) -> Self {
        named.each(M::from_inner)
    }
}

impl<M> fmt::Display for NamedModules<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        write!(f, "NamedModules({})", names.collect::<Vec<_>>().join(", "))
    }
}

impl<M: ModuleDisplay> ModuleDisplayDefault for NamedModules<M> {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content.set_top_level_type(CONTAINER);
        let modules = self.0.iter();
        modules
            .fold(content, |content, (name, module)| content.add(name, module))
            .optional()
    }
}

impl<M: ModuleDisplay> ModuleDisplay for NamedModules<M> {}
