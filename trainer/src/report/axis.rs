//! Scales of plots, with ticks at round numbers.

/// Range and tick distance of a plot's axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    /// The smallest axis from tick to tick that contains these values, with about `intervals` intervals; 0 to 1 where
    /// no value is finite.
    pub fn around(values: impl IntoIterator<Item = f64>, intervals: usize) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (mut from, mut to) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| {
                (a.min(value), b.max(value))
            });
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        if to - from <= 1e-9 * to.abs().max(from.abs()) || from == to {
            let margin = if to == 0.0 { 1.0 } else { to.abs() * 0.1 };
            (from, to) = (from - margin, to + margin);
        }
        let step = round_step((to - from) / intervals.max(1) as f64);
        Self {
            from: (from / step + 1e-9).floor() * step,
            to: (to / step - 1e-9).ceil() * step,
            step,
        }
    }

    /// Position of a value along the axis, from 0 to 1.
    pub fn fraction(&self, value: f64) -> f64 {
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    pub fn ticks(&self) -> Vec<(f64, String)> {
        let count = ((self.to - self.from) / self.step).round() as usize;
        (0..=count.min(50))
            .map(|index| {
                let value = self.from + index as f64 * self.step;
                (value, label(value, self.step))
            })
            .collect()
    }
}

/// The smallest number of the form 1, 2 or 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Formats a tick with as few digits as distinguish it from its neighbors.
fn label(value: f64, step: f64) -> String {
    if value.abs() < step * 1e-6 {
        let decimals = if step < 1e-3 { 0 } else { decimals(step) };
        return format!("{:.decimals$}", 0.0);
    }
    let digits = (value.abs().log10().floor() - step.log10().floor()).max(0.0) as usize;
    if (value.abs() >= 1e5 || step < 1e-3) && digits <= 2 {
        return format!("{value:.digits$e}").replace(".0e", "e");
    }
    let decimals = decimals(step);
    format!("{value:.decimals$}")
}

fn decimals(step: f64) -> usize {
    (-step.log10().floor()).clamp(0.0, 9.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::around(values.iter().copied(), 5);
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        assert_eq!(
            labels(&[0.0, 1.0]),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(&[31.0, 43.0]), ["30", "35", "40", "45"]);
        assert_eq!(
            labels(&[-1000.0, 900.0]),
            ["-1000", "-500", "0", "500", "1000"]
        );
        assert_eq!(labels(&[0.0, 2e-4])[1], "5e-5");
        assert_eq!(
            labels(&[0.9001, 0.9005])[..2],
            ["0.9001", "0.9002"],
            "neighbors differ"
        );
        assert_eq!(labels(&[0.0, 3e5]), ["0", "1e5", "2e5", "3e5"]);
    }

    #[test]
    fn odd_values_make_an_axis_too() {
        assert_eq!(labels(&[]), labels(&[f64::NAN]));
        for value in [0.0, 1.0, -7.5, 1e12] {
            let axis = Axis::around([value], 4);
            let at = axis.fraction(value);
            assert!(at > 0.2 && at < 0.8, "{value}: {at}");
            assert!(axis.ticks().len() >= 2);
        }
    }
}
