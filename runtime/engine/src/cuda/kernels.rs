//! The program's own kernels, compiled in advance; see `kernels/build.sh`.

use std::ffi::c_void;
use std::sync::Arc;

use super::driver::{CudaDriverError, Handle};
use super::gpu::{CudaContext, Stream};
use super::memory::DeviceBuffer;
use super::module::{Kernel, Module};

/// Bytes with the alignment that the driver requires.
#[repr(C, align(16))]
struct Aligned<T: ?Sized>(T);

static NORM: &Aligned<[u8]> = &Aligned(*include_bytes!("kernels/norm.fatbin"));
static STITCH: &Aligned<[u8]> = &Aligned(*include_bytes!("kernels/stitch.fatbin"));

/// Threads of a block.
const THREADS: usize = 256;
/// Channels, and voxels, that a thread of a normalization processes at once.
const LANES: usize = 8;
const ROWS: usize = 4;
/// Most channels of a normalization: a block keeps the sums of all of them.
const MAX_CHANNELS: usize = 2048;

/// Size of an element of a network's activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KernelElement {
    F16,
    F32,
}

/// Three numbers in the layout of kernel arguments.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes([i32; 3]);

impl Sizes {
    /// **Errors**: a size beyond the index range of a kernel.
    pub(crate) fn new(sizes: [usize; 3]) -> Result<Self, CudaDriverError> {
        let mut all = [0; 3];
        for (to, size) in all.iter_mut().zip(sizes) {
            *to = int("a size", size)?;
        }
        Ok(Self(all))
    }

    /// A position before the volume or in it: where a window begins in the padded volume, less the padding.
    pub(crate) fn origin(start: [usize; 3], before: [usize; 3]) -> Result<Self, CudaDriverError> {
        let (Self(start), Self(before)) = (Self::new(start)?, Self::new(before)?);
        Ok(Self(std::array::from_fn(|axis| start[axis] - before[axis])))
    }
}

fn int(what: &'static str, value: usize) -> Result<i32, CudaDriverError> {
    i32::try_from(value).map_err(|_| CudaDriverError::TooLarge {
        what,
        found: value,
        most: i32::MAX as usize,
    })
}

/// Number of blocks along an axis of a grid.
fn blocks(value: usize, most: usize) -> Result<u32, CudaDriverError> {
    match u32::try_from(value) {
        Ok(blocks) if value <= most => Ok(blocks.max(1)),
        _ => Err(CudaDriverError::TooLarge {
            what: "the number of blocks of a kernel",
            found: value,
            most,
        }),
    }
}

/// Most blocks along the first axis of a grid, and along the others.
const MAX_BLOCKS: [usize; 2] = [i32::MAX as usize, u16::MAX as usize];

/// Pointers to the arguments of a kernel, each of which lives until the call is over.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => {
        &mut [$((&raw const $argument).cast::<c_void>().cast_mut()),*]
    };
}

/// Volumes, voxels of each, and channels, as the kernels of a normalization take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NormShape([usize; 3]);

impl NormShape {
    /// **Errors**: channels in other numbers than the kernels are made for, or more elements than their index range.
    pub(crate) fn new(sizes: [usize; 3]) -> Result<Self, CudaDriverError> {
        let [volumes, voxels, channels] = sizes;
        if !channels.is_multiple_of(LANES) || !(LANES..=MAX_CHANNELS).contains(&channels) {
            return Err(CudaDriverError::Unfit {
                what: "the number of channels of a fused normalization",
                found: channels,
                expected: "a multiple of 8 from 8 to 2048",
            });
        }
        // Products of them stay below 64 bits.
        let elements = volumes
            .checked_mul(voxels)
            .and_then(|elements| elements.checked_mul(channels));
        if elements.is_none_or(|elements| elements > isize::MAX as usize / size_of::<f32>()) {
            return Err(CudaDriverError::TooLarge {
                what: "the number of elements of a fused normalization",
                found: elements.unwrap_or(usize::MAX),
                most: isize::MAX as usize / size_of::<f32>(),
            });
        }
        // Indices of the last block of threads exceed the size slightly.
        for (what, size) in [("volumes", volumes), ("voxels", voxels)] {
            int(what, size.saturating_add(ROWS * THREADS))?;
        }
        Ok(Self(sizes))
    }
}

