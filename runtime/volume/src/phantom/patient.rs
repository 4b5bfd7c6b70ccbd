//! The body and its organs, with their intensities.

use super::blob::Blob;
use super::random::Random;
use super::settings::{PhantomSettings, Scanner};

/// Intensities of the tissues.
struct Tissues {
    air: f64,
    body: f64,
    rim: f64,
    spine: f64,
    liver: f64,
    kidney: f64,
    noise: f64,
}

/// A body with its organs, in positions from -1 to 1 along the patient's axes.
pub(super) struct SyntheticPatient {
    tissues: Tissues,
    scanner: Scanner,
    body: Blob,
    inside: Blob,
    spine: Blob,
    liver: Blob,
    kidney: Blob,
    /// Direction in which an MR image grows brighter, and by how much.
    bias: [f64; 3],
    bias_phase: f64,
    /// Half the width of a blurred edge.
    edge: f64,
}

impl SyntheticPatient {
    pub(super) fn new(settings: &PhantomSettings) -> Self {
        let random = &mut Random::new(settings.seed);
        let tissues = match settings.scanner {
            Scanner::Ct => Tissues {
                air: -1000.0,
                body: 40.0,
                rim: -90.0,
                spine: 130.0,
                liver: 130.0,
                kidney: 205.0,
                noise: 30.0,
            },
            Scanner::Mr => {
                let gain = random.between(0.6, 1.6);
                Tissues {
                    air: 0.0,
                    body: 300.0 * gain,
                    rim: 640.0 * gain,
                    spine: 490.0 * gain,
                    liver: 490.0 * gain,
                    kidney: 150.0 * gain,
                    noise: 60.0 * gain,
                }
            }
        };
        let shift = [
            random.between(-0.05, 0.05),
            random.between(-0.05, 0.05),
            random.between(-0.05, 0.05),
        ];
        let body = Blob::new(random, shift, [0.82, 0.78, 0.86], 0.03);
        let inside = body.scaled(0.88);
        let spine = Blob::new(
            random,
            [shift[0], shift[1] - 0.5, shift[2]],
            [0.13, 0.13, 0.62],
            0.02,
        );
        let mut organ = |center: [f64; 3], radii: [f64; 3]| {
            let center = std::array::from_fn(|axis| {
                center[axis] + shift[axis] + random.between(-0.06, 0.06)
            });
            let radii = radii.map(|radius| radius * random.between(0.88, 1.14));
            Blob::new(random, center, radii, 0.12)
        };
        let liver = organ([0.3, 0.12, 0.14], [0.32, 0.36, 0.4]);
        let kidney = organ([-0.4, 0.02, -0.12], [0.25, 0.29, 0.35]);
        let bias = [
            random.between(-1.0, 1.0),
            random.between(-1.0, 1.0),
            random.between(-1.0, 1.0),
        ];
        let bias_phase = random.between(0.0, std::f64::consts::TAU);
        let voxel = settings
            .shape
            .iter()
            .map(|&n| 2.0 / n as f64)
            .fold(0.0, f64::max);
        Self {
            tissues,
            scanner: settings.scanner,
            body,
            inside,
            spine,
            liver,
            kidney,
            bias,
            bias_phase,
            edge: 0.6 * voxel,
        }
    }

    /// Intensity and label at a position; `noise` has unit deviation.
    pub(super) fn at(&self, position: [f64; 3], noise: f64) -> (f32, u16) {
        let body_depth = self.body.depth(position);
        if self.scanner == Scanner::Mr && body_depth < -self.edge {
            return (0.0, 0);
        }
        let (liver_depth, kidney_depth) = (self.liver.depth(position), self.kidney.depth(position));
        let tissues = &self.tissues;
        let layers = [
            (body_depth, tissues.rim),
            (self.inside.depth(position), tissues.body),
            (self.spine.depth(position), tissues.spine),
            (liver_depth, tissues.liver),
            (kidney_depth, tissues.kidney),
        ];
        let clean = layers
            .into_iter()
            .fold(tissues.air, |below, (depth, tissue)| {
                below + (tissue - below) * (0.5 + 0.5 * depth / self.edge).clamp(0.0, 1.0)
            });
        let value = match self.scanner {
            Scanner::Ct => clean + tissues.noise * noise,
            Scanner::Mr => {
                let along: f64 = (0..3).map(|axis| self.bias[axis] * position[axis]).sum();
                let bias = 1.0 + 0.1 * (1.5 * along + self.bias_phase).sin();
                (clean * bias + tissues.noise * noise).max(0.0)
            }
        };
        let label = if kidney_depth > 0.0 {
            2
        } else {
            u16::from(liver_depth > 0.0)
        };
        (value as f32, label)
    }
}
