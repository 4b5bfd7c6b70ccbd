//! Images of indexed colors, as PNG files within a page.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Shades of gray, the first entries of the palette.
pub const GRAYS: u8 = 244;
/// Palette entry of voxels that are NaN or infinite.
pub const NON_FINITE: u8 = GRAYS;
/// Palette entry of a marked position.
pub const MARK: u8 = GRAYS + 1;
/// Color of [`NON_FINITE`].
pub const NON_FINITE_COLOR: [u8; 3] = [255, 0, 255];
/// Color of [`MARK`].
pub const MARK_COLOR: [u8; 3] = [240, 228, 66];
/// First of the palette entries [`LINES`] for outlines.
pub const FIRST_LINE: u8 = GRAYS + 2;
/// Colors that contrast with gray and that color-blind people can distinguish.
///
/// **Source**: Okabe and Ito 2008, Color Universal Design.
pub const LINES: [[u8; 3]; 6] = [
    [86, 180, 233],
    [230, 159, 0],
    [0, 200, 150],
    [204, 121, 167],
    [213, 94, 0],
    [0, 114, 255],
];

/// An image of palette entries, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The image as an element of a page.
    ///
    /// `alt` has to be escaped.
    pub fn element(&self, alt: &str) -> String {
        format!(
            "<img alt=\"{alt}\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\"/>",
            self.width,
            self.height,
            base64(&self.png())
        )
    }

    /// The image as a PNG file.
    ///
    /// **Source**: PNG specification, third edition: 8 bits of an indexed color, rows without filter.
    fn png(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(13);
        header.extend((self.width as u32).to_be_bytes());
        header.extend((self.height as u32).to_be_bytes());
        // Bit depth, color type, and the defined methods of compression, filtering and interlacing.
        header.extend([8, 3, 0, 0, 0]);
        let mut palette: Vec<u8> = (0..GRAYS)
            .flat_map(|gray| [(u16::from(gray) * 255 / u16::from(GRAYS - 1)) as u8; 3])
            .collect();
        palette.extend(NON_FINITE_COLOR);
        palette.extend(MARK_COLOR);
        palette.extend(LINES.as_flattened());
        let mut rows = Vec::with_capacity((self.width + 1) * self.height);
        for row in self.pixels.chunks_exact(self.width.max(1)) {
            rows.push(0);
            rows.extend_from_slice(row);
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = encoder.write_all(&rows);
        let data = encoder.finish().unwrap_or_default();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, content) in [
            (b"IHDR", header),
            (b"PLTE", palette),
            (b"IDAT", data),
            (b"IEND", Vec::new()),
        ] {
            let mut check = Crc::new();
            check.update(kind);
            check.update(&content);
            png.extend((content.len() as u32).to_be_bytes());
            png.extend(kind);
            png.extend(content);
            png.extend(check.sum().to_be_bytes());
        }
        png
    }
}

/// **Source**: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, index| {
            bits << 8 | u32::from(three.get(index).copied().unwrap_or(0))
        });
        for digit in 0..4 {
            text.push(if digit <= three.len() {
                char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn rows_are_in_the_file() {
        let picture = Picture {
            width: 2,
            height: 2,
            pixels: vec![0, 1, MARK, FIRST_LINE],
        };
        let png = picture.png();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..29], [0, 0, 0, 2, 0, 0, 0, 2, 8, 3, 0, 0, 0]);
        // The checksum of an empty IEND chunk is constant.
        assert_eq!(png[png.len() - 8..], *b"IEND\xaeB`\x82");
        let start = png.windows(4).position(|four| four == b"IDAT").unwrap() + 4;
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(&png[start..])
            .read_to_end(&mut rows)
            .unwrap();
        assert_eq!(rows, [0, 0, 1, 0, MARK, FIRST_LINE]);
    }
}