/// Addresses that [`NormKernels::launch`] reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormLeakyRelu {
    pub(crate) element: KernelElement,
    pub(crate) shape: NormShape,
    pub(crate) epsilon: f32,
    /// Factor of what is negative.
    pub(crate) slope: f32,
    pub(crate) input: *const c_void,
    pub(crate) scale: *const c_void,
    pub(crate) bias: *const c_void,
    pub(crate) output: *mut c_void,
    /// As many floats as [`scratch`] returns.
    pub(crate) scratch: *mut c_void,
}

/// Blocks per volume for its statistics: few for a small volume, and in total as many as an H100 runs at once.
fn statistic_blocks([volumes, voxels, channels]: [usize; 3]) -> usize {
    let work = voxels.saturating_mul(channels / LANES) / (LANES * THREADS);
    work.clamp(1, (1056 / volumes.max(1)).max(1))
}

/// Scratch memory of a normalization, in floats.
pub(crate) fn scratch(shape: NormShape) -> usize {
    let [volumes, _, channels] = shape.0;
    volumes * (statistic_blocks(shape.0) + 1) * channels * 2
}

/// Instance normalization and leaky ReLU.
pub(crate) struct NormKernels {
    module: Module,
    statistics: [Kernel; 2],
    apply: [Kernel; 2],
    coefficients: Kernel,
}

impl NormKernels {
    /// Loads the kernels onto a GPU.
    ///
    /// **Errors**: those of the driver.
    pub(crate) fn load(gpu: &Arc<CudaContext>) -> Result<Self, CudaDriverError> {
        let module = Module::load(gpu, &NORM.0)?;
        Ok(Self {
            statistics: [
                module.kernel("statistics_f16")?,
                module.kernel("statistics_f32")?,
            ],
            apply: [module.kernel("apply_f16")?, module.kernel("apply_f32")?],
            coefficients: module.kernel("coefficients")?,
            module,
        })
    }

    /// Normalizes, in the order of a stream of ONNX Runtime's.
    ///
    /// # Safety
    ///
    /// The pointers are to GPU memory of the sizes of the shape, which stays allocated until the stream has completed
    /// the launch.
    ///
    /// **Errors**: sizes beyond the index range of the kernels, or an error of the driver.
    pub(crate) unsafe fn launch(
        &self,
        task: &NormLeakyRelu,
        stream: Handle,
    ) -> Result<(), CudaDriverError> {
        let [volumes, voxels, channels] = task.shape.0;
        if volumes == 0 || voxels == 0 {
            return Ok(());
        }
        let parts = statistic_blocks(task.shape.0);
        let per_block = ROWS * (THREADS / (channels / LANES).clamp(1, THREADS));
        let batch = blocks(volumes, MAX_BLOCKS[1])?;
        let (input, scale, bias) = (task.input, task.scale, task.bias);
        let (output, partial) = (task.output, task.scratch);
        let (epsilon, slope) = (task.epsilon, task.slope);
        // SAFETY: inside of the scratch memory, whose size `scratch` returns.
        let coefficients: *mut f32 =
            unsafe { partial.cast::<f32>().add(volumes * parts * channels * 2) };
        let (voxel_count, channel_count) = (int("voxels", voxels)?, int("channels", channels)?);
        let part_count = int("parts", parts)?;
        let element = task.element as usize;
        let statistics_grid = [blocks(parts, MAX_BLOCKS[0])?, batch, 1];
        let coefficients_grid = [blocks(channels.div_ceil(32), MAX_BLOCKS[0])?, batch, 1];
        let apply_grid = [blocks(voxels.div_ceil(per_block), MAX_BLOCKS[0])?, batch, 1];
        let block = [THREADS as u32, 1];
        // SAFETY: the arguments are those of the kernels in `norm.cu`, the caller guarantees the memory.
        unsafe {
            self.module.launch(
                self.statistics[element],
                statistics_grid,
                block,
                stream,
                arguments![input, partial, voxel_count, channel_count],
            )?;
            self.module.launch(
                self.coefficients,
                coefficients_grid,
                [32, 16],
                stream,
                arguments![
                    partial,
                    scale,
                    bias,
                    coefficients,
                    part_count,
                    voxel_count,
                    channel_count,
                    epsilon,
                ],
            )?;
            self.module.launch(
                self.apply[element],
                apply_grid,
                block,
                stream,
                arguments![
                    input,
                    coefficients,
                    output,
                    voxel_count,
                    channel_count,
                    slope,
                ],
            )
        }
    }
}

