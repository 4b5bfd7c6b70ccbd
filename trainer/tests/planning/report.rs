//! The page about a work directory is complete, escaped, well-formed and self-contained.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::dataset_on_disk::{Dataset, image, labels};
use tempfile::TempDir;
use vesal_bundle::work_dir::RunId;
use vesal_trainer::fit::{self, FitOutcome, TrainDevice};
use vesal_trainer::report::{Report, ReportOptions, report};
use vesal_trainer::work_dir::{Request, WorkDir};
use vesal_volume::Affine;

/// A name that would become markup if it were not escaped.
const HOSTILE: &str = "a<script>&\"'`b";
/// The same for the name of a label.
const LABEL: &str = "f<i>&\"1";
const SECTIONS: [&str; 7] = [
    "summary", "data", "findings", "plan", "training", "scores", "worst",
];

/// Six cases: one with a hostile name, one without foreground, one without a label map.
fn dataset() -> Dataset {
    let mut dataset = Dataset::new(4);
    dataset.image(HOSTILE, &image(4), Affine::IDENTITY);
    dataset.label(HOSTILE, &labels(), Affine::IDENTITY);
    dataset.list(HOSTILE);
    dataset.image("empty", &image(5), Affine::IDENTITY);
    dataset.label("empty", &labels().mapv(|_| 0), Affine::IDENTITY);
    dataset.list("empty");
    dataset.list("missing");
    dataset
}

/// A work directory with settings for a training of about a second.
fn work_dir(dataset: &Dataset) -> (TempDir, WorkDir) {
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let text = std::fs::read_to_string(&task).unwrap();
    std::fs::write(&task, text.replace("[first,", &format!("['{LABEL}',"))).unwrap();
    let settings = [
        "num_epochs=2",
        "num_epochs_per_validation=1",
        "roi_size=[8, 8, 8]",
        "network#init_filters=8",
        "network#blocks_down=[1, 1]",
    ]
    .map(str::to_owned);
    let request = Request {
        input: Some(&task),
        folds: Some(2),
        settings: &settings,
        ..Request::default()
    };
    let work = WorkDir::prepare(&folder.path().join("work"), &request).unwrap();
    (folder, work)
}

fn run(fold: usize) -> RunId {
    RunId::new("segresnet", fold)
}

fn train(work: &WorkDir, fold: usize) {
    let stop = Arc::new(AtomicBool::new(false));
    let request = work
        .fit_request(&run(fold), TrainDevice::Cpu.into(), stop)
        .unwrap();
    let outcome = fit::run(&request, &mut ()).unwrap();
    assert!(matches!(outcome, FitOutcome::Finished { .. }));
}

fn page(work: &WorkDir, worst: usize) -> Report {
    let options = ReportOptions {
        worst,
        devices: TrainDevice::Cpu.into(),
    };
    report(work, &options).unwrap()
}

/// The part of a page with this identifier.
fn section<'a>(html: &'a str, id: &str) -> &'a str {
    let start = html.find(&format!("<section id=\"{id}\"")).expect(id);
    let rest = &html[start..];
    &rest[..rest.find("</section>").expect(id)]
}

/// Checks that a page is self-contained and that every element is closed.
fn check(html: &str) {
    for id in SECTIONS {
        assert!(
            html.contains(&format!("href=\"#{id}\"")),
            "{id} is not in the contents"
        );
        assert!(section(html, id).contains("<h2 id="), "{id} has no heading");
    }
    assert!(!html.contains("http"), "an address of elsewhere");
    assert!(!html.contains("<script"), "a script");
    for attribute in ["src=\"", "url(", "href=\""] {
        for value in html.split(attribute).skip(1) {
            let starts = |start| value.starts_with(start);
            assert!(
                starts("data:") || starts("#"),
                "{attribute}{}",
                &value[..20]
            );
        }
    }
    let (_, markup) = html.split_once("<!DOCTYPE html>").unwrap();
    let mut open: Vec<&str> = Vec::new();
    for part in markup.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag has its end");
        assert!(!text.contains('>'), "a bare > after <{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of <{tag}>");
        for entity in text.split('&').skip(1) {
            let (name, _) = entity.split_once(';').expect("an entity has its end");
            assert!(
                ["amp", "lt", "gt", "quot", "#39"].contains(&name),
                "&{name};"
            );
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> in {open:?}");
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}

fn no_path_of_this_machine(html: &str, folders: [&Path; 2]) {
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(!html.contains(name), "the page has a path with {name}");
    }
}

#[test]
fn before_anything_was_done_each_section_tells_what_to_do() {
    let dataset = dataset();
    let (_folder, work) = work_dir(&dataset);
    let Report { html, left_out } = page(&work, 3);
    check(&html);
    assert_eq!(left_out, [""; 0]);
    for (id, command) in [
        ("data", "vesal-train analyze"),
        ("findings", "vesal-train analyze"),
        ("plan", "vesal-train plan"),
        ("training", "vesal-train auto"),
        ("scores", "vesal-train auto"),
        ("worst", "vesal-train auto"),
    ] {
        assert!(section(&html, id).contains(command), "{id}");
    }
    assert!(!html.contains("<svg") && !html.contains("<img"));
}

