//! Arguments of the measurement of steps.

use clap::Args;
use vesal_trainer::algorithms;

use super::shared::DeviceArguments;

#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Algorithm whose network, loss and optimizer to measure
    #[arg(long, value_name = "NAME", default_value = algorithms::DEFAULT.name)]
    pub algorithm: String,
    /// Patch in voxels
    #[arg(
        long,
        value_name = "X,Y,Z",
        value_delimiter = ',',
        default_value = "96,96,96"
    )]
    pub roi: Vec<usize>,
    /// Patches per step
    #[arg(long, value_name = "N", default_value = "2")]
    pub batch: usize,
    /// Channels of the network's first level [default: the algorithm's, 32 or 48]
    #[arg(long, value_name = "N")]
    pub filters: Option<usize>,
    /// Residual blocks of every level
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "1,2,2,4,4"
    )]
    pub blocks: Vec<usize>,
    /// Channels of the images
    #[arg(long, value_name = "N", default_value = "1")]
    pub channels: usize,
    /// Classes, background included
    #[arg(long, value_name = "N", default_value = "3")]
    pub classes: usize,
    /// Steps to measure, after 5 that do not count
    #[arg(long, value_name = "N", default_value = "20")]
    pub steps: usize,
    #[command(flatten)]
    pub devices: DeviceArguments,
    /// Compute in mixed precision, where the device has it
    #[arg(long)]
    pub amp: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
