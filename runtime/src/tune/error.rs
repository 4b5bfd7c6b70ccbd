//! Why no profile is created.

use vesal_cli::Exit;

/// Why no profile is created.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// No settings pass.
    #[error("none of {tried} settings passes the bundle's test on this machine")]
    NothingPasses { tried: usize },
    /// An input that is not one case.
    #[error("`--input` names {found} cases, expected 1")]
    NotOneCase { found: usize },
}

impl TuneError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NothingPasses { .. } => {
                "`vesal verify BUNDLE` shows how far its answers are apart"
            }
            Self::NotOneCase { .. } => "name a file, or a folder with one case",
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::NothingPasses { .. } => Exit::Device,
            Self::NotOneCase { .. } => Exit::Input,
        }
    }
}
