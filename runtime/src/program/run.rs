//! Runs commands: calls the library, prints the result, and returns an exit code.

use std::borrow::Cow;
use std::env;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use serde::Serialize;
use vesal::bench::Benchmark;
use vesal::devices::Devices;
use vesal::document::write_json;
use vesal::evaluate::Evaluation;
use vesal::inspect::Inspection;
use vesal::predict::BatchPrediction;
use vesal::serve::Prepared;
use vesal::tune::{Forgotten, Tuning};
use vesal::verify::Verification;
use vesal_cli::{Exit, Failure, Text, stderr, stdout};
use vesal_files::document::{VersionedDocument, with_header};
use vesal_node::config::EXAMPLE;
use vesal_node::{ChildProcess, log};

use crate::cli::{
    BenchArguments, Cli, Command, CompletionsArguments, ConvertArguments, DevicesArguments,
    EvaluateArguments, InspectArguments, PredictArguments, ServeArguments, SetupArguments,
    TuneArguments, VerifyArguments,
};
use crate::interrupt;
use crate::node::{PredictCommand, understand};
use crate::terminal::Terminal;

/// Runs a command.
///
/// **Errors**: those of the command, with their exit codes.
pub fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Predict(arguments) => predict(arguments),
        Command::Serve(arguments) => serve(arguments),
        Command::Evaluate(arguments) => evaluate(arguments),
        Command::Inspect(arguments) => inspect(arguments),
        Command::Convert(arguments) => convert(arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Bench(arguments) => bench(arguments),
        Command::Tune(arguments) => tune(arguments),
        Command::Devices(arguments) => devices(arguments),
        Command::Setup(arguments) => setup(arguments),
        Command::Completions(arguments) => completions(arguments),
    }
}

/// Prints a result: as one JSON document, or as text.
fn print<T: VersionedDocument + Serialize>(
    json: bool,
    result: &T,
    text: impl FnOnce(&T) -> Text,
) -> Result<(), Failure> {
    if json {
        stdout::print_json(&with_header(result))
    } else {
        stdout::print(&text(result))
    }
}

fn predict(arguments: &PredictArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    let terminal = Terminal::new(arguments.json);
    let predicted = vesal::predict(&arguments.options, &terminal);
    if arguments.json
        && let Ok(prediction) = &predicted
    {
        stdout::print_json(&with_header(&prediction.record))?;
    }
    let result = predicted.and_then(BatchPrediction::into_result);
    if let (Some(path), Err(error)) = (&arguments.failure, &result) {
        // Where it cannot be written, only the exit code remains.
        let _ = write_json(path, &vesal::reason(error), true);
    }
    terminal.conclude(result)?;
    Ok(Exit::Success)
}

fn serve(arguments: &ServeArguments) -> Result<Exit, Failure> {
    let options = &arguments.options;
    let Some(path) = &options.config else {
        stdout::print_own(EXAMPLE)?;
        return Ok(Exit::Success);
    };
    let config = vesal::serve::read_config(path)?;
    let level = env::var_os("VESAL_LOG");
    let level = level.as_ref().map(|level| level.to_string_lossy());
    let settings = vesal::serve::log_settings(&config, level.as_ref().map(Cow::as_ref))?;
    log::install(settings, Box::new(io::stderr()));
    let terminal = Terminal::new(false);
    let prepared = Prepared::new(config, &understand, &terminal)?;
    if options.check {
        terminal.conclude(prepared.check(&terminal))?;
        let mut text = Text::new();
        text.line(format!("the settings `{}` can be used", path.display()));
        stdout::print(&text)?;
        return Ok(Exit::Success);
    }
    interrupt::listen()?;
    let program = env::current_exe().map_err(|error| {
        Failure::new(Exit::Bug, error).attempting("cannot find the program's own file")
    })?;
    let predict = ChildProcess {
        program,
        command_line: PredictCommand,
    };
    let node = prepared.start(Arc::new(predict))?;
    while !interrupt::requested() {
        thread::sleep(Duration::from_millis(100));
    }
    node.stop();
    Ok(Exit::Success)
}

fn evaluate(arguments: &EvaluateArguments) -> Result<Exit, Failure> {
    let evaluation = vesal::evaluate(&arguments.options)?;
    print(arguments.json, &evaluation, Evaluation::text)?;
    for complaint in evaluation.complaints() {
        stderr::warning(complaint);
    }
    Ok(if evaluation.is_complete() {
        Exit::Success
    } else {
        Exit::FailedCases
    })
}

fn inspect(arguments: &InspectArguments) -> Result<Exit, Failure> {
    let inspection = vesal::inspect(&arguments.options)?;
    print(arguments.json, &inspection, Inspection::text)?;
    Ok(Exit::Success)
}

fn convert(arguments: &ConvertArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    let terminal = Terminal::new(arguments.json);
    let conversion = terminal.conclude(vesal::convert(&arguments.options, &terminal))?;
    if arguments.json {
        stdout::print_json(&with_header(&conversion.document))?;
    }
    conversion.into_result()?;
    Ok(Exit::Success)
}

fn verify(arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let verification = vesal::verify(&arguments.options, &Terminal::new(arguments.json))?;
    print(arguments.json, &verification, Verification::text)?;
    verification.into_result()?;
    Ok(Exit::Success)
}

fn bench(arguments: &BenchArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    let benchmark = vesal::bench(&arguments.options, &Terminal::new(arguments.json))?;
    print(arguments.json, &benchmark, Benchmark::text)?;
    Ok(Exit::Success)
}

fn tune(arguments: &TuneArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    if arguments.forget {
        let forgotten = vesal::tune::forget(&arguments.options.bundle)?;
        print(arguments.json, &forgotten, Forgotten::text)?;
    } else {
        let tuning = vesal::tune(&arguments.options, &Terminal::new(arguments.json))?;
        print(arguments.json, &tuning, Tuning::text)?;
    }
    Ok(Exit::Success)
}

fn devices(arguments: &DevicesArguments) -> Result<Exit, Failure> {
    let devices = vesal::devices(&arguments.options)?;
    print(arguments.json, &devices, Devices::text)?;
    Ok(Exit::Success)
}

fn setup(arguments: &SetupArguments) -> Result<Exit, Failure> {
    let installed = vesal::setup(&arguments.options, &Terminal::new(false))?;
    stdout::print(&installed.text())?;
    Ok(Exit::Success)
}

fn completions(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "vesal", &mut script);
    stdout::print_own(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
