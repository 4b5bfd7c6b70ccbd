//! Training on several devices: each computes a share of every step's patches, the gradients are summed, and all
//! devices take the same optimizer step.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use burn::tensor::backend::AutodiffBackend;
use vesal_kernels::{BackendOps, DifferentiableOps};
use vesal_models::Network;

use super::checkpoint::{CheckpointHead, read_checkpoint};
use super::learner::{Learner, StepInput};
use super::loss_scale::LossScale;
use super::network::copy_to;
use super::optimizer::GradientDescent;
use super::rank::{Rank, Ranks};
use super::{FitError, StepReport, TrainDevice};
use crate::algorithms::Optimizer;
use crate::loss::Objective;
use crate::precision::Precision;

/// Initial state of all replicas, except for the weights.
#[derive(Debug, Clone)]
pub struct ReplicaState {
    pub objective: Objective,
    pub optimizer: Optimizer,
    pub weight_decay: f64,
    /// Largest norm of all gradients together.
    pub max_norm: Option<f64>,
    pub precision: Precision,
    /// File of a checkpoint to resume from, and its metadata.
    pub checkpoint: Option<(PathBuf, CheckpointHead)>,
}

impl ReplicaState {
    fn learner<B>(&self, mut network: Network<B>, rank: Rank<B>) -> Result<Learner<B>, FitError>
    where
        B: AutodiffBackend + DifferentiableOps,
        B::InnerBackend: BackendOps,
    {
        let mut optimizer = GradientDescent::new(self.optimizer, self.weight_decay, self.max_norm);
        let mut loss_scale = LossScale::default();
        if let Some((path, head)) = &self.checkpoint {
            network = read_checkpoint(path, network, &mut optimizer, &rank.device)?;
            optimizer.time = head.optimizer_steps;
            loss_scale = LossScale::new(head.loss_scale);
        }
        Ok(Learner::new(
            network,
            optimizer,
            loss_scale,
            self.precision,
            self.objective.clone(),
            rank,
        ))
    }
}

/// A network in training, on one device or, as replicas, on several.
///
/// The first replica is on the calling thread; each of the others has a thread of its own for the whole training,
/// because CubeCL keeps streams and memory per thread.
#[derive(Debug)]
pub struct DataParallel<B: AutodiffBackend>
where
    B::InnerBackend: BackendOps,
{
    pub first: Learner<B>,
    others: Replicas,
}

impl<B> DataParallel<B>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps,
{
    /// Creates a replica of the network on each device.
    ///
    /// **Errors**: of the checkpoint.
    pub fn new(
        network: Network<B>,
        ranks: Ranks<B>,
        state: &ReplicaState,
    ) -> Result<Self, FitError> {
        let (sender, answers) = mpsc::channel();
        let threads = ranks.others.into_iter().map(|rank| {
            let (network, state) = (network.clone(), state.clone());
            Replica::spawn(rank, network, state, sender.clone())
        });
        let mut others = Replicas {
            threads: threads.collect(),
            answers,
            abandoned: false,
        };
        // Replicas copy the weights from the first device. Its first sum would wait for replicas that wait for these
        // copies.
        others.wait_for_answers()?;
        Ok(Self {
            first: state.learner(network, ranks.first)?,
            others,
        })
    }

    /// Starts a step and returns the report of the previous one, so that the devices always have work.
    ///
    /// Results are read only after all replicas have launched the step: in a sum, a device waits for all others, and
    /// would wait forever for the device of a failed replica.
    ///
    /// **Errors**: [`FitError::Diverged`], about the previous step; [`FitError::Replica`].
    pub fn step(mut self, input: StepInput) -> Result<(Self, Option<StepReport>), FitError> {
        if self.others.threads.is_empty() {
            self.first = self.first.start(input);
            let report = self.first.finish(1)?;
            return Ok((self, report));
        }
        let mut inputs = input.split(1 + self.others.threads.len()).into_iter();
        let own = inputs.next().expect("a share for each device");
        let (time, loss_scale) = (self.first.optimizer.time, self.first.loss_scale);
        for (replica, input) in self.others.threads.iter().zip(inputs) {
            let order = Order {
                input,
                time,
                loss_scale,
            };
            if replica.orders.send(order).is_err() {
                return Err(self.others.failure());
            }
        }
        let name = self.first.rank.name;
        let (first, mut others) = (self.first, self.others);
        let mut first = others.guard(name, move || {
            let first = first.start(own);
            first.rank.flush();
            first
        })?;
        others.wait_for_answers()?;
        let report = others.guard(name, || first.finish(1))??;
        Ok((Self { first, others }, report))
    }

