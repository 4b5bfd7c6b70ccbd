//! JPEG-LS with one component of 2 to 16 bits, lossless and near-lossless.
//!
//! **Source**: ITU-T T.87; names of variables are those of its annex A.

use crate::dicom::codec::bits::{Bits, Stuffing};
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Exponents of the lengths of runs (A.7.1.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Contexts of single samples; two more are of samples that interrupt a run.
const REGULAR: usize = 365;

/// Decodes a frame; returns its samples and their precision in bits.
pub(super) fn decode(bytes: &[u8], shape: FrameShape) -> Result<(Vec<u16>, u32), CodecError> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err(CodecError::Damaged("they do not start as JPEG-LS does"));
    }
    let mut at = 2;
    let mut precision = None;
    let mut preset = [0; 5];
    loop {
        let marker = match bytes.get(at..at + 2) {
            Some([0xff, 0xff]) => {
                at += 1;
                continue;
            }
            Some([0xff, marker]) => *marker,
            Some(_) => return Err(CodecError::Damaged("a marker of theirs is absent")),
            None => return Err(CodecError::Ended),
        };
        let rest = &bytes[at + 2..];
        let length = usize::from(number(rest, 0)?);
        let segment = rest.get(2..length).ok_or(CodecError::Ended)?;
        at += 2 + length;
        match marker {
            0xf7 => precision = Some(frame_header(segment, shape)?),
            0xf8 => preset_parameters(segment, &mut preset)?,
            0xdd => {
                return Err(CodecError::Unsupported("a restart interval"));
            }
            0xda => {
                let bits = precision.ok_or(CodecError::Damaged("a scan of theirs has no frame"))?;
                let [count, _, table, near, interleave, low] =
                    *segment.first_chunk().ok_or(CodecError::Ended)?;
                if count != 1 || table != 0 || interleave != 0 || u32::from(low) >= bits {
                    return Err(CodecError::Unsupported("their kind of JPEG-LS scan"));
                }
                let parameters = Parameters::new(bits, i32::from(near), preset)?;
                let mut samples =
                    Decoder::new(&parameters).decode(Bits::new(bytes, at, Stuffing::Bit), shape)?;
                if low > 0 {
                    samples.iter_mut().for_each(|sample| *sample <<= low);
                }
                return Ok((samples, bits));
            }
            0xd9 => return Err(CodecError::Damaged("they have no scan")),
            _ => {}
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u16, CodecError> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(CodecError::Ended),
    }
}

fn frame_header(segment: &[u8], shape: FrameShape) -> Result<u32, CodecError> {
    let [precision, .., components] = *segment.first_chunk::<6>().ok_or(CodecError::Ended)?;
    if components != 1 {
        return Err(CodecError::Unsupported("more than one component"));
    }
    shape.check(number(segment, 3)?.into(), number(segment, 1)?.into())?;
    if !(2..=16).contains(&precision) {
        return Err(CodecError::Damaged("their precision is not one of JPEG-LS"));
    }
    Ok(precision.into())
}

/// Reads MAXVAL, T1, T2, T3 and RESET; 0 stands for the default (C.2.4.1).
fn preset_parameters(segment: &[u8], preset: &mut [i32; 5]) -> Result<(), CodecError> {
    if segment.first() != Some(&1) {
        return Err(CodecError::Unsupported("a mapping table"));
    }
    for (index, parameter) in preset.iter_mut().enumerate() {
        *parameter = i32::from(number(segment, 1 + 2 * index)?);
    }
    Ok(())
}

struct Parameters {
    maxval: i32,
    near: i32,
    /// T1, T2, T3.
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
}

