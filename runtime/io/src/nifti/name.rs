//! Names of NIfTI files.

/// Splits `stem.nii.gz` into `stem`, `nii` (as written) and whether `.gz` follows; `None` for other endings.
pub(super) fn split_extension(name: &str) -> Option<(&str, &str, bool)> {
    let without_suffix = |name: &str, suffix: &str| {
        let cut = name.len().checked_sub(suffix.len())?;
        name.get(cut..)?.eq_ignore_ascii_case(suffix).then_some(cut)
    };
    let (plain, gzip) =
        without_suffix(name, ".gz").map_or((name, false), |cut| (&name[..cut], true));
    [".nii", ".hdr", ".img"]
        .iter()
        .find_map(|suffix| without_suffix(plain, suffix))
        .map(|cut| (&plain[..cut], &plain[cut + 1..], gzip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_split_whatever_their_case() {
        assert_eq!(split_extension("a.nii"), Some(("a", "nii", false)));
        assert_eq!(split_extension("a.b.HDR.Gz"), Some(("a.b", "HDR", true)));
        assert_eq!(split_extension("a.gz"), None);
        assert_eq!(split_extension("nii"), None);
        assert_eq!(
            split_extension("größe.img.gz"),
            Some(("größe", "img", true))
        );
        assert_eq!(split_extension("ü"), None);
    }
}
