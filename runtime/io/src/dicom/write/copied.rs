//! Attributes of the source images that are copied into results.

use std::collections::BTreeMap;
use std::fs::File;

use dicom_core::VR;

use crate::dicom::dataset::{self, Encoding, Longest, Visitor};
use crate::dicom::error::DicomHeaderError;
use crate::dicom::patient::{self, PatientDigest, PatientReader};
use crate::dicom::slice::Slice;
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{SPECIFIC_CHARACTER_SET as CHARACTER_SET, Tag};
use crate::dicom::text::{CharacterSets, is_plain};
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::error::Unwritable;

const IDENTITY_REMOVED: Tag = Tag(0x0012, 0x0062);
const DEIDENTIFICATION_METHOD: Tag = Tag(0x0012, 0x0063);

/// How an attribute of the source is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyRule {
    /// Identifies patient or study: copied unchanged, even if empty.
    Identity,
    /// The same, but omitted where the source does not have it.
    Further,
    /// Descriptive: copied, but empty where it breaks the rules of its representation.
    Description,
    /// The same, but omitted.
    Detail,
}

/// Attributes of patient and study that are copied.
const PATIENT_AND_STUDY: [(Tag, VR, CopyRule); 16] = [
    (Tag(0x0008, 0x0020), VR::DA, CopyRule::Identity),
    (Tag(0x0008, 0x0030), VR::TM, CopyRule::Identity),
    (Tag(0x0008, 0x0050), VR::SH, CopyRule::Identity),
    (Tag(0x0008, 0x0090), VR::PN, CopyRule::Identity),
    (Tag(0x0008, 0x1030), VR::LO, CopyRule::Detail),
    (Tag(0x0010, 0x0010), VR::PN, CopyRule::Identity),
    (Tag(0x0010, 0x0020), VR::LO, CopyRule::Identity),
    (Tag(0x0010, 0x0021), VR::LO, CopyRule::Further),
    (Tag(0x0010, 0x0030), VR::DA, CopyRule::Identity),
    (Tag(0x0010, 0x0040), VR::CS, CopyRule::Identity),
    (Tag(0x0010, 0x1010), VR::AS, CopyRule::Detail),
    (Tag(0x0010, 0x1020), VR::DS, CopyRule::Detail),
    (Tag(0x0010, 0x1030), VR::DS, CopyRule::Detail),
    (IDENTITY_REMOVED, VR::CS, CopyRule::Further),
    (DEIDENTIFICATION_METHOD, VR::LO, CopyRule::Further),
    (Tag(0x0020, 0x0010), VR::SH, CopyRule::Description),
];

/// Whether a value keeps to the rules of its representation (PS3.5 6.2).
fn is_lawful(vr: VR, value: &[u8]) -> bool {
    // In other character sets than UTF-8, most bytes are characters.
    let text = std::str::from_utf8(value).unwrap_or_default();
    let characters = match text {
        "" => value.len(),
        text => text.chars().count(),
    };
    match vr {
        VR::SH => characters <= 16,
        VR::LO => characters <= 64,
        VR::AS => {
            text.len() == 4
                && text[..3].bytes().all(|byte| byte.is_ascii_digit())
                && text.ends_with(['D', 'W', 'M', 'Y'])
        }
        VR::DS => text.len() <= 16 && text.trim().parse().is_ok_and(f64::is_finite),
        _ => true,
    }
}

const POSITION_REFERENCE: Tag = Tag(0x0020, 0x1040);

/// The scanner; a contributing equipment must name its manufacturer.
const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const SCANNER: [(Tag, VR); 4] = [
    (MANUFACTURER, VR::LO),
    (Tag(0x0008, 0x1090), VR::LO),
    (Tag(0x0018, 0x1000), VR::LO),
    (Tag(0x0018, 0x1020), VR::LO),
];

/// Lossy compression of the images.
const LOSSY: Tag = Tag(0x0028, 0x2110);
const LOSS: [(Tag, VR); 3] = [
    (LOSSY, VR::CS),
    (Tag(0x0028, 0x2112), VR::DS),
    (Tag(0x0028, 0x2114), VR::CS),
];

const UNICODE: &[u8] = b"ISO_IR 192";

/// Values as encoded in the source; they are used only for written files.
#[derive(Clone)]
pub(super) struct CopiedAttributes(BTreeMap<Tag, Vec<u8>>);

impl CopiedAttributes {
    /// The patient that the header names.
    pub fn patient(&self) -> PatientDigest {
        let mut reader = PatientReader::default();
        for (tag, value) in &self.0 {
            reader.take(*tag, value);
        }
        reader.patient()
    }
}

