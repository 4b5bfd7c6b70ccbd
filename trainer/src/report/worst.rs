//! The worst cases, predicted again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vesal_bundle::case_scores::CaseScore;
use vesal_bundle::work_dir::RunId;

use super::format::{chain, count, dice, short};
use super::options::ReportOptions;
use super::page::{Section, escaped, figure};
use super::png::LINES;
use super::slice::{Scan, SliceError};
use crate::fit::{self, HeldOut, RunScores};
use crate::work_dir::{RunNames, WorkDir};

/// Colors of the outlines of truth and prediction.
const TRUTH: usize = 0;
const PREDICTION: usize = 1;

/// Pictures of the slices where truth and prediction differ most.
pub fn section(
    work: &WorkDir,
    scores: &[RunScores],
    options: &ReportOptions,
    left_out: &mut Vec<String>,
) -> Section {
    let mut section = Section::new("worst", "Worst cases");
    if scores.is_empty() {
        section.missing(
            "No case has been scored yet.",
            "vesal-train auto --work-dir DIR",
        );
        return section;
    }
    if options.worst == 0 {
        section.note(
            "Left out as asked for; --worst N predicts the N worst cases again and shows them.",
        );
        return section;
    }
    if !work.has_data() {
        section.note("The images are not where the work directory remembers them; --dataroot DIR tells where they are.");
        return section;
    }
    let all = fit::worst_first(scores);
    let names = RunNames::among(scores.iter().map(|scores| &scores.run));
    let worst: Vec<(&RunId, &CaseScore)> = all
        .into_iter()
        .filter(|(_, case)| case.mean_dice().is_some())
        .take(options.worst)
        .collect();
    section.paragraph(&format!(
        "The {} with the lowest mean Dice, predicted again with the best weights of the fold that held them out.",
        count(worst.len(), "case")
    ));
    section.key(&[
        (LINES[TRUTH], "truth"),
        (LINES[PREDICTION], "prediction"),
        ([255; 3], "both"),
    ]);
    let mut pictures: HashMap<(&RunId, &str), String> = HashMap::new();
    for run in scores.iter().map(|scores| &scores.run) {
        let of_run: Vec<&str> = worst
            .iter()
            .filter(|(own, _)| *own == run)
            .map(|(_, case)| case.case.as_str())
            .collect();
        if of_run.is_empty() {
            continue;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut failed = |error: &dyn std::error::Error| {
            let name = names.phrase(run);
            left_out.push(format!("worst cases of {name}: {}", chain(error)));
        };
        let request = match work.fit_request(run, options.devices.clone(), stop) {
            Ok(request) => request,
            Err(error) => {
                failed(&error);
                continue;
            }
        };
        let mut unseen = None;
        let done = fit::predict_held_out(&request, &of_run, |held_out| {
            let name = of_run.iter().find(|name| **name == held_out.case.id);
            match (name, draw(held_out)) {
                (Some(name), Ok(drawn)) => {
                    pictures.insert((run, name), drawn);
                }
                (_, Err(error)) => unseen = Some(error),
                (None, Ok(_)) => {}
            }
        });
        if let Some(error) = unseen {
            failed(&error);
        }
        if let Err(error) = done {
            failed(&error);
        }
    }
    for (run, case) in worst {
        let name = case.case.as_str();
        section.heading(&format!(
            "{name} ({}): mean Dice {}",
            names.phrase(run),
            dice(case.mean_dice())
        ));
        let labels: Vec<String> = case
            .labels
            .iter()
            .map(|(label, score)| {
                format!(
                    "{label}: Dice {}, {} ml predicted, {} ml true",
                    dice(score.dice),
                    short(score.prediction_ml),
                    short(score.truth_ml)
                )
            })
            .collect();
        section.paragraph(&format!("{}.", labels.join("; ")));
        match pictures.get(&(run, name)) {
            Some(drawn) => {
                section.markup(&format!("<div class=\"gallery pictures\">{drawn}</div>"));
            }
            None => section.note(
                "No picture: its files, or the weights and plans that it was scored with, are not what they were. \
                 The program told more when it wrote this page.",
            ),
        }
    }
    section
}

/// The slice within the truth where most voxels differ, without and with outlines.
fn draw(held_out: HeldOut<'_>) -> Result<String, SliceError> {
    let HeldOut {
        case,
        truth,
        prediction,
        epoch,
    } = held_out;
    let file = case.images.first().ok_or(SliceError::Empty)?;
    let scan = Scan::read(file)?;
    let truth = scan.outline(truth, Some(TRUTH)).ok_or(SliceError::Empty)?;
    let prediction = scan
        .outline(prediction, Some(PREDICTION))
        .ok_or(SliceError::Empty)?;
    // Slices outside of the truth would show less about the errors.
    let has_truth = scan.slices_with(|voxel| truth.has(voxel, None));
    let slice = scan.slice_with_most(|voxel| {
        let slice = scan.slice_of(voxel);
        has_truth[slice] && truth.differs(&prediction, voxel)
    });
    let place = format!("slice {} of {}, {}", slice + 1, scan.slices(), scan.view());
    let alt = |what: &str| escaped(&format!("Slice of {}{what}", case.id));
    let plain = scan.draw(slice, &[], None).element(&alt(""));
    let outlined = scan
        .draw(slice, &[&truth, &prediction], None)
        .element(&alt(" with outlines of truth and prediction"));
    Ok([
        figure(&plain, &format!("Image, {place}.")),
        figure(
            &outlined,
            &format!("Truth and prediction (weights of epoch {epoch}), where most voxels differ among the slices with truth."),
        ),
    ]
    .concat())
}
