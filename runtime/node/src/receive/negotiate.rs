//! Negotiation of associations.

use std::net::IpAddr;

use vesal_io::dicom::{IMAGE_CLASSES, TransferSyntax};

use crate::config::Config;
use crate::network::association::{
    APPLICATION_CONTEXT, AssociateRequest, ContextResult, PresentationContext, Rejection, result,
};
use crate::network::command::VERIFICATION;

/// The service of the called AE title, if this caller may use it.
///
/// **Errors**: the rejection.
pub fn service(
    config: &Config,
    request: &AssociateRequest,
    from: IpAddr,
) -> Result<usize, Rejection> {
    if request.application != APPLICATION_CONTEXT {
        return Err(Rejection::Application);
    }
    // A caller that may not send does not learn which titles exist.
    if !config.callers.allow(&request.calling, from) {
        return Err(Rejection::Caller);
    }
    config
        .services
        .iter()
        .position(|service| service.ae_title == request.called)
        .ok_or(Rejection::Called)
}

/// The result of each presentation context: images in transfer syntaxes that can be decoded, and C-ECHO, are accepted.
pub fn answers(request: &AssociateRequest) -> Vec<ContextResult> {
    request.contexts.iter().map(answer).collect()
}

fn answer(proposed: &PresentationContext) -> ContextResult {
    let first = || proposed.syntaxes.first().cloned().unwrap_or_default();
    let is_echo = proposed.class == VERIFICATION;
    let (result, syntax) = if !is_echo && !IMAGE_CLASSES.contains(&proposed.class.as_str()) {
        (result::CLASS, first())
    } else {
        let usable = proposed
            .syntaxes
            .iter()
            .find(|syntax| TransferSyntax::of(syntax).is_some());
        match usable {
            Some(syntax) => (result::ACCEPTED, syntax.clone()),
            None => (result::SYNTAX, first()),
        }
    };
    ContextResult {
        context: proposed.context,
        result,
        syntax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(class: &str, syntaxes: &[&str]) -> (u8, String) {
        let answer = answer(&PresentationContext {
            context: 1,
            class: class.to_owned(),
            syntaxes: syntaxes.iter().map(|&uid| uid.to_owned()).collect(),
        });
        (answer.result, answer.syntax)
    }

    #[test]
    fn images_that_can_be_decoded_are_taken() {
        let (ct, explicit) = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1");
        // JPEG XL, which cannot be decoded, and then what can.
        let jpeg_xl = "1.2.840.10008.1.2.4.110";
        assert_eq!(
            verdict_of(ct, &[jpeg_xl, explicit]),
            (result::ACCEPTED, explicit.to_owned())
        );
        assert_eq!(verdict_of(ct, &[jpeg_xl]).0, result::SYNTAX);
        assert_eq!(verdict_of(ct, &[]).0, result::SYNTAX);
        assert_eq!(verdict_of(VERIFICATION, &[explicit]).0, result::ACCEPTED);
        // A secondary capture, and a search.
        for class in [
            "1.2.840.10008.5.1.4.1.1.7",
            "1.2.840.10008.5.1.4.1.2.2.1",
            "",
        ] {
            assert_eq!(verdict_of(class, &[explicit]).0, result::CLASS);
        }
    }
}
