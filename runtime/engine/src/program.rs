//! Finding external programs.

use std::env;
use std::path::PathBuf;

/// Finds a program in the folders of `PATH`, of which only absolute ones are searched; others depend on the current
/// folder, which others may control.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&file))
        .find(|program| is_executable(program))
}

#[cfg(unix)]
fn is_executable(program: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let found = program.metadata();
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(program: &std::path::Path) -> bool {
    program.is_file()
}
