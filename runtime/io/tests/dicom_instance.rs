//! The UIDs of a file, and nothing else of it.

mod dicom_files;

use dicom_files::{
    BIG, CT, DEFLATED, ENHANCED_MR, EXPLICIT, Elements, IMPLICIT, PIXELS, RLE, SERIES, SOP_CLASS,
    Value, image, save,
};
use tempfile::tempdir;
use vesal_io::dicom::{HeaderError, IMAGE_CLASSES, Instance, meta_information};

fn read(elements: &Elements, syntax: &str) -> Result<Instance, HeaderError> {
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
        Err(HeaderError::Missing { tag }) if tag.to_string() == "Series Instance UID (0020,000E)"
    ));
    assert!(matches!(
        read(&image().text(SERIES, b"UI", "DOE^JOHN"), EXPLICIT),
        Err(HeaderError::Malformed { .. })
    ));
    assert!(matches!(
        read(&image().text(SOP_CLASS, b"UI", ""), EXPLICIT),
        Err(HeaderError::Missing { .. })
    ));
    assert!(matches!(
        read(&image(), "1.2.840.10008.1.2.4.110"),
        Err(HeaderError::Syntax { .. })
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
