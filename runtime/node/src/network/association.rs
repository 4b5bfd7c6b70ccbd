//! Asking for an association and answering: PS3.8 9.3.2 to 9.3.4.

use crate::network::wire::{PDU_BYTES, WireError, kind};
use vesal_io::dicom::{IMPLEMENTATION_VERSION, implementation_class};

/// The application context of DICOM (PS3.7 A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// What is proposed to be exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Number of the presentation context, odd.
    pub context: u8,
    /// UID of the class of objects.
    pub class: String,
    /// UIDs of the transfer syntaxes that the requester has.
    pub syntaxes: Vec<String>,
}

/// An A-ASSOCIATE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// AE title of the one who is asked.
    pub called: String,
    /// AE title of the one who asks.
    pub calling: String,
    /// UID of the application context.
    pub application: String,
    /// What is proposed.
    pub proposals: Vec<Proposal>,
    /// Bytes of a P-DATA-TF that the requester takes; 0 for any.
    pub pdu_bytes: u32,
}

/// Why a presentation context is not accepted (PS3.8 table 9-18); 0 where it is.
pub mod verdict {
    /// Accepted.
    pub const ACCEPTED: u8 = 0;
    /// No such class.
    pub const CLASS: u8 = 3;
    /// None of its transfer syntaxes.
    pub const SYNTAX: u8 = 4;
}

/// The answer to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Number of the presentation context.
    pub context: u8,
    /// One of [`verdict`].
    pub verdict: u8,
    /// The transfer syntax that is taken; of no meaning where none is.
    pub syntax: String,
}

/// Why an association is not accepted: result, source and reason (PS3.8 table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The calling AE title may not send.
    Caller,
    /// The called AE title is none of ours.
    Called,
    /// Not DICOM's application context.
    Application,
    /// Too many associations; later there may be fewer.
    Busy,
}

impl Rejection {
    /// The A-ASSOCIATE-RJ.
    pub fn encode(self) -> Vec<u8> {
        let [result, source, reason] = match self {
            Self::Caller => [1, 1, 3],
            Self::Called => [1, 1, 7],
            Self::Application => [1, 1, 2],
            Self::Busy => [2, 3, 2],
        };
        vec![kind::REJECT, 0, 0, 0, 0, 4, 0, result, source, reason]
    }

    /// A word for counters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Called => "called",
            Self::Application => "application",
            Self::Busy => "busy",
        }
    }
}

/// Says in words what an A-ASSOCIATE-RJ says.
pub fn rejection(body: &[u8]) -> &'static str {
    match body {
        [_, _, 1, 3] => "the calling AE title is not recognized there",
        [_, _, 1, 7] => "the called AE title is not recognized there",
        [_, _, 1, 2] => "the application context is not supported there",
        [_, _, 3, _] => "it is busy",
        _ => "no reason is given",
    }
}

/// Items of a type, a reserved byte, a length of 16 bits and so many bytes.
struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u8, &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = self
            .0
            .split_first_chunk::<4>()
            .and_then(|([kind, _, l0, l1], rest)| {
                let (item, rest) =
                    rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
                self.0 = rest;
                Some((*kind, item))
            });
        if item.is_none() {
            self.0 = &[];
        }
        Some(item.ok_or(WireError::Malformed(
            "an item of the negotiation reaches beyond its PDU",
        )))
    }
}

const APPLICATION_ITEM: u8 = 0x10;
const PROPOSAL_ITEM: u8 = 0x20;
const ANSWER_ITEM: u8 = 0x21;
const CLASS_ITEM: u8 = 0x30;
const SYNTAX_ITEM: u8 = 0x40;
const USER_ITEM: u8 = 0x50;
const PDU_BYTES_ITEM: u8 = 0x51;
const IMPLEMENTATION_CLASS_ITEM: u8 = 0x52;
const IMPLEMENTATION_VERSION_ITEM: u8 = 0x55;

fn item(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut item = vec![kind, 0];
    item.extend((bytes.len() as u16).to_be_bytes());
    item.extend(bytes);
    item
}

