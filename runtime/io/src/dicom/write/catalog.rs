//! SNOMED codes of structures that are often segmented, by name.

use crate::dicom::write::code::Code;

pub(super) const TISSUE: Code = Code::snomed("85756007", "Tissue");
pub(super) const ANATOMICAL: Code = Code::snomed("91723000", "Anatomical Structure");
const ALTERED: Code = Code::snomed("49755003", "Morphologically Altered Structure");
const LEFT: Code = Code::snomed("7771000", "Left");
const RIGHT: Code = Code::snomed("24028007", "Right");

/// The codes of a name: category, type and laterality.
pub(super) fn find(name: &str) -> Option<(Code, Code, Option<Code>)> {
    let name = name.to_lowercase();
    let mut words: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let side = match words.as_slice() {
        ["left", ..] | [.., "left"] => Some(LEFT),
        ["right", ..] | [.., "right"] => Some(RIGHT),
        _ => None,
    };
    let whole = entry(&words.join(" "));
    if whole.is_some() || side.is_none() {
        return whole.map(|(category, code)| (category, code, None));
    }
    words.retain(|word| *word != "left" && *word != "right");
    entry(&words.join(" ")).map(|(category, code)| (category, code, side))
}

fn entry(name: &str) -> Option<(Code, Code)> {
    let of = |entries: &[(&'static str, &'static str, &'static str)]| {
        entries
            .iter()
            .find(|(entry, ..)| *entry == name)
            .map(|(_, value, meaning)| Code::snomed(value, meaning))
    };
    of(&STRUCTURES)
        .map(|code| (ANATOMICAL, code))
        .or_else(|| of(&CHANGES).map(|code| (ALTERED, code)))
}

/// Names in lower case, with codes and meanings.
const STRUCTURES: [(&str, &str, &str); 54] = [
    ("adrenal gland", "23451007", "Adrenal gland"),
    ("amygdala", "4958002", "Amygdala"),
    ("aorta", "15825003", "Aorta"),
    ("bladder", "89837001", "Bladder"),
    ("bone", "272673000", "Bone"),
    ("brain", "12738006", "Brain"),
    ("brain stem", "119238007", "Brain Stem"),
    ("brainstem", "119238007", "Brain Stem"),
    ("caudate", "11000004", "Caudate Nucleus"),
    ("caudate nucleus", "11000004", "Caudate Nucleus"),
    ("cerebellum", "113305005", "Cerebellum"),
    ("colon", "71854001", "Colon"),
    ("duodenum", "38848004", "Duodenum"),
    ("esophagus", "32849002", "Esophagus"),
    ("eye", "81745001", "Eye"),
    ("femur", "71341001", "Femur"),
    ("gallbladder", "28231008", "Gallbladder"),
    ("gray matter", "389081007", "Gray Matter"),
    ("heart", "80891009", "Heart"),
    ("hippocampus", "5366008", "Hippocampus"),
    ("inferior vena cava", "64131007", "Inferior vena cava"),
    ("kidney", "64033007", "Kidney"),
    ("left atrium", "82471001", "Left atrium"),
    ("left ventricle", "87878005", "Left ventricle"),
    ("liver", "10200004", "Liver"),
    ("lung", "39607008", "Lung"),
    ("mandible", "91609006", "Mandible"),
    ("muscle", "71616004", "Muscle"),
    ("optic nerve", "18234004", "Optic nerve"),
    ("pancreas", "15776009", "Pancreas"),
    ("parotid gland", "45289007", "Parotid gland"),
    ("portal vein", "32764006", "Portal vein"),
    ("prostate", "41216001", "Prostate"),
    ("pulmonary artery", "81040000", "Pulmonary artery"),
    ("putamen", "89278009", "Putamen"),
    ("rectum", "34402009", "Rectum"),
    ("rib", "113197003", "Rib"),
    ("right atrium", "73829009", "Right atrium"),
    ("right ventricle", "53085002", "Right ventricle"),
    ("sacrum", "54735007", "Sacrum"),
    ("small bowel", "30315005", "Small intestine"),
    ("small intestine", "30315005", "Small intestine"),
    ("spinal cord", "2748008", "Spinal cord"),
    ("spleen", "78961009", "Spleen"),
    ("stomach", "69695003", "Stomach"),
    ("thalamus", "42695009", "Thalamus"),
    ("thyroid", "69748006", "Thyroid"),
    ("thyroid gland", "69748006", "Thyroid"),
    ("trachea", "44567001", "Trachea"),
    ("urinary bladder", "89837001", "Bladder"),
    ("uterus", "35039007", "Uterus"),
    ("vertebra", "51282000", "Vertebra"),
    ("white matter", "389080008", "White Matter"),
    ("pallidum", "14738005", "Globus Pallidus"),
];

const CHANGES: [(&str, &str, &str); 7] = [
    ("cyst", "367643001", "Cyst"),
    ("edema", "79654002", "Edema"),
    ("lesion", "52988006", "Lesion"),
    ("mass", "4147007", "Mass"),
    ("necrosis", "6574001", "Necrosis"),
    ("neoplasm", "108369006", "Neoplasm"),
    ("tumor", "108369006", "Neoplasm"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_their_side() {
        let (category, code, side) = find("Hippocampus").unwrap();
        assert_eq!((category, side), (ANATOMICAL, None));
        assert_eq!(code.value, "5366008");
        for name in ["kidney_left", "Left Kidney", "left-kidney"] {
            let (_, code, side) = find(name).unwrap();
            assert_eq!((code.value.as_ref(), side), ("64033007", Some(LEFT)));
        }
        // The side is part of the name.
        let (_, code, side) = find("right ventricle").unwrap();
        assert_eq!((code.value.as_ref(), side), ("53085002", None));
        assert_eq!(find("tumor").unwrap().0, ALTERED);
        assert_eq!(find("something"), None);
        assert_eq!(find("left"), None);
    }
}
