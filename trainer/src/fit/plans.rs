//! The plans of a training.

use std::path::Path;

use vesal_bundle::DeployPlan;
use vesal_files::{digest, document, regular};

use super::checkpoint::Identity;
use super::{FitError, FitRequest};
use crate::algorithms::{self, Algorithm};
use crate::settings::{self, range};
use crate::train_plan::{self, TrainPlan};

/// Both plans, checked against each other, and the digests that identify the training.
#[derive(Debug, Clone)]
pub struct Plans {
    /// Decisions that deployment needs as well.
    pub deploy: DeployPlan,
    /// The file of the deploy plan.
    pub deploy_bytes: Vec<u8>,
    /// Decisions that only training needs.
    pub train: TrainPlan,
    pub algorithm: &'static Algorithm,
    pub identity: Identity,
}

impl Plans {
    /// Reads and checks the plans of a request.
    ///
    /// **Errors**: unreadable plans, and plans that contradict each other.
    pub fn read(request: &FitRequest) -> Result<Self, FitError> {
        let deploy_bytes = read(&request.deploy_plan_path)?;
        let deploy =
            DeployPlan::from_json(&deploy_bytes).map_err(|source| FitError::DeployPlan {
                path: request.deploy_plan_path.clone(),
                source,
            })?;
        let path = &request.train_plan_path;
        let train_bytes = read(path)?;
        let failed = |source| FitError::TrainPlan {
            path: path.clone(),
            source,
        };
        let train: TrainPlan =
            document::parse(&train_bytes, train_plan::FILE_NAME).map_err(failed)?;
        let algorithm = algorithms::find(&train.algorithm)?;
        train.network.validate()?;
        check(&deploy, &train)?;
        let cases: Vec<_> = request
            .cases
            .iter()
            .map(|case| format!("{} {:?}\n", case.fold, case.id))
            .collect();
        // Settings that only end a training early may change between its starts.
        let mut lasting = train.clone();
        for setting in settings::all() {
            if let Some(neutralize) = setting.definition().same_run {
                neutralize(&mut lasting);
            }
        }
        // The same weights may lie elsewhere.
        if let Some(weights) = &mut lasting.init_weights {
            weights.path.clear();
        }
        let lasting = document::to_compact_json(&lasting, train_plan::FILE_NAME).map_err(failed)?;
        let identity = Identity {
            fold: request.fold,
            deploy_plan: digest::sha256(&deploy_bytes),
            train_plan: digest::sha256(lasting.trim_ascii_end()),
            cases: digest::sha256(cases.concat().as_bytes()),
        };
        Ok(Self {
            deploy,
            deploy_bytes,
            train,
            algorithm,
            identity,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FitError> {
    regular::read(path).map_err(|source| FitError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Checks that the plans agree with each other and that training is possible under them.
fn check(deploy: &DeployPlan, train: &TrainPlan) -> Result<(), FitError> {
    let wrong = |what, found: String, expected: String| {
        Err(FitError::Plans {
            what,
            found,
            expected,
        })
    };
    let (found, expected) = (train.network.in_channels(), deploy.channels.len());
    if found != expected {
        return wrong(
            "network input channels",
            found.to_string(),
            format!("{expected} as in the deploy plan"),
        );
    }
    let (found, expected) = (train.network.out_channels(), deploy.labels.len());
    if found != expected {
        return wrong(
            "network output classes",
            found.to_string(),
            format!("{expected} as in the deploy plan"),
        );
    }
    if train.roi_size != deploy.window.size {
        let expected = format!("{:?} as the window of the deploy plan", deploy.window.size);
        return wrong("roi_size", format!("{:?}", train.roi_size), expected);
    }
    let factor = train.network.shape_factor();
    if train
        .roi_size
        .iter()
        .zip(factor)
        .any(|(size, factor)| size % factor != 0)
    {
        return wrong(
            "roi_size",
            format!("{:?}", train.roi_size),
            format!("multiples of {factor:?} for its network"),
        );
    }
    if let Err(error) = train.network.check_window(train.roi_size) {
        let found = format!("{:?}", train.roi_size);
        return wrong("roi_size", found, format!("a larger one: {error}"));
    }
    let counts = [
        ("num_epochs", train.num_epochs),
        ("epochs_per_round", train.epochs_per_round),
        ("num_images_per_batch", train.num_images_per_batch),
        ("num_crops_per_image", train.num_crops_per_image),
        ("num_steps_per_image", train.num_steps_per_image),
        (
            "num_epochs_per_validation",
            train.num_epochs_per_validation.unwrap_or(1),
        ),
    ];
    if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return wrong(what, "0".into(), "at least 1".into());
    }
    if train.rounds() == 0 {
        let expected = format!("at least {}, the epochs of a round", train.epochs_per_round);
        return wrong("num_epochs", train.num_epochs.to_string(), expected);
    }
    let rates = [
        ("learning_rate", train.learning_rate),
        ("weight_decay", train.weight_decay),
    ];
    if let Some((what, rate)) = rates
        .into_iter()
        .find(|(_, rate)| !(range::NOT_NEGATIVE.holds)(rate))
    {
        let expected = range::NOT_NEGATIVE.expected.into();
        return wrong(what, rate.to_string(), expected);
    }
    Ok(train.check_controls()?)
}