#[test]
fn a_trained_work_directory_is_shown_whole() {
    let dataset = dataset();
    let (folder, mut work) = work_dir(&dataset);
    work.analyze(false, |_| {}).unwrap();
    work.plan(false).unwrap();
    train(&work, 0);
    let Report { html, left_out } = page(&work, 2);
    check(&html);
    no_path_of_this_machine(&html, [folder.path(), dataset.folder.path()]);
    assert_eq!(left_out, [""; 0]);
    assert_eq!(page(&work, 2).html, html, "the same page each time");

    let escaped = "a&lt;script&gt;&amp;&quot;&#39;`b";
    assert!(html.contains(escaped), "the hostile case is named");
    assert!(html.contains("Volume of f&lt;i&gt;&amp;&quot;1"));
    assert!(section(&html, "summary").contains("1 of 2"));
    assert!(section(&html, "data").matches("<svg").count() >= 8);
    let findings = section(&html, "findings");
    assert!(findings.contains("empty label map") && findings.contains("missing file"));
    assert!(findings.contains("<img alt=\"Slice of empty: empty label map\""));
    let plan = section(&html, "plan");
    assert!(plan.contains("<code>roi_size</code>") && plan.contains("[8, 8, 8]"));
    assert!(plan.contains("set by you") && plan.contains("median in x and y"));
    let training = section(&html, "training");
    assert!(training.contains("Loss, fold 0") && training.contains("Validation Dice, fold 0"));
    assert!(!training.contains("fold 1"), "fold 1 has not been trained");
    let scores = section(&html, "scores");
    assert!(scores.contains("Without scores yet: fold 1."));
    let held_out = work.scores(&[run(0)]).unwrap();
    assert_eq!(held_out.len(), 1);
    for (_, case) in fit::worst_first(&held_out) {
        let name = case.case.replace(HOSTILE, escaped);
        assert!(scores.contains(&name), "{name}");
    }
    let worst = section(&html, "worst");
    assert_eq!(
        worst.matches("<img").count(),
        4,
        "two pictures of two cases"
    );
}

#[test]
fn predictions_for_the_page_are_those_that_were_scored() {
    let dataset = dataset();
    let (_folder, mut work) = work_dir(&dataset);
    work.analyze(false, |_| {}).unwrap();
    work.plan(false).unwrap();
    train(&work, 1);
    let scores = fit::scores(&work.run_dir(&run(1))).unwrap().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let request = work
        .fit_request(&run(1), TrainDevice::Cpu.into(), stop)
        .unwrap();
    let names: Vec<&str> = scores.cases.iter().map(|case| case.case.as_str()).collect();
    let mut seen = 0;
    fit::predict_held_out(&request, &names, |held_out| {
        let case = scores
            .cases
            .iter()
            .find(|case| case.case == held_out.case.id);
        let labels = &case.unwrap().labels;
        let ml = |value: u16| {
            let voxels = held_out.prediction.data.iter().filter(|&&own| own == value);
            voxels.count() as f64 / 1000.0
        };
        for (value, name) in [(1, LABEL), (2, "second")] {
            assert!(
                (labels[name].prediction_ml - ml(value)).abs() < 1e-9,
                "{name}"
            );
        }
        seen += 1;
    })
    .unwrap();
    assert_eq!(seen, names.len());
    assert!(seen >= 2);
}

#[test]
fn without_the_images_the_page_says_so() {
    let dataset = dataset();
    let (_folder, mut work) = work_dir(&dataset);
    work.analyze(false, |_| {}).unwrap();
    work.plan(false).unwrap();
    train(&work, 0);
    let kept = page(&work, 0).html;
    check(&kept);
    assert!(section(&kept, "worst").contains("--worst N"));
    let path = work.path().to_owned();
    drop(dataset);
    let work = WorkDir::open(&path, None).unwrap();
    let Report { html, left_out } = page(&work, 2);
    check(&html);
    assert_eq!(left_out, [""; 0]);
    assert!(!html.contains("<img"));
    for id in ["findings", "worst"] {
        assert!(section(&html, id).contains("--dataroot DIR"), "{id}");
    }
}

#[test]
fn a_page_without_its_plan_still_shows_the_scores() {
    let dataset = dataset();
    let (_folder, mut work) = work_dir(&dataset);
    work.analyze(false, |_| {}).unwrap();
    work.plan(false).unwrap();
    train(&work, 0);
    let path = work.path().join("segresnet/train_plan.json");
    let changed = std::fs::read_to_string(&path).unwrap() + " ";
    std::fs::write(&path, changed).unwrap();
    let Report { html, left_out } = page(&work, 1);
    check(&html);
    assert!(section(&html, "plan").contains("vesal-train plan"));
    assert!(section(&html, "worst").contains("No picture"));
    assert_eq!(left_out.len(), 1);
    assert!(left_out[0].contains("train_plan.json"), "{}", left_out[0]);
}

#[test]
fn several_algorithms_are_compared() {
    let dataset = dataset();
    let (_folder, mut work) = work_dir(&dataset);
    work.analyze(false, |_| {}).unwrap();
    work.plan(false).unwrap();
    train(&work, 0);
    assert!(!page(&work, 0).html.contains("id=\"comparison\""));

    // The same run under the name of another algorithm.
    let copy = work.run_dir(&RunId::new("segresnet2d", 0));
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(work.run_dir(&run(0))).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let Report { html, .. } = page(&work, 0);
    check(&html);
    let comparison = section(&html, "comparison");
    assert!(comparison.contains("<th scope=\"row\">segresnet2d</th>"));
    assert_eq!(comparison.matches("1 of 2").count(), 2);
    assert!(comparison.contains("+0.0000 to +0.0000"));
    assert!(!comparison.contains("different cases"));
    assert_eq!(comparison.matches("<svg").count(), 2);
}
