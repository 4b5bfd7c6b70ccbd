//! The attributes that distinguish frames at one position.

use std::collections::HashMap;

use crate::dicom::elements::ElementValues;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::CharacterSets;

/// An attribute that may distinguish slices at one position, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DistinguishingKey {
    StackId,
    /// Temporal position identifier or index.
    TemporalPosition,
    EchoNumber,
    /// Echo time in ms.
    EchoTime,
    /// Diffusion b-value in s/mm².
    BValue,
    /// Delay in ms after the heart's trigger.
    TriggerTime,
    /// Reference time of a PET frame in ms.
    FrameReferenceTime,
    /// Image type or frame type.
    ImageType,
    Acquisition,
    /// Time of the acquisition's start.
    AcquisitionTime,
}

impl DistinguishingKey {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 10] = [
        Self::StackId,
        Self::TemporalPosition,
        Self::EchoNumber,
        Self::EchoTime,
        Self::BValue,
        Self::TriggerTime,
        Self::FrameReferenceTime,
        Self::ImageType,
        Self::Acquisition,
        Self::AcquisitionTime,
    ];

    /// Its name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::StackId => "stack",
            Self::TemporalPosition => "temporal position",
            Self::EchoNumber => "echo",
            Self::EchoTime => "echo time",
            Self::BValue => "b-value",
            Self::TriggerTime => "trigger time",
            Self::FrameReferenceTime => "frame reference time",
            Self::ImageType => "image type",
            Self::Acquisition => "acquisition",
            Self::AcquisitionTime => "acquisition time",
        }
    }

    /// The attributes that may hold its value; the first that is not empty is used.
    fn sources(self) -> &'static [(Tag, ValueType)] {
        match self {
            Self::StackId => &[(tag::STACK_ID, ValueType::Text)],
            Self::TemporalPosition => &[
                (tag::TEMPORAL_POSITION_INDEX, ValueType::Long),
                (tag::TEMPORAL_POSITION_IDENTIFIER, ValueType::Text),
            ],
            Self::EchoNumber => &[(tag::ECHO_NUMBERS, ValueType::Text)],
            Self::EchoTime => &[
                (tag::EFFECTIVE_ECHO_TIME, ValueType::Double),
                (tag::ECHO_TIME, ValueType::Text),
            ],
            Self::BValue => &[(tag::DIFFUSION_B_VALUE, ValueType::Double)],
            Self::TriggerTime => &[
                (tag::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, ValueType::Double),
                (tag::TRIGGER_TIME, ValueType::Text),
            ],
            Self::FrameReferenceTime => &[(tag::FRAME_REFERENCE_TIME, ValueType::Text)],
            Self::ImageType => &[
                (tag::FRAME_TYPE, ValueType::Text),
                (tag::IMAGE_TYPE, ValueType::Text),
            ],
            Self::Acquisition => &[
                (tag::FRAME_ACQUISITION_NUMBER, ValueType::Short),
                (tag::ACQUISITION_NUMBER, ValueType::Text),
            ],
            Self::AcquisitionTime => &[(tag::ACQUISITION_TIME, ValueType::Text)],
        }
    }
}

/// How the value of a key is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ValueType {
    Text,
    Double,
    Long,
    Short,
}

/// Assigns numbers from 1 to the distinct values of keys; each is decoded once.
pub(super) struct KeyValues<'a> {
    sets: CharacterSets,
    /// By stored bytes; 0 for empty values.
    numbers: HashMap<(ValueType, &'a [u8]), u32>,
    texts: Vec<Box<str>>,
}

impl<'a> KeyValues<'a> {
    /// Without values yet, for a data set in these character sets.
    pub fn new(sets: CharacterSets) -> Self {
        Self {
            sets,
            numbers: HashMap::new(),
            texts: Vec::new(),
        }
    }

    /// The number of the value of a key; 0 where it has none.
    pub fn number(&mut self, key: DistinguishingKey, values: &ElementValues<'a>) -> u32 {
        let sources = key.sources().iter();
        let stored = sources.filter_map(|&(tag, form)| Some((form, values.raw(tag)?)));
        stored
            .map(|(form, stored)| self.number_of(form, stored, values))
            .find(|number| *number != 0)
            .unwrap_or_default()
    }

    fn number_of(&mut self, form: ValueType, stored: &'a [u8], values: &ElementValues) -> u32 {
        if let Some(number) = self.numbers.get(&(form, stored)) {
            return *number;
        }
        let text = match form {
            ValueType::Text => self.sets.decode(stored, usize::MAX),
            ValueType::Double => shown(values.double(stored)),
            ValueType::Long => shown(values.long(stored)),
            ValueType::Short => shown(values.short(stored)),
        };
        let number = if text.is_empty() {
            0
        } else {
            self.texts.push(text.into());
            self.texts.len() as u32
        };
        self.numbers.insert((form, stored), number);
        number
    }

    /// The values, the first with the number 1.
    pub fn texts(self) -> Vec<Box<str>> {
        self.texts
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