    /// Waits for the last step that was started.
    ///
    /// **Errors**: [`FitError::Diverged`]; [`FitError::Replica`].
    pub fn settle(&mut self) -> Result<Option<StepReport>, FitError> {
        let Self { first, others } = self;
        if others.threads.is_empty() {
            return first.finish(0);
        }
        others.guard(first.rank.name, || first.finish(0))?
    }
}

/// A step for a replica, with the optimizer's time and the loss scale of the first replica.
struct Order {
    input: StepInput,
    time: u32,
    loss_scale: LossScale,
}

/// The answer of a replica: it is ready or has launched a step, or the error that ended it.
type Answer = Result<(), FitError>;

#[derive(Debug)]
struct Replica {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Replica {
    fn spawn<B>(
        rank: Rank<B>,
        network: Network<B>,
        state: ReplicaState,
        answers: Sender<Answer>,
    ) -> Self
    where
        B: AutodiffBackend + DifferentiableOps,
        B::InnerBackend: BackendOps,
    {
        let (orders, received) = mpsc::channel();
        let thread = thread::spawn(move || {
            let name = rank.name;
            let work = || follow(rank, network, &state, received, &answers);
            let ended = catch_unwind(AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Err(panicked(name, panic.as_ref())));
            if let Err(error) = ended {
                // Sending fails only if the training has ended.
                let _ = answers.send(Err(error));
            }
        });
        Self { orders, thread }
    }
}

/// Performs steps as they are ordered, until there are no more.
fn follow<B>(
    rank: Rank<B>,
    network: Network<B>,
    state: &ReplicaState,
    orders: Receiver<Order>,
    answers: &Sender<Answer>,
) -> Result<(), FitError>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps,
{
    let network = copy_to(network, &rank.device);
    let mut learner = state.learner(network, rank)?;
    learner.rank.wait_for_launches();
    if answers.send(Ok(())).is_err() {
        return Ok(());
    }
    for order in orders {
        learner.optimizer.time = order.time;
        learner.loss_scale = order.loss_scale;
        learner = learner.start(order.input);
        learner.rank.wait_for_launches();
        if answers.send(Ok(())).is_err() {
            break;
        }
        // Reveals a failure of the device; the report itself comes from the first replica.
        learner.finish(1)?;
    }
    Ok(())
}

/// All replicas but the first.
#[derive(Debug)]
struct Replicas {
    threads: Vec<Replica>,
    answers: Receiver<Answer>,
    /// Whether a replica has failed. The others may then wait for it on their devices forever; their threads are not
    /// joined.
    abandoned: bool,
}

impl Replicas {
    /// Waits until every replica is ready, or has launched its step.
    fn wait_for_answers(&mut self) -> Result<(), FitError> {
        (0..self.threads.len()).try_for_each(|_| self.answer())
    }

    fn answer(&mut self) -> Result<(), FitError> {
        let answer = self.answers.recv().unwrap_or_else(|_| {
            unreachable!("a replica ends only with an error or after its orders")
        });
        self.abandoned |= answer.is_err();
        answer
    }

    /// The error that ended a replica.
    fn failure(&mut self) -> FitError {
        loop {
            if let Err(error) = self.answer() {
                return error;
            }
        }
    }

    /// Runs `work` of the first replica, and turns a panic into an error like that of any other replica.
    fn guard<R>(&mut self, device: TrainDevice, work: impl FnOnce() -> R) -> Result<R, FitError> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            self.abandoned = true;
            panicked(device, panic.as_ref())
        })
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        let abandoned = self.abandoned || thread::panicking();
        for Replica { orders, thread } in mem::take(&mut self.threads) {
            drop(orders);
            if !abandoned {
                // A panic of the thread was already reported as an answer.
                let _ = thread.join();
            }
        }
    }
}

fn panicked(device: TrainDevice, panic: &(dyn Any + Send)) -> FitError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    FitError::Replica {
        device,
        reason: text.unwrap_or("a panic").to_owned(),
    }
}

#[cfg(test)]
mod tests;
