//! Relative paths.

use std::path::{Component, Path};

/// The path of a file or folder relative to a folder, with forward slashes; both are absolute. `None` where no relative
/// path exists, or a name is not UTF-8.
pub(crate) fn path(from: &Path, to: &Path) -> Option<String> {
    let shared = from
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    if shared == 0 {
        return None;
    }
    let up = from.components().skip(shared).map(|_| Some(".."));
    let down = to
        .components()
        .skip(shared)
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
    let parts: Vec<&str> = up.chain(down).collect::<Option<_>>()?;
    Some(if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_climb_and_descend() {
        let of = |from: &str, to: &str| path(Path::new(from), Path::new(to));
        assert_eq!(of("/a/work", "/a/data/x").as_deref(), Some("../data/x"));
        assert_eq!(of("/a", "/a/data").as_deref(), Some("data"));
        assert_eq!(of("/a", "/a").as_deref(), Some("."));
        assert_eq!(of("a", "/a"), None);
    }
}
