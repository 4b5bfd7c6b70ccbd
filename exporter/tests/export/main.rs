//! Exporting and importing networks.

#[path = "../../../models/tests/cases/mod.rs"]
mod cases;
#[path = "../support/mod.rs"]
mod support;
#[rustfmt::skip]
#[allow(clippy::all, missing_docs, unused)]
#[path = "../reimported/tiny.rs"]
mod tiny;
#[path = "../work_dir/mod.rs"]
mod work_dir;

mod checker;
mod ensembles;
mod golden_bare;
mod golden_dints;
mod golden_ensemble;
mod golden_import;
mod golden_segresnet2d;
mod golden_swinunetr;
mod hostile;
mod hostile_archives;
mod import_folders;
mod import_monai;
mod operations;
mod package;
mod parity;
mod reimport;
mod signing;
mod state_dicts;
