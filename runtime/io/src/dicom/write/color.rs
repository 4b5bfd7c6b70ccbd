//! Display colors.

/// A color for the segment of this number, with a hue far from those of its neighbors.
pub(super) fn of_number(number: usize) -> [u8; 3] {
    // Multiples of the golden angle are far from recent ones.
    let hue = (number as f64 * 137.507_764_05).rem_euclid(360.0);
    let level = [1.0, 0.75, 0.55][number / 12 % 3];
    [5.0, 3.0, 1.0].map(|offset: f64| {
        let k = (offset + hue / 60.0).rem_euclid(6.0);
        let part = level - 0.8 * level * k.min(4.0 - k).clamp(0.0, 1.0);
        (part * 255.0).round() as u8
    })
}

/// A color of sRGB as CIELab under D50, scaled to 16 bits each.
///
/// **Source**: PS3.3 C.10.7.1.1; IEC 61966-2-1 with the Bradford adaptation to D50.
pub(super) fn cielab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    const TO_XYZ_D50: [[f64; 3]; 3] = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ];
    const WHITE: [f64; 3] = [0.964_22, 1.0, 0.825_21];
    let [x, y, z]: [f64; 3] = std::array::from_fn(|row| {
        let sum: f64 = (0..3)
            .map(|column| TO_XYZ_D50[row][column] * linear[column])
            .sum();
        let t = sum / WHITE[row];
        if t > (6.0_f64 / 29.0).powi(3) {
            t.cbrt()
        } else {
            t * (29.0_f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0
        }
    });
    let scaled = |value: f64| (value * 65535.0).round().clamp(0.0, 65535.0) as u16;
    [
        scaled((116.0 * y - 16.0) / 100.0),
        scaled((500.0 * (x - y) + 128.0) / 255.0),
        scaled((200.0 * (y - z) + 128.0) / 255.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grays_have_no_hue_and_red_is_red() {
        let near = |a: u16, b: f64| (f64::from(a) - b).abs() < 40.0;
        let [l, a, b] = cielab([255; 3]);
        assert!(l > 65500 && near(a, 128.0 / 255.0 * 65535.0) && near(b, 128.0 / 255.0 * 65535.0));
        assert_eq!(cielab([0; 3])[0], 0);
        // Red under D50: L 54.29, a 80.81, b 69.89.
        let [l, a, b] = cielab([255, 0, 0]);
        assert!(near(l, 0.5429 * 65535.0), "{l}");
        assert!(near(a, 208.81 / 255.0 * 65535.0), "{a}");
        assert!(near(b, 197.89 / 255.0 * 65535.0), "{b}");
    }

    #[test]
    fn neighbors_differ() {
        for number in 0..200 {
            assert_ne!(of_number(number), of_number(number + 1));
        }
        assert_eq!(of_number(0), [255, 51, 51]);
    }
}
