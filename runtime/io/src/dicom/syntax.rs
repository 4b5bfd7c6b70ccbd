//! Transfer syntaxes.

use std::fmt;

/// A transfer syntax whose pixels can be decoded.
///
/// **Source**: PS3.5 section 10, PS3.6 annex A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferSyntax {
    /// Implicit VR little endian.
    ImplicitLittle,
    /// Explicit VR little endian.
    ExplicitLittle,
    /// Explicit VR big endian (retired).
    ExplicitBig,
    /// Explicit VR little endian in a deflate stream.
    Deflated,
    Rle,
    /// JPEG with cosine transform or lossless, Huffman coded: baseline, extended, progressive, lossless.
    Jpeg(&'static str),
    /// JPEG-LS, lossless or near-lossless.
    JpegLs(&'static str),
    /// JPEG 2000, reversible or not.
    Jpeg2000(&'static str),
}

/// UIDs of the encapsulated syntaxes of JPEG's families below `1.2.840.10008.1.2.4.`.
const JPEG: [&str; 6] = ["50", "51", "53", "55", "57", "70"];
const JPEG_LS: [&str; 2] = ["80", "81"];
const JPEG_2000: [&str; 2] = ["90", "91"];

impl TransferSyntax {
    /// The syntax with this UID; `None` where its pixels cannot be decoded.
    ///
    /// **Examples**
    /// ```
    /// use vesal_io::dicom::TransferSyntax;
    /// assert_eq!(TransferSyntax::of("1.2.840.10008.1.2.5"), Some(TransferSyntax::Rle));
    /// assert_eq!(TransferSyntax::of("1.2.840.10008.1.2.4.100"), None);
    /// ```
    pub fn of(uid: &str) -> Option<Self> {
        let rest = uid.strip_prefix("1.2.840.10008.1.2")?;
        let known = |family: &[&'static str], make: fn(&'static str) -> Self| {
            let last = rest.strip_prefix(".4.")?;
            family
                .iter()
                .find(|known| **known == last)
                .map(|known| make(known))
        };
        match rest {
            "" => Some(Self::ImplicitLittle),
            ".1" => Some(Self::ExplicitLittle),
            ".1.99" => Some(Self::Deflated),
            ".2" => Some(Self::ExplicitBig),
            ".5" => Some(Self::Rle),
            _ => known(&JPEG, Self::Jpeg)
                .or_else(|| known(&JPEG_LS, Self::JpegLs))
                .or_else(|| known(&JPEG_2000, Self::Jpeg2000)),
        }
    }

    /// UIDs of all syntaxes whose pixels can be decoded.
    pub fn uids() -> impl Iterator<Item = String> {
        let families = [&JPEG[..], &JPEG_LS, &JPEG_2000].into_iter().flatten();
        let plain = ["", ".1", ".1.99", ".2", ".5"].map(str::to_owned);
        let ends = plain
            .into_iter()
            .chain(families.map(|last| format!(".4.{last}")));
        ends.map(|end| format!("1.2.840.10008.1.2{end}"))
    }

    /// The syntax of a file that begins with the data set, without preamble and file meta information, as old archives
    /// and some converters write them; `None` for other bytes.
    ///
    /// **Definition**: two elements of group 0008 with short values, in order, explicit or implicit; little endian.
    pub(crate) fn of_bare(head: &[u8]) -> Option<Self> {
        [Self::ExplicitLittle, Self::ImplicitLittle]
            .into_iter()
            .find(|syntax| begins(head, *syntax == Self::ImplicitLittle))
    }

    /// Whether pixels come as fragments of compressed frames.
    pub fn is_encapsulated(self) -> bool {
        matches!(
            self,
            Self::Rle | Self::Jpeg(_) | Self::JpegLs(_) | Self::Jpeg2000(_)
        )
    }
}

/// Largest length of the first values of a data set, in bytes.
const FIRST_VALUE_MAX: u32 = 256;

fn begins(head: &[u8], implicit: bool) -> bool {
    let (mut at, mut before) = (0, None);
    for _ in 0..2 {
        let Some(&[8, 0, e0, e1, v0, v1, l0, l1]) = head.get(at..).and_then(<[u8]>::first_chunk)
        else {
            return false;
        };
        let element = Some(u16::from_le_bytes([e0, e1]));
        let length = if implicit {
            u32::from_le_bytes([v0, v1, l0, l1])
        } else if [v0, v1].iter().all(u8::is_ascii_uppercase) {
            u32::from(u16::from_le_bytes([l0, l1]))
        } else {
            return false;
        };
        if element <= before || length > FIRST_VALUE_MAX {
            return false;
        }
        before = element;
        at += 8 + length as usize;
    }
    true
}

impl fmt::Display for TransferSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImplicitLittle => write!(f, "1.2.840.10008.1.2"),
            Self::ExplicitLittle => write!(f, "1.2.840.10008.1.2.1"),
            Self::Deflated => write!(f, "1.2.840.10008.1.2.1.99"),
            Self::ExplicitBig => write!(f, "1.2.840.10008.1.2.2"),
            Self::Rle => write!(f, "1.2.840.10008.1.2.5"),
            Self::Jpeg(last) | Self::JpegLs(last) | Self::Jpeg2000(last) => {
                write!(f, "1.2.840.10008.1.2.4.{last}")
            }
        }
    }
}
