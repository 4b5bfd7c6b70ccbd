//! What `setup` does without fetching anything.

#![cfg(target_os = "linux")]

mod support;

use std::fs;

use support::{Ran, listing, vesal, with_runtime};
use tempfile::tempdir;
use vesal_engine::install::{VERSION, Variant};

#[test]
fn a_library_that_is_there_is_not_fetched_again() {
    let cache = tempdir().unwrap();
    let folder = cache.path().join("vesal").join(Variant::Cpu.folder());
    fs::create_dir_all(&folder).unwrap();
    let library = folder.join(format!("libonnxruntime.so.{VERSION}"));
    fs::write(&library, "a library").unwrap();
    let mut command = vesal();
    command
        .env("XDG_CACHE_HOME", cache.path())
        .env("PATH", "")
        .arg("setup");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        format!(
            "ONNX Runtime {VERSION} is there already: {}\n",
            library.display()
        )
    );
    // Asked for again, it needs Python; what is there stays when there is none.
    let ran = Ran::from(command.arg("--force").output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stdout);
    assert_eq!(fs::read(&library).unwrap(), b"a library");
}

#[test]
fn without_python_the_remedy_is_named() {
    let cache = tempdir().unwrap();
    let mut command = vesal();
    command
        .env("XDG_CACHE_HOME", cache.path())
        .env("PATH", "")
        .arg("setup");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("\nhint: install Python 3 with pip"),
        "{}",
        ran.stderr
    );
}

#[test]
fn starting_onnx_runtime_notes_nothing_about_the_user() {
    let home = tempdir().unwrap();
    let mut command = with_runtime();
    command
        .env("HOME", home.path())
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_DATA_HOME")
        .arg("devices");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(home.path()), Vec::<String>::new());
}
