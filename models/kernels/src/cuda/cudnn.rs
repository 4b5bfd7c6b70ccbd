//! cuDNN's convolutions: the algorithms that cuDNN recommends, and the fastest of them.
#![allow(unsafe_code, reason = "calls cuDNN")]

use std::collections::HashMap;
use std::ffi::c_int;

use cudarc::cudnn::sys::{self, cudnnMathType_t, cudnnStatus_t};
use cudarc::driver::sys::CUstream;

use super::argument::argument;
use super::error::CudaError;
use super::problem::{Descriptors, Direction, Layout, Problem};

/// Largest scratch buffer of an algorithm, in bytes.
const MOST_SCRATCH: usize = 1 << 30;

/// Number of algorithms that cuDNN is asked for.
const MOST_ALGORITHMS: usize = 4;

/// Another plan than the recommended one is taken if it needs less than this part of its time, so that noise does not
/// decide.
const WORTHWHILE: f32 = 0.9;

#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    InputGradient(sys::cudnnConvolutionBwdDataAlgo_t),
    WeightGradient(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// An algorithm for a convolution, with all that a call of it needs.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Layout of activations and weights.
    pub layout: Layout,
    /// Bytes of scratch memory.
    pub scratch: usize,
    algorithm: Algorithm,
    math: cudnnMathType_t,
    descriptors: Descriptors,
}

/// cuDNN on one stream, with cached plans of problems.
pub struct Cudnn {
    handle: sys::cudnnHandle_t,
    plans: HashMap<Problem, Ranking>,
}

/// Plans of a problem.
struct Ranking {
    /// Best first; the first is in use.
    plans: Vec<Plan>,
    /// Whether their order is that of their times rather than cuDNN's.
    is_measured: bool,
}

impl Ranking {
    /// Puts the fastest plan first.
    fn measured(&mut self, times: &[f32]) {
        self.is_measured = true;
        let fastest = (0..times.len()).min_by(|&a, &b| times[a].total_cmp(&times[b]));
        let margin = |&place: &usize| times[place] < WORTHWHILE * times[0];
        if let Some(place) = fastest.filter(margin) {
            self.plans[..=place].rotate_right(1);
        }
    }
}

