//! Rounded shapes.

use super::random::Random;

/// An ellipsoid whose surface is dented by three waves.
pub(super) struct Blob {
    center: [f64; 3],
    radii: [f64; 3],
    waves: [Wave; 3],
}

#[derive(Clone, Copy)]
struct Wave {
    direction: [f64; 3],
    phase: f64,
    height: f64,
}

impl Blob {
    /// A blob with dents of up to three times `height`, as a fraction of its radius.
    pub(super) fn new(random: &mut Random, center: [f64; 3], radii: [f64; 3], height: f64) -> Self {
        let waves = std::array::from_fn(|_| Wave {
            direction: std::array::from_fn(|_| random.between(-3.0, 3.0)),
            phase: random.between(0.0, std::f64::consts::TAU),
            height: random.between(0.3, 1.0) * height,
        });
        Self {
            center,
            radii,
            waves,
        }
    }

    /// The same blob with other radii.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        Self {
            center: self.center,
            radii: self.radii.map(|radius| radius * factor),
            waves: self.waves,
        }
    }

    /// Distance to the surface, roughly; positive inside.
    pub(super) fn depth(&self, position: [f64; 3]) -> f64 {
        let q: [f64; 3] =
            std::array::from_fn(|axis| (position[axis] - self.center[axis]) / self.radii[axis]);
        let distance = q.iter().map(|x| x * x).sum::<f64>().sqrt();
        let dent: f64 = self.waves.iter().map(|wave| wave.at(q)).sum();
        let radius = self.radii.iter().sum::<f64>() / 3.0;
        (1.0 + dent - distance) * radius
    }
}

impl Wave {
    fn at(&self, q: [f64; 3]) -> f64 {
        let along: f64 = (0..3).map(|axis| self.direction[axis] * q[axis]).sum();
        self.height * (along + self.phase).sin()
    }
}
