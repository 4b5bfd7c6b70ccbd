//! Random changes of intensity.

use ndarray::Array4;

use crate::rng::Rng;

/// Replaces each value by `scale value + shift`.
pub fn scale_and_shift(image: &mut Array4<f32>, scale: f32, shift: f32) {
    if (scale, shift) != (1.0, 0.0) {
        image.mapv_inplace(|value| scale * value + shift);
    }
}

/// Adds independent Gaussian noise of this standard deviation to every value.
pub fn add_noise(image: &mut Array4<f32>, deviation: f32, rng: &mut Rng) {
    let mut spare = None;
    image.mapv_inplace(|value| {
        let normal = spare.take().unwrap_or_else(|| {
            let [now, later] = rng.normal_pair();
            spare = Some(later);
            now
        });
        value + deviation * normal as f32
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_keeps_the_mean() {
        let mut image = Array4::from_elem((1, 20, 30, 31), 5.0);
        add_noise(&mut image, 0.1, &mut Rng::new(&[1]));
        let mean = image.mean().unwrap();
        let variance = image.mapv(|value| (value - mean).powi(2)).mean().unwrap();
        assert!(
            (mean - 5.0).abs() < 0.005 && (variance.sqrt() - 0.1).abs() < 0.005,
            "{mean} {variance}"
        );
    }

    #[test]
    fn scales_before_it_shifts() {
        let mut image = Array4::from_elem((1, 1, 1, 2), 2.0);
        scale_and_shift(&mut image, 1.5, -0.5);
        assert_eq!(image, Array4::from_elem((1, 1, 1, 2), 2.5));
    }
}