/// Cutting and blending windows.
pub(crate) struct StitchKernels {
    module: Module,
    cut: Kernel,
    add: Kernel,
    divide: Kernel,
}

/// Sizes of a volume, its windows and its buffers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLayout {
    pub(crate) shape: [usize; 3],
    pub(crate) window: [usize; 3],
    /// Channels of the volume, and of the outputs.
    pub(crate) channels: [usize; 2],
    /// Planes in the rings of the volume and of blended outputs.
    pub(crate) ring: usize,
}

impl RingLayout {
    pub(crate) fn plane(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    pub(crate) fn window_voxels(&self) -> usize {
        self.window.iter().product()
    }

    /// Floats of the part of the volume that is on the GPU at a time.
    pub(crate) fn volume(&self) -> usize {
        self.channels[0] * self.ring * self.plane()
    }

    /// Floats of one blended plane, the sums of the weights included.
    pub(crate) fn row(&self) -> usize {
        (self.channels[1] + 1) * self.plane()
    }

    fn window_grid(&self, z: usize) -> Result<[u32; 3], CudaDriverError> {
        let [x, rows, columns] = self.window;
        Ok([
            blocks((rows * columns).div_ceil(THREADS), MAX_BLOCKS[0])?,
            blocks(x, MAX_BLOCKS[1])?,
            blocks(z, MAX_BLOCKS[1])?,
        ])
    }
}

impl StitchKernels {
    /// Loads the kernels onto a GPU.
    ///
    /// **Errors**: those of the driver.
    pub(crate) fn load(gpu: &Arc<CudaContext>) -> Result<Self, CudaDriverError> {
        let module = Module::load(gpu, &STITCH.0)?;
        Ok(Self {
            cut: module.kernel("cut_window")?,
            add: module.kernel("add_window")?,
            divide: module.kernel("divide_planes")?,
            module,
        })
    }

    /// Copies the window at `origin` out of the volume to `patch`, the address of `[C, window]` floats; outside of the
    /// volume, `fill` or else the nearest voxel is used.
    ///
    /// # Safety
    ///
    /// That many floats are at `patch`, and they stay allocated until the stream has completed the launch.
    ///
    /// **Errors**: sizes beyond the index range of the kernel, or an error of the driver.
    pub(crate) unsafe fn cut(
        &self,
        layout: &RingLayout,
        volume: &DeviceBuffer,
        patch: u64,
        origin: Sizes,
        fill: Option<f32>,
        stream: &Stream,
    ) -> Result<(), CudaDriverError> {
        let [channels, _] = layout.channels;
        let from = volume.at(0, layout.volume())?;
        let (shape, window) = (Sizes::new(layout.shape)?, Sizes::new(layout.window)?);
        let ring = int("planes", layout.ring)?;
        let replicate = i32::from(fill.is_none());
        let fill = fill.unwrap_or_default();
        let grid = layout.window_grid(channels)?;
        // SAFETY: the arguments are those of the kernel in `stitch.cu`; the volume was checked, the caller guarantees
        // the patch.
        unsafe {
            self.module.launch(
                self.cut,
                grid,
                [THREADS as u32, 1],
                stream.handle(),
                arguments![from, patch, shape, window, origin, ring, replicate, fill],
            )
        }
    }

