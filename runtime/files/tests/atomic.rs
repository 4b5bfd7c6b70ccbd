//! Outputs appear whole or not at all.

use std::fs;
use std::io::Write;

use vesal_files::atomic::{AtomicDirectory, AtomicError, AtomicFile, write_file};

#[test]
fn a_dropped_file_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let mut file = AtomicFile::create(&path, false).unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "the temporary is a sibling"
    );
    assert!(!path.exists());
    drop(file);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_appears_meanwhile_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let mut file = AtomicFile::create(&path, false).unwrap();
    file.write_all(b"late").unwrap();
    fs::write(&path, "early").unwrap();
    assert!(matches!(file.commit(), Err(AtomicError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"early");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn overwriting_replaces_the_content_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    write_file(&path, b"old and long", false).unwrap();
    let mut file = AtomicFile::create(&path, true).unwrap();
    file.write_all(b"new").unwrap();
    file.flush().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old and long");
    file.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn destinations_that_cannot_be_are_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent/a.json");
    let error = AtomicFile::create(&absent, false).unwrap_err();
    assert!(matches!(error, AtomicError::NoDirectory { .. }) && error.hint().is_some());
    assert!(matches!(
        AtomicFile::create("/".as_ref(), true),
        Err(AtomicError::NoName { .. })
    ));
    assert!(matches!(
        AtomicFile::create(directory.path(), true),
        Err(AtomicError::Io { .. })
    ));
    assert!(matches!(
        AtomicDirectory::create("..".as_ref(), true),
        Err(AtomicError::NoName { .. })
    ));
}

#[cfg(unix)]
#[test]
fn outputs_have_the_usual_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        fs::metadata(directory.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    fs::write(directory.path().join("usual"), "").unwrap();
    write_file(&directory.path().join("ours"), b"", false).unwrap();
    assert_eq!(mode("ours"), mode("usual"));
    fs::create_dir(directory.path().join("usual_directory")).unwrap();
    AtomicDirectory::create(&directory.path().join("our_directory"), false)
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(mode("our_directory"), mode("usual_directory"));
}

#[test]
fn names_of_every_length_the_system_takes_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    write_file(&directory.path().join("n".repeat(255)), b"x", false).unwrap();
}

#[test]
fn a_directory_appears_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle");
    let bundle = AtomicDirectory::create(&path, false).unwrap();
    fs::create_dir(bundle.path().join("members")).unwrap();
    fs::write(bundle.path().join("members/0.onnx"), "weights").unwrap();
    assert!(!path.exists());
    bundle.commit().unwrap();
    assert_eq!(fs::read(path.join("members/0.onnx")).unwrap(), b"weights");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_dropped_directory_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = AtomicDirectory::create(&directory.path().join("bundle"), false).unwrap();
    fs::write(bundle.path().join("half"), "").unwrap();
    drop(bundle);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_is_replaced_whole_and_only_if_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("old"), "").unwrap();
    assert!(matches!(
        AtomicDirectory::create(&path, false),
        Err(AtomicError::Exists { .. })
    ));
    let bundle = AtomicDirectory::create(&path, true).unwrap();
    fs::write(bundle.path().join("new"), "").unwrap();
    assert!(path.join("old").exists());
    bundle.commit().unwrap();
    let names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["new"]);
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing stays aside"
    );
}

#[test]
fn a_directory_that_appears_meanwhile_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle");
    let bundle = AtomicDirectory::create(&path, false).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(bundle.commit(), Err(AtomicError::Exists { .. })));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_private_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "open to all").unwrap();
    vesal_files::atomic::write_private(&path, b"hidden").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hidden");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
