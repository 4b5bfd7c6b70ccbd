//! The elements of weights.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::proto::{TensorDataType, TensorProto};
use crate::rewrite_error::RewriteError;

/// Elements that are converted at a time.
const BLOCK: usize = 4096;
/// Bits of the exponent of a 16-bit float: all are set in infinities and NaN.
const EXPONENT: u16 = 0x7c00;

impl TensorProto {
    /// Name of the tensor in messages.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_default()
    }

    /// Elements of a tensor of 32-bit floats, a block at a time.
    ///
    /// **Errors**: another element type, or another number of elements than its shape has.
    fn blocks(&self, mut take: impl FnMut(&[f32])) -> Result<(), RewriteError> {
        let element = TensorDataType::Float;
        if self.data_type != Some(element as i32) {
            return Err(RewriteError::Element {
                value: self.label(),
                found: self.data_type,
                expected: element,
            });
        }
        let expected = self.elements().ok_or_else(|| self.unusable())?;
        match &self.raw_data {
            Some(raw) if Some(raw.len()) == expected.checked_mul(4) => {
                let mut block = [0_f32; BLOCK];
                for bytes in raw.chunks(4 * BLOCK) {
                    let (values, _) = bytes.as_chunks();
                    for (value, bytes) in block.iter_mut().zip(values) {
                        *value = f32::from_le_bytes(*bytes);
                    }
                    take(&block[..values.len()]);
                }
                Ok(())
            }
            None if self.float_data.len() == expected => {
                self.float_data.chunks(BLOCK).for_each(take);
                Ok(())
            }
            _ => Err(self.unusable()),
        }
    }

    /// Checks that the tensor has all elements of its shape.
    pub(crate) fn elements(&self) -> Option<usize> {
        let here = self.places() <= 1
            && self.segment.is_none()
            && self.external_data.is_empty()
            && self.data_location.unwrap_or(0) == 0;
        here.then_some(())?;
        self.dims.iter().try_fold(1_usize, |elements, &size| {
            elements.checked_mul(usize::try_from(size).ok()?)
        })
    }

    pub(crate) fn unusable(&self) -> RewriteError {
        RewriteError::Weight {
            tensor: self.label(),
            dims: self.dims.clone(),
        }
    }

    /// The elements of a tensor of 32-bit floats.
    ///
    /// **Errors**: see [`RewriteError::Element`], [`RewriteError::Weight`] and [`RewriteError::NotFinite`].
    pub(crate) fn floats(&self) -> Result<Vec<f32>, RewriteError> {
        let mut values = Vec::new();
        self.blocks(|block| values.extend_from_slice(block))?;
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(RewriteError::NotFinite {
                tensor: self.label(),
            })
        }
    }

    /// The same tensor in 16-bit floats, rounded to nearest, ties to even; values too small for a normal number become
    /// subnormal.
    ///
    /// **Errors**: see [`RewriteError::Element`], [`RewriteError::Weight`]; [`RewriteError::Range`] and [`RewriteError::NotFinite`] where a
    /// rounded element is not finite.
    pub(crate) fn halved(&self) -> Result<Self, RewriteError> {
        let raw = self.raw_data.as_ref().map_or(0, |raw| raw.len() / 2);
        let mut bytes = Vec::with_capacity(raw + 2 * self.float_data.len());
        let mut halves = [f16::ZERO; BLOCK];
        let mut beyond = None;
        self.blocks(|block| {
            let halves = &mut halves[..block.len()];
            halves.convert_from_f32_slice(block);
            let bits: &[u16] = halves.reinterpret_cast();
            // Without a branch per element, so that it is vectorized.
            let overflown = bits
                .iter()
                .fold(false, |any, bits| any | (bits & EXPONENT == EXPONENT));
            if overflown && beyond.is_none() {
                let place = bits.iter().position(|bits| bits & EXPONENT == EXPONENT);
                beyond = place.map(|place| block[place]);
            }
            bytes.extend(bits.iter().flat_map(|bits| bits.to_le_bytes()));
        })?;
        match beyond {
            Some(found) if found.is_finite() => Err(RewriteError::Range {
                tensor: self.label(),
                found,
            }),
            Some(_) => Err(RewriteError::NotFinite {
                tensor: self.label(),
            }),
            None => Ok(Self {
                dims: self.dims.clone(),
                data_type: Some(TensorDataType::Float16 as i32),
                name: self.name.clone(),
                raw_data: Some(bytes.into()),
                doc_string: self.doc_string.clone(),
                metadata_props: self.metadata_props.clone(),
                ..Self::default()
            }),
        }
    }
}
