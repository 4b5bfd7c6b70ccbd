//! Reading the UIDs of a file.

use crate::dicom_files::{
    BIG, CT, DEFLATED, ENHANCED_MR, EXPLICIT, Elements, IMPLICIT, PIXELS, RLE, SERIES, SOP_CLASS,
    Value, head, image, save, with_meta,
};
use tempfile::tempdir;
use vesal_io::dicom::{DicomHeaderError, IMAGE_CLASSES, Instance, meta_information};

fn read(elements: &Elements, syntax: &str) -> Result<Instance, DicomHeaderError> {
    let folder = tempdir().unwrap();
    Instance::read(&save(folder.path(), "a.dcm", &elements.file(syntax)))
}

#[test]
fn uids_are_read_in_every_encoding() {
    let fragments = Value::Fragments(vec![Vec::new(), vec![0; 64]]);
    let compressed = image().value(PIXELS, b"OB", fragments);
    for (elements, syntax) in [
        (image(), EXPLICIT),
        (image(), IMPLICIT),
        (image(), BIG),
        (image(), DEFLATED),
        (compressed, RLE),
        // An object without pixels.
        (image().without(PIXELS), EXPLICIT),
    ] {
        let found = read(&elements, syntax).unwrap();
        let uids = [&found.class, &found.instance, &found.study, &found.series];
        assert_eq!(uids, [CT, "1.2.3", "1.2", "1.2.1"]);
        assert_eq!(found.syntax, syntax);
        assert_eq!(found.has_pixels, elements.0.contains_key(&PIXELS));
    }
    assert!(IMAGE_CLASSES.contains(&CT) && IMAGE_CLASSES.contains(&ENHANCED_MR));
}

#[test]
fn what_is_cut_or_lacks_a_uid_is_refused() {
    assert!(matches!(
        read(&image().without(SERIES), EXPLICIT),
        Err(DicomHeaderError::Missing { tag }) if tag.to_string() == "Series Instance UID (0020,000E)"
    ));
    assert!(matches!(
        read(&image().text(SERIES, b"UI", "DOE^JOHN"), EXPLICIT),
        Err(DicomHeaderError::Malformed { .. })
    ));
    assert!(matches!(
        read(&image().text(SOP_CLASS, b"UI", ""), EXPLICIT),
        Err(DicomHeaderError::Missing { .. })
    ));
    assert!(matches!(
        read(&image(), "1.2.840.10008.1.2.4.110"),
        Err(DicomHeaderError::Syntax { .. })
    ));
    let folder = tempdir().unwrap();
    let whole = image().file(EXPLICIT);
    for length in 0..whole.len() {
        let path = save(folder.path(), "a.dcm", &whole[..length]);
        // Cut between two elements, it looks like an object without pixels.
        let cut = Instance::read(&path);
        assert!(cut.is_err() || !cut.unwrap().has_pixels, "{length} bytes");
    }
}

#[test]
fn a_data_set_behind_meta_information_is_a_file() {
    let folder = tempdir().unwrap();
    for syntax in [EXPLICIT, IMPLICIT, BIG] {
        let mut bytes = meta_information(CT, "1.2.3", syntax).unwrap();
        let head = bytes.len() as u64;
        bytes.extend(image().encode(syntax));
        let found = Instance::read(&save(folder.path(), "a.dcm", &bytes)).unwrap();
        assert_eq!((found.syntax.as_str(), found.data_set), (syntax, head));
    }
}

#[test]
fn reading_ends_when_it_is_wanted_no_more() {
    let folder = tempdir().unwrap();
    let mut asked = 0;
    for syntax in [DEFLATED, EXPLICIT] {
        // Long enough to be asked about several times.
        let elements: Elements = (0..40_000).fold(Elements::default(), |elements, index| {
            let tag = (
                0x0009 + 2 * (index / 1000) as u16,
                0x1000 + (index % 1000) as u16,
            );
            elements.value(tag, b"UN", Value::Bytes(vec![0; 8]))
        });
        let whole = Elements(elements.0.into_iter().chain(image().0).collect());
        let path = save(folder.path(), "a.dcm", &whole.file(syntax));
        assert!(Instance::read(&path).is_ok(), "{syntax}");
        assert_eq!(
            Instance::read_within(&path, &|| false),
            Err(DicomHeaderError::Stopped)
        );
        let questions = std::cell::Cell::new(0);
        let goes_on = || {
            questions.set(questions.get() + 1);
            questions.get() < 2
        };
        assert_eq!(
            Instance::read_within(&path, &goes_on),
            Err(DicomHeaderError::Stopped)
        );
        asked += questions.get();
    }
    assert_eq!(asked, 4);
}

#[test]
fn meta_information_counts_as_far_as_it_says_alone() {
    let folder = tempdir().unwrap();
    let read = |bytes: &[u8]| Instance::read(&save(folder.path(), "a.dcm", bytes));
    let with_length = |length: u32, syntax: &str| {
        let meta = Elements::default()
            .value((0x0002, 0x0000), b"UL", Value::Long(length))
            .text((0x0002, 0x0010), b"UI", syntax);
        with_meta(meta)
    };
    let data_set = image().encode(EXPLICIT);
    let other = Elements::default()
        .text((0x0002, 0x0010), b"UI", IMPLICIT)
        .encode(EXPLICIT);
    let meta_bytes = 8 + EXPLICIT.len().next_multiple_of(2) as u32;
    let whole = [with_length(meta_bytes, EXPLICIT), data_set.clone()].concat();
    assert_eq!(read(&whole).unwrap().syntax, EXPLICIT);
    // A second syntax, in the data set by the length, or right behind the first where there is none.
    for head in [with_length(meta_bytes, EXPLICIT), head(EXPLICIT)] {
        let bytes = [head, other.clone(), data_set.clone()].concat();
        assert!(
            matches!(read(&bytes), Err(DicomHeaderError::Stray { tag, .. }) if tag.to_string().contains("0002,0010")),
        );
    }
    // Anywhere else in the data set.
    let late = [whole.clone(), other].concat();
    let pixels = image().without(PIXELS).encode(EXPLICIT);
    let late_without_pixels = [
        &late[..whole.len() - data_set.len()],
        &pixels,
        &late[whole.len()..],
    ];
    assert!(matches!(
        read(&late_without_pixels.concat()),
        Err(DicomHeaderError::Stray { .. })
    ));
    // A length that ends within an element.
    let short = [with_length(meta_bytes - 2, EXPLICIT), data_set].concat();
    assert!(matches!(
        read(&short),
        Err(DicomHeaderError::Overrun { .. })
    ));
}