    /// Adds the weighted output of the window at `origin`, `[K, window]` floats at the address `output`.
    ///
    /// # Safety
    ///
    /// That many floats are at `output`, and they stay allocated until the stream has completed the launch.
    ///
    /// **Errors**: sizes beyond the index range of the kernel, or an error of the driver.
    pub(crate) unsafe fn add(
        &self,
        layout: &RingLayout,
        output: u64,
        weights: &DeviceBuffer,
        sums: &DeviceBuffer,
        origin: Sizes,
        stream: &Stream,
    ) -> Result<(), CudaDriverError> {
        let weights = weights.at(0, layout.window_voxels())?;
        let sums = sums.at(0, layout.ring * layout.row())?;
        let (shape, window) = (Sizes::new(layout.shape)?, Sizes::new(layout.window)?);
        let channels = int("channels", layout.channels[1])?;
        let ring = int("planes", layout.ring)?;
        let grid = layout.window_grid(1)?;
        // SAFETY: as for `cut`.
        unsafe {
            self.module.launch(
                self.add,
                grid,
                [THREADS as u32, 1],
                stream.handle(),
                arguments![output, weights, sums, shape, window, origin, channels, ring],
            )
        }
    }

    /// Divides planes by the sums of the weights.
    ///
    /// **Errors**: sizes beyond the index range of the kernel, or an error of the driver.
    pub(crate) fn divide(
        &self,
        layout: &RingLayout,
        sums: &DeviceBuffer,
        planes: std::ops::Range<usize>,
        stream: &Stream,
    ) -> Result<(), CudaDriverError> {
        if planes.is_empty() {
            return Ok(());
        }
        let sums = sums.at(0, layout.ring * layout.row())?;
        let plane = int("voxels of a plane", layout.plane())?;
        let channels = int("channels", layout.channels[1])?;
        let (first, ring) = (int("planes", planes.start)?, int("planes", layout.ring)?);
        let grid = [
            blocks(layout.plane().div_ceil(THREADS), MAX_BLOCKS[0])?,
            blocks(planes.len(), MAX_BLOCKS[1])?,
            1,
        ];
        // SAFETY: the arguments are those of the kernel in `stitch.cu`; the sums were checked.
        unsafe {
            self.module.launch(
                self.divide,
                grid,
                [THREADS as u32, 1],
                stream.handle(),
                arguments![sums, plane, channels, first, ring],
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_shared_among_few_blocks() {
        assert_eq!(statistic_blocks([4, 96 * 96 * 96, 32]), 264);
        assert_eq!(statistic_blocks([1, 6 * 6 * 6, 256]), 3);
        assert_eq!(statistic_blocks([5000, 96 * 96 * 96, 8]), 1);
        let shape = NormShape::new([2, 1, 8]).expect("fits");
        assert_eq!(scratch(shape), 2 * 2 * 8 * 2);
    }

    #[test]
    fn normalizations_are_of_channels_that_the_kernels_take() {
        for channels in [8, 16, 320, 2048] {
            assert!(
                NormShape::new([4, 96 * 96 * 96, channels]).is_ok(),
                "{channels}"
            );
        }
        for channels in [0, 1, 4, 7, 12, 2049, 2056, usize::MAX] {
            let shape = NormShape::new([1, 64, channels]);
            assert!(
                matches!(shape, Err(CudaDriverError::Unfit { found, .. }) if found == channels)
            );
        }
        for sizes in [
            [1, usize::MAX / 8, 8],
            [usize::MAX, 2, 8],
            [1, 1 << 31, 8],
            [1 << 31, 1, 8],
        ] {
            assert!(matches!(
                NormShape::new(sizes),
                Err(CudaDriverError::TooLarge { .. })
            ));
        }
    }

    #[test]
    fn origins_lie_before_padded_volumes() {
        let origin = Sizes::origin([0, 5, 48], [23, 0, 0]);
        assert_eq!(origin.ok(), Some(Sizes([-23, 5, 48])));
        assert!(matches!(
            Sizes::new([1, 1 << 40, 1]),
            Err(CudaDriverError::TooLarge { .. })
        ));
    }

    #[test]
    fn kernels_are_fat_binaries() {
        for image in [&NORM.0, &STITCH.0] {
            assert_eq!(image[..4], 0xba55_ed50_u32.to_le_bytes());
        }
    }
}
