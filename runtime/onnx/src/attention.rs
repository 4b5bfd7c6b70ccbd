//! The sizes of an attention.

/// Sizes of an attention: in every group, each query is compared with each key, and the values of the keys are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Groups of a case, such as the heads of all windows.
    pub groups: usize,
    pub queries: usize,
    pub keys: usize,
    /// Features of a query, and of a key.
    pub depth: usize,
    /// Features of a value, and of the output.
    pub features: usize,
    /// Columns of the left factor of the mask, and rows of the right one; 0 without a mask.
    pub rank: usize,
}
