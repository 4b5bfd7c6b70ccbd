//! Fewer products for kernels of 3 planes: outputs of some planes at once from weighted sums of planes.
//!
//! **Source**: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, equations 4, 5 and the
//! transforms of F(2, 3) and F(4, 3), along the first axis alone.

/// A weighted sum of planes: offsets from the first plane that is computed, and factors.
pub(super) type Mix = &'static [(isize, f32)];

/// One product of the algorithm.
#[derive(Debug)]
pub(super) struct WinogradProduct {
    /// Sums of planes of the input that it takes, as many as it has weights along the first axis.
    pub mixes: &'static [Mix],
    /// Its weights along the first axis: factors of the kernel's 3 planes; none if these are used unchanged.
    pub kernel: Option<[f64; 3]>,
    /// Planes of the output that it is added to, from the first one, with factors.
    pub targets: &'static [(usize, f32)],
}

/// Algorithm for planes.
#[derive(Debug)]
pub(super) struct WinogradAlgorithm {
    /// Planes of the output at once.
    pub planes: usize,
    pub products: &'static [WinogradProduct],
}

/// One plane from 3 products, directly.
pub(super) const DIRECT: WinogradAlgorithm = WinogradAlgorithm {
    planes: 1,
    products: &[WinogradProduct {
        mixes: &[&[(-1, 1.)], &[(0, 1.)], &[(1, 1.)]],
        kernel: None,
        targets: &[(0, 1.)],
    }],
};

/// One plane from one product, for kernels of one plane.
pub(super) const SINGLE: WinogradAlgorithm = WinogradAlgorithm {
    planes: 1,
    products: &[WinogradProduct {
        mixes: &[&[(0, 1.)]],
        kernel: None,
        targets: &[(0, 1.)],
    }],
};

/// Two planes from 4 products instead of 6.
pub(super) const TWO: WinogradAlgorithm = WinogradAlgorithm {
    planes: 2,
    products: &[
        product(&[&[(-1, 1.), (1, -1.)]], [1., 0., 0.], &[(0, 1.)]),
        product(&[&[(0, 1.), (1, 1.)]], [0.5, 0.5, 0.5], &[(0, 1.), (1, 1.)]),
        product(
            &[&[(0, -1.), (1, 1.)]],
            [0.5, -0.5, 0.5],
            &[(0, 1.), (1, -1.)],
        ),
        product(&[&[(0, 1.), (2, -1.)]], [0., 0., 1.], &[(1, -1.)]),
    ],
};

/// Four planes from 6 products instead of 12.
pub(super) const FOUR: WinogradAlgorithm = WinogradAlgorithm {
    planes: 4,
    products: &[
        product(
            &[&[(-1, 4.), (1, -5.), (3, 1.)]],
            [1. / 4., 0., 0.],
            &[(0, 1.)],
        ),
        product(
            &[&[(0, -4.), (1, -4.), (2, 1.), (3, 1.)]],
            [-1. / 6., -1. / 6., -1. / 6.],
            &[(0, 1.), (1, 1.), (2, 1.), (3, 1.)],
        ),
        product(
            &[&[(0, 4.), (1, -4.), (2, -1.), (3, 1.)]],
            [-1. / 6., 1. / 6., -1. / 6.],
            &[(0, 1.), (1, -1.), (2, 1.), (3, -1.)],
        ),
        product(
            &[&[(0, -2.), (1, -1.), (2, 2.), (3, 1.)]],
            [1. / 24., 1. / 12., 1. / 6.],
            &[(0, 1.), (1, 2.), (2, 4.), (3, 8.)],
        ),
        product(
            &[&[(0, 2.), (1, -1.), (2, -2.), (3, 1.)]],
            [1. / 24., -1. / 12., 1. / 6.],
            &[(0, 1.), (1, -2.), (2, 4.), (3, -8.)],
        ),
        product(&[&[(0, 4.), (2, -5.), (4, 1.)]], [0., 0., 1.], &[(3, 1.)]),
    ],
};

const fn product(
    mixes: &'static [Mix],
    kernel: [f64; 3],
    targets: &'static [(usize, f32)],
) -> WinogradProduct {
    WinogradProduct {
        mixes,
        kernel: Some(kernel),
        targets,
    }
}

impl WinogradAlgorithm {
    /// Whether it uses transformed weights.
    pub fn transforms(&self) -> bool {
        self.products.iter().all(|product| product.kernel.is_some())
    }

    /// Sums of planes that a product takes.
    pub fn mixes(&self) -> usize {
        self.products
            .first()
            .map_or(0, |product| product.mixes.len())
    }

    /// Products for this number of planes, each with the weights of one plane.
    pub fn cost(&self, planes: usize) -> usize {
        planes.div_ceil(self.planes) * self.products.len() * self.mixes()
    }

    /// Weights of a product.
    ///
    /// **Shapes**: `[pairs, 3, plane]` → `[pairs, plane]`, where a pair is a filter and a channel.
    pub fn transform(kernel: [f64; 3], weights: &[f32], plane: usize, to: &mut [f32]) {
        for (weights, to) in weights
            .chunks_exact(3 * plane)
            .zip(to.chunks_exact_mut(plane))
        {
            for (tap, to) in to.iter_mut().enumerate() {
                let plane = |x: usize| kernel[x] * f64::from(weights[x * plane + tap]);
                *to = (plane(0) + plane(1) + plane(2)) as f32;
            }
        }
    }
}
