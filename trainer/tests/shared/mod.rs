//! Finds the folder of golden vectors and real data.

use std::path::PathBuf;

/// A file or folder of `$VESAL_SHARED`, by default `shared` beside the checkout.
///
/// Where it is absent, tests that need it say so and pass, except in continuous integration (`CI=true`), where absence
/// is a failure.
pub fn find(name: &str) -> Option<PathBuf> {
    let shared = match std::env::var_os("VESAL_SHARED") {
        Some(shared) => PathBuf::from(shared),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
    };
    let path = shared.join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!required, "`{}` is absent", path.display());
    println!("skipped: no `{}`", path.display());
    None
}
