//! Checks that need an NVIDIA GPU: the fused normalization, bit-for-bit blending, 16-bit floats, and timings.
//!
//! `cuda_check LIBRARY [quick]` with ONNX Runtime's CUDA build; fails if results disagree. `quick` omits the clinical
//! volume.

mod network;

use std::cell::Cell;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array4, Array5, ArrayD, Axis, Zip};
use network::{Random, norm, residual};
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, Modality};
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::library::Runtime;
use vesal_engine::{Device, EngineOptions, Ensemble, InferencePrecision, OnnxPredictor, library};
use vesal_volume::window::{Blend, Padding, PatchPredictor, WindowPlan, stitch};
use vesal_volume::{Affine, Volume};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const GPU: Device = Device::Cuda(0);
/// A CT scan of clinical size.
const CLINICAL: [usize; 3] = [512, 512, 275];

fn plan(channels: usize, classes: usize, window: WindowPlan) -> DeployPlan {
    let channel = |index: usize| Channel::new(format!("channel {index}"), Modality::Mri);
    let label = |class_index: usize| {
        Label::new(
            format!("class {class_index}"),
            class_index as u16,
            class_index,
        )
    };
    DeployPlan {
        restore: Default::default(),
        name: "check".into(),
        channels: (0..channels).map(channel).collect(),
        labels: (0..classes).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: Vec::new(),
        window,
    }
}

fn window(size: [usize; 3], overlap: f64, padding: Padding) -> WindowPlan {
    WindowPlan {
        size,
        overlap: [overlap; 3],
        blend: Blend::Gaussian { sigma_scale: 0.125 },
        padding,
    }
}

fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: vesal_onnx::OPSET,
        input: "image".into(),
        output: "logits".into(),
    }
}

fn options(precision: InferencePrecision, batch: usize) -> EngineOptions {
    EngineOptions {
        precision,
        batch: batch.try_into().ok(),
        ..EngineOptions::default()
    }
}

struct Check {
    runtime: &'static Runtime,
    failures: Cell<usize>,
}

impl Check {
    fn predictor(
        &self,
        onnx: &[u8],
        plan: &DeployPlan,
        device: Device,
        options: &EngineOptions,
    ) -> Result<OnnxPredictor> {
        let interface = interface();
        Ok(OnnxPredictor::new(
            self.runtime,
            onnx.into(),
            &interface,
            plan,
            device,
            options,
        )?)
    }

    fn holds(&self, what: &str, holds: bool, found: impl std::fmt::Display) {
        println!("{} {what}: {found}", if holds { "ok  " } else { "FAIL" });
        self.failures.set(self.failures.get() + usize::from(!holds));
    }

    /// The fused normalization against ONNX Runtime's own on the processor.
    fn norms(&self) -> Result<()> {
        for (channels, size, slope) in [
            (8, [17, 9, 11], Some(0.)),
            (32, [48; 3], Some(0.)),
            (40, [6, 7, 5], Some(0.01)),
            (48, [24; 3], Some(0.01)),
            (64, [12; 3], None),
            (256, [6; 3], Some(0.)),
        ] {
            let onnx = norm(channels, size, slope);
            let plan = plan(channels, channels, window(size, 0., Padding::Constant(0.)));
            let mut random = Random(3);
            let [x, y, z] = size;
            let input =
                Array5::from_shape_simple_fn((3, channels, x, y, z), || 4. * random.next() + 1.5);
            let run = |device, precision| -> Result<ArrayD<f32>> {
                let mut predictor = self.predictor(&onnx, &plan, device, &options(precision, 3))?;
                Ok(predictor.predict(input.view())?.into_owned().into_dyn())
            };
            let expected = run(Device::Cpu, InferencePrecision::Float32)?;
            for (precision, most) in [
                (InferencePrecision::Float32, 1e-6),
                (InferencePrecision::Float16, 1e-3),
            ] {
                let off = difference(&run(GPU, precision)?, &expected);
                let what =
                    format!("norm of {channels} channels, {size:?}, slope {slope:?}, {precision}");
                self.holds(&what, off < most, format!("relative error {off:.1e}"));
            }
        }
        Ok(())
    }

