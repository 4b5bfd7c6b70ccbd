//! Walks over the elements of a data set without recursion, keeping only selected values.
//!
//! Attributes that are not selected are skipped: they never enter memory. An element's stated length is
//! trusted only up to the end of the file, and sequences may be nested only to [`DEPTH_MAX`].

use std::fs::File;

use crate::dicom::error::DicomHeaderError;
use crate::dicom::stream::DataSetStream;
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::text;
use crate::sniff::SNIFF_BYTES;

/// Limit of nesting of sequences and items.
const DEPTH_MAX: usize = 64;

/// Longest value in bytes: longer than any value representation of the attributes that are read permits.
pub(super) const VALUE_BYTES_MAX: u64 = 1 << 10;

/// Minimum memory in bytes of a value besides its content, and of an item.
const VALUE_OVERHEAD: u64 = 8;
pub(super) const ITEM_OVERHEAD: u64 = 32;

/// Undefined length: a delimiter ends the element.
const UNDEFINED: u32 = u32::MAX;

/// Selects the values of a data set that are read, and receives them.
pub(super) trait Visitor {
    /// Whether items of this sequence hold values to be read.
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool;
    /// Whether the value of this element is to be read.
    fn wants(&self, path: &[Tag], tag: Tag) -> bool;
    /// The longest value that is read.
    fn longest(&self, _tag: Tag) -> Longest {
        Longest::Refused(VALUE_BYTES_MAX)
    }
    /// Memory in bytes of an item, beside its values; the item is one of the last sequence of `path`.
    fn item_bytes(&self, _path: &[Tag]) -> u64 {
        ITEM_OVERHEAD
    }
    /// Called when an item of the last sequence of `path` begins.
    fn begins(&mut self, path: &[Tag]) -> Result<(), DicomHeaderError>;
    /// Receives a value that [`Visitor::wants`] selected.
    fn value(&mut self, path: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError>;
}

/// The longest value that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Longest {
    /// A header with a longer one is refused.
    Refused(u64),
    /// The rest of a longer one is left unread.
    Cut(u64),
}

/// The element that holds the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelElement {
    /// Pixel Data, Float Pixel Data or Double Float Pixel Data.
    pub tag: Tag,
    /// Position of the first byte of its value: in the file, or in the inflated data set.
    pub offset: u64,
    /// Stated length in bytes; `None` where fragments follow.
    pub length: Option<u64>,
    /// Whether its words, rather than its bytes, are in the data set's byte order.
    pub words: bool,
}

/// Encoding of the elements of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether value representations are implicit.
    pub implicit: bool,
    /// Whether the most significant byte comes first.
    pub big: bool,
}

impl Encoding {
    const META: Self = Self {
        implicit: false,
        big: false,
    };

