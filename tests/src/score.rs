//! Scores predicted label maps.

use std::error::Error;
use std::path::{Path, PathBuf};

use vesal_io::image::read_label_map;
use vesal_volume::LabelMap;

use crate::dataset::{Label, Scan};

/// Dice of one scan, one number per label.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// Dice per label; NaN where neither map has the label.
    pub dice: Vec<f64>,
}

/// Scores the prediction of every scan against its truth.
///
/// **Errors**: an unreadable label map, or one on another grid than the truth.
pub fn dice_table(
    scans: &[Scan],
    labels: &[Label],
    predicted: impl Fn(&Scan) -> PathBuf,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for scan in scans {
        let (truth, found) = (
            read_label_map(&scan.label)?,
            read_label_map(predicted(scan))?,
        );
        check_grid(&truth, &found, &scan.label)?;
        let dice = labels
            .iter()
            .map(|label| dice(&truth, &found, label.value))
            .collect();
        rows.push(Row {
            name: scan.name.clone(),
            dice,
        });
    }
    Ok(rows)
}

/// 2 · overlap / (size of truth + size of prediction).
pub fn dice(truth: &LabelMap, found: &LabelMap, value: u16) -> f64 {
    let (mut both, mut sum) = (0u64, 0u64);
    for (&a, &b) in truth.data.iter().zip(&found.data) {
        both += u64::from(a == value && b == value);
        sum += u64::from(a == value) + u64::from(b == value);
    }
    2.0 * both as f64 / sum as f64
}

fn check_grid(truth: &LabelMap, found: &LabelMap, path: &Path) -> Result<(), Box<dyn Error>> {
    let (a, b) = (truth.geometry(), found.geometry());
    let mut affine = a
        .affine
        .0
        .as_flattened()
        .iter()
        .zip(b.affine.0.as_flattened());
    let agree = affine.all(|(x, y)| (x - y).abs() <= 1e-4);
    if a.shape != b.shape || !agree {
        return Err(format!("prediction is on grid {b:?}, {} on {a:?}", path.display()).into());
    }
    Ok(())
}

/// Mean over scans of each label's Dice.
pub fn mean_dice(table: &[Row]) -> Vec<f64> {
    let labels = table.first().map_or(0, |row| row.dice.len());
    (0..labels)
        .map(|label| {
            let present: Vec<f64> = table
                .iter()
                .map(|row| row.dice[label])
                .filter(|dice| !dice.is_nan())
                .collect();
            present.iter().sum::<f64>() / present.len() as f64
        })
        .collect()
}

/// Prints scans × labels, and the mean of each label.
pub fn print_table(table: &[Row], labels: &[Label]) {
    let header: String = labels
        .iter()
        .map(|label| format!("{:>12}", label.name))
        .collect();
    println!("{:<16}{header}", "scan");
    let line = |name: &str, dice: &[f64]| {
        let cells: String = dice.iter().map(|dice| format!("{dice:>12.3}")).collect();
        println!("{name:<16}{cells}");
    };
    for row in table {
        line(&row.name, &row.dice);
    }
    line("mean", &mean_dice(table));
}
