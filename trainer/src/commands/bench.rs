//! `vesal-train bench`.

use std::time::Duration;

use serde_json::json;
use vesal_cli::stdout::{print, print_json};
use vesal_cli::{Columns, Exit, Failure, Text};
use vesal_trainer::algorithms::{self, NetworkSize};
use vesal_trainer::fit::{BenchRequest, StepTimes, bench};

use super::failure::fit_failure;
use crate::cli::BenchArguments;

/// Measures steps and prints their median.
pub fn run(arguments: &BenchArguments) -> Result<Exit, Failure> {
    let attempt = "cannot measure a step";
    let roi_size = <[usize; 3]>::try_from(arguments.roi.as_slice()).map_err(|_| {
        let found = arguments.roi.len();
        Failure::new(
            Exit::Usage,
            format!("`--roi` has {found} numbers, expected 3"),
        )
        .attempting(attempt)
    })?;
    let algorithm = algorithms::find(&arguments.algorithm)
        .map_err(|error| Failure::new(Exit::Usage, error).attempting(attempt))?;
    let network = (algorithm.network)(&NetworkSize {
        in_channels: arguments.channels,
        out_channels: arguments.classes,
        init_filters: arguments.filters,
        blocks_down: arguments.blocks.clone(),
    });
    network
        .validate()
        .map_err(|error| Failure::new(Exit::Usage, error).attempting(attempt))?;
    network.check_window(roi_size).map_err(|error| {
        let message = format!("`--roi` does not fit the network: {error}");
        Failure::new(Exit::Usage, message).attempting(attempt)
    })?;
    let request = BenchRequest {
        recipe: &algorithm.recipe,
        network,
        roi_size,
        batch: arguments.batch.max(1),
        steps: arguments.steps.max(1),
        devices: arguments.devices.device.clone(),
        use_amp: arguments.amp,
    };
    let times = bench(&request).map_err(|error| fit_failure(error).attempting(attempt))?;
    report(arguments, &request, &times)?;
    Ok(Exit::Success)
}

fn report(
    arguments: &BenchArguments,
    request: &BenchRequest,
    times: &StepTimes,
) -> Result<(), Failure> {
    let mut sorted = times.steps.clone();
    sorted.sort_unstable();
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
    let [median, least] = [sorted.len() / 2, 0].map(|index| milliseconds(sorted[index]));
    let device_mib = times
        .device_bytes
        .map(|bytes| bytes as f64 / 1024.0 / 1024.0);
    if arguments.json {
        return print_json(&json!({
            "format": "vesal-step-times",
            "format_version": 1,
            "device": request.devices.to_string(),
            "amp": request.use_amp,
            "roi": request.roi_size,
            "batch": request.batch,
            "parameters": times.parameters,
            "step_ms_median": median,
            "step_ms_min": least,
            "first_step_s": times.first_step.as_secs_f64(),
            "device_mib": device_mib,
            "loss": times.loss,
        }));
    }
    let mut rows = vec![
        ["parameters".to_owned(), times.parameters.to_string()],
        ["step, median".to_owned(), format!("{median:.2} ms")],
        ["step, least".to_owned(), format!("{least:.2} ms")],
        [
            "first step after".to_owned(),
            format!("{:.2} s", times.first_step.as_secs_f64()),
        ],
    ];
    rows.extend(device_mib.map(|mib| ["device memory".to_owned(), format!("{mib:.0} MiB")]));
    let rows: Vec<_> = rows.into_iter().map(Vec::from).collect();
    let mut text = Text::new();
    text.columns(&rows, Columns::Numbers);
    print(&text)
}
