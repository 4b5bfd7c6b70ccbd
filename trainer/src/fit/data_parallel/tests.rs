//! Replicas on the processor compared with a single network.

use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use burn::backend::Autodiff;
use burn::tensor::ops::FloatTensorOps;
use burn_flex::{Flex, FlexTensor};
use safetensors::View;
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::Reduction;
use vesal_network::{NetworkConfig, SegResNetDsConfig};

use super::*;
use crate::algorithms::{Loss, Optimizer};
use crate::dataset::Batch;
use crate::fit::checkpoint::{Identity, Position, weights, whole_state};
use crate::fit::network::initialize;
use crate::fit::tensor_file;
use crate::loss::Objective;
use crate::rng::Rng;

type B = Autodiff<Flex>;

/// A sum over threads of this process.
#[derive(Debug)]
struct Threads {
    index: usize,
    barrier: Arc<Barrier>,
    tensors: Arc<Mutex<Vec<Vec<FlexTensor>>>>,
}

impl Reduction<Flex> for Threads {
    fn sum(&self, tensors: Vec<FlexTensor>) -> Vec<FlexTensor> {
        self.tensors.lock().unwrap()[self.index] = tensors;
        self.barrier.wait();
        let all = self.tensors.lock().unwrap().clone();
        self.barrier.wait();
        let add = |sums: Vec<_>, own: Vec<_>| {
            let pairs = sums.into_iter().zip(own);
            pairs.map(|(a, b)| Flex::float_add(a, b)).collect()
        };
        all.into_iter().reduce(add).unwrap()
    }
}

/// A reduction that panics on all but the first device.
#[derive(Debug)]
struct Broken(usize);

impl Reduction<Flex> for Broken {
    fn sum(&self, tensors: Vec<FlexTensor>) -> Vec<FlexTensor> {
        assert_eq!(self.0, 0, "out of memory");
        tensors
    }
}

fn ranks(reductions: Vec<Box<dyn Reduction<Flex>>>) -> Ranks<B> {
    let ranks = reductions.into_iter().enumerate();
    let mut ranks = ranks.map(|(index, reduction)| Rank {
        name: TrainDevice::Cuda(index),
        device: Default::default(),
        reduction: Some(reduction),
    });
    Ranks {
        first: ranks.next().unwrap(),
        others: ranks.collect(),
    }
}

/// Devices that are threads.
fn threads(count: usize) -> Ranks<B> {
    let barrier = Arc::new(Barrier::new(count));
    let tensors = Arc::new(Mutex::new(vec![Vec::new(); count]));
    let reductions = (0..count).map(|index| {
        Box::new(Threads {
            index,
            barrier: barrier.clone(),
            tensors: tensors.clone(),
        }) as Box<_>
    });
    ranks(reductions.collect())
}

fn learner(ranks: Ranks<B>, state: &ReplicaState) -> DataParallel<B> {
    let config = NetworkConfig::SegresnetDs(SegResNetDsConfig {
        in_channels: 1,
        out_channels: 3,
        init_filters: 4,
        blocks_down: vec![1, 1],
        dsdepth: 2,
        resolution: None,
    });
    let network = initialize::<B>(&config, 3, &ranks.first.device).unwrap();
    DataParallel::new(network, ranks, state).unwrap()
}

fn state(precision: Precision) -> ReplicaState {
    ReplicaState {
        objective: Objective {
            loss: Loss::DiceCe { batch: false },
            activation: Activation::Softmax,
            class_weights: None,
        },
        optimizer: Optimizer::ADAMW,
        weight_decay: 1e-2,
        max_norm: None,
        precision,
        checkpoint: None,
    }
}

/// Three patches, the last one scaled by `factor`.
fn input(step: usize, factor: f32) -> StepInput {
    let mut rng = Rng::new(&[step as u64]);
    let shape = [3, 1, 8, 8, 8];
    let mut images: Vec<f32> = (0..3 * 512)
        .map(|_| rng.uniform(-1.5, 1.5) as f32)
        .collect();
    images[1024..].iter_mut().for_each(|value| *value *= factor);
    let classes = (0..3 * 512).map(|_| rng.below(3) as i32).collect();
    StepInput {
        epoch: 1,
        step,
        learning_rate: 1e-3,
        batch: Batch {
            images,
            classes,
            shape,
        },
        share: 1.0,
        data_wait: Duration::ZERO,
    }
}

