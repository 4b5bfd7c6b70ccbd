//! Words by which names tell images from label maps.

/// Folders of the Decathlon and of nnU-Net.
pub(super) const IMAGES: &str = "imagesTr";
pub(super) const LABELS: &str = "labelsTr";

/// Words of label maps, in lower case.
const LABEL_WORDS: &[&str] = &[
    "segmentations",
    "segmentation",
    "annotations",
    "annotation",
    "groundtruth",
    "labelmap",
    "labels",
    "label",
    "masks",
    "truth",
    "mask",
    "dseg",
    "segs",
    "seg",
    "gt",
];

/// Words of images, in lower case.
const IMAGE_WORDS: &[&str] = &[
    "images", "volume", "image", "imgs", "scan", "img", "vol", "im",
];

/// Folders of images, in lower case, in the order in which they are tried.
pub(super) const IMAGE_FOLDERS: &[&str] = &[
    "imagestr", "images", "image", "imgs", "img", "scans", "volumes", "ct", "mr", "mri", "pet",
];

/// Names of folders that tell what their images are, in lower case.
pub(super) const ONE_MODALITY: &[&str] = &["ct", "mr", "mri", "pet"];

/// Folders of label maps, in lower case.
pub(super) const LABEL_FOLDERS: &[&str] = &[
    "labelstr",
    "labels",
    "label",
    "segmentations",
    "segmentation",
    "segs",
    "seg",
    "masks",
    "mask",
    "annotations",
    "annotation",
    "gt",
];

/// Folders of images to test on, in lower case.
pub(super) const TEST_FOLDERS: &[&str] = &["imagests", "imagesval", "images_test", "test_images"];

/// Folders of label maps to test on, in lower case.
pub(super) const TEST_LABEL_FOLDERS: &[&str] = &["labelsts", "labelsval", "labels_test"];

fn is_separator(character: char) -> bool {
    matches!(character, '_' | '-' | '.' | ' ')
}

/// What is left of a stem without one of the words at its end or its beginning; `None` where there is none.
///
/// A word at the end is a whole word; at the beginning it may be followed by a digit.
fn without(stem: &str, words: &[&str]) -> Option<String> {
    let lower = stem.to_ascii_lowercase();
    for word in words {
        if let Some(rest) = lower.strip_suffix(word)
            && (rest.is_empty() || rest.ends_with(is_separator))
        {
            return Some(stem[..rest.len()].trim_end_matches(is_separator).to_owned());
        }
        if let Some(rest) = lower.strip_prefix(word)
            && rest.starts_with(|next: char| is_separator(next) || next.is_ascii_digit())
        {
            let rest = &stem[word.len()..];
            return Some(rest.trim_start_matches(is_separator).to_owned());
        }
    }
    None
}

/// The case of a label map by its stem, such as `p1` of `p1_seg`; `None` where its name has no word of label maps.
pub(super) fn label_case(stem: &str) -> Option<String> {
    without(stem, LABEL_WORDS)
}

/// The case of an image by its stem, such as `p1` of `p1_image`; the stem itself where its name has no word of images.
pub(super) fn image_case(stem: &str) -> String {
    match without(stem, IMAGE_WORDS) {
        Some(case) if !case.is_empty() => case,
        _ => stem.to_owned(),
    }
}

/// What follows the name of a case and a separator, such as `t1` of `p1_t1`.
pub(super) fn channel_of<'s>(stem: &'s str, case: &str) -> Option<&'s str> {
    let rest = stem.strip_prefix(case)?;
    let channel = rest.strip_prefix(is_separator)?;
    let channel = channel.trim_start_matches(is_separator);
    (!channel.is_empty()).then_some(channel)
}

/// Case and channel of a stem such as `p1_0000`.
pub(super) fn numbered_channel(stem: &str) -> Option<(&str, &str)> {
    let (case, channel) = stem.rsplit_once('_')?;
    let is_number = channel.len() == 4 && channel.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !case.is_empty()).then_some((case, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        for (stem, case) in [
            ("p1_seg", Some("p1")),
            ("segmentation-12", Some("12")),
            ("label0001", Some("0001")),
            ("P.1-Label", Some("P.1")),
            ("seg", Some("")),
            ("p1_t1", None),
            ("segovia", None),
            ("dataset", None),
        ] {
            assert_eq!(label_case(stem).as_deref(), case, "{stem}");
        }
        for (stem, case) in [
            ("img0001", "0001"),
            ("p1_image", "p1"),
            ("image", "image"),
            ("imp_3", "imp_3"),
        ] {
            assert_eq!(image_case(stem), case, "{stem}");
        }
        assert_eq!(channel_of("p1_x-t1", "p1_x"), Some("t1"));
        assert_eq!(channel_of("p10_t1", "p1"), None);
        assert_eq!(numbered_channel("a_0_0001"), Some(("a_0", "0001")));
        assert_eq!(numbered_channel("a_001"), None);
    }
}
