//! `setup` without downloads.

#![cfg(target_os = "linux")]

use std::fs;

use crate::support::{Ran, listing, vesal, with_runtime};
use tempfile::tempdir;
use vesal_engine::install::{VERSION, Variant};
use vesal_engine::library::installed;

#[test]
fn a_library_that_is_there_is_not_fetched_again() {
    let cache = tempdir().unwrap();
    let folder = cache.path().join("vesal").join(Variant::Cpu.folder());
    fs::create_dir_all(&folder).unwrap();
    let library = folder.join(format!("libonnxruntime.so.{VERSION}"));
    fs::write(&library, "a library").unwrap();
    installed::record(&folder).unwrap();
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
    // With `--force` it needs Python; without one, the existing library is kept.
    let ran = Ran::from(command.arg("--force").output().unwrap());
    assert_eq!(ran.code, Some(5), "{}", ran.stdout);
    assert_eq!(fs::read(&library).unwrap(), b"a library");
}

#[test]
fn a_library_that_was_changed_is_fetched_again() {
    let cache = tempdir().unwrap();
    let folder = cache.path().join("vesal").join(Variant::Cpu.folder());
    fs::create_dir_all(&folder).unwrap();
    let library = folder.join(format!("libonnxruntime.so.{VERSION}"));
    fs::write(&library, "a library").unwrap();
    installed::record(&folder).unwrap();
    fs::write(&library, "another").unwrap();
    let cached = |command: &str| {
        let mut vesal = vesal();
        vesal
            .env("XDG_CACHE_HOME", cache.path())
            .env("PATH", "")
            .arg(command);
        Ran::from(vesal.output().unwrap())
    };
    let ran = cached("devices");
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert!(
        ran.stderr.contains("is not the file that was fetched"),
        "{}",
        ran.stderr
    );
    // Python is absent.
    let ran = cached("setup");
    assert_eq!(ran.code, Some(5), "{ran:?}");
}

#[test]
fn a_package_of_another_origin_is_refused_with_the_command_that_gets_the_right_one() {
    let cache = tempdir().unwrap();
    let package = cache.path().join("onnxruntime.whl");
    fs::write(&package, "PK").unwrap();
    let from = |path: &std::path::Path| {
        let mut command = vesal();
        command
            .env("XDG_CACHE_HOME", cache.path())
            .arg("setup")
            .arg("--from")
            .arg(path);
        Ran::from(command.output().unwrap())
    };
    let ran = from(&package);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let hint = format!("`pip download onnxruntime=={VERSION} --no-deps");
    assert!(ran.stderr.contains(&hint), "{}", ran.stderr);
    let ran = from(&cache.path().join("absent.whl"));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("absent.whl"), "{}", ran.stderr);
    assert_eq!(listing(cache.path()), ["onnxruntime.whl"]);
}

#[test]
fn nothing_of_the_current_folder_is_run() {
    let (cache, current) = (tempdir().unwrap(), tempdir().unwrap());
    let ran = current.path().join("ran");
    let program = format!("open({ran:?}, 'w').write('')\n");
    for module in ["pip.py", "runpy.py", "os.py", "sitecustomize.py"] {
        fs::write(current.path().join(module), &program).unwrap();
    }
    fs::create_dir(current.path().join("pip")).unwrap();
    fs::write(current.path().join("pip/__main__.py"), &program).unwrap();
    // A program with the name of Python.
    let python = current.path().join("python3");
    fs::write(&python, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let setup = vesal()
        .current_dir(current.path())
        .env("XDG_CACHE_HOME", cache.path())
        .env("PATH", format!(".:{path}"))
        .env("PYTHONPATH", current.path())
        // Nothing is downloaded in this test.
        .env("PIP_NO_INDEX", "1")
        .arg("setup")
        .output()
        .unwrap();
    let setup = Ran::from(setup);
    assert_eq!(setup.code, Some(5), "{setup:?}");
    assert!(!ran.exists(), "{setup:?}");
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
