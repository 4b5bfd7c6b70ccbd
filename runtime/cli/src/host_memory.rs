//! Memory that this process may use.

use std::path::{Path, PathBuf};

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostMemory {
    /// The machine's memory, or less where a control group limits it.
    pub total: u64,
    /// Bytes that the process can still allocate without swapping.
    pub available: u64,
}

impl HostMemory {
    /// Asks Linux; `None` on other systems.
    ///
    /// **Definition**: `MemTotal` and `MemAvailable` of `/proc/meminfo`, reduced by the limits of the process's control
    /// group and of all groups around it (versions 1 and 2), without reclaimable page cache.
    pub fn read() -> Option<Self> {
        Self::read_under(Path::new("/"))
    }

    fn read_under(root: &Path) -> Option<Self> {
        let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let field = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        let mut found = Self {
            total: field("MemTotal:")?,
            available: field("MemAvailable:")?,
        };
        for group in groups(root) {
            let Some(limit) = group.limit() else {
                continue;
            };
            found.total = found.total.min(limit);
            found.available = found.available.min(limit.saturating_sub(group.used()));
        }
        Some(found)
    }
}

struct ControlGroup {
    folder: PathBuf,
    /// Name of the file with the limit.
    limit: &'static str,
    /// Name of the file with the usage.
    usage: &'static str,
    /// Line of `memory.stat` with the reclaimable page cache.
    cache: &'static str,
}

impl ControlGroup {
    /// `None` for `max`; version 1 states a huge number instead, which has the same effect.
    fn limit(&self) -> Option<u64> {
        self.number(self.limit)
    }

    fn used(&self) -> u64 {
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let cache = stat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == self.cache)
            .and_then(|(_, bytes)| bytes.trim().parse::<u64>().ok());
        let usage = self.number(self.usage).unwrap_or(0);
        usage.saturating_sub(cache.unwrap_or(0))
    }

    fn number(&self, file: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.folder.join(file)).ok()?;
        text.trim().parse().ok()
    }
}

/// The control group of this process and its ancestors, from `/proc/self/cgroup`.
fn groups(root: &Path) -> Vec<ControlGroup> {
    let memberships = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in memberships.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (mount, limit, usage, cache) = if controllers.is_empty() {
            (
                "sys/fs/cgroup",
                "memory.max",
                "memory.current",
                "inactive_file",
            )
        } else if controllers.split(',').any(|name| name == "memory") {
            (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        } else {
            continue;
        };
        // In a container the path may be that outside of it: absent folders are ignored.
        let mut folder = PathBuf::new();
        let names = path
            .split('/')
            .filter(|name| !name.is_empty() && *name != "..");
        for name in std::iter::once("").chain(names) {
            if !name.is_empty() {
                folder.push(name);
            }
            groups.push(ControlGroup {
                folder: root.join(mount).join(&folder),
                limit,
                usage,
                cache,
            });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn machine(files: &[(&str, &str)]) -> Option<HostMemory> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        HostMemory::read_under(root.path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       8388608 kB\nMemFree:         100 kB\nMemAvailable:   6291456 kB\n",
    );

    #[test]
    fn without_a_limit_the_machine_counts() {
        let free = HostMemory {
            total: 8192 * MIB,
            available: 6144 * MIB,
        };
        assert_eq!(machine(&[MEMINFO]), Some(free));
        let unlimited = [
            MEMINFO,
            ("proc/self/cgroup", "0::/user\n"),
            ("sys/fs/cgroup/user/memory.max", "max\n"),
        ];
        assert_eq!(machine(&unlimited), Some(free));
        let version_1 = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(machine(&version_1), Some(free));
        assert_eq!(machine(&[]), None);
    }

    #[test]
    fn limits_of_a_group_and_those_around_it_hold() {
        let version_2 = [
            MEMINFO,
            ("proc/self/cgroup", "0::/outer/inner\n"),
            ("sys/fs/cgroup/outer/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/outer/memory.current", "1073741824\n"),
            (
                "sys/fs/cgroup/outer/memory.stat",
                "anon 1\ninactive_file 536870912\n",
            ),
            ("sys/fs/cgroup/outer/inner/memory.max", "4294967296\n"),
        ];
        let expected = HostMemory {
            total: 2048 * MIB,
            available: 1536 * MIB,
        };
        assert_eq!(machine(&version_2), Some(expected));
        let version_1 = [
            MEMINFO,
            (
                "proc/self/cgroup",
                "9:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n"),
        ];
        let expected = HostMemory {
            total: 1024 * MIB,
            available: 0,
        };
        assert_eq!(machine(&version_1), Some(expected));
    }
}
