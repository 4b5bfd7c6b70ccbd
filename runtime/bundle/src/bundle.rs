//! Opening a bundle: every file is used only after its size and digest were checked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::deploy_plan::{DeployPlan, PlanError};
use crate::manifest::{self, Manifest, ManifestError};
use crate::path::{self, PathError};
use crate::probe::{Probe, ProbeError};
use crate::signature::{self, Demands, SignatureError};
use vesal_files::digest;
use vesal_files::document::{self, DocumentError, VersionedDocument};

/// Deepest folder below a bundle.
const MAX_DEPTH: usize = 8;

/// Why a bundle cannot be opened.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The path is not a directory.
    #[error("`{}` is not a directory, expected a bundle", path.display())]
    NotADirectory { path: PathBuf },
    /// A directory without a manifest.
    #[error("`{}` has no `{}`, expected a bundle", path.display(), manifest::FILE_NAME)]
    NoManifest { path: PathBuf },
    /// The manifest is unusable.
    #[error("the bundle's manifest is unusable")]
    Manifest(#[from] ManifestError),
    /// A deploy plan is unusable.
    #[error("the bundle's deploy plan is unusable")]
    Plan(#[from] PlanError),
    /// Members whose plans contradict each other.
    #[error(
        "the bundle's deploy plans `{first}` and `{second}` have different {what}, expected the same"
    )]
    PlansDisagree {
        first: String,
        second: String,
        what: &'static str,
    },
    /// The probe is unusable.
    #[error("the bundle's probe is unusable")]
    Probe(#[from] ProbeError),
    /// A document is unusable.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A path breaks the rules.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is not the required bundle, or not by the required maker.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A listed file is absent.
    #[error("the bundle lacks `{file}`, which its manifest lists")]
    Missing { file: String },
    /// A file that the manifest does not list.
    #[error("the bundle has `{file}`, which its manifest does not list")]
    Unlisted {
        /// The file or folder.
        file: String,
    },
    /// Not a regular file: a link, a device or the like.
    #[error("`{file}` of the bundle is a link or not a regular file, expected a file of its own")]
    NotPlain { file: String },
    /// The size is wrong.
    #[error("`{file}` of the bundle has {found} bytes, its manifest says {expected}")]
    Size {
        file: String,
        /// Its size in bytes.
        found: u64,
        /// The manifest's size in bytes.
        expected: u64,
    },
    /// The digest is wrong.
    #[error("`{file}` of the bundle has SHA-256 {found}, its manifest says {expected}")]
    Digest {
        file: String,
        found: String,
        expected: String,
    },
    /// A member that the bundle does not have.
    #[error("the bundle has no member {found}, expected 0 to {last}")]
    NoSuchMember {
        /// The index asked for.
        found: usize,
        /// The last index.
        last: usize,
    },
}

impl BundleError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotADirectory { .. } | Self::NoManifest { .. } => Some(
                "a bundle is a directory with a `manifest.json`, as `vesal-export bundle` writes it",
            ),
            Self::Manifest(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::PlansDisagree { .. } => {
                Some("the bundle was put together wrongly: export it again")
            }
            Self::Probe(error) => error.hint(),
            Self::Document(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::Unlisted { .. } => Some(
                "move the file elsewhere: a bundle holds what its manifest lists, nothing more",
            ),
            Self::Missing { .. }
            | Self::NotPlain { .. }
            | Self::Size { .. }
            | Self::Digest { .. } => {
                Some("the bundle is damaged or was edited: get it again from where it came")
            }
            Self::Path(_) | Self::Read { .. } | Self::NoSuchMember { .. } => None,
        }
    }
}

/// The members of a bundle that share a deploy plan.
#[derive(Debug, Clone)]
pub struct MemberGroup {
    pub plan: Arc<DeployPlan>,
    /// Indices of the members, ascending.
    pub members: Vec<usize>,
}

/// An opened bundle: complete, every file with the size and digest of the manifest, plan and probe valid.
#[derive(Debug, Clone)]
pub struct Bundle {
    directory: PathBuf,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    digest: String,
    signed: bool,
    groups: Vec<MemberGroup>,
    probe: Probe,
}

impl Bundle {
    /// Opens a bundle and checks all of it.
    ///
    /// **Errors**: [`BundleError`], the first rule that is broken.
    pub fn open(directory: &Path) -> Result<Self, BundleError> {
        let bundle = Self::open_for_use(directory)?;
        for member in &bundle.manifest.members {
            check_file(directory, &bundle.manifest, &member.file)?;
        }
        Ok(bundle)
    }

    /// Opens a bundle whose members are about to be loaded: existence and size of their files are checked now, their
    /// digests when they are read, so that they are read once.
    ///
    /// **Errors**: [`BundleError`], the first rule that is broken.
    pub fn open_for_use(directory: &Path) -> Result<Self, BundleError> {
        Self::open_demanded(directory, &Demands::default())
    }

