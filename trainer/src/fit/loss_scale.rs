//! The loss scale of mixed precision: a factor that keeps small gradients from vanishing.

/// Initial scale.
const START: f32 = 65536.0;
/// Steps without overflow before the scale doubles.
const PATIENCE: u32 = 2000;
/// Smallest useful scale; below it the training has diverged.
const LEAST: f32 = 1.0 / 1024.0;
/// Largest scale; the scaled loss has to stay finite.
const MOST: f32 = 16_777_216.0;

/// A dynamic loss scale: halved when gradients overflow, doubled after 2000 steps without overflow.
///
/// **Source**: Micikevicius et al. 2018; PyTorch `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// Factor on the loss of the next step.
    pub scale: f32,
    quiet_steps: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self::new(START)
    }
}

impl LossScale {
    /// Starts with this scale.
    pub fn new(scale: f32) -> Self {
        Self {
            scale,
            quiet_steps: 0,
        }
    }

    /// Adapts the scale to the result of a step that used `scale`. Returns false where the training has diverged.
    pub fn learn(&mut self, scale: f32, overflow: bool) -> bool {
        if overflow {
            // Other launched steps with the same scale overflow as well; they count once.
            self.scale = self.scale.min(scale / 2.0);
            self.quiet_steps = 0;
        } else {
            self.quiet_steps += 1;
            if self.quiet_steps == PATIENCE {
                self.scale = (self.scale * 2.0).min(MOST);
                self.quiet_steps = 0;
            }
        }
        self.scale >= LEAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflows_of_one_scale_count_once() {
        let mut scale = LossScale::default();
        assert!(scale.learn(65536.0, true));
        assert!(scale.learn(65536.0, true));
        assert_eq!(scale.scale, 32768.0);
        assert!(scale.learn(32768.0, true));
        assert_eq!(scale.scale, 16384.0);
    }

    #[test]
    fn quiet_steps_double_the_scale() {
        let mut scale = LossScale::new(8.0);
        for _ in 0..PATIENCE - 1 {
            scale.learn(8.0, false);
        }
        assert_eq!(scale.scale, 8.0);
        scale.learn(8.0, false);
        assert_eq!(scale.scale, 16.0);
    }

    #[test]
    fn endless_overflow_is_divergence() {
        let mut scale = LossScale::default();
        let steps = (0..100)
            .take_while(|_| scale.learn(scale.scale, true))
            .count();
        assert_eq!(steps, 26);
    }
}
