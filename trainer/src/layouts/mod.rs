//! Datasets in folders as people have them: finds their cases, channels, folds and classes, and writes a task and a
//! datalist for them.
//!
//! Nothing is guessed silently: what a folder does not state is an error that names the option for it, and whatever is
//! odd about the files is an [`Oddity`]. Images are neither copied nor read, apart from headers; label maps are read
//! where nothing else names the classes.

mod bids;
mod case_folders;
mod channels;
mod class_list;
mod dataset_json;
mod decathlon;
mod error;
mod find;
mod found;
mod json_folder;
mod label_values;
mod listed_files;
mod modality;
mod oddity;
mod options;
mod pairing;
mod pairs;
mod pattern;
mod splits;
mod task_files;
mod tree;
mod words;

pub use class_list::ClassList;
pub use error::LayoutError;
pub use find::find;
pub use found::{FolderLayout, FoundCase, FoundDataset};
pub use oddity::{Oddity, OddityKind};
pub use options::LayoutOptions;
pub use pattern::NamePattern;
pub use task_files::TaskFiles;