    /// The same volume blended on the GPU and on the host, from the same outputs.
    fn blending(&self) -> Result<()> {
        let size = [32, 40, 24];
        let onnx = residual(8, 2, 3, size);
        for (shape, overlap, padding) in [
            ([75, 61, 50], 0.5, Padding::Constant(0.)),
            ([200, 45, 30], 0.625, Padding::Constant(-1.)),
            ([40, 30, 17], 0.25, Padding::Constant(2.5)),
            ([20, 90, 11], 0.5, Padding::Replicate),
            ([9, 8, 7], 0.5, Padding::Replicate),
        ] {
            let plan = plan(2, 3, window(size, overlap, padding));
            let volume = noise(2, shape);
            for (precision, batch) in [
                (InferencePrecision::Float32, 1),
                (InferencePrecision::Float16, 4),
            ] {
                let mut predictor =
                    self.predictor(&onnx, &plan, GPU, &options(precision, batch))?;
                let expected = stitch(volume.view(), &plan.window, &mut predictor)?;
                let mut planes = Vec::new();
                predictor.predict_planes(volume.view(), &plan.window, |plane| {
                    planes.push(plane.insert_axis(Axis(1)));
                })?;
                let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
                let found = ndarray::concatenate(Axis(1), &views)?;
                let differing = Zip::from(&found).and(&expected).fold(0, |count, a, b| {
                    count + usize::from(a.to_bits() != b.to_bits())
                });
                let what = format!("blending {shape:?}, {padding:?}, {precision}, batch {batch}");
                self.holds(&what, differing == 0, format!("{differing} values differ"));
            }
        }
        Ok(())
    }

    /// One window of the large network on the processor and on the GPU.
    fn precisions(&self) -> Result<()> {
        let size = [48; 3];
        let onnx = residual(32, 1, 3, size);
        let plan = plan(1, 3, window(size, 0., Padding::Constant(0.)));
        let input = noise(1, size).insert_axis(Axis(0));
        let run = |device, precision| -> Result<ArrayD<f32>> {
            let mut predictor = self.predictor(&onnx, &plan, device, &options(precision, 1))?;
            Ok(predictor.predict(input.view())?.into_owned().into_dyn())
        };
        let expected = run(Device::Cpu, InferencePrecision::Float32)?;
        for precision in [InferencePrecision::Float32, InferencePrecision::Float16] {
            let found = run(GPU, precision)?;
            let (off, same) = (difference(&found, &expected), agreement(&found, &expected));
            let text = format!("relative error {off:.1e}, {:.4} of the labels agree", same);
            self.holds(
                &format!("large network, {precision}"),
                off < 5e-3 && same > 0.998,
                text,
            );
        }
        Ok(())
    }

