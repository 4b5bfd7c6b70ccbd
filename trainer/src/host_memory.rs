//! How much memory this process may take.

use std::fs;
use std::path::{Path, PathBuf};

/// Share of the available memory that preprocessed cases may take: the rest is for the training itself.
const SHARE: f64 = 0.5;
/// Limits from here on mean that there is none.
const NO_LIMIT: u64 = 1 << 60;

/// Memory in bytes that preprocessed cases may take by default; none where the system does not tell.
///
/// **Definition**: half of what is available to this process: what the system has left, or what is left of the limit of
/// a control group that it is in, where that is less. Files that only speed up reading count as available.
pub fn default_budget() -> Option<u64> {
    available(Path::new("/")).map(|bytes| (bytes as f64 * SHARE) as u64)
}

/// Memory in bytes that this process can still take, in a system whose files are under `root`.
fn available(root: &Path) -> Option<u64> {
    let system = fs::read_to_string(root.join("proc/meminfo")).ok();
    let system = system.and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    });
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().flat_map(|line| group_limits(root, line));
    system.into_iter().chain(groups).min()
}

/// What is left of the limits of one control group and of those that it is in: a line of `/proc/self/cgroup`.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (mount, files) = if controllers.is_empty() {
        let files = ["memory.max", "memory.current", "inactive_file"];
        ("sys/fs/cgroup", files)
    } else if controllers.split(',').any(|name| name == "memory") {
        let files = [
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ];
        ("sys/fs/cgroup/memory", files)
    } else {
        return Vec::new();
    };
    let mount = root.join(mount);
    // Inside a container the mount may be the group itself, while the path is that of the host.
    let mut folder: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut left = Vec::new();
    while folder.starts_with(&mount) {
        left.extend(left_of(&folder, files));
        if !folder.pop() {
            break;
        }
    }
    left
}

/// Limit less usage, files that can be dropped aside; none without a limit.
fn left_of(folder: &Path, [limit, usage, droppable]: [&str; 3]) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(folder.join(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let limit = number(limit).filter(|limit| *limit < NO_LIMIT)?;
    let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let dropped: u64 = statistics
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == droppable)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let used = number(usage).unwrap_or(0).saturating_sub(dropped);
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       2000 kB\nMemFree:  100 kB\nMemAvailable:   1000 kB\n",
    );

    #[test]
    fn without_limits_the_system_tells() {
        assert_eq!(available(system(&[MEMINFO]).path()), Some(1_024_000));
        assert_eq!(available(system(&[]).path()), None);
        let unlimited = system(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
        ]);
        assert_eq!(available(unlimited.path()), Some(1_024_000));
    }

    #[test]
    fn the_tightest_group_counts_and_its_droppable_files_do_not() {
        let root = system(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "600000\n"),
            ("sys/fs/cgroup/a/memory.current", "500000\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 7\ninactive_file 300000\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ]);
        assert_eq!(available(root.path()), Some(400_000));
    }

    #[test]
    fn groups_of_the_first_version_count_too() {
        let root = system(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "70000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "20000\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "total_inactive_file 5000\n",
            ),
        ]);
        assert_eq!(available(root.path()), Some(55_000));
        let root = system(&[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);
        assert_eq!(available(root.path()), Some(1_024_000));
    }
}
