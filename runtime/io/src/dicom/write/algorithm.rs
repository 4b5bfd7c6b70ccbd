//! The algorithm that made a result, and the time.

use chrono::{Datelike, Timelike};
use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::write::code::{ARTIFICIAL_INTELLIGENCE, check_text};
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::error::Unwritable;

pub(super) const MANUFACTURER: &str = "Vesal";

/// Longest text of the settings, in characters; a description of a structure set with the other parameters has at most
/// 1024.
const PARAMETERS_MAX: usize = 768;

/// The algorithm that made a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmIdentification {
    /// Name of the bundle: at most 64 characters.
    pub name: String,
    pub version: String,
    /// SHA-256 of the bundle in hexadecimal.
    pub digest: String,
    /// Settings that change its results, at most 768 characters; UIDs depend on them.
    pub parameters: Option<String>,
}

impl AlgorithmIdentification {
    pub(super) fn check(&self) -> Result<(), Unwritable> {
        check_text("name of the algorithm", &self.name, 64)?;
        check_text("version of the algorithm", &self.version, 64)?;
        check_text("digest of the algorithm", &self.digest, 64)?;
        match &self.parameters {
            Some(text) => check_text("parameters of the algorithm", text, PARAMETERS_MAX),
            None => Ok(()),
        }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.name, &self.version, &self.digest]
            .into_iter()
            .chain(&self.parameters)
            .map(String::as_str)
    }

    /// **Source**: PS3.3 table 10-19.
    pub(super) fn identification(&self, parameters: &str) -> ElementSet {
        ElementSet::new()
            .code(
                tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
                &ARTIFICIAL_INTELLIGENCE,
            )
            .text(tags::ALGORITHM_NAME, VR::LO, &self.name)
            .text(tags::ALGORITHM_VERSION, VR::LO, &self.version)
            .text(tags::ALGORITHM_PARAMETERS, VR::LT, parameters)
            .text(tags::ALGORITHM_SOURCE, VR::LO, MANUFACTURER)
    }
}

/// A local date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Year, four digits.
    pub year: u16,
    /// Month, from 1.
    pub month: u8,
    /// Day, from 1.
    pub day: u8,
    /// Hour, from 0.
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl Moment {
    pub fn now() -> Self {
        let now = chrono::Local::now();
        // All fit: chrono's seconds are 0 to 59.
        Self {
            year: u16::try_from(now.year()).unwrap_or(9999),
            month: now.month() as u8,
            day: now.day() as u8,
            hour: now.hour() as u8,
            minute: now.minute() as u8,
            second: now.second() as u8,
        }
    }

    pub(super) fn check(&self) -> Result<(), Unwritable> {
        let days = match self.month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let is_date = (1000..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days).contains(&self.day);
        if is_date && self.hour < 24 && self.minute < 60 && self.second < 60 {
            Ok(())
        } else {
            Err(Unwritable::Moment)
        }
    }

    pub(super) fn date(&self) -> String {
        format!("{:04}{:02}{:02}", self.year, self.month, self.day)
    }

    pub(super) fn time(&self) -> String {
        format!("{:02}{:02}{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_and_times() {
        let moment = Moment {
            year: 2026,
            month: 2,
            day: 9,
            hour: 7,
            minute: 5,
            second: 0,
        };
        assert_eq!(
            (moment.date(), moment.time()),
            ("20260209".into(), "070500".into())
        );
        assert_eq!(moment.check(), Ok(()));
        for wrong in [
            Moment {
                month: 13,
                ..moment
            },
            Moment { day: 30, ..moment },
            Moment { day: 0, ..moment },
            Moment { hour: 24, ..moment },
            Moment { year: 26, ..moment },
        ] {
            assert_eq!(wrong.check(), Err(Unwritable::Moment));
        }
    }
}
