//! Digests that distinguish patients without identifying them.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::dicom::tag::{self, Tag};
use crate::dicom::text::CharacterSets;

/// Longest accepted value in bytes of an attribute of patient or study: as a result can hold (PS3.5 7.1.2).
pub(super) const BYTES_MAX: u64 = 0xfffe;

/// Attributes that distinguish patients, and their character set.
const TAGS: [Tag; 5] = [
    tag::SPECIFIC_CHARACTER_SET,
    tag::PATIENT_NAME,
    tag::PATIENT_ID,
    tag::ISSUER_OF_PATIENT_ID,
    tag::PATIENT_BIRTH_DATE,
];

type Short = [u8; 8];

/// A patient as digests, so that nothing that identifies one stays in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatientDigest {
    name_and_id: Short,
    /// `None` where it is not stated.
    issuer: Option<Short>,
    /// `None` where it is not stated.
    birth_date: Option<Short>,
}

impl Default for PatientDigest {
    /// The patient of a header that names none.
    fn default() -> Self {
        PatientReader::default().patient()
    }
}

impl PatientDigest {
    /// Lower bound of the number of patients among those that headers name.
    ///
    /// **Definition**: patients are the same where name and ID are equal (absent counts as empty), and neither issuers
    /// of the ID nor dates of birth contradict each other.
    pub fn count(patients: impl IntoIterator<Item = Self>) -> usize {
        let (mut names, mut issuers, mut dates) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for patient in patients {
            names.insert(patient.name_and_id);
            issuers.extend(patient.issuer);
            dates.extend(patient.birth_date);
        }
        names.len().max(issuers.len()).max(dates.len())
    }

    /// Bytes for a digest of the patient.
    pub fn bytes(&self) -> Vec<u8> {
        let further = [self.issuer, self.birth_date].map(Option::unwrap_or_default);
        [self.name_and_id, further[0], further[1]].concat()
    }
}

/// Collects the patient's attributes during a walk over a header.
#[derive(Debug, Default)]
pub(super) struct PatientReader {
    character_set: Option<Vec<u8>>,
    name: Option<[u8; 32]>,
    id: Option<[u8; 32]>,
    issuer: Option<[u8; 32]>,
    birth_date: Option<[u8; 32]>,
}

impl PatientReader {
    /// Whether [`PatientReader::take`] needs this attribute of the data set.
    pub fn wants(tag: Tag) -> bool {
        TAGS.contains(&tag)
    }

    /// Takes the value of an attribute; the first of several is used.
    pub fn take(&mut self, tag: Tag, value: &[u8]) {
        let place = match tag {
            // Its tag is lower than those of the patient, so it comes first.
            tag::SPECIFIC_CHARACTER_SET => {
                self.character_set.get_or_insert_with(|| value.to_vec());
                return;
            }
            tag::PATIENT_NAME => &mut self.name,
            tag::PATIENT_ID => &mut self.id,
            tag::ISSUER_OF_PATIENT_ID => &mut self.issuer,
            tag::PATIENT_BIRTH_DATE => &mut self.birth_date,
            _ => return,
        };
        let sets = CharacterSets::of(self.character_set.as_deref());
        place.get_or_insert_with(|| digest(tag, value, &sets));
    }

    /// The patient, by the values taken so far.
    pub fn patient(&self) -> PatientDigest {
        let nothing = Sha256::digest([]).into();
        let [name, id] = [self.name, self.id].map(|part| part.unwrap_or(nothing));
        let stated = |part: Option<[u8; 32]>| part.filter(|part| *part != nothing).map(short);
        PatientDigest {
            name_and_id: short(Sha256::digest([name, id].concat()).into()),
            issuer: stated(self.issuer),
            birth_date: stated(self.birth_date),
        }
    }
}

/// Digest of the value of an attribute, as text, so that the same name in two character sets is one.
///
/// All bytes outside of the character set have the same text, so a value with any of them is digested as stored.
/// Padding and empty components at the end of a name do not count.
fn digest(tag: Tag, value: &[u8], sets: &CharacterSets) -> [u8; 32] {
    let text = sets.decode(value, usize::MAX);
    let value = if text.contains(char::REPLACEMENT_CHARACTER) {
        value
    } else {
        text.as_bytes()
    };
    let is_name = tag == tag::PATIENT_NAME;
    let is_padding =
        |byte: &u8| matches!(byte, b' ' | b'\0') || is_name && matches!(byte, b'^' | b'=');
    let start = value.iter().take_while(|byte| **byte == b' ').count();
    let end = value.iter().rposition(|byte| !is_padding(byte));
    let value = end.map_or(&[][..], |end| &value[start..=end]);
    Sha256::digest(value).into()
}

