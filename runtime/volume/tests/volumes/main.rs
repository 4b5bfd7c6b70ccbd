//! Grids, intensities, windows and measures.

#[path = "../golden/mod.rs"]
mod golden;

mod geometry_properties;
mod golden_geometry;
mod golden_intensity;
mod golden_match;
mod golden_metrics;
mod golden_window;
mod traversal;
mod window_properties;
