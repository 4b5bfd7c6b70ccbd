//! The attributes that are read, and their names (PS3.6).

use std::fmt;

/// An attribute's group and element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u16, pub u16);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = name(*self) {
            write!(f, "{name} ")?;
        }
        write!(f, "({:04X},{:04X})", self.0, self.1)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! tags {
    ($($name:ident = $group:literal, $element:literal, $told:literal;)*) => {
        $(pub(super) const $name: Tag = Tag($group, $element);)*

        /// Name of an attribute in the standard; `None` for one that is not read.
        fn name(tag: Tag) -> Option<&'static str> {
            match tag {
                $($name => Some($told),)*
                _ => None,
            }
        }
    };
}

tags! {
    META_GROUP_LENGTH = 0x0002, 0x0000, "File Meta Information Group Length";
    MEDIA_STORAGE_CLASS_UID = 0x0002, 0x0002, "Media Storage SOP Class UID";
    TRANSFER_SYNTAX_UID = 0x0002, 0x0010, "Transfer Syntax UID";
    DIRECTORY_RECORD_SEQUENCE = 0x0004, 0x1220, "Directory Record Sequence";
    REFERENCED_FILE_ID = 0x0004, 0x1500, "Referenced File ID";
    SPECIFIC_CHARACTER_SET = 0x0008, 0x0005, "Specific Character Set";
    IMAGE_TYPE = 0x0008, 0x0008, "Image Type";
    SOP_CLASS_UID = 0x0008, 0x0016, "SOP Class UID";
    SOP_INSTANCE_UID = 0x0008, 0x0018, "SOP Instance UID";
    ACQUISITION_TIME = 0x0008, 0x0032, "Acquisition Time";
    MODALITY = 0x0008, 0x0060, "Modality";
    REFERENCED_SOP_INSTANCE_UID = 0x0008, 0x1155, "Referenced SOP Instance UID";
    SERIES_DESCRIPTION = 0x0008, 0x103e, "Series Description";
    FRAME_TYPE = 0x0008, 0x9007, "Frame Type";
    PATIENT_NAME = 0x0010, 0x0010, "Patient's Name";
    PATIENT_ID = 0x0010, 0x0020, "Patient ID";
    ISSUER_OF_PATIENT_ID = 0x0010, 0x0021, "Issuer of Patient ID";
    PATIENT_BIRTH_DATE = 0x0010, 0x0030, "Patient's Birth Date";
    SLICE_THICKNESS = 0x0018, 0x0050, "Slice Thickness";
    ECHO_TIME = 0x0018, 0x0081, "Echo Time";
    ECHO_NUMBERS = 0x0018, 0x0086, "Echo Number(s)";
    SPACING_BETWEEN_SLICES = 0x0018, 0x0088, "Spacing Between Slices";
    TRIGGER_TIME = 0x0018, 0x1060, "Trigger Time";
    EFFECTIVE_ECHO_TIME = 0x0018, 0x9082, "Effective Echo Time";
    DIFFUSION_B_VALUE = 0x0018, 0x9087, "Diffusion b-value";
    MR_ECHO_SEQUENCE = 0x0018, 0x9114, "MR Echo Sequence";
    MR_DIFFUSION_SEQUENCE = 0x0018, 0x9117, "MR Diffusion Sequence";
    MR_IMAGE_FRAME_TYPE_SEQUENCE = 0x0018, 0x9226, "MR Image Frame Type Sequence";
    CT_IMAGE_FRAME_TYPE_SEQUENCE = 0x0018, 0x9329, "CT Image Frame Type Sequence";
    NOMINAL_CARDIAC_TRIGGER_DELAY_TIME = 0x0020, 0x9153, "Nominal Cardiac Trigger Delay Time";
    CARDIAC_SYNCHRONIZATION_SEQUENCE = 0x0018, 0x9118, "Cardiac Synchronization Sequence";
    STUDY_INSTANCE_UID = 0x0020, 0x000d, "Study Instance UID";
    SERIES_INSTANCE_UID = 0x0020, 0x000e, "Series Instance UID";
    SERIES_NUMBER = 0x0020, 0x0011, "Series Number";
    ACQUISITION_NUMBER = 0x0020, 0x0012, "Acquisition Number";
    IMAGE_POSITION = 0x0020, 0x0032, "Image Position (Patient)";
    IMAGE_ORIENTATION = 0x0020, 0x0037, "Image Orientation (Patient)";
    FRAME_OF_REFERENCE_UID = 0x0020, 0x0052, "Frame of Reference UID";
    TEMPORAL_POSITION_IDENTIFIER = 0x0020, 0x0100, "Temporal Position Identifier";
    STACK_ID = 0x0020, 0x9056, "Stack ID";
    FRAME_CONTENT_SEQUENCE = 0x0020, 0x9111, "Frame Content Sequence";
    PLANE_POSITION_SEQUENCE = 0x0020, 0x9113, "Plane Position Sequence";
    PLANE_ORIENTATION_SEQUENCE = 0x0020, 0x9116, "Plane Orientation Sequence";
    TEMPORAL_POSITION_INDEX = 0x0020, 0x9128, "Temporal Position Index";
    FRAME_ACQUISITION_NUMBER = 0x0020, 0x9156, "Frame Acquisition Number";
    SAMPLES_PER_PIXEL = 0x0028, 0x0002, "Samples per Pixel";
    PHOTOMETRIC_INTERPRETATION = 0x0028, 0x0004, "Photometric Interpretation";
    NUMBER_OF_FRAMES = 0x0028, 0x0008, "Number of Frames";
    ROWS = 0x0028, 0x0010, "Rows";
    COLUMNS = 0x0028, 0x0011, "Columns";
    PIXEL_SPACING = 0x0028, 0x0030, "Pixel Spacing";
    BITS_ALLOCATED = 0x0028, 0x0100, "Bits Allocated";
    BITS_STORED = 0x0028, 0x0101, "Bits Stored";
    HIGH_BIT = 0x0028, 0x0102, "High Bit";
    PIXEL_REPRESENTATION = 0x0028, 0x0103, "Pixel Representation";
    RESCALE_INTERCEPT = 0x0028, 0x1052, "Rescale Intercept";
    RESCALE_SLOPE = 0x0028, 0x1053, "Rescale Slope";
    MODALITY_LUT_SEQUENCE = 0x0028, 0x3000, "Modality LUT Sequence";
    PIXEL_MEASURES_SEQUENCE = 0x0028, 0x9110, "Pixel Measures Sequence";
    PIXEL_VALUE_TRANSFORMATION_SEQUENCE = 0x0028, 0x9145, "Pixel Value Transformation Sequence";
    FRAME_REFERENCE_TIME = 0x0054, 0x1300, "Frame Reference Time";
    REFERENCED_FRAME_OF_REFERENCE_SEQUENCE = 0x3006, 0x0010, "Referenced Frame of Reference Sequence";
    RT_REFERENCED_STUDY_SEQUENCE = 0x3006, 0x0012, "RT Referenced Study Sequence";
    RT_REFERENCED_SERIES_SEQUENCE = 0x3006, 0x0014, "RT Referenced Series Sequence";
    CONTOUR_IMAGE_SEQUENCE = 0x3006, 0x0016, "Contour Image Sequence";
    STRUCTURE_SET_ROI_SEQUENCE = 0x3006, 0x0020, "Structure Set ROI Sequence";
    ROI_NUMBER = 0x3006, 0x0022, "ROI Number";
    REFERENCED_FRAME_OF_REFERENCE_UID = 0x3006, 0x0024, "Referenced Frame of Reference UID";
    ROI_NAME = 0x3006, 0x0026, "ROI Name";
    ROI_CONTOUR_SEQUENCE = 0x3006, 0x0039, "ROI Contour Sequence";
    CONTOUR_SEQUENCE = 0x3006, 0x0040, "Contour Sequence";
    CONTOUR_GEOMETRIC_TYPE = 0x3006, 0x0042, "Contour Geometric Type";
    CONTOUR_DATA = 0x3006, 0x0050, "Contour Data";
    REFERENCED_ROI_NUMBER = 0x3006, 0x0084, "Referenced ROI Number";
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200, 0x9229, "Shared Functional Groups Sequence";
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200, 0x9230, "Per-Frame Functional Groups Sequence";
    FLOAT_PIXEL_DATA = 0x7fe0, 0x0008, "Float Pixel Data";
    DOUBLE_FLOAT_PIXEL_DATA = 0x7fe0, 0x0009, "Double Float Pixel Data";
    PIXEL_DATA = 0x7fe0, 0x0010, "Pixel Data";
    ITEM = 0xfffe, 0xe000, "Item";
    ITEM_DELIMITATION = 0xfffe, 0xe00d, "Item Delimitation Item";
    SEQUENCE_DELIMITATION = 0xfffe, 0xe0dd, "Sequence Delimitation Item";
}
