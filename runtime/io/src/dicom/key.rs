//! What tells the frames at one place from each other.

use std::collections::HashMap;

use crate::dicom::elements::Values;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::CharacterSets;

/// What may tell slices at one place from each other, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Stack ID of enhanced images.
    StackId,
    /// Temporal position identifier or index.
    TemporalPosition,
    /// Echo number.
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
    /// Acquisition number.
    Acquisition,
    /// Time of the acquisition's start.
    AcquisitionTime,
}

impl Key {
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

    /// What it is called in messages and reports.
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

    /// Where its value stands: the first of these that is not empty.
    fn sources(self) -> &'static [(Tag, Form)] {
        match self {
            Self::StackId => &[(tag::STACK_ID, Form::Text)],
            Self::TemporalPosition => &[
                (tag::TEMPORAL_POSITION_INDEX, Form::Long),
                (tag::TEMPORAL_POSITION_IDENTIFIER, Form::Text),
            ],
            Self::EchoNumber => &[(tag::ECHO_NUMBERS, Form::Text)],
            Self::EchoTime => &[
                (tag::EFFECTIVE_ECHO_TIME, Form::Double),
                (tag::ECHO_TIME, Form::Text),
            ],
            Self::BValue => &[(tag::DIFFUSION_B_VALUE, Form::Double)],
            Self::TriggerTime => &[
                (tag::NOMINAL_CARDIAC_TRIGGER_DELAY_TIME, Form::Double),
                (tag::TRIGGER_TIME, Form::Text),
            ],
            Self::FrameReferenceTime => &[(tag::FRAME_REFERENCE_TIME, Form::Text)],
            Self::ImageType => &[(tag::FRAME_TYPE, Form::Text), (tag::IMAGE_TYPE, Form::Text)],
            Self::Acquisition => &[
                (tag::FRAME_ACQUISITION_NUMBER, Form::Short),
                (tag::ACQUISITION_NUMBER, Form::Text),
            ],
            Self::AcquisitionTime => &[(tag::ACQUISITION_TIME, Form::Text)],
        }
    }
}

/// How the value of a key is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Text,
    Double,
    Long,
    Short,
}

/// Numbers of the values of keys: from 1, each once, decoded when it is met first.
pub(super) struct KeyValues<'a> {
    sets: CharacterSets,
    /// By the bytes that are stored; 0 for those that say nothing.
    numbers: HashMap<(Form, &'a [u8]), u32>,
    texts: Vec<Box<str>>,
}

impl<'a> KeyValues<'a> {
    /// None yet, of a data set with these character sets.
    pub fn new(sets: CharacterSets) -> Self {
        Self {
            sets,
            numbers: HashMap::new(),
            texts: Vec::new(),
        }
    }

    /// The number of the value of a key; 0 where it has none.
    pub fn number(&mut self, key: Key, values: &Values<'a>) -> u32 {
        let sources = key.sources().iter();
        let stored = sources.filter_map(|&(tag, form)| Some((form, values.raw(tag)?)));
        stored
            .map(|(form, stored)| self.number_of(form, stored, values))
            .find(|number| *number != 0)
            .unwrap_or_default()
    }

    fn number_of(&mut self, form: Form, stored: &'a [u8], values: &Values) -> u32 {
        if let Some(number) = self.numbers.get(&(form, stored)) {
            return *number;
        }
        let text = match form {
            Form::Text => self.sets.decode(stored, usize::MAX),
            Form::Double => shown(values.double(stored)),
            Form::Long => shown(values.long(stored)),
            Form::Short => shown(values.short(stored)),
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
