//! Packing with the masked loads of x86-64.

use std::arch::x86_64::*;

use super::{LANES, PANEL, PositionGroup};

impl PositionGroup<'_> {
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(mut self) {
        let to = std::mem::take(&mut self.to);
        let (from, width) = (self.input.as_ptr(), self.layer.kernel[2]);
        self.rows(|row, bits, at| {
            for tap in 0..width {
                let mut values = _mm512_setzero_ps();
                for run in self.runs {
                    let lanes = if run.sees(bits) { run.lanes[tap] } else { 0 };
                    let from = from.wrapping_offset(run.base + row + tap as isize);
                    // SAFETY: these lanes read voxels of the input; other lanes are not read.
                    values = unsafe { _mm512_mask_loadu_ps(values, lanes, from) };
                }
                let to = &mut to[at + tap * PANEL..][..LANES];
                // SAFETY: the destination has that many values.
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
            }
        });
    }

    /// Packs every second voxel with AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512_every_second(mut self) {
        let to = std::mem::take(&mut self.to);
        let (from, width) = (self.input.as_ptr(), self.layer.kernel[2]);
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        self.rows(|row, bits, at| {
            for tap in 0..width {
                let (mut low, mut high) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                for run in self.runs.iter().filter(|run| run.sees(bits)) {
                    let lanes = spread(run.lanes[tap]);
                    let from = from.wrapping_offset(run.base + row + tap as isize);
                    // SAFETY: these lanes read voxels of the input; other lanes are not read.
                    unsafe {
                        low = _mm512_mask_loadu_ps(low, lanes as u16, from);
                        high = _mm512_mask_loadu_ps(
                            high,
                            (lanes >> 16) as u16,
                            from.wrapping_add(LANES),
                        );
                    }
                }
                let values = _mm512_permutex2var_ps(low, even, high);
                let to = &mut to[at + tap * PANEL..][..LANES];
                // SAFETY: the destination has that many values.
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
            }
        });
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(mut self) {
        let to = std::mem::take(&mut self.to);
        let (from, width) = (self.input.as_ptr(), self.layer.kernel[2]);
        self.rows(|row, bits, at| {
            for tap in 0..width {
                let mut values = [_mm256_setzero_ps(); 2];
                for run in self.runs.iter().filter(|run| run.sees(bits)) {
                    let from = from.wrapping_offset(run.base + row + tap as isize);
                    let lanes = u32::from(run.lanes[tap]);
                    // SAFETY: these lanes read voxels of the input.
                    unsafe { add_lanes(&mut values, from, lanes) };
                }
                // SAFETY: the destination has that length.
                unsafe { store(&mut to[at + tap * PANEL..][..LANES], values) };
            }
        });
    }

    /// Packs every second voxel with AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2_every_second(mut self) {
        let to = std::mem::take(&mut self.to);
        let (from, width) = (self.input.as_ptr(), self.layer.kernel[2]);
        self.rows(|row, bits, at| {
            for tap in 0..width {
                let mut values = [_mm256_setzero_ps(); 4];
                for run in self.runs.iter().filter(|run| run.sees(bits)) {
                    let from = from.wrapping_offset(run.base + row + tap as isize);
                    let lanes = spread(run.lanes[tap]);
                    // SAFETY: these lanes read voxels of the input.
                    unsafe { add_lanes(&mut values, from, lanes) };
                }
                let [a, b, c, d] = values;
                let values = [(a, b), (c, d)].map(|(low, high)| {
                    // From every 128 bits of both, alternating.
                    let even = _mm256_shuffle_ps::<0b10_00_10_00>(low, high);
                    let even = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(even));
                    _mm256_castpd_ps(even)
                });
                // SAFETY: the destination has that length.
                unsafe { store(&mut to[at + tap * PANEL..][..LANES], values) };
            }
        });
    }
}

/// Bits of the voxels for lanes that read every second one.
fn spread(lanes: u16) -> u32 {
    let mut bits = u32::from(lanes);
    bits = (bits | bits << 8) & 0x00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333;
    (bits | bits << 1) & 0x5555_5555
}

/// Loads values into a register of 8 lanes; lanes outside of the mask are zero.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_lanes<const COUNT: usize>(
    values: &mut [__m256; COUNT],
    from: *const f32,
    lanes: u32,
) {
    let bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    for (index, values) in values.iter_mut().enumerate() {
        let lanes = _mm256_set1_epi32((lanes >> (8 * index) & 0xff) as i32);
        let lanes = _mm256_cmpeq_epi32(_mm256_and_si256(lanes, bit_of_lane), bit_of_lane);
        // SAFETY: the caller guarantees values at these lanes; others are not read.
        let more = unsafe { _mm256_maskload_ps(from.wrapping_add(8 * index), lanes) };
        *values = _mm256_or_ps(*values, more);
    }
}

/// Stores the values of a group, as long as it.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(to: &mut [f32], values: [__m256; 2]) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        _mm256_storeu_ps(to.as_mut_ptr(), values[0]);
        _mm256_storeu_ps(to.as_mut_ptr().add(LANES / 2), values[1]);
    }
}