/// Text of a UID or title; what is no letter of either becomes a question mark, so that it can be logged.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    let text: String = bytes[..end.map_or(0, |last| last + 1)]
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '?',
        })
        .collect();
    text.trim_matches(' ').to_owned()
}

fn title(title: &str) -> [u8; 16] {
    let mut field = [b' '; 16];
    for (to, from) in field.iter_mut().zip(title.bytes()) {
        *to = from;
    }
    field
}

/// Bytes in front of the items: version, titles, and what is reserved.
const HEAD: usize = 68;

/// The head with the items, as a PDU.
fn pdu(kind: u8, called: &str, calling: &str, items: &[u8]) -> Vec<u8> {
    let mut pdu = vec![kind, 0];
    pdu.extend(((HEAD + items.len()) as u32).to_be_bytes());
    pdu.extend([0, 1, 0, 0]);
    pdu.extend(title(called));
    pdu.extend(title(calling));
    pdu.extend([0; 32]);
    pdu.extend(items);
    pdu
}

fn user_information() -> Vec<u8> {
    let items = [
        item(PDU_BYTES_ITEM, &PDU_BYTES.to_be_bytes()),
        item(IMPLEMENTATION_CLASS_ITEM, implementation_class().as_bytes()),
        item(
            IMPLEMENTATION_VERSION_ITEM,
            IMPLEMENTATION_VERSION.as_bytes(),
        ),
    ];
    item(USER_ITEM, &items.concat())
}

/// Bytes of a P-DATA-TF that the peer takes, by its user information.
fn pdu_bytes(user: &[u8]) -> Result<u32, WireError> {
    let mut bytes = 0;
    for item in Items(user) {
        if let (PDU_BYTES_ITEM, &[b0, b1, b2, b3]) = item? {
            bytes = u32::from_be_bytes([b0, b1, b2, b3]);
        }
    }
    Ok(bytes)
}

impl Request {
    /// Takes the variable part of an A-ASSOCIATE-RQ.
    ///
    /// **Errors**: it is too short, an item reaches beyond it, or a context is proposed twice.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let Some((head, items)) = body.split_at_checked(HEAD) else {
            return Err(WireError::Malformed("an association request is too short"));
        };
        let mut request = Self {
            called: text(&head[4..20]),
            calling: text(&head[20..36]),
            application: String::new(),
            proposals: Vec::new(),
            pdu_bytes: 0,
        };
        for item in Items(items) {
            match item? {
                (APPLICATION_ITEM, name) => request.application = text(name),
                (PROPOSAL_ITEM, &[context, _, _, _, ref items @ ..]) => {
                    let mut proposal = Proposal {
                        context,
                        class: String::new(),
                        syntaxes: Vec::new(),
                    };
                    for item in Items(items) {
                        match item? {
                            (CLASS_ITEM, class) => proposal.class = text(class),
                            (SYNTAX_ITEM, syntax) => proposal.syntaxes.push(text(syntax)),
                            _ => {}
                        }
                    }
                    let known = &request.proposals;
                    if context % 2 == 0 || known.iter().any(|p| p.context == context) {
                        return Err(WireError::Malformed(
                            "a presentation context has a number that it cannot have",
                        ));
                    }
                    request.proposals.push(proposal);
                }
                (USER_ITEM, items) => request.pdu_bytes = pdu_bytes(items)?,
                _ => {}
            }
        }
        Ok(request)
    }

    /// The PDU.
    pub fn encode(&self) -> Vec<u8> {
        let mut items = item(APPLICATION_ITEM, self.application.as_bytes());
        for proposal in &self.proposals {
            let mut bytes = vec![proposal.context, 0, 0, 0];
            bytes.extend(item(CLASS_ITEM, proposal.class.as_bytes()));
            for syntax in &proposal.syntaxes {
                bytes.extend(item(SYNTAX_ITEM, syntax.as_bytes()));
            }
            items.extend(item(PROPOSAL_ITEM, &bytes));
        }
        items.extend(user_information());
        pdu(kind::REQUEST, &self.called, &self.calling, &items)
    }

    /// The A-ASSOCIATE-AC with these answers.
    pub fn accept(&self, answers: &[Answer]) -> Vec<u8> {
        let mut items = item(APPLICATION_ITEM, APPLICATION_CONTEXT.as_bytes());
        for answer in answers {
            let mut bytes = vec![answer.context, 0, answer.verdict, 0];
            bytes.extend(item(SYNTAX_ITEM, answer.syntax.as_bytes()));
            items.extend(item(ANSWER_ITEM, &bytes));
        }
        items.extend(user_information());
        pdu(kind::ACCEPT, &self.called, &self.calling, &items)
    }
}

