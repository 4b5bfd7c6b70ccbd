//! `vesal predict` as a node calls it.

use std::ffi::OsString;

use clap::Parser;
use vesal::predict::PredictOptions;
use vesal::reason::by_exit;
use vesal::serve::error::ServeError;
use vesal_cli::Exit;
use vesal_node::{ExitMeaning, PredictionProgram, PredictionRequest, Reason};

use crate::cli::{Cli, Command};

/// The command line and exit codes of `vesal predict`.
#[derive(Debug, Clone, Copy)]
pub struct PredictCommand;

impl PredictionProgram for PredictCommand {
    fn arguments(&self, request: &PredictionRequest<'_>) -> Vec<OsString> {
        let service = request.service;
        let mut arguments: Vec<OsString> = vec![
            "predict".into(),
            "--bundle".into(),
            service.bundle.clone().into(),
            "--input".into(),
            request.input.into(),
            "--output".into(),
            request.output.into(),
            "--format".into(),
            service.formats.join(",").into(),
            "--geometry".into(),
            service.geometry.clone().into(),
            "--report".into(),
            request.output.join("report.json").into(),
            "--failure".into(),
            request.failure_file().into(),
            "--uid-key".into(),
            request.uid_key.into(),
            "--overwrite".into(),
        ];
        if let Some(bytes) = request.run_ram {
            arguments.extend(["--max-ram".into(), bytes.to_string().into()]);
        }
        if let Some(digest) = &service.bundle_sha256 {
            arguments.extend(["--bundle-sha256".into(), digest.into()]);
        }
        if let Some(key) = &service.bundle_key {
            arguments.extend(["--bundle-key".into(), key.into()]);
        }
        if service.require_signature {
            arguments.push("--require-signature".into());
        }
        if request.mark_incomplete {
            arguments.push("--mark-incomplete".into());
        }
        if let Some(rules) = &service.dicom_rules {
            arguments.extend(["--dicom-rules".into(), rules.into()]);
        }
        for series in &service.series {
            arguments.extend(["--series".into(), series.into()]);
        }
        arguments.extend(service.options.iter().map(OsString::from));
        arguments
    }

    fn meaning(&self, exit: i32) -> ExitMeaning {
        match Exit::from_code(exit) {
            Some(Exit::Success) => ExitMeaning::Done,
            // Unsuitable images remain unsuitable; bundle and settings can be corrected.
            Some(exit @ (Exit::Input | Exit::FailedCases)) => ExitMeaning::Failed(by_exit(exit)),
            Some(Exit::Interrupted) => ExitMeaning::Interrupted,
            Some(exit @ (Exit::Bug | Exit::Usage | Exit::Bundle | Exit::Device | Exit::Output)) => {
                ExitMeaning::Retry(by_exit(exit))
            }
            None => ExitMeaning::Retry(Reason::Exit { exit }),
        }
    }
}

/// The options of `vesal predict` as parsed from a node's arguments.
///
/// **Errors**: [`ServeError::Options`].
pub fn understand(request: &PredictionRequest<'_>) -> Result<PredictOptions, ServeError> {
    let told = std::iter::once("vesal".into()).chain(PredictCommand.arguments(request));
    let reason = match Cli::try_parse_from(told) {
        Ok(Cli {
            command: Command::Predict(arguments),
        }) => return Ok(arguments.options),
        Ok(_) => "its `options` are no options of `vesal predict`".to_owned(),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    };
    Err(ServeError::Options { reason })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use vesal_node::Config;
    use vesal_node::config::{EXAMPLE, Service};

    use super::*;

    fn parse(text: &str) -> Result<Config, vesal_node::NodeConfigError> {
        Config::parse(text, Path::new("/x/y"))
    }

    /// The arguments for a service with all of its options.
    fn told(change: impl FnOnce(&mut Service)) -> Vec<OsString> {
        let mut config = parse(EXAMPLE).unwrap();
        let service = &mut config.services[0];
        service.bundle_sha256 = Some("ab".to_owned());
        service.bundle_key = Some("/x/bundle.pub".into());
        service.require_signature = true;
        change(service);
        PredictCommand.arguments(&PredictionRequest {
            service,
            input: Path::new("/in"),
            output: Path::new("/out"),
            limit: Duration::ZERO,
            mark_incomplete: true,
            uid_key: Path::new("/storage/key"),
            run_ram: Some(1 << 30),
        })
    }

    #[test]
    fn it_is_told_what_to_do() {
        let told = told(|_| ()).join(std::ffi::OsStr::new(" "));
        assert_eq!(
            told.to_str().unwrap(),
            "predict --bundle /x/bundle --input /in --output /out --format seg --geometry strict \
             --report /out/report.json --failure /out/failure.json --uid-key /storage/key --overwrite \
             --max-ram 1073741824 --bundle-sha256 ab --bundle-key /x/bundle.pub --require-signature \
             --mark-incomplete"
        );
    }

    #[test]
    fn what_a_prediction_is_told_is_no_option_of_a_service() {
        let told = told(|service| {
            service.dicom_rules = Some("rules".into());
            (service.series, service.options) = (vec!["t1=4".to_owned()], Vec::new());
        });
        let told: Vec<&str> = told.iter().map(|told| told.to_str().unwrap()).collect();
        for option in told.iter().filter(|told| told.starts_with("--")) {
            let options = format!("options = [{option:?}]");
            let text = EXAMPLE.replace("# options = [\"--device\", \"cpu\"]", &options);
            let message = parse(&text).unwrap_err().to_string();
            assert!(message.contains(&format!("has `{option}`")), "{message}");
        }
    }

    #[test]
    fn exit_codes_say_whether_to_try_again() {
        for (exit, meaning) in [
            (0, ExitMeaning::Done),
            (3, ExitMeaning::Failed(Reason::Input)),
            (7, ExitMeaning::Failed(Reason::Input)),
            (1, ExitMeaning::Retry(Reason::Bug)),
            (2, ExitMeaning::Retry(Reason::Settings)),
            (4, ExitMeaning::Retry(Reason::Bundle)),
            (5, ExitMeaning::Retry(Reason::Device)),
            (6, ExitMeaning::Retry(Reason::Output)),
            (130, ExitMeaning::Interrupted),
            (99, ExitMeaning::Retry(Reason::Exit { exit: 99 })),
        ] {
            assert_eq!(PredictCommand.meaning(exit), meaning, "{exit}");
        }
    }
}