    /// The same, if the bundle meets its user's requirements. These are checked on the bytes that are then used.
    ///
    /// **Errors**: [`BundleError`], the first rule that is broken.
    pub fn open_demanded(directory: &Path, demands: &Demands) -> Result<Self, BundleError> {
        if !directory.is_dir() {
            return Err(BundleError::NotADirectory {
                path: directory.into(),
            });
        }
        let manifest_path = directory.join(manifest::FILE_NAME);
        match plain_file_size(&manifest_path) {
            Ok(Some(_)) => {}
            Ok(None) => {
                return Err(BundleError::NotPlain {
                    file: manifest::FILE_NAME.into(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::NoManifest {
                    path: directory.into(),
                });
            }
            Err(source) => {
                return Err(BundleError::Read {
                    path: manifest_path,
                    source,
                });
            }
        }
        let manifest_bytes = document::read_limited(&manifest_path, Manifest::MAX_BYTES)?;
        let signed = demands.check(directory, &manifest_bytes)?;
        let manifest = Manifest::from_json(&manifest_bytes)?;
        check_listing(directory, &manifest)?;
        let members: BTreeSet<&str> = manifest
            .members
            .iter()
            .map(|member| member.file.as_str())
            .collect();
        for file in manifest.files.keys() {
            if members.contains(file.as_str()) {
                checked_path(directory, &manifest, file)?;
            } else {
                check_file(directory, &manifest, file)?;
            }
        }
        let groups = read_groups(directory, &manifest)?;
        let probe_bytes = read_checked(directory, &manifest, &manifest.probe, Probe::MAX_BYTES)?;
        let counts: Vec<_> = groups
            .iter()
            .map(|group| (group.plan.as_ref(), group.members.len()))
            .collect();
        let probe = Probe::from_json(&probe_bytes, &counts)?;
        Ok(Self {
            directory: directory.into(),
            digest: digest::sha256(&manifest_bytes),
            manifest,
            manifest_bytes,
            signed,
            groups,
            probe,
        })
    }

    /// Directory that it was opened from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of its manifest, which a signature covers.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// Whether it has a signature that was verified with the required key.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// SHA-256 of `manifest.json`, which fixes every other file: the bundle's identity.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The deploy plan of the first member. Channels, images, labels and activation are those of all plans.
    pub fn plan(&self) -> &DeployPlan {
        &self.groups[0].plan
    }

    /// The members by deploy plan, in the order of the first members that refer to them; at least one.
    pub fn groups(&self) -> &[MemberGroup] {
        &self.groups
    }

    /// The folds that members held out, ascending.
    pub fn held_out_folds(&self) -> BTreeSet<usize> {
        let members = self.manifest.members.iter();
        members
            .filter_map(|member| member.provenance.fold())
            .collect()
    }

    /// The bundle with only those members that held out a fold, which did not train on its cases; `None` where there is
    /// none. The probe and the digest stay those of all members.
    pub fn of_fold(mut self, fold: usize) -> Option<Self> {
        let members = std::mem::take(&mut self.manifest.members);
        let mut places = vec![None; members.len()];
        for (index, member) in members.into_iter().enumerate() {
            if member.provenance.fold() == Some(fold) {
                places[index] = Some(self.manifest.members.len());
                self.manifest.members.push(member);
            }
        }
        for group in &mut self.groups {
            let kept = group.members.iter().filter_map(|&index| places[index]);
            group.members = kept.collect();
        }
        self.groups.retain(|group| !group.members.is_empty());
        (!self.groups.is_empty()).then_some(self)
    }

    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Reads the ONNX file of a member and checks its digest.
    ///
    /// **Errors**: no such member, or the file differs from the manifest.
    pub fn member_bytes(&self, index: usize) -> Result<Arc<[u8]>, BundleError> {
        let bytes = self.read_member(index)?;
        self.check_member(index, &bytes)?;
        Ok(bytes)
    }

    /// Reads the ONNX file of a member, whose digest [`Bundle::check_member`] checks: that may happen while the network
    /// is loaded, before it is used.
    ///
    /// **Errors**: no such member, or a file of another size.
    pub fn read_member(&self, index: usize) -> Result<Arc<[u8]>, BundleError> {
        let file = self.member_file(index)?;
        let path = checked_path(&self.directory, &self.manifest, file)?;
        read_exactly(&path).map_err(|source| BundleError::Read { path, source })
    }

    /// Checks that bytes are those of a member.
    ///
    /// **Errors**: no such member, or another digest.
    pub fn check_member(&self, index: usize, bytes: &[u8]) -> Result<(), BundleError> {
        let file = self.member_file(index)?;
        compare(
            &self.manifest,
            file,
            bytes.len() as u64,
            digest::sha256(bytes),
        )
    }

    fn member_file(&self, index: usize) -> Result<&str, BundleError> {
        let members = &self.manifest.members;
        let member = members.get(index).ok_or(BundleError::NoSuchMember {
            found: index,
            last: members.len().saturating_sub(1),
        })?;
        Ok(&member.file)
    }
}

/// Reads the deploy plans, and checks that they agree.
fn read_groups(directory: &Path, manifest: &Manifest) -> Result<Vec<MemberGroup>, BundleError> {
    let mut groups: Vec<MemberGroup> = Vec::new();
    let files = manifest.deploy_plans();
    for file in &files {
        let bytes = read_checked(directory, manifest, file, DeployPlan::MAX_BYTES)?;
        let plan = DeployPlan::from_json(&bytes)?;
        let first = groups.first().map(|group| &group.plan);
        if let Some(what) = first.and_then(|first| first.disagreement(&plan)) {
            return Err(BundleError::PlansDisagree {
                first: files[0].into(),
                second: (*file).into(),
                what,
            });
        }
        let members = manifest.members.iter().enumerate();
        let own = members.filter(|(_, member)| member.deploy_plan == *file);
        groups.push(MemberGroup {
            plan: Arc::new(plan),
            members: own.map(|(index, _)| index).collect(),
        });
    }
    Ok(groups)
}

/// Reads a file of its present length, without a second copy.
fn read_exactly(path: &Path) -> io::Result<Arc<[u8]>> {
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len())
        .ok()
        .filter(|&length| length as u64 <= manifest::MAX_ENTRY_BYTES)
        .ok_or(io::ErrorKind::FileTooLarge)?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
    if let Some(bytes) = Arc::get_mut(&mut bytes) {
        file.read_exact(bytes)?;
    }
    Ok(bytes)
}

/// Size of a plain file, `None` for anything else; links are not followed.
fn plain_file_size(path: &Path) -> io::Result<Option<u64>> {
    let metadata = path.symlink_metadata()?;
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// Compares the directory with the manifest: every listed file exists, and nothing else except a signature.
fn check_listing(directory: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    let mut folders = BTreeSet::new();
    for file in manifest.files.keys() {
        let mut folder = file.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            folders.insert(parent);
            folder = parent;
        }
    }
    let mut pending = vec![(directory.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = pending.pop() {
        let read = |source| BundleError::Read {
            path: folder.clone(),
            source,
        };
        for entry in folder.read_dir().map_err(read)? {
            let entry = entry.map_err(read)?;
            let file = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(read)?;
            if file == manifest::FILE_NAME {
                continue;
            }
            if file == signature::FILE_NAME {
                if !kind.is_file() {
                    return Err(BundleError::NotPlain { file });
                }
                continue;
            }
            if kind.is_dir() && folders.contains(file.as_str()) && depth < MAX_DEPTH {
                pending.push((entry.path(), format!("{file}/"), depth + 1));
            } else if kind.is_dir() || !manifest.files.contains_key(&file) {
                return Err(BundleError::Unlisted { file });
            } else if !kind.is_file() {
                return Err(BundleError::NotPlain { file });
            }
        }
    }
    Ok(())
}

/// Checks size and digest without holding the file in memory.
fn check_file(directory: &Path, manifest: &Manifest, file: &str) -> Result<(), BundleError> {
    let path = checked_path(directory, manifest, file)?;
    let (bytes, sha256) = digest::sha256_file(&path).map_err(|source| BundleError::Read {
        path: path.clone(),
        source,
    })?;
    compare(manifest, file, bytes, sha256)
}

/// Reads a file whose size and digest agree with the manifest.
fn read_checked(
    directory: &Path,
    manifest: &Manifest,
    file: &str,
    limit_bytes: u64,
) -> Result<Vec<u8>, BundleError> {
    let path = checked_path(directory, manifest, file)?;
    let bytes = document::read_limited(&path, limit_bytes)?;
    compare(manifest, file, bytes.len() as u64, digest::sha256(&bytes))?;
    Ok(bytes)
}

/// Path of a listed file, after a check that it is a regular file of the right size.
fn checked_path(directory: &Path, manifest: &Manifest, file: &str) -> Result<PathBuf, BundleError> {
    let path = path::join(directory, file)?;
    match plain_file_size(&path) {
        Ok(Some(found)) => match manifest.files.get(file) {
            Some(entry) if entry.bytes == found => Ok(path),
            Some(entry) => Err(BundleError::Size {
                file: file.into(),
                found,
                expected: entry.bytes,
            }),
            None => Err(BundleError::Unlisted { file: file.into() }),
        },
        Ok(None) => Err(BundleError::NotPlain { file: file.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(BundleError::Missing { file: file.into() })
        }
        Err(source) => Err(BundleError::Read { path, source }),
    }
}

fn compare(manifest: &Manifest, file: &str, bytes: u64, sha256: String) -> Result<(), BundleError> {
    match manifest.files.get(file) {
        None => Err(BundleError::Unlisted { file: file.into() }),
        Some(entry) if entry.bytes != bytes => Err(BundleError::Size {
            file: file.into(),
            found: bytes,
            expected: entry.bytes,
        }),
        Some(entry) if entry.sha256 != sha256 => Err(BundleError::Digest {
            file: file.into(),
            found: sha256,
            expected: entry.sha256.clone(),
        }),
        Some(_) => Ok(()),
    }
}