/// Takes the variable part of an A-ASSOCIATE-AC: the answers, and the bytes of a P-DATA-TF that the peer takes.
///
/// **Errors**: it is too short, or an item reaches beyond it.
pub fn accepted(body: &[u8]) -> Result<(Vec<Answer>, u32), WireError> {
    let Some(items) = body.get(HEAD..) else {
        return Err(WireError::Malformed("an association answer is too short"));
    };
    let (mut answers, mut bytes) = (Vec::new(), 0);
    for item in Items(items) {
        match item? {
            (ANSWER_ITEM, &[context, _, verdict, _, ref items @ ..]) => {
                let mut syntax = String::new();
                // Behind a refusal, peers leave out the syntax or put anything there.
                if verdict == verdict::ACCEPTED {
                    for item in Items(items) {
                        if let (SYNTAX_ITEM, name) = item? {
                            syntax = text(name);
                        }
                    }
                }
                answers.push(Answer {
                    context,
                    verdict,
                    syntax,
                });
            }
            (USER_ITEM, items) => bytes = pdu_bytes(items)?,
            _ => {}
        }
    }
    Ok((answers, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            called: "VESAL".to_owned(),
            calling: "SCANNER".to_owned(),
            application: APPLICATION_CONTEXT.to_owned(),
            proposals: vec![
                Proposal {
                    context: 1,
                    class: "1.2.840.10008.1.1".to_owned(),
                    syntaxes: vec!["1.2.840.10008.1.2".to_owned()],
                },
                Proposal {
                    context: 3,
                    class: "1.2.3".to_owned(),
                    syntaxes: vec!["1.2".to_owned(), "1.3".to_owned()],
                },
            ],
            pdu_bytes: PDU_BYTES,
        }
    }

    #[test]
    fn requests_and_answers_come_back_as_they_were_put() {
        let request = request();
        assert_eq!(Request::decode(&request.encode()[6..]).unwrap(), request);
        let answers = vec![
            Answer {
                context: 1,
                verdict: verdict::ACCEPTED,
                syntax: "1.2.840.10008.1.2".to_owned(),
            },
            Answer {
                context: 3,
                verdict: verdict::SYNTAX,
                syntax: String::new(),
            },
        ];
        let pdu = request.accept(&answers);
        assert_eq!(accepted(&pdu[6..]).unwrap(), (answers, PDU_BYTES));
    }

    #[test]
    fn no_cut_or_changed_request_panics() {
        let whole = request().encode();
        let body = &whole[6..];
        for length in 0..body.len() {
            let _ = Request::decode(&body[..length]);
            let _ = accepted(&body[..length]);
        }
        for at in 0..body.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = body.to_vec();
                changed[at] = value;
                let _ = Request::decode(&changed);
                let _ = accepted(&changed);
            }
        }
        assert!(Request::decode(&body[..HEAD + 3]).is_err());
    }

    #[test]
    fn contexts_are_odd_and_different() {
        let mut twice = request();
        twice.proposals[1].context = 1;
        assert!(Request::decode(&twice.encode()[6..]).is_err());
        twice.proposals[1].context = 2;
        assert!(Request::decode(&twice.encode()[6..]).is_err());
    }
}
