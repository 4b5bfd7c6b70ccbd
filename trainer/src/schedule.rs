//! Schedules over epochs, or over rounds of several epochs: learning rate and validations.

use std::f64::consts::{FRAC_PI_2, PI};

/// Factor of the learning rate in the first epoch of a warm-up.
pub const WARMUP_MULTIPLIER: f64 = 0.1;

/// Factor of the peak learning rate in an epoch (from 0) out of `total`.
///
/// **Definition**: with `w` warm-up epochs, `m + (1 - m) epoch / w` before epoch `w`; then
/// `(1 + cos(π (epoch - w) / max(1, total - w))) / 2`, at least 0.
///
/// **Source**: MONAI 1.6.1 `WarmupCosineSchedule`.
///
/// ```
/// use vesal_trainer::schedule::warmup_cosine;
///
/// assert_eq!(warmup_cosine(0, 3, 300, 0.1), 0.1);
/// assert_eq!(warmup_cosine(3, 3, 300, 0.1), 1.0);
/// assert!(warmup_cosine(299, 3, 300, 0.1) < 1e-4);
/// ```
pub fn warmup_cosine(epoch: usize, warmup: usize, total: usize, multiplier: f64) -> f64 {
    if epoch < warmup {
        return multiplier + (1.0 - multiplier) * epoch as f64 / warmup as f64;
    }
    let progress = (epoch - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
}

/// Epochs (from 1, ascending) after which the network is validated; always the last one.
///
/// **Definition**: with `every`, its multiples. Without it, sparse at first and dense at the end: the steps between
/// `trunc(epochs sin(x))` at `max(10, trunc(fraction epochs))` evenly spaced positions `x` of a quarter wave, largest
/// first, with `fraction = min(0.3, 0.16 crops)`.
///
/// **Source**: Auto3DSeg segresnet `schedule_validation_epochs`; with a given interval, it omits the last epoch.
///
/// ```
/// use vesal_trainer::schedule::validation_epochs;
///
/// assert_eq!(validation_epochs(10, Some(4), 1), [4, 8, 10]);
/// let epochs = validation_epochs(300, None, 1);
/// assert_eq!((epochs.len(), &epochs[..2], &epochs[43..]), (46, &[10, 20][..], &[298, 299, 300][..]));
/// ```
pub fn validation_epochs(epochs: usize, every: Option<usize>, crops: usize) -> Vec<usize> {
    let mut schedule: Vec<usize> = match every {
        Some(every) => (1..)
            .map(|k| k * every.max(1))
            .take_while(|&epoch| epoch < epochs)
            .collect(),
        None => {
            let mut sum = 0;
            let mut steps = quarter_wave_steps(epochs, (0.16 * crops as f64).min(0.3));
            steps.sort_unstable_by(|a, b| b.cmp(a));
            steps.pop();
            steps.into_iter().map(|step| (sum += step, sum).1).collect()
        }
    };
    if epochs > 0 {
        schedule.push(epochs);
    }
    schedule
}

/// Factor of the peak learning rate in a round (from 0) out of `total`: it falls by a power of the rounds that are left.
///
/// **Definition**: `(1 - round / total)` to the power `power`, and 0 from `total` on.
///
/// **Source**: Auto3DSeg dints, `PolynomialLR`, with a total of one more than its rounds.
///
/// ```
/// use vesal_trainer::schedule::polynomial;
///
/// assert_eq!(polynomial(0, 41, 0.5), 1.0);
/// assert!((polynomial(40, 41, 0.5) - (1.0_f64 / 41.0).sqrt()).abs() < 1e-12);
/// ```
pub fn polynomial(round: usize, total: usize, power: f64) -> f64 {
    if round >= total {
        return 0.0;
    }
    (1.0 - round as f64 / total as f64).powf(power)
}

/// Rounds (from 1, ascending) after which the network is validated, by the progress of the training; always the last
/// one.
///
/// **Definition**: `stages` are pairs of a percentage and an interval, in ascending order. A round that begins when at
/// most that share of the rounds is done is validated if its number is a multiple of the interval; after the last
/// percentage, the last interval stays. Without stages, every round is validated.
///
/// **Source**: Auto3DSeg swinunetr and dints, `adapt_valid_mode`.
///
/// ```
/// use vesal_trainer::schedule::adaptive_validations;
///
/// let rounds = adaptive_validations(10, &[(10, 1), (40, 2), (70, 1)]);
/// assert_eq!(rounds, [1, 2, 4, 6, 7, 8, 9, 10]);
/// ```
pub fn adaptive_validations(rounds: usize, stages: &[(usize, usize)]) -> Vec<usize> {
    let every = |round: usize| {
        let reached = |&&(percent, _): &&(usize, usize)| 100 * (round - 1) <= percent * rounds;
        let stage = stages.iter().find(reached).or(stages.last());
        stage.map_or(1, |&(_, every)| every.max(1))
    };
    (1..=rounds)
        .filter(|&round| round == rounds || round % every(round) == 0)
        .collect()
}

/// Differences of the distinct values of a quarter sine wave from 0 to `epochs`, truncated.
fn quarter_wave_steps(epochs: usize, fraction: f64) -> Vec<usize> {
    let points = ((fraction * epochs as f64) as usize).max(10);
    let step = FRAC_PI_2 / (points - 1) as f64;
    // The last point is exactly at the crest, which rounding could miss.
    let wave = (0..points - 1).map(|k| ((k as f64 * step).sin() * epochs as f64) as usize);
    let mut values: Vec<usize> = wave.chain([epochs]).collect();
    values.dedup();
    values.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_cadence_of_308_epochs_has_47_validations() {
        let epochs = validation_epochs(308, None, 1);
        assert_eq!(epochs.len(), 47);
        assert_eq!(epochs.last(), Some(&308));
    }

    #[test]
    fn every_schedule_ascends_to_the_last_epoch() {
        for total in 1..400 {
            for (every, crops) in [
                (None, 1),
                (None, 2),
                (None, 9),
                (Some(1), 1),
                (Some(7), 1),
                (Some(500), 1),
            ] {
                let epochs = validation_epochs(total, every, crops);
                assert!(
                    epochs.windows(2).all(|pair| pair[0] < pair[1]),
                    "{total} {every:?}: {epochs:?}"
                );
                assert_eq!(epochs.last(), Some(&total));
                assert!(epochs[0] > 0);
            }
        }
    }

    #[test]
    fn a_zero_interval_validates_every_epoch() {
        assert_eq!(validation_epochs(3, Some(0), 1), [1, 2, 3]);
        assert!(validation_epochs(0, None, 1).is_empty());
    }

    #[test]
    fn the_interval_of_the_last_stage_stays() {
        assert_eq!(
            adaptive_validations(7, &[(20, 1), (50, 3)]),
            [1, 2, 3, 6, 7]
        );
        assert_eq!(adaptive_validations(3, &[(100, 0)]), [1, 2, 3]);
        assert_eq!(adaptive_validations(2, &[]), [1, 2]);
        assert!(adaptive_validations(0, &[(10, 1)]).is_empty());
    }

    #[test]
    fn a_polynomial_ends_at_zero() {
        assert_eq!(polynomial(5, 5, 0.5), 0.0);
        assert_eq!(polynomial(9, 5, 0.5), 0.0);
        assert_eq!(polynomial(0, 0, 0.5), 0.0);
    }

    #[test]
    fn warm_up_as_long_as_the_training_stays_defined() {
        assert!((warmup_cosine(4, 5, 5, 0.1) - 0.82).abs() < 1e-12);
        assert_eq!(warmup_cosine(5, 5, 5, 0.1), 1.0);
    }
}
