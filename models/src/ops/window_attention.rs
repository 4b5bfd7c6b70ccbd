//! What attention within windows takes.

use std::sync::{Arc, OnceLock};

use super::constant::{Constant, Indices};

/// What is added to the scores of tokens of different regions.
const APART: f32 = -100.;

/// Attention of the tokens of each window to one another.
///
/// **Definition**: `softmax(q kᵀ / sqrt(C / heads) + bias + mask) v` for each head, where the mask is -100 between tokens
/// of different regions and 0 otherwise.
///
/// **Source**: Liu et al. 2021, equation 4; MONAI 1.6.1 `swin_unetr.WindowAttention`.
#[derive(Debug, Clone)]
pub struct WindowAttention<V> {
    /// Queries, keys and values in this order, each head after head: `[windows N, n, 3 C]`. The windows of a case lie side
    /// by side.
    pub qkv: V,
    /// `[heads, n, n]`.
    pub bias: V,
    /// Those of the tokens of a case's windows; without any, all tokens are of one region.
    pub regions: Option<AttentionRegions>,
    pub heads: usize,
}

/// Regions of tokens that attend to one another.
#[derive(Debug, Clone)]
pub struct AttentionRegions {
    ids: Indices,
    tokens: usize,
    /// Made at the first use: only the export reads them.
    factors: Arc<OnceLock<[Constant; 2]>>,
}

impl AttentionRegions {
    /// The regions of the tokens of each window.
    ///
    /// **Shapes**: `[windows, n]` in C order.
    #[track_caller]
    pub fn new(ids: Vec<usize>, tokens: usize) -> Self {
        assert!(
            tokens > 0 && ids.len().is_multiple_of(tokens),
            "{} regions are not those of windows of {tokens} tokens",
            ids.len()
        );
        Self {
            ids: Indices::new(ids),
            tokens,
            factors: Arc::default(),
        }
    }

    /// The region of each token, `[windows, n]` in C order.
    pub fn ids(&self) -> &Indices {
        &self.ids
    }

    /// Factors of the mask `[windows, 1, n, n]`, which is large: one row of the left one is 1 for the token's region, and
    /// a column of the right one is -100 for every other.
    ///
    /// **Shapes**: `[windows, 1, n, r]` and `[windows, 1, r, n]`, where at most r regions meet in a window.
    pub fn factors(&self) -> &[Constant; 2] {
        self.factors
            .get_or_init(|| factors(self.ids.values(), self.tokens))
    }
}

/// See [`AttentionRegions::factors`].
fn factors(ids: &[usize], tokens: usize) -> [Constant; 2] {
    let windows = ids.len() / tokens;
    // Regions are counted within each window, because few of all regions meet in one.
    let (mut local, mut rank) = (Vec::with_capacity(ids.len()), 1);
    for window in ids.chunks(tokens) {
        let mut seen: Vec<usize> = Vec::new();
        for id in window {
            let known = seen.iter().position(|found| found == id);
            local.push(known.unwrap_or_else(|| {
                seen.push(*id);
                seen.len() - 1
            }));
        }
        rank = rank.max(seen.len());
    }
    let (mut left, mut right) = (vec![0.; ids.len() * rank], vec![APART; ids.len() * rank]);
    for (token, &region) in local.iter().enumerate() {
        let (window, place) = (token / tokens, token % tokens);
        left[token * rank + region] = 1.;
        right[(window * rank + region) * tokens + place] = 0.;
    }
    let left = Constant::new("regions", [windows, 1, tokens, rank], left);
    let right = Constant::new("other_regions", [windows, 1, rank, tokens], right);
    [left, right]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_different_regions_are_apart() {
        let ids = vec![5, 5, 5, 7, 9, 7];
        let regions = AttentionRegions::new(ids.clone(), 3);
        let [left, right] = regions.factors();
        assert_eq!(left.shape().sizes(), [2, 1, 3, 2]);
        assert_eq!(right.shape().sizes(), [2, 1, 2, 3]);
        for window in 0..2 {
            for (a, b) in (0..9).map(|pair| (pair / 3, pair % 3)) {
                let product = |region: usize| {
                    left.values()[(window * 3 + a) * 2 + region]
                        * right.values()[(window * 2 + region) * 3 + b]
                };
                let same = ids[window * 3 + a] == ids[window * 3 + b];
                let expected = if same { 0. } else { -100. };
                assert_eq!(product(0) + product(1), expected);
            }
        }
    }
}