impl CopiedAttributes {
    /// Reads the attributes to be copied from the header of a slice.
    pub fn read(slice: &Slice) -> Result<Self, DicomHeaderError> {
        let file = File::open(slice.path()).map_err(DicomHeaderError::io)?;
        let (mut stream, meta) = dataset::open(file)?;
        let syntax = TransferSyntax::of(&meta.syntax).unwrap_or(TransferSyntax::ExplicitLittle);
        if syntax == TransferSyntax::Deflated {
            stream = stream.deflated();
        }
        let mut copied = Self(BTreeMap::new());
        dataset::walk(&mut stream, Encoding::of(syntax), &mut copied)?;
        Ok(copied)
    }

    /// The attributes of patient and study as in the source, and the character set of the whole file, which must encode
    /// `ours` as well.
    pub fn patient_and_study<'a>(
        &self,
        mut ours: impl Iterator<Item = &'a str>,
    ) -> Result<ElementSet, Unwritable> {
        let stated = self.value(CHARACTER_SET);
        let foreign = ours.find(|text| !text.is_ascii());
        let (set, recode) = match foreign {
            None => (stated, None),
            Some(_) if stated == UNICODE => (stated, None),
            Some(_) if self.0.values().all(|value| is_plain(value)) => (UNICODE, None),
            Some(text) => (UNICODE, Some((CharacterSets::of(Some(stated)), text))),
        };
        let mut items = ElementSet::new();
        if !set.is_empty() {
            items = items.bytes(CHARACTER_SET.into(), VR::CS, set);
        }
        for (tag, vr, rule) in PATIENT_AND_STUDY {
            let mut value = self.value(tag);
            if matches!(rule, CopyRule::Description | CopyRule::Detail) && !is_lawful(vr, value) {
                value = &[];
            }
            if value.is_empty() && matches!(rule, CopyRule::Further | CopyRule::Detail) {
                continue;
            }
            items = match &recode {
                Some((sets, text)) => {
                    let decoded = sets.decode_whole(value);
                    let decoded = decoded.ok_or_else(|| Unwritable::CharacterSet {
                        text: (*text).to_owned(),
                    })?;
                    items.text(tag.into(), vr, &decoded)
                }
                None => items.bytes(tag.into(), vr, value),
            };
        }
        if self.value(IDENTITY_REMOVED) == b"YES" && self.value(DEIDENTIFICATION_METHOD).is_empty()
        {
            items = items.text(
                DEIDENTIFICATION_METHOD.into(),
                VR::LO,
                "as of the source images",
            );
        }
        Ok(items)
    }

    /// All attributes, for digests.
    pub fn content(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0
            .iter()
            .map(|(tag, value)| [tag.to_string().as_bytes(), b"=", value].concat())
    }

    pub fn position_reference(&self) -> &[u8] {
        self.ascii(POSITION_REFERENCE).unwrap_or_default()
    }

    /// The scanner; `None` where its manufacturer is not stated.
    pub fn scanner(&self) -> Option<ElementSet> {
        self.ascii(MANUFACTURER)?;
        Some(SCANNER.iter().fold(
            ElementSet::new(),
            |items, (tag, vr)| match self.ascii(*tag) {
                Some(value) => items.bytes((*tag).into(), *vr, value),
                None => items,
            },
        ))
    }

    /// The attributes of lossy compression.
    pub fn loss(&self) -> ElementSet {
        if self.value(LOSSY) != b"01" {
            return ElementSet::new().word(LOSSY.into(), "00");
        }
        LOSS.iter()
            .filter(|(tag, _)| !self.value(*tag).is_empty())
            .fold(ElementSet::new(), |items, (tag, vr)| {
                items.bytes((*tag).into(), *vr, self.value(*tag))
            })
    }

    /// An ASCII value, which a file of any character set can hold.
    fn ascii(&self, tag: Tag) -> Option<&[u8]> {
        Some(self.value(tag)).filter(|value| !value.is_empty() && is_plain(value))
    }

    fn value(&self, tag: Tag) -> &[u8] {
        self.0.get(&tag).map_or(&[], Vec::as_slice)
    }
}

impl Visitor for CopiedAttributes {
    fn enters(&self, _: &[Tag], _: Tag) -> bool {
        false
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path.is_empty()
            && (tag == CHARACTER_SET
                || PATIENT_AND_STUDY.iter().any(|(wanted, ..)| *wanted == tag)
                || tag == POSITION_REFERENCE
                || SCANNER
                    .iter()
                    .chain(&LOSS)
                    .any(|(wanted, _)| *wanted == tag))
    }

    fn longest(&self, _: Tag) -> Longest {
        Longest::Refused(patient::BYTES_MAX)
    }

    fn begins(&mut self, _: &[Tag]) -> Result<(), DicomHeaderError> {
        Ok(())
    }

    fn value(&mut self, _: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        let end = value
            .iter()
            .rposition(|byte| !matches!(*byte, 0 | b' '))
            .map_or(0, |at| at + 1);
        self.0.entry(tag).or_insert_with(|| value[..end].to_vec());
        Ok(())
    }
}