    /// The encoding of the data set in a transfer syntax.
    pub fn of(syntax: TransferSyntax) -> Self {
        Self {
            implicit: syntax == TransferSyntax::ImplicitLittle,
            big: syntax == TransferSyntax::ExplicitBig,
        }
    }

    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

/// The file meta information.
pub(super) struct Meta {
    pub syntax: String,
    /// UID of the class of the object; a DICOMDIR states it here alone.
    pub class: Option<String>,
}

/// Byte of a file at which its meta information begins.
const META_START: u64 = 132;

/// Opens a file and reads its file meta information (PS3.10 7.1), or detects a data set without any. The stream is at
/// the data set, not yet inflated where the transfer syntax is deflated.
///
/// **Definition**: the meta information ends by its group length, or at the first element of another group. An element
/// of its group after that is an error of the data set, see [`walk`]: the syntax must not depend on the reader.
pub(super) fn open(file: File) -> Result<(DataSetStream<'static>, Meta), DicomHeaderError> {
    open_while(file, &|| true)
}

/// As [`open`], until `goes_on` returns `false`.
pub(super) fn open_while(
    file: File,
    goes_on: &dyn Fn() -> bool,
) -> Result<(DataSetStream<'_>, Meta), DicomHeaderError> {
    let mut stream = DataSetStream::while_wanted(file, goes_on).map_err(DicomHeaderError::io)?;
    let head = stream.head(SNIFF_BYTES)?;
    if head.get(128..132) != Some(b"DICM") {
        return match TransferSyntax::of_bare(&head) {
            Some(syntax) => {
                stream.go_to(0)?;
                let syntax = syntax.to_string();
                Ok((
                    stream,
                    Meta {
                        syntax,
                        class: None,
                    },
                ))
            }
            None if head.iter().take(132).all(|byte| *byte == 0) => Err(DicomHeaderError::Blank),
            None => Err(DicomHeaderError::NotDicom),
        };
    }
    stream.go_to(META_START)?;
    let (mut syntax, mut class) = (None, None);
    let mut end = None;
    loop {
        let start = stream.position();
        if let Some(end) = end
            && start >= end
        {
            if start > end {
                return Err(DicomHeaderError::Overrun { at: start });
            }
            break;
        }
        let mut group = [0; 2];
        if !stream.fill(&mut group)? {
            break;
        }
        stream.go_to(start)?;
        if group != [2, 0] {
            break;
        }
        let Some(element) = ElementHeader::read(&mut stream, Encoding::META)? else {
            break;
        };
        let longest = Longest::Refused(VALUE_BYTES_MAX);
        match element.tag {
            tag::META_GROUP_LENGTH if start == META_START => {
                let value = element.value(&mut stream, longest)?;
                let length = value.first_chunk().ok_or(DicomHeaderError::Malformed {
                    tag: element.tag,
                    expected: "a number of 32 bits",
                })?;
                end = Some(stream.position() + u64::from(u32::from_le_bytes(*length)));
            }
            tag::TRANSFER_SYNTAX_UID if syntax.is_some() => {
                return Err(DicomHeaderError::Stray {
                    tag: element.tag,
                    at: start,
                });
            }
            tag::TRANSFER_SYNTAX_UID => {
                syntax = Some(text(&element.value(&mut stream, longest)?));
            }
            tag::MEDIA_STORAGE_CLASS_UID => {
                class = Some(text(&element.value(&mut stream, longest)?));
            }
            _ => stream.skip(u64::from(element.length))?,
        }
    }
    let syntax = syntax.ok_or(DicomHeaderError::Missing {
        tag: tag::TRANSFER_SYNTAX_UID,
    })?;
    Ok((stream, Meta { syntax, class }))
}

/// A tag with the length of its value.
struct ElementHeader {
    tag: Tag,
    representation: Option<[u8; 2]>,
    length: u32,
}

impl ElementHeader {
    /// Reads the header of an element or item; `None` at the end of the data.
    fn read(
        stream: &mut DataSetStream,
        encoding: Encoding,
    ) -> Result<Option<Self>, DicomHeaderError> {
        let start = stream.position();
        let mut head = [0; 8];
        if !stream.fill(&mut head)? {
            return Ok(None);
        }
        let [g0, g1, e0, e1, v0, v1, l0, l1] = head;
        let tag = Tag(encoding.u16([g0, g1]), encoding.u16([e0, e1]));
        if encoding.implicit || tag.0 == 0xfffe {
            return Ok(Some(Self {
                tag,
                representation: None,
                length: encoding.u32([v0, v1, l0, l1]),
            }));
        }
        let representation = [v0, v1];
        if !representation.iter().all(u8::is_ascii_uppercase) {
            return Err(DicomHeaderError::Representation { tag, at: start });
        }
        let long = matches!(
            &representation,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        );
        let length = if long {
            let mut length = [0; 4];
            stream.exact(&mut length)?;
            encoding.u32(length)
        } else {
            u32::from(encoding.u16([l0, l1]))
        };
        Ok(Some(Self {
            tag,
            representation: Some(representation),
            length,
        }))
    }

    fn value(
        &self,
        stream: &mut DataSetStream,
        longest: Longest,
    ) -> Result<Vec<u8>, DicomHeaderError> {
        let length = u64::from(self.length);
        let kept = match longest {
            Longest::Refused(limit) if length > limit => {
                return Err(DicomHeaderError::LongValue {
                    tag: self.tag,
                    found: length,
                    limit,
                });
            }
            Longest::Refused(_) => length,
            Longest::Cut(limit) => length.min(limit),
        };
        stream.keep(VALUE_OVERHEAD + kept)?;
        let mut value = vec![0; kept as usize];
        stream.exact(&mut value)?;
        if kept < length {
            stream.skip(length - kept)?;
        }
        Ok(value)
    }

    /// Whether its value representation is implicit.
    fn is_untold(&self) -> bool {
        matches!(self.representation.as_ref(), None | Some(b"UN"))
    }