    /// Seconds per window of the large network, and of a whole scan.
    fn times(&self, quick: bool) -> Result<()> {
        let size = [96; 3];
        let onnx = residual(32, 1, 3, size);
        let plan = plan(1, 3, window(size, 0.5, Padding::Constant(0.)));
        let mut labels = Vec::new();
        for (precision, batch) in [
            (InferencePrecision::Float16, 4),
            (InferencePrecision::Float32, 4),
            (InferencePrecision::Float16, 1),
            (InferencePrecision::Float16, 8),
        ] {
            let options = EngineOptions {
                device: GPU,
                ..options(precision, batch)
            };
            let start = Instant::now();
            let mut predictor = self.predictor(&onnx, &plan, GPU, &options)?;
            let loaded = start.elapsed();
            let mut long = |windows: usize| -> Result<f64> {
                let volume = noise(1, [96 + 48 * (windows - 1), 96, 96]);
                let mut best = f64::INFINITY;
                for _ in 0..4 {
                    let start = Instant::now();
                    predictor.predict_planes(volume.view(), &plan.window, drop)?;
                    best = best.min(start.elapsed().as_secs_f64());
                }
                Ok(best)
            };
            let (short, long) = (long(40)?, long(120)?);
            let per_window = (long - short) / 80.;
            println!(
                "     {}, batch {batch}: loaded in {:.2} s, {:.3} ms per window (40 windows {:.1} ms, 120 windows {:.1} ms)",
                predictor.execution(),
                loaded.as_secs_f64(),
                per_window * 1e3,
                short * 1e3,
                long * 1e3,
            );
            if quick || batch != 4 {
                continue;
            }
            let scan = noise(1, CLINICAL);
            for _ in 0..2 {
                let start = Instant::now();
                predictor.predict_planes(scan.view(), &plan.window, drop)?;
                let total = start.elapsed().as_secs_f64();
                println!("     {CLINICAL:?}, {precision}: planes alone in {total:.3} s");
            }
            drop(predictor);
            let volume = Volume {
                data: scan,
                affine: Affine::from_spacing([0.8, 0.8, 1.]),
            };
            let mut segmentation = None;
            for members in [1, 5] {
                if members > 1 && precision == InferencePrecision::Float32 {
                    continue;
                }
                let networks = vec![(&onnx[..], 1.); members];
                let mut ensemble =
                    Ensemble::from_networks(&plan, &interface(), &networks, &options)?;
                for _ in 0..3 {
                    let images = vec![volume.clone()];
                    let start = Instant::now();
                    let onward = &mut |_| ControlFlow::Continue(());
                    let found = ensemble.segment(images, None, onward)?;
                    let total = start.elapsed().as_secs_f64();
                    let ideal = per_window * (found.windows * members) as f64;
                    println!(
                        "     {CLINICAL:?}, {precision}, {members} members: {} windows each, {total:.3} s = {:.3} of windows x time per window; {:?}",
                        found.windows,
                        total / ideal,
                        found.times,
                    );
                    segmentation.get_or_insert(found.labels);
                }
            }
            labels.extend(segmentation);
        }
        if let [half, single] = &labels[..] {
            let same = Zip::from(&single.data)
                .and(&half.data)
                .fold(0, |count, a, b| count + usize::from(a == b));
            let share = same as f64 / single.data.len() as f64;
            self.holds("labels of f16 and f32", share > 0.995, share);
        }
        Ok(())
    }
}

/// Blobs and noise.
fn noise(channels: usize, shape: [usize; 3]) -> Array4<f32> {
    let mut random = Random(17);
    let [x, y, z] = shape;
    Array4::from_shape_fn((channels, x, y, z), |(c, i, j, k)| {
        let waves =
            (i as f32 * 0.11).sin() + (j as f32 * 0.07 + c as f32).cos() + (k as f32 * 0.13).sin();
        waves + 0.5 * random.next()
    })
}

/// Relative norm of the difference.
fn difference(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let (mut off, mut all) = (0., 0.);
    for (a, b) in found.iter().zip(expected) {
        off += square(a - b);
        all += square(*b);
    }
    (off / all).sqrt()
}

/// Share of voxels, `[1, K, X, Y, Z]`, whose largest class is the same.
fn agreement(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> f64 {
    let best = |values: &ArrayD<f32>| -> Vec<usize> {
        let largest = |lane: ndarray::ArrayView1<'_, f32>| {
            (0..lane.len()).fold(0, |best, k| if lane[k] > lane[best] { k } else { best })
        };
        values.lanes(Axis(1)).into_iter().map(largest).collect()
    };
    let (found, expected) = (best(found), best(expected));
    let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
    same as f64 / found.len() as f64
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let library = arguments.next().map(PathBuf::from);
    let quick = arguments.next().is_some();
    let runtime = library::runtime(library.as_deref())?;
    println!("     ONNX Runtime {}", runtime.version());
    let check = Check {
        runtime,
        failures: Cell::new(0),
    };
    check.norms()?;
    check.blending()?;
    check.precisions()?;
    check.times(quick)?;
    let failures = check.failures.get();
    if failures > 0 {
        return Err(format!("{failures} checks failed").into());
    }
    Ok(())
}
