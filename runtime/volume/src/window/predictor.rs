//! The trait of predictors of patches.

use ndarray::{ArrayView5, CowArray, Ix5};

/// Predicts patches of one fixed window shape: implemented by the trainer (Burn) and the engine (ONNX Runtime).
pub trait PatchPredictor {
    /// Why a prediction failed.
    type Error: std::error::Error + Send + Sync + 'static;

    fn output_channels(&self) -> usize;

    /// Largest number of patches per call; the last call of a volume may get fewer.
    fn max_batch(&self) -> usize;

    /// Predicts a batch.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]` with the same N and spatial shape.
    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, Self::Error>;
}