    fn is_sequence(&self) -> bool {
        self.length == UNDEFINED || self.representation == Some(*b"SQ")
    }
}

/// An open sequence or item.
struct NestingLevel {
    /// The sequence, or that of the item.
    sequence: Tag,
    /// Whether it is an item of the sequence.
    item: bool,
    /// Position of its end; `None` where a delimiter ends it.
    end: Option<u64>,
    encoding: Encoding,
}

/// Walks over a data set up to its pixels, or to its end where it has none.
///
/// **Errors**: what breaks a rule of the format; elements of the file meta information (group 0002); a deflated header
/// that is longer, or more kept values, than the limits for its file.
pub(super) fn walk(
    stream: &mut DataSetStream,
    encoding: Encoding,
    visitor: &mut impl Visitor,
) -> Result<Option<PixelElement>, DicomHeaderError> {
    let mut levels: Vec<NestingLevel> = Vec::new();
    let mut path: Vec<Tag> = Vec::new();
    loop {
        if let Some(end) = levels.last().and_then(|level| level.end) {
            let position = stream.position();
            if position > end {
                return Err(DicomHeaderError::Overrun { at: position });
            }
            if position == end {
                close(&mut levels, &mut path);
                continue;
            }
        }
        let encoding = levels.last().map_or(encoding, |level| level.encoding);
        let Some(element) = ElementHeader::read(stream, encoding)? else {
            return if levels.is_empty() {
                Ok(None)
            } else {
                Err(DicomHeaderError::Truncated {
                    at: stream.position(),
                })
            };
        };
        let stray = DicomHeaderError::Stray {
            tag: element.tag,
            at: stream.position(),
        };
        let parent_end = levels.iter().rev().find_map(|level| level.end);
        let end = |position: u64| -> Result<Option<u64>, DicomHeaderError> {
            if element.length == UNDEFINED {
                return Ok(None);
            }
            let end = position + u64::from(element.length);
            let beyond = stream
                .rest()
                .is_some_and(|rest| u64::from(element.length) > rest);
            if beyond {
                Err(DicomHeaderError::Truncated { at: position })
            } else if parent_end.is_some_and(|parent| end > parent) {
                Err(DicomHeaderError::Overrun { at: position })
            } else {
                Ok(Some(end))
            }
        };
        if let Some(level) = levels.last_mut().filter(|level| !level.item) {
            match element.tag {
                tag::ITEM => {
                    let (sequence, end) = (level.sequence, end(stream.position())?);
                    let level = NestingLevel {
                        sequence,
                        item: true,
                        end,
                        encoding,
                    };
                    push(&mut levels, level)?;
                    path.push(sequence);
                    if entered(visitor, &path) {
                        stream.keep(visitor.item_bytes(&path))?;
                    }
                    visitor.begins(&path)?;
                }
                tag::SEQUENCE_DELIMITATION if level.end.is_none() => close(&mut levels, &mut path),
                _ => return Err(stray),
            }
            continue;
        }
        match element.tag {
            // File meta information within a data set might contradict its encoding.
            Tag(2, _) if levels.is_empty() => return Err(stray),
            tag::ITEM_DELIMITATION if levels.last().is_some_and(|level| level.end.is_none()) => {
                close(&mut levels, &mut path);
            }
            Tag(0xfffe, _) => return Err(stray),
            tag::PIXEL_DATA | tag::FLOAT_PIXEL_DATA | tag::DOUBLE_FLOAT_PIXEL_DATA
                if levels.is_empty() =>
            {
                return Ok(Some(PixelElement {
                    tag: element.tag,
                    offset: stream.position(),
                    length: (element.length != UNDEFINED).then_some(u64::from(element.length)),
                    words: element.representation != Some(*b"OB"),
                }));
            }
            tag::PIXEL_DATA if element.length == UNDEFINED => skip_fragments(stream, encoding)?,
            sequence
                if element.is_sequence()
                    || element.is_untold() && visitor.enters(&path, sequence) =>
            {
                let end = end(stream.position())?;
                if let Some(end) = end
                    && !visitor.enters(&path, sequence)
                {
                    stream.skip(end - stream.position())?;
                    continue;
                }
                // The content of an unknown sequence of undefined length is implicit (PS3.5 6.2.2, note 4).
                let unknown = element.representation == Some(*b"UN");
                let level = NestingLevel {
                    sequence,
                    item: false,
                    end,
                    encoding: Encoding {
                        implicit: encoding.implicit || unknown,
                        ..encoding
                    },
                };
                push(&mut levels, level)?;
            }
            tag => {
                end(stream.position())?;
                if visitor.wants(&path, tag) {
                    let value = element.value(stream, visitor.longest(tag))?;
                    visitor.value(&path, tag, value)?;
                } else {
                    stream.skip(u64::from(element.length))?;
                }
            }
        }
    }
}

/// Whether the items of the last sequence of a path hold values to be read.
fn entered(visitor: &impl Visitor, path: &[Tag]) -> bool {
    path.split_last()
        .is_some_and(|(sequence, outer)| visitor.enters(outer, *sequence))
}

fn push(levels: &mut Vec<NestingLevel>, level: NestingLevel) -> Result<(), DicomHeaderError> {
    if levels.len() == DEPTH_MAX {
        return Err(DicomHeaderError::Depth { limit: DEPTH_MAX });
    }
    levels.push(level);
    Ok(())
}

fn close(levels: &mut Vec<NestingLevel>, path: &mut Vec<Tag>) {
    if levels.pop().is_some_and(|level| level.item) {
        path.pop();
    }
}

/// Skips compressed pixels of an icon.
fn skip_fragments(stream: &mut DataSetStream, encoding: Encoding) -> Result<(), DicomHeaderError> {
    while let Some(length) = next_fragment(stream, encoding)? {
        stream.skip(u64::from(length))?;
    }
    Ok(())
}

/// Reads the header of the next fragment of compressed pixels; its length, or `None` after the last.
pub(super) fn next_fragment(
    stream: &mut DataSetStream,
    encoding: Encoding,
) -> Result<Option<u32>, DicomHeaderError> {
    let position = stream.position();
    match ElementHeader::read(stream, encoding)? {
        Some(ElementHeader {
            tag: tag::ITEM,
            length,
            ..
        }) if length != UNDEFINED => Ok(Some(length)),
        Some(ElementHeader {
            tag: tag::SEQUENCE_DELIMITATION,
            ..
        }) => Ok(None),
        Some(element) => Err(DicomHeaderError::Stray {
            tag: element.tag,
            at: position,
        }),
        None => Err(DicomHeaderError::Truncated { at: position }),
    }
}