impl Parameters {
    fn new(bits: u32, near: i32, preset: [i32; 5]) -> Result<Self, CodecError> {
        let damaged = CodecError::Damaged("their parameters are impossible");
        let [maxval, t1, t2, t3, reset] = preset;
        let maxval = if maxval == 0 { (1 << bits) - 1 } else { maxval };
        if maxval >= 1 << bits || near > 255.min(maxval / 2) {
            return Err(damaged);
        }
        let default = |value: i32, low: i32| {
            if value > maxval || value < low {
                low
            } else {
                value
            }
        };
        // C.2.4.1.1.1: the thresholds of 8 bits, scaled.
        let scaled = |base: i32, least: i32, widened: i32| {
            if maxval >= 128 {
                let factor = (maxval.min(4095) + 128) >> 8;
                factor * (base - least) + least + widened
            } else {
                let factor = 256 / (maxval + 1);
                least.max(base / factor + widened)
            }
        };
        let or = |stated: i32, default: i32| if stated == 0 { default } else { stated };
        let t1 = or(t1, default(scaled(3, 2, 3 * near), near + 1));
        let t2 = or(t2, default(scaled(7, 3, 5 * near), t1));
        let t3 = or(t3, default(scaled(21, 4, 7 * near), t2));
        let reset = or(reset, 64);
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maxval;
        if !ordered || reset < 3 || reset > 255.max(maxval) {
            return Err(damaged);
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits_for = |values: i32| 32 - (values - 1).leading_zeros();
        let bpp = bits_for(maxval + 1).max(2);
        Ok(Self {
            maxval,
            near,
            thresholds: [t1, t2, t3],
            reset,
            range,
            qbpp: bits_for(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }

    /// Quantizes a gradient (A.3.3).
    fn quantize(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = gradient.abs();
        let region = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        region * gradient.signum()
    }

    /// The sample with this error against its prediction (A.4.4).
    fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = prediction + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }
}

/// Statistics of the errors in a context.
#[derive(Clone, Copy)]
struct Context {
    /// A: sum of sizes.
    sizes: i64,
    /// B: sum, or of a run's end the number of negative errors (Nn).
    bias: i32,
    /// C: correction of the prediction.
    correction: i32,
    /// N: how many.
    count: i32,
}

impl Context {
    /// k: bits of an error that are not coded in unary (A.5.1).
    fn low_bits(&self, sizes: i64) -> u32 {
        let mut k = 0;
        while i64::from(self.count) << k < sizes {
            k += 1;
        }
        k
    }

    fn halve(&mut self, reset: i32) {
        if self.count == reset {
            self.sizes >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
    }
}

struct Decoder<'a> {
    parameters: &'a Parameters,
    contexts: [Context; REGULAR + 2],
    run_index: usize,
}

impl<'a> Decoder<'a> {
    fn new(parameters: &'a Parameters) -> Self {
        let start = Context {
            sizes: i64::from(2.max((parameters.range + 32) >> 6)),
            bias: 0,
            correction: 0,
            count: 1,
        };
        Self {
            parameters,
            contexts: [start; REGULAR + 2],
            run_index: 0,
        }
    }

    fn decode(mut self, mut bits: Bits, shape: FrameShape) -> Result<Vec<u16>, CodecError> {
        let columns = shape.columns;
        let mut samples = Vec::with_capacity(shape.pixels());
        // With one additional sample on either side (A.2.1).
        let mut above = vec![0; columns + 2];
        let mut line = vec![0; columns + 2];
        for _ in 0..shape.rows {
            above[columns + 1] = above[columns];
            line[0] = above[1];
            self.line(&mut bits, &above, &mut line)?;
            // Values lie between 0 and MAXVAL.
            samples.extend(line[1..=columns].iter().map(|&value| value as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(samples)
    }

    fn line(&mut self, bits: &mut Bits, above: &[i32], line: &mut [i32]) -> Result<(), CodecError> {
        let columns = line.len() - 2;
        let mut x = 1;
        while x <= columns {
            let (ra, rb, rc, rd) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let [q1, q2, q3] = [rd - rb, rb - rc, rc - ra].map(|d| self.parameters.quantize(d));
            let q = 81 * q1 + 9 * q2 + q3;
            if q != 0 {
                line[x] = self.regular(bits, q, [ra, rb, rc])?;
                x += 1;
                continue;
            }
            let run = self.run(bits, columns + 1 - x)?;
            line[x..x + run].fill(ra);
            x += run;
            if x <= columns {
                line[x] = self.interruption(bits, ra, above[x])?;
                self.run_index = self.run_index.saturating_sub(1);
                x += 1;
            }
        }
        Ok(())
    }

    /// Reads a sample by its gradients (A.4 to A.6).
    fn regular(&mut self, bits: &mut Bits, q: i32, near: [i32; 3]) -> Result<i32, CodecError> {
        let parameters = self.parameters;
        let sign = q.signum();
        let context = &mut self.contexts[q.unsigned_abs() as usize];
        let [ra, rb, rc] = near;
        let prediction = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let prediction = (prediction + sign * context.correction).clamp(0, parameters.maxval);
        let k = context.low_bits(context.sizes);
        let mapped = parameters.golomb(bits, k, parameters.limit)?;
        let half = (mapped >> 1) as i32;
        let turned = parameters.near == 0 && k == 0 && 2 * context.bias <= -context.count;
        let error = match (turned, mapped & 1 == 1) {
            (true, true) | (false, false) => half,
            (true, false) | (false, true) => -half - 1,
        };
        context.bias += error * (2 * parameters.near + 1);
        context.sizes += i64::from(error.abs());
        context.halve(parameters.reset);
        if context.bias <= -context.count {
            context.bias = (context.bias + context.count).max(1 - context.count);
            context.correction = (context.correction - 1).max(-128);
        } else if context.bias > 0 {
            context.bias = (context.bias - context.count).min(0);
            context.correction = (context.correction + 1).min(127);
        }
        Ok(parameters.reconstruct(prediction, sign * error))
    }

    /// Reads the length of a run of at most `left` samples (A.7.1).
    fn run(&mut self, bits: &mut Bits, left: usize) -> Result<usize, CodecError> {
        let mut run = 0;
        while bits.bit()? {
            let step = 1 << J[self.run_index];
            if step > left - run {
                return Ok(left);
            }
            run += step;
            self.run_index = (self.run_index + 1).min(31);
            if run == left {
                return Ok(run);
            }
        }
        run += bits.take(J[self.run_index])? as usize;
        if run < left {
            Ok(run)
        } else {
            Err(CodecError::Damaged("a run of theirs leaves its line"))
        }
    }

    /// Reads the sample that ends a run (A.7.2).
    fn interruption(&mut self, bits: &mut Bits, ra: i32, rb: i32) -> Result<i32, CodecError> {
        let parameters = self.parameters;
        let alike = (ra - rb).abs() <= parameters.near;
        let context = &mut self.contexts[REGULAR + usize::from(alike)];
        let extra = if alike {
            i64::from(context.count >> 1)
        } else {
            0
        };
        let k = context.low_bits(context.sizes + extra);
        let limit = parameters.limit - J[self.run_index] - 1;
        let mapped = parameters.golomb(bits, k, limit)?;
        let doubled = mapped + u32::from(alike);
        let size = doubled.div_ceil(2) as i32;
        let negative = (k != 0 || 2 * context.bias >= context.count) == (doubled & 1 == 1);
        let error = if negative { -size } else { size };
        context.bias += i32::from(error < 0);
        context.sizes += i64::from((mapped + 1 - u32::from(alike)) >> 1);
        context.halve(parameters.reset);
        let (prediction, sign) = match (alike, ra > rb) {
            (true, _) => (ra, 1),
            (false, true) => (rb, -1),
            (false, false) => (rb, 1),
        };
        Ok(parameters.reconstruct(prediction, sign * error))
    }
}

impl Parameters {
    /// Reads a number coded in unary above its `k` lowest bits (A.5.3).
    fn golomb(&self, bits: &mut Bits, k: u32, limit: u32) -> Result<u32, CodecError> {
        let damaged = CodecError::Damaged("an error of theirs is out of range");
        let unary = limit.checked_sub(self.qbpp + 1).ok_or(damaged.clone())?;
        let zeros = bits.zeros(unary)?;
        let value = if zeros < unary {
            if k > 24 {
                return Err(damaged);
            }
            (zeros << k) + bits.take(k)?
        } else {
            bits.take(self.qbpp)? + 1
        };
        // A mapped error is at most twice the range, whatever its sign.
        if value > 2 * self.range as u32 + 1 {
            return Err(damaged);
        }
        Ok(value)
    }
}
