//! Findings about the slices of a stack.

use std::path::PathBuf;

/// A finding about the slices of a stack.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StackFinding {
    /// A single slice, whose depth is taken from its header.
    #[error("it is a single slice, whose depth of {depth_mm:.3} mm is as stated")]
    SingleSlice {
        /// Stated distance or thickness.
        depth_mm: f64,
    },
    /// Slices with the same position and pixels as others, which are left out.
    #[error("copies of other slices, left out: {slices}")]
    Copies { slices: usize },
    /// Slices are missing between others that lie evenly.
    #[error("slices missing: {missing}, in gaps: {gaps}; the others lie {spacing_mm:.3} mm apart")]
    Missing {
        missing: usize,
        gaps: usize,
        spacing_mm: f64,
    },
    /// Slices are unevenly spaced: more than 2 % of the spacing, and 0.01 mm, off even positions.
    #[error("its slices lie between {least_mm:.3} and {most_mm:.3} mm apart")]
    UnevenSpacing {
        /// Smallest distance along the normal.
        least_mm: f64,
        /// Largest distance along the normal.
        most_mm: f64,
    },
    /// Slices are displaced evenly within their planes by a tilted gantry.
    #[error(
        "its slices are stacked along a line that is tilted by {degrees:.2} degrees against their normal"
    )]
    Tilt {
        /// Angle between the line and the normal.
        degrees: f64,
    },
    /// The series has several stacks, which differ in an attribute that is constant in a volume.
    #[error("it is one of {stacks} stacks of its series, which differ in {}", differ_in.join(" and "))]
    SplitSeries {
        /// Number of stacks, not counting splits by distinguishing keys.
        stacks: usize,
        differ_in: Vec<&'static str>,
    },
    /// Files of the series, or of unknown series beside its slices, cannot be used.
    #[error("files that belong or may belong to it cannot be used: {files}, the first is `{}`", first.display())]
    Unread { files: usize, first: PathBuf },
    /// The files name different patients.
    #[error("its files name different patients: {patients}")]
    Patients { patients: usize },
    /// Different files have the same SOP Instance UID.
    #[error("SOP Instance UIDs that several of its files share: {instances}")]
    SameInstance { instances: usize },
    /// The files are too small for the pixels that their headers state.
    #[error(
        "its files of {found} bytes cannot hold the {expected} bytes of pixels that their headers state"
    )]
    Implausible {
        found: u64,
        /// Bytes by the headers.
        expected: u64,
    },
    /// Different slices at one position without a distinguishing key.
    #[error("positions with several slices that differ: {places}; no attribute distinguishes them")]
    Conflict {
        /// Positions with such slices.
        places: usize,
    },
    /// Slices at one position that are stored differently and whose comparison would exceed the limits of time or
    /// memory for their files.
    #[error(
        "positions with several slices that are stored in different ways: {places}; they are too large to be compared"
    )]
    Uncompared {
        /// Positions with such slices.
        places: usize,
    },
    /// A gap that is too large for interpolation.
    #[error(
        "a gap of {gap_mm:.3} mm lies between slices that are {spacing_mm:.3} mm apart elsewhere"
    )]
    LargeGap {
        gap_mm: f64,
        /// Distance between the others (median).
        spacing_mm: f64,
    },
    /// Slices are displaced within their planes, and their positions are not on a line.
    #[error("its slices lie up to {off_mm:.3} mm off the line through the first and the last")]
    OffLine {
        /// Largest distance from the line.
        off_mm: f64,
    },
    /// A single slice of unknown depth.
    #[error("it is a single slice that states neither thickness nor distance")]
    NoDepth,
}

impl StackFinding {
    /// Whether the volume needs resampling because of it.
    pub fn needs_resampling(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::UnevenSpacing { .. } | Self::Tilt { .. }
        )
    }

    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } | Self::LargeGap { .. } => {
                Some("send or export the whole series again, or allow resampling for small gaps")
            }
            Self::UnevenSpacing { .. } | Self::Tilt { .. } => {
                Some("allow resampling by the true positions of the slices")
            }
            Self::Unread { .. } | Self::Implausible { .. } => Some(
                "send or export the series again: some of its files are incomplete or damaged; \
                     move files beside it that are none of its slices elsewhere",
            ),
            Self::Patients { .. } => Some("give only the files of one patient"),
            Self::SameInstance { .. } => {
                Some("export the series again: every image has to have a UID of its own")
            }
            Self::Conflict { .. } => Some("give only the files of one phase or acquisition"),
            Self::Uncompared { .. } => Some("give only one copy of each slice"),
            _ => None,
        }
    }
}
