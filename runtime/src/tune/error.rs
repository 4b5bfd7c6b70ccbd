//! Why no profile is made.

use vesal_cli::Exit;

/// Why no profile is made.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// There is nothing to choose among.
    #[error("none of {tried} settings passes the bundle's test on this machine")]
    NothingPasses { tried: usize },
    /// An input that is not one case.
    #[error("`--input` names {found} cases, expected 1")]
    NotOneCase { found: usize },
}

impl TuneError {
    /// What the reader can do about it.
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