fn short(digest: [u8; 32]) -> Short {
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient(values: &[(Tag, &[u8])]) -> PatientDigest {
        let mut reader = PatientReader::default();
        for (tag, value) in values {
            reader.take(*tag, value);
        }
        reader.patient()
    }

    #[test]
    fn stated_attributes_must_not_contradict_each_other() {
        let plain: [(Tag, &[u8]); 2] = [(tag::PATIENT_NAME, b"A^B"), (tag::PATIENT_ID, b"7")];
        let with = |more: (Tag, &'static [u8])| patient(&[plain[0], plain[1], more]);
        let none = patient(&plain);
        let born = with((tag::PATIENT_BIRTH_DATE, b"19700101"));
        let later = with((tag::PATIENT_BIRTH_DATE, b"19710101"));
        let issued = with((tag::ISSUER_OF_PATIENT_ID, b"X"));
        let elsewhere = with((tag::ISSUER_OF_PATIENT_ID, b"Y "));
        let empty = with((tag::PATIENT_BIRTH_DATE, b"  "));
        assert_eq!(PatientDigest::count([none, born, issued, empty]), 1);
        assert_eq!(PatientDigest::count([none, born, later]), 2);
        assert_eq!(PatientDigest::count([issued, none, elsewhere]), 2);
        assert_eq!(PatientDigest::count([none, patient(&plain[..1])]), 2);
        assert_eq!(PatientDigest::count([]), 0);
        assert_eq!(
            PatientDigest::default(),
            patient(&[(tag::PATIENT_NAME, b"^^ ")])
        );
    }

    #[test]
    fn a_name_is_the_same_in_every_character_set() {
        let name = |set: &[u8], name: &[u8]| {
            patient(&[
                (tag::SPECIFIC_CHARACTER_SET, set),
                (tag::PATIENT_NAME, name),
            ])
        };
        let latin = name(b"ISO_IR 100", b"M\xfcller^Jos\xe9 ");
        assert_eq!(latin, name(b"ISO_IR 192", "Müller^José".as_bytes()));
        assert_ne!(latin, name(b"ISO_IR 192", "Muller^José".as_bytes()));
    }

    #[test]
    fn names_that_cannot_be_decoded_are_not_one() {
        for set in [
            &b"\\ISO 2022 IR 87"[..],
            b"ISO 2022 IR 87",
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\\ISO 2022 IR 149",
            b"\\ISO 2022 IR 58",
            b"ISO_IR 101",
            b"ISO_IR 127",
            b"ISO_IR 138",
            b"GB18030",
            b"GBK",
        ] {
            let name = |name: &str| {
                patient(&[
                    (tag::SPECIFIC_CHARACTER_SET, set),
                    (tag::PATIENT_NAME, name.as_bytes()),
                ])
            };
            let set = String::from_utf8_lossy(set);
            for [one, other] in [["山田^太郎", "田中^花子"], ["山^太", "田^花"], ["é", "ß"]]
            {
                assert_ne!(name(one), name(other), "{set}");
                assert_eq!(name(one), name(&format!("{one} ")), "{set}");
            }
        }
    }

    #[test]
    fn only_names_end_in_empty_components() {
        let with = |tag, value: &[u8]| patient(&[(tag, value)]);
        for tag in [
            tag::PATIENT_ID,
            tag::ISSUER_OF_PATIENT_ID,
            tag::PATIENT_BIRTH_DATE,
        ] {
            assert_ne!(with(tag, b"7"), with(tag, b"7^"), "{tag}");
            assert_ne!(with(tag, b"7"), with(tag, b"7="), "{tag}");
            assert_eq!(with(tag, b"7"), with(tag, b" 7 "), "{tag}");
        }
        let name = with(tag::PATIENT_NAME, b"A^B");
        assert_eq!(name, with(tag::PATIENT_NAME, b"A^B^^="));
    }
}
