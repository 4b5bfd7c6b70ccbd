//! What is accepted of what an association proposes.

use std::net::IpAddr;

use vesal_io::dicom::{IMAGE_CLASSES, TransferSyntax};

use crate::config::Config;
use crate::network::association::{
    APPLICATION_CONTEXT, Answer, Proposal, Rejection, Request, verdict,
};
use crate::network::command::VERIFICATION;

/// The service that is called, if this caller may call it.
///
/// **Errors**: the rejection to answer with.
pub fn service(config: &Config, request: &Request, from: IpAddr) -> Result<usize, Rejection> {
    if request.application != APPLICATION_CONTEXT {
        return Err(Rejection::Application);
    }
    // Who may not send, is not told which titles there are.
    if !config.callers.allow(&request.calling, from) {
        return Err(Rejection::Caller);
    }
    config
        .services
        .iter()
        .position(|service| service.ae_title == request.called)
        .ok_or(Rejection::Called)
}

/// The answer to each proposal: images in syntaxes that can be decoded, and echoes.
pub fn answers(request: &Request) -> Vec<Answer> {
    request.proposals.iter().map(answer).collect()
}

fn answer(proposal: &Proposal) -> Answer {
    let first = || proposal.syntaxes.first().cloned().unwrap_or_default();
    let is_echo = proposal.class == VERIFICATION;
    let (verdict, syntax) = if !is_echo && !IMAGE_CLASSES.contains(&proposal.class.as_str()) {
        (verdict::CLASS, first())
    } else {
        let usable = proposal
            .syntaxes
            .iter()
            .find(|syntax| TransferSyntax::of(syntax).is_some());
        match usable {
            Some(syntax) => (verdict::ACCEPTED, syntax.clone()),
            None => (verdict::SYNTAX, first()),
        }
    };
    Answer {
        context: proposal.context,
        verdict,
        syntax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(class: &str, syntaxes: &[&str]) -> (u8, String) {
        let answer = answer(&Proposal {
            context: 1,
            class: class.to_owned(),
            syntaxes: syntaxes.iter().map(|&uid| uid.to_owned()).collect(),
        });
        (answer.verdict, answer.syntax)
    }

    #[test]
    fn images_that_can_be_decoded_are_taken() {
        let (ct, explicit) = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1");
        // JPEG XL, which cannot be decoded, and then what can.
        let jpeg_xl = "1.2.840.10008.1.2.4.110";
        assert_eq!(
            verdict_of(ct, &[jpeg_xl, explicit]),
            (verdict::ACCEPTED, explicit.to_owned())
        );
        assert_eq!(verdict_of(ct, &[jpeg_xl]).0, verdict::SYNTAX);
        assert_eq!(verdict_of(ct, &[]).0, verdict::SYNTAX);
        assert_eq!(verdict_of(VERIFICATION, &[explicit]).0, verdict::ACCEPTED);
        // A secondary capture, and a search.
        for class in [
            "1.2.840.10008.5.1.4.1.1.7",
            "1.2.840.10008.5.1.4.1.2.2.1",
            "",
        ] {
            assert_eq!(verdict_of(class, &[explicit]).0, verdict::CLASS);
        }
    }
}
