//! Synthetic structure sets.

use super::*;

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.481.3";

/// A contour of this kind through these corners, in LPS mm.
pub fn contour(kind: &str, corners: &[[f64; 3]]) -> Elements {
    Elements::default()
        .text((0x3006, 0x0042), b"CS", kind)
        .numbers((0x3006, 0x0050), corners.as_flattened())
}

/// Structures with names and numbers in the frame of reference of [`image`]; drawn on these slices of a series, if
/// that is told.
pub fn structure_set(
    structures: &[(&str, u16, Vec<Elements>)],
    drawn_on: Option<(&str, &[&str])>,
) -> Elements {
    let (mut regions, mut drawn) = (Vec::new(), Vec::new());
    for (name, number, contours) in structures {
        let number = number.to_string();
        regions.push(
            Elements::default()
                .text((0x3006, 0x0022), b"IS", &number)
                .text((0x3006, 0x0024), b"UI", "1.2.9")
                .text((0x3006, 0x0026), b"LO", name),
        );
        drawn.push(
            Elements::default()
                .value((0x3006, 0x0040), b"SQ", Value::Items(contours.clone()))
                .text((0x3006, 0x0084), b"IS", &number),
        );
    }
    let set = Elements::default()
        .text(SOP_CLASS, b"UI", CLASS)
        .text((0x0010, 0x0010), b"PN", SENTINEL)
        .text((0x0010, 0x0020), b"LO", SENTINEL)
        .value((0x3006, 0x0020), b"SQ", Value::Items(regions))
        .value((0x3006, 0x0039), b"SQ", Value::Items(drawn));
    let Some((series, instances)) = drawn_on else {
        return set;
    };
    let image = |instance: &&str| Elements::default().text((0x0008, 0x1155), b"UI", instance);
    let images = instances.iter().map(image).collect();
    let mut item = Elements::default().text(SERIES, b"UI", series).value(
        (0x3006, 0x0016),
        b"SQ",
        Value::Items(images),
    );
    for sequence in [(0x3006, 0x0014), (0x3006, 0x0012), (0x3006, 0x0010)] {
        item = Elements::default().value(sequence, b"SQ", Value::Items(vec![item]));
    }
    Elements(set.0.into_iter().chain(item.0).collect())
}