/// Performs steps. Returns the losses and the final weights.
fn train(
    mut learner: DataParallel<B>,
    inputs: Vec<StepInput>,
) -> (DataParallel<B>, Vec<f32>, Vec<f32>) {
    let mut reports = Vec::new();
    for input in inputs {
        let report;
        (learner, report) = learner.step(input).unwrap();
        reports.extend(report);
    }
    reports.extend(learner.settle().unwrap());
    let losses = reports.iter().map(|report| report.loss).collect();
    let weights = weights(&learner.first.network);
    let bytes: Vec<u8> = weights
        .iter()
        .flat_map(|(_, values)| values.data().into_owned())
        .collect();
    let (values, _) = bytes.as_chunks::<4>();
    let weights = values
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect();
    (learner, losses, weights)
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs();
        assert!(difference <= 1e-6, "{found} instead of {expected}");
    }
}

#[test]
fn replicas_take_the_steps_of_one() {
    for optimizer in [Optimizer::ADAMW, Optimizer::Sgd { momentum: 0.9 }] {
        check_replicas(ReplicaState {
            optimizer,
            ..state(Precision::Single)
        });
    }
}

fn check_replicas(single: ReplicaState) {
    let inputs = || (1..=4).map(|step| input(step, 1.0)).collect::<Vec<_>>();
    let only = Ranks::only(TrainDevice::Cpu, Default::default());
    let (_, expected_losses, expected) = train(learner(only, &single), inputs());
    for devices in [2, 3] {
        let (_, losses, weights) = train(learner(threads(devices), &single), inputs());
        assert_close(&losses, &expected_losses);
        assert_close(&weights, &expected);
    }

    // Two steps, then two more from their checkpoint.
    let mut inputs = inputs();
    let later = inputs.split_off(2);
    let (half, ..) = train(learner(threads(2), &single), inputs);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checkpoint.safetensors");
    let head = CheckpointHead {
        identity: Identity {
            fold: 0,
            deploy_plan: String::new(),
            train_plan: String::new(),
            cases: String::new(),
        },
        position: Position::default(),
        num_epochs: 1,
        optimizer_steps: half.first.optimizer.time,
        loss_scale: half.first.loss_scale.scale,
        history: Vec::new(),
        averaged_steps: 0,
    };
    let state = whole_state(&half.first.network, &half.first.optimizer);
    tensor_file::write(&path, &head, &state).unwrap();
    let resumed = ReplicaState {
        checkpoint: Some((path, head)),
        ..single
    };
    let (_, _, weights) = train(learner(threads(2), &resumed), later);
    assert_close(&weights, &expected);
}

#[test]
fn an_overflow_on_one_device_skips_the_step_on_all() {
    let mixed = state(Precision::Mixed);
    let start = learner(threads(2), &mixed);
    let (skipped, _, weights) = train(start, vec![input(1, 1e30)]);
    let (_, _, untouched) = train(learner(threads(2), &mixed), Vec::new());
    assert_eq!(weights, untouched);
    assert_eq!(skipped.first.optimizer.time, 0);
    assert_eq!(
        skipped.first.loss_scale.scale,
        LossScale::default().scale / 2.0
    );

    // If the other replica had not skipped it, its share of the next gradients would differ.
    let (_, losses, _) = train(skipped, vec![input(2, 1.0)]);
    let only = Ranks::only(TrainDevice::Cpu, Default::default());
    let (_, expected, _) = train(learner(only, &mixed), vec![input(2, 1.0)]);
    assert!(
        (losses[0] - expected[0]).abs() < 1e-3,
        "{losses:?} {expected:?}"
    );
}

#[test]
fn a_replica_that_panics_ends_the_training() {
    let reductions = (0..3).map(|index| Box::new(Broken(index)) as Box<_>);
    let learner = learner(ranks(reductions.collect()), &state(Precision::Single));
    let error = learner.step(input(1, 1.0)).unwrap_err();
    let FitError::Replica { device, reason } = error else {
        panic!("{error}")
    };
    assert_ne!(device, TrainDevice::Cuda(0));
    assert!(reason.contains("out of memory"), "{reason}");
}

#[test]
fn each_device_needs_a_patch() {
    let error = threads(4).check_shares(3).unwrap_err().to_string();
    assert_eq!(
        error,
        "a step has 3 patches for 4 devices, expected at least one for each"
    );
    threads(3).check_shares(3).unwrap();
}
