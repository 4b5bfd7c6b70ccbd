//! SOP classes: those of images that are read, and names of others.

/// Classes of objects that are slices or frames in space: CT, MR, PET, their enhanced and converted kinds, and
/// 3D X-ray.
///
/// **Source**: PS3.4 annex B.5.
pub const IMAGE_CLASSES: [&str; 11] = [
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.128.1",
    "1.2.840.10008.5.1.4.1.1.130",
    "1.2.840.10008.5.1.4.1.1.13.1.1",
    "1.2.840.10008.5.1.4.1.1.13.1.2",
];

/// Name of an object of this class; the UID itself for rare classes.
///
/// **Source**: PS3.4 annex B.5.
pub(super) fn name(class: &str) -> String {
    let name = match class.strip_prefix("1.2.840.10008.5.1.4.1.1.") {
        Some(rest) if rest == "7" || rest.starts_with("7.") => "a secondary capture",
        Some("4.2") => "a spectrum",
        Some("4.3") => "a color image",
        Some("30") => "a parametric map",
        Some("66") => "raw data",
        Some("66.1" | "66.2" | "66.3") => "a registration or fiducials",
        Some("66.4") => "a segmentation",
        Some("66.5") => "a surface segmentation",
        Some("66.7") => "a label map segmentation",
        Some("67") => "a real world value mapping",
        Some("481.1") => "a radiotherapy image",
        Some("481.2") => "a dose",
        Some("481.3") => "a structure set",
        Some("481.5") => "a treatment plan",
        Some("481.8") => "an ion treatment plan",
        Some("104.1") => "a PDF document",
        Some("104.3" | "104.4" | "104.5") => "a surface model",
        Some(rest) if rest.starts_with("88.") => "a structured report",
        Some(rest) if rest.starts_with("11.") => "a presentation state",
        Some(rest) if rest.starts_with("9.") => "a waveform",
        _ if class.is_empty() => "an object of no class",
        _ => return format!("an object of class {class}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_told_by_name() {
        let of = |last: &str| name(&format!("1.2.840.10008.5.1.4.1.1.{last}"));
        assert_eq!(of("66.7"), "a label map segmentation");
        assert_eq!(of("66.4"), "a segmentation");
        assert_eq!(of("88.22"), "a structured report");
        assert_eq!(of("66"), "raw data");
        let other = "1.2.840.10008.5.1.4.1.1.77.1.6";
        assert_eq!(name(other), format!("an object of class {other}"));
        assert_eq!(name(""), "an object of no class");
    }
}
