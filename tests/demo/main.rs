//! `cargo demo`: the whole chain on synthetic scans, with the commands of a user.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use vesal_tests::dataset::{PhantomDataset, Scan};
use vesal_tests::programs::{Programs, programs, workspace};
use vesal_tests::score::{dice_table, print_table};

/// Decisions that make training short enough for two cores; everything else is planned from the data.
const SETTINGS: &[&str] = &[
    "num_epochs=18",
    "num_images_per_batch=2",
    "num_epochs_per_validation=18",
    "num_warmup_epochs=1",
    "learning_rate=0.003",
    "roi_size=[32, 32, 32]",
    "network#init_filters=8",
    "network#blocks_down=[1, 1, 1]",
];

fn main() -> ExitCode {
    println!(
        "building vesal-train, vesal-export and vesal, and getting ONNX Runtime where it is missing"
    );
    let programs = programs();
    let start = Instant::now();
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| workspace().join("target/vesal-demo"), PathBuf::from);
    match demo(programs, &folder) {
        Ok(()) => {
            println!(
                "\nthe demo took {:.0} s after the build",
                start.elapsed().as_secs_f64()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: the demo stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(programs: &Programs, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let [data, work, bundle, out] =
        ["data", "work", "phantom.bundle", "predicted"].map(|name| folder.join(name));

    println!(
        "\n1. twelve phantoms to learn from, three held out: {}",
        data.display()
    );
    let dataset = PhantomDataset::write(&data, 12, 3)?;

    println!("\n2. analyze, plan, train two folds");
    let mut train = Command::new(&programs.train);
    train
        .args(["auto", "--folds", "2", "--input"])
        .arg(&dataset.task)
        .arg("--work-dir")
        .arg(&work);
    for setting in SETTINGS {
        train.args(["--set", setting]);
    }
    show_and_run(&mut train)?;

    println!("\n3. export the folds to ONNX, pack them into a bundle, verify it on this machine");
    show_and_run(
        Command::new(&programs.export)
            .arg("bundle")
            .arg("--work-dir")
            .arg(&work)
            .arg("--output")
            .arg(&bundle),
    )?;
    show_and_run(Command::new(&programs.vesal).arg("verify").arg(&bundle))?;

    println!("\n4. segment the held-out phantoms with the deployed binary");
    let inputs = dataset.held_out.iter().map(|scan| &scan.image);
    show_and_run(
        Command::new(&programs.vesal)
            .arg("predict")
            .arg("--bundle")
            .arg(&bundle)
            .arg("--input")
            .args(inputs)
            .arg("--output")
            .arg(&out),
    )?;

    println!("\nDice of the held-out phantoms");
    let predicted = |scan: &Scan| out.join(format!("{}_seg.nii.gz", scan.name));
    let table = dice_table(&dataset.held_out, &dataset.labels, predicted)?;
    print_table(&table, &dataset.labels);

    println!(
        "\nbundle:     {}\nlabel maps: {}\nall files:  {}",
        bundle.display(),
        out.display(),
        folder.display()
    );
    println!(
        "\nThe same with your own data (task.yaml and datalist in Auto3DSeg's format, see docs/training.md):\n\n  \
         vesal-train auto --input task.yaml --work-dir work\n  \
         vesal-export bundle --work-dir work --output my.bundle\n  \
         vesal predict --bundle my.bundle --input scan.nii.gz --output out\n\n\
         `cargo build --release` puts the three programs into target/release."
    );
    Ok(())
}

/// Prints a command as a user would type it, runs it, and passes its output through.
fn show_and_run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let shown: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let path = Path::new(word);
            let name = if path.is_absolute() {
                path.file_name().unwrap_or(word)
            } else {
                word
            };
            name.to_string_lossy().into_owned()
        })
        .map(|word| {
            if word.contains([' ', '#', '[']) {
                format!("'{word}'")
            } else {
                word
            }
        })
        .collect();
    println!("   $ {}", shown.join(" "));
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", shown[0]).into())
    }
}
