//! Modalities by the names of channels.

use vesal_bundle::deploy_plan::Modality;

const CT: &[&str] = &["ct", "cbct", "ncct", "cta", "cect", "hu"];
const PET: &[&str] = &["pet", "pt", "suv"];
const MRI: &[&str] = &[
    "mr",
    "mri",
    "t1",
    "t1w",
    "t1c",
    "t1ce",
    "t1gd",
    "t1n",
    "t1map",
    "t2",
    "t2w",
    "t2f",
    "t2star",
    "t2starw",
    "flair",
    "adc",
    "dwi",
    "swi",
    "pd",
    "pdw",
    "t1rho",
    "dce",
    "dixon",
    "mra",
    "tof",
    "hbv",
    "mp2rage",
    "inplanet1",
    "inplanet2",
];

/// The modality that the words of a name tell; `None` where they tell none or several.
pub(super) fn told_by(name: &str) -> Option<Modality> {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split(|character: char| !character.is_ascii_alphanumeric())
        .collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    match (has(CT), has(MRI), has(PET)) {
        (true, false, false) => Some(Modality::Ct),
        (false, true, false) => Some(Modality::Mri),
        (false, false, true) => Some(Modality::Pet),
        _ => None,
    }
}

/// Its value in a task.
pub(super) fn key(modality: Modality) -> &'static str {
    match modality {
        Modality::Ct => "ct",
        Modality::Mri => "mri",
        Modality::Pet => "pet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_tell_a_modality() {
        for (name, expected) in [
            ("CT", Some(Modality::Ct)),
            ("T1w", Some(Modality::Mri)),
            ("acq-3d_FLAIR", Some(Modality::Mri)),
            ("PET", Some(Modality::Pet)),
            ("PET/CT", None),
            ("0000", None),
            ("section", None),
            ("zscore", None),
        ] {
            assert_eq!(told_by(name), expected, "{name}");
        }
    }
}
