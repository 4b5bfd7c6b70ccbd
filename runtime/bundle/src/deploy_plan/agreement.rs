//! Agreement of the plans of an ensemble.

use super::DeployPlan;

impl DeployPlan {
    /// The first difference from another plan in cases or labels; none: their networks can be members of one ensemble.
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
