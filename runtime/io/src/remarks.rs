//! Remarks of results about their input, in the same words in every kind of file.

use crate::dicom::Grade;

/// Remarks of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remarks {
    /// Whether images may be missing.
    pub incomplete: bool,
    /// The worst grade of all channels' grids; `None` where the input is not DICOM.
    pub grade: Option<Grade>,
    /// Whether channels lie in different frames of reference.
    pub frames_differ: bool,
}

impl Remarks {
    pub const NONE: Self = Self {
        incomplete: false,
        grade: None,
        frames_differ: false,
    };

    /// Remark of results whose input may lack images.
    pub const MAY_LACK_IMAGES: &str = "may lack images";

    /// The remarks in at most 63 characters; `None` where there are none.
    ///
    /// **Examples**
    /// ```
    /// use vesal_io::Remarks;
    /// use vesal_io::dicom::Grade;
    ///
    /// let remarks = Remarks { grade: Some(Grade::Ok), frames_differ: true, ..Remarks::NONE };
    /// assert_eq!(remarks.text().as_deref(), Some("geometry ok; frames of reference differ"));
    /// assert_eq!(Remarks::NONE.text(), None);
    /// ```
    pub fn text(&self) -> Option<String> {
        let grade = self.grade.map(|grade| format!("geometry {grade}"));
        self.joined(grade.as_deref())
    }

    /// As [`Remarks::text`], with another text for the grade.
    pub(crate) fn joined(&self, grade: Option<&str>) -> Option<String> {
        let parts = [
            self.incomplete.then_some(Self::MAY_LACK_IMAGES),
            grade,
            self.frames_differ.then_some("frames of reference differ"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
