//! Whether plans can be those of one ensemble.

use super::DeployPlan;

impl DeployPlan {
    /// In what this plan differs from another that takes the same cases and gives the same labels; none: their networks
    /// can be members of one ensemble.
    pub fn disagreement(&self, other: &Self) -> Option<&'static str> {
        [
            ("channels", self.channels == other.channels),
            (
                "images of a case",
                self.image_channels() == other.image_channels(),
            ),
            ("labels", self.labels == other.labels),
            ("activation", self.activation == other.activation),
        ]
        .into_iter()
        .find(|(_, same)| !same)
        .map(|(what, _)| what)
    }
}
