//! What is odd about the files of a dataset.

/// Something odd: it does not keep a dataset from being used, and the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    pub kind: OddityKind,
    /// The files, cases or facts that it is about.
    pub about: Vec<String>,
}

impl Oddity {
    pub(super) fn new(kind: OddityKind, about: Vec<String>) -> Self {
        Self { kind, about }
    }
}

/// What may be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OddityKind {
    LabelsWithoutImages,
    MissingChannels,
    NotOnDisk,
    NotListed,
    OtherEnding,
    UnreadableLabels,
    NoLabelsFound,
    ImagesWithoutLabels,
    OtherImages,
    SeveralRuns,
    OtherFolders,
    MixedEndings,
    FloatNumbers,
    TextNumbers,
    OtherCounts,
    OtherBackground,
    Padded,
    ByteOrderMark,
    IgnoredAsBackground,
    UnusedSplits,
    OwnGrids,
    FourDimensions,
    FrameCount,
    MacFiles,
    NotText,
}

impl OddityKind {
    /// Whether cases are left out because of it.
    pub fn leaves_out(self) -> bool {
        matches!(
            self,
            Self::LabelsWithoutImages
                | Self::MissingChannels
                | Self::NotOnDisk
                | Self::NotListed
                | Self::OtherEnding
        )
    }

    /// What it says about the files that are listed with it.
    pub fn title(self) -> &'static str {
        match self {
            Self::LabelsWithoutImages => "left out: label maps without an image",
            Self::MissingChannels => "left out: cases that lack a channel",
            Self::NotOnDisk => "left out: cases that dataset.json lists and that are not there",
            Self::NotListed => "left out: files that dataset.json does not list",
            Self::OtherEnding => "left out: files with another ending than dataset.json states",
            Self::UnreadableLabels => {
                "label maps that cannot be read; the analysis will leave them out"
            }
            Self::NoLabelsFound => "label maps that are empty",
            Self::ImagesWithoutLabels => "images without a label map, listed under `testing`",
            Self::OtherImages => "images of no channel, not listed",
            Self::SeveralRuns => "several runs of an image, of which the first is listed",
            Self::OtherFolders => "folders with images that are no part of the layout",
            Self::MixedEndings => "images with different endings",
            Self::FloatNumbers => "numbers in JSON with a fraction, read as whole numbers",
            Self::TextNumbers => "numbers in JSON as texts, read as numbers",
            Self::OtherCounts => "numbers of cases that dataset.json states and that differ",
            Self::OtherBackground => "names of label 0, which is background",
            Self::Padded => "names with white space at their ends, which is dropped",
            Self::ByteOrderMark => "JSON with a byte order mark, which is skipped",
            Self::IgnoredAsBackground => "ignored voxels, which are trained as background",
            Self::UnusedSplits => "splits that are not used, because they are no folds",
            Self::OwnGrids => "channels on grids of their own, listed under `extra_modalities`",
            Self::FourDimensions => {
                "channels in one file of four dimensions, which `vesal predict` takes as one file per channel"
            }
            Self::FrameCount => "images with another number of channels than the others",
            Self::MacFiles => "files of macOS without voxels, ignored",
            Self::NotText => "files whose names are not UTF-8, ignored",
        }
    }
}
