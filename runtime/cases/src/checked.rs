//! Reading the images of a case: headers first, so that mismatches are found before any work.

use std::path::{Path, PathBuf};

use vesal_bundle::DeployPlan;
use vesal_io::Remarks;
use vesal_io::dicom::write::SourceImages;
use vesal_io::dicom::{Assessment, DicomError, Policy, Slice, Stack, frames_differ};
use vesal_io::image::{ImageError, ImageFile, OpenOptions, ReadLimits, VolumeHeader, VoxelError};
use vesal_io::nifti::XForm;
use vesal_volume::{Geometry, Volume};

use crate::files::{CaseFiles, FilesError, joined};
use crate::grid::{self, GridError};

/// A case whose headers fit together.
#[derive(Debug)]
pub struct CheckedCase {
    sources: Sources,
    /// Number of channels of each image.
    images: Vec<usize>,
    /// World space of the first channel's affine, which outputs state.
    space: XForm,
    /// Warnings for the reader of the result.
    pub warnings: Vec<String>,
    grids: Vec<(Geometry, usize)>,
    reading_bytes: u64,
    /// Whether images may be missing.
    incomplete: bool,
}

/// The voxels of a case.
#[derive(Debug)]
pub struct Images {
    /// A volume for each image.
    pub volumes: Vec<Volume>,
    /// Facts about the input that outputs state.
    pub origin: Origin,
}

/// The sources, one per channel.
#[derive(Debug)]
enum Sources {
    Files(Files),
    Stacks(Vec<Assessment>),
}

/// Image files, one for each channel.
#[derive(Debug)]
struct Files {
    paths: Vec<PathBuf>,
    /// How many of them are on the first grid.
    first: usize,
    options: OpenOptions,
}

impl Files {
    fn new(paths: Vec<PathBuf>, plan: &DeployPlan, options: OpenOptions) -> Self {
        let first = plan.image_channels().first().copied().unwrap_or(0);
        Self {
            first: first.min(paths.len()),
            paths,
            options,
        }
    }

    fn case(&self) -> CaseFiles<'_> {
        let (images, further) = self.paths.split_at(self.first);
        CaseFiles {
            images,
            further,
            label: None,
        }
    }
}

/// Facts about the input that outputs state.
#[derive(Debug)]
pub struct Origin {
    /// World space of the grid's affine.
    pub space: XForm,
    /// The series that results refer to; `None` where the input is not DICOM.
    pub source: Option<SourceImages>,
    /// Remarks of results about the input.
    pub remarks: Remarks,
}

/// A stack with its assessment.
#[derive(Debug)]
pub struct Assessed {
    pub stack: Stack,
    pub assessment: Assessment,
}

/// Why a case cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A series is unusable.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// The channels are not on one grid.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The voxels do not fit the headers that were read before.
    #[error("the files changed while they were read")]
    Changed,
}

impl Assessed {
    /// Grades stacks under a policy.
    ///
    /// **Errors**: slices at one position cannot be read to be compared.
    pub fn of(stacks: Vec<Stack>, policy: Policy) -> Result<Vec<Self>, DicomError> {
        let assess = |stack: Stack| {
            Ok(Self {
                assessment: stack.assess(policy)?,
                stack,
            })
        };
        stacks.into_iter().map(assess).collect()
    }
}

impl CheckedCase {
    /// Reads the headers of one image file per channel of the plan.
    ///
    /// `options` decides where a header is ambiguous.
    ///
    /// **Errors**: a header is unusable or of several frames, or channels of one image lie on different grids.
    pub fn files(
        files: Vec<PathBuf>,
        plan: &DeployPlan,
        options: OpenOptions,
    ) -> Result<Self, ReadError> {
        let mut warnings = Vec::new();
        let files = Files::new(files, plan, options);
        let opened = files.case().open_headers(options)?;
        let opened = opened.images.iter().chain(&opened.further);
        let headers: Vec<&VolumeHeader> = opened.map(ImageFile::header).collect();
        for ((header, file), channel) in headers.iter().zip(&files.paths).zip(&plan.channels) {
            if header.frames != 1 {
                let reason = VoxelError::Frames {
                    frames: header.frames,
                    shape: header.dimensions.clone(),
                };
                let path = file.clone();
                return Err(ImageError::Voxels { path, reason }.into());
            }
            if let Some(lacking) = header.no_orientation {
                warnings.push(format!(
                    "channel `{}` states no orientation ({lacking}): left and right are a guess",
                    channel.name
                ));
            }
            if let Some(apart) = header.forms_apart_mm {
                warnings.push(format!(
                    "sform and qform of channel `{}` put voxels up to {apart:.2} mm apart: the sform counts",
                    channel.name
                ));
            }
        }
        let facts = headers
            .iter()
            .map(|header| (header.geometry, header.volume_peak_bytes()));
        let facts: Vec<_> = facts.collect();
        let space = headers
            .first()
            .map_or(XForm::Unknown, |header| header.space);
        Self::new(Sources::Files(files), &facts, plan, space, warnings)
    }