impl Cudnn {
    pub fn new(stream: CUstream) -> Result<Self, CudaError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is written before it is used and never destroyed; a driver's stream is a runtime's.
        unsafe {
            sys::cudnnCreate(&mut handle).result()?;
            sys::cudnnSetStream(handle, stream.cast()).result()?;
        }
        Ok(Self {
            handle,
            plans: HashMap::new(),
        })
    }

    /// The best plan that is left for a problem.
    pub fn plan(&mut self, problem: &Problem) -> Option<Plan> {
        if !self.plans.contains_key(problem) {
            let recommended = [Layout::ChannelsLast, Layout::ChannelsFirst]
                .map(|layout| self.recommended(problem, layout).unwrap_or_default());
            let ranking = Ranking {
                plans: recommended.concat(),
                is_measured: false,
            };
            self.plans.insert(*problem, ranking);
        }
        self.plans[problem].plans.first().copied()
    }

    /// The plans of a problem to measure, unless that was done or there is no choice.
    pub fn unmeasured(&self, problem: &Problem) -> Option<Vec<Plan>> {
        let ranking = self.plans.get(problem)?;
        let is_open = !ranking.is_measured && ranking.plans.len() > 1;
        is_open.then(|| ranking.plans.clone())
    }

    /// Prefers the fastest plan; times are in the order of [`unmeasured`](Self::unmeasured).
    pub fn rank(&mut self, problem: &Problem, times: &[f32]) {
        if let Some(ranking) = self.plans.get_mut(problem) {
            ranking.measured(times);
        }
    }

    /// Removes the best plan after it failed, unless it is the last one.
    pub fn discard(&mut self, problem: &Problem) -> bool {
        match self.plans.get_mut(problem) {
            Some(ranking) if ranking.plans.len() > 1 => {
                ranking.plans.remove(0);
                true
            }
            _ => false,
        }
    }

    fn recommended(&self, problem: &Problem, layout: Layout) -> Result<Vec<Plan>, CudaError> {
        let descriptors = Descriptors::new(problem, layout)?;
        let Descriptors {
            input,
            output,
            weight,
            convolution,
        } = descriptors;
        let wanted = MOST_ALGORITHMS as c_int;
        let mut count = 0;
        // SAFETY: descriptors are set, results have the requested size, and all of their fields may be zero.
        let found = unsafe {
            match problem.direction {
                Direction::Forward => {
                    let mut found: [sys::cudnnConvolutionFwdAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnGetConvolutionForwardAlgorithm_v7(
                        self.handle,
                        input,
                        weight,
                        convolution,
                        output,
                        wanted,
                        &mut count,
                        found.as_mut_ptr(),
                    )
                    .result()?;
                    found.map(|of| {
                        (
                            of.status,
                            of.memory,
                            of.mathType,
                            Algorithm::Forward(of.algo),
                        )
                    })
                }
                Direction::InputGradient => {
                    let mut found: [sys::cudnnConvolutionBwdDataAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnGetConvolutionBackwardDataAlgorithm_v7(
                        self.handle,
                        weight,
                        output,
                        convolution,
                        input,
                        wanted,
                        &mut count,
                        found.as_mut_ptr(),
                    )
                    .result()?;
                    found.map(|of| {
                        let algorithm = Algorithm::InputGradient(of.algo);
                        (of.status, of.memory, of.mathType, algorithm)
                    })
                }
                Direction::WeightGradient => {
                    let mut found: [sys::cudnnConvolutionBwdFilterAlgoPerf_t; MOST_ALGORITHMS] =
                        std::mem::zeroed();
                    sys::cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                        self.handle,
                        input,
                        output,
                        convolution,
                        weight,
                        wanted,
                        &mut count,
                        found.as_mut_ptr(),
                    )
                    .result()?;
                    found.map(|of| {
                        let algorithm = Algorithm::WeightGradient(of.algo);
                        (of.status, of.memory, of.mathType, algorithm)
                    })
                }
            }
        };
        let count = usize::try_from(count).unwrap_or(0);
        let runs = |status, scratch| {
            status == cudnnStatus_t::CUDNN_STATUS_SUCCESS && scratch <= MOST_SCRATCH
        };
        let plans = found
            .into_iter()
            .take(count)
            .filter(|&(status, scratch, ..)| runs(status, scratch))
            .map(|(_, scratch, math, algorithm)| Plan {
                layout,
                scratch,
                algorithm,
                math,
                descriptors,
            });
        Ok(plans.collect())
    }

    /// Launches a convolution.
    ///
    /// # Safety
    ///
    /// Input, weights, output and scratch memory must have the plan's problem's layout and size.
    pub unsafe fn run(&self, plan: &Plan, [x, w, y, scratch]: [u64; 4]) -> Result<(), CudaError> {
        let Descriptors {
            input,
            output,
            weight,
            convolution,
        } = plan.descriptors;
        let one = argument(&1.0_f32);
        let zero = argument(&0.0_f32);
        let (x, w, y, scratch) = (x as *mut _, w as *mut _, y as *mut _, scratch as *mut _);
        let (handle, bytes) = (self.handle, plan.scratch);
        // SAFETY: promised by the caller; the two factors are static.
        unsafe {
            sys::cudnnSetConvolutionMathType(convolution, plan.math).result()?;
            match plan.algorithm {
                Algorithm::Forward(algorithm) => sys::cudnnConvolutionForward(
                    handle,
                    one,
                    input,
                    x,
                    weight,
                    w,
                    convolution,
                    algorithm,
                    scratch,
                    bytes,
                    zero,
                    output,
                    y,
                ),
                Algorithm::InputGradient(algorithm) => sys::cudnnConvolutionBackwardData(
                    handle,
                    one,
                    weight,
                    w,
                    output,
                    y,
                    convolution,
                    algorithm,
                    scratch,
                    bytes,
                    zero,
                    input,
                    x,
                ),
                Algorithm::WeightGradient(algorithm) => sys::cudnnConvolutionBackwardFilter(
                    handle,
                    one,
                    input,
                    x,
                    output,
                    y,
                    convolution,
                    algorithm,
                    scratch,
                    bytes,
                    zero,
                    weight,
                    w,
                ),
            }
            .result()?;
        }
        Ok(())
    }
}
