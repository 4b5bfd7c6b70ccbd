//! Writes the seeds of all targets: `vesal-fuzz-targets FOLDER` makes a folder of each.

use std::path::PathBuf;
use std::{env, fs, io};

use vesal_fuzz_targets::targets;

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("expected a folder for the seeds"));
    };
    for target in targets() {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (index, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed_{index}")), seed)?;
        }
    }
    Ok(())
}