    /// Takes one DICOM stack per channel of the plan.
    ///
    /// **Errors**: [`DicomError::Refused`] for a stack without a volume; channels of one image lie on different grids.
    pub fn stacks(stacks: Vec<Assessed>, plan: &DeployPlan) -> Result<Self, ReadError> {
        let mut warnings = Vec::new();
        let mut facts = Vec::new();
        for (Assessed { stack, assessment }, channel) in stacks.iter().zip(&plan.channels) {
            let geometry = assessment.grid()?;
            for finding in assessment.findings() {
                let about = if finding.needs_resampling() {
                    " is resampled"
                } else {
                    ""
                };
                warnings.push(format!("channel `{}`{about}: {finding}", channel.name));
            }
            let first = stacks[0].stack.frame_of_reference();
            if !facts.is_empty() && frames_differ(first, stack.frame_of_reference()) {
                warnings.push(format!(
                    "channel `{}` has another frame of reference than `{}`: their alignment is unknown",
                    channel.name, plan.channels[0].name
                ));
            }
            facts.push((
                geometry,
                assessment.peak_bytes(rayon::current_num_threads()),
            ));
        }
        let assessments = stacks.into_iter().map(|stack| stack.assessment).collect();
        let space = XForm::ScannerAnat;
        Self::new(Sources::Stacks(assessments), &facts, plan, space, warnings)
    }

    /// Combines grid and peak memory of reading of each channel.
    fn new(
        sources: Sources,
        facts: &[(Geometry, u64)],
        plan: &DeployPlan,
        space: XForm,
        mut warnings: Vec<String>,
    ) -> Result<Self, ReadError> {
        let images = plan.image_channels();
        let name = |position: usize| plan.channels[position].name.as_str();
        if let (Some((first, _)), Some(&channels)) = (facts.first(), images.first()) {
            for (position, (grid, _)) in facts.iter().enumerate().take(channels).skip(1) {
                grid::check((name(0), first), (name(position), grid))?;
            }
        }
        let mut grids = Vec::new();
        let mut reading_bytes = 0_u64;
        let mut rest = facts;
        for &channels in &images {
            let position = facts.len() - rest.len();
            let (of_image, others) = rest.split_at(channels.min(rest.len()));
            rest = others;
            if let Some((grid, bytes)) = of_image.first() {
                if position > 0 {
                    let first = (name(0), &facts[0].0);
                    warnings.extend(grid::check_own(first, (name(position), grid))?);
                }
                grids.push((*grid, channels));
                // Several channels are read one by one and then stacked.
                let copies = if channels > 1 { 2 * channels as u64 } else { 1 };
                reading_bytes = reading_bytes.saturating_add(bytes.saturating_mul(copies));
            }
        }
        Ok(Self {
            sources,
            images,
            incomplete: false,
            space,
            warnings,
            grids,
            reading_bytes,
        })
    }

    pub fn paths(&self) -> Vec<&Path> {
        match &self.sources {
            Sources::Files(files) => files.paths.iter().map(PathBuf::as_path).collect(),
            Sources::Stacks(stacks) => {
                let slices = stacks.iter().flat_map(Assessment::slices);
                let mut paths: Vec<_> = slices.map(Slice::path).collect();
                // Frames of one file follow each other.
                paths.dedup();
                paths
            }
        }
    }

    /// Grid and number of channels of each image.
    pub fn grids(&self) -> &[(Geometry, usize)] {
        &self.grids
    }

    /// Most bytes that reading the voxels takes, the volumes included.
    pub fn reading_bytes(&self) -> u64 {
        self.reading_bytes
    }

    /// Marks the case: images of the input may be missing, and every result states it.
    pub fn marked(mut self) -> Self {
        self.incomplete = true;
        self
    }

    /// Reads the voxels of all images and, for DICOM series in the same pass, what results refer to.
    ///
    /// **Errors**: voxels are damaged or incomplete; a header has changed since it was read.
    pub fn read(&self) -> Result<Images, ReadError> {
        let mut counts = self.images.clone();
        let (channels, source) = match &self.sources {
            Sources::Files(files) => {
                let opened = files
                    .case()
                    .open(files.options)
                    .map_err(|error| match error {
                        FilesError::Image(error) => ReadError::Image(error),
                        FilesError::Grid { .. } => ReadError::Changed,
                    })?;
                let (volumes, _) = opened.read_images(&ReadLimits::default())?;
                // The channels on the first grid are already one volume.
                counts.iter_mut().take(1).for_each(|count| *count = 1);
                (volumes, None)
            }
            Sources::Stacks(stacks) => {
                let mut channels = Vec::with_capacity(stacks.len());
                let mut source: Option<SourceImages> = None;
                for stack in stacks {
                    let (volume, content) = stack.read_with_content(&ReadLimits::default())?;
                    channels.push(volume);
                    source = Some(match source {
                        None => SourceImages::of(stack, content)?,
                        Some(source) => source.and(stack, content)?,
                    });
                }
                let source = source.ok_or(ReadError::Changed)?;
                let source = if self.incomplete {
                    source.incomplete()
                } else {
                    source
                };
                (channels, Some(source))
            }
        };
        let mut channels = channels.into_iter();
        let image = |&count: &usize| {
            joined(channels.by_ref().take(count).collect()).ok_or(ReadError::Changed)
        };
        let remarks = match &source {
            Some(source) => source.remarks(),
            None => Remarks {
                incomplete: self.incomplete,
                ..Remarks::NONE
            },
        };
        Ok(Images {
            volumes: counts.iter().map(image).collect::<Result<_, _>>()?,
            origin: Origin {
                space: self.space,
                source,
                remarks,
            },
        })
    }
}
