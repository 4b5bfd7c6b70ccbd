//! Checks before the start whether a training fits in memory.

use vesal_network::NetworkConfig;

use super::memory_shortfall::{CasesInMemory, MemoryShortfall, Suggestion};
use super::plans::Plans;
use super::{FitError, FitRequest, TrainDevice};
use crate::memory::{self, CaseSize, CasesMemory, HostMemory, StepMemory};
use crate::precision::Precision;

/// Checks that steps fit on their devices, and cases in the host's memory.
///
/// **Definition**: [`StepMemory`] has to fit in the free memory of each device. The size of cases is estimated from the
/// headers of their files, after resampling and without cropping. A device or system that does not report its memory is
/// not checked.
///
/// **Errors**: [`FitError::Memory`], or a GPU that does not exist.
pub fn check(request: &FitRequest, plans: &Plans) -> Result<(), FitError> {
    let devices = request.devices.all();
    let train = &plans.train;
    let demand = Demand {
        network: &train.network,
        patch: train.roi_size,
        images: train.num_images_per_batch.max(1),
        crops: train.num_crops_per_image.max(1),
        devices: devices.len(),
        precision: request.devices.first().precision(train.use_amp),
        moments: plans.algorithm.recipe.optimizer.moments(),
        averages: train.ema_decay.is_some(),
    };
    for &device in devices.iter().filter(|&&device| device != TrainDevice::Cpu) {
        if let Some(room) = memory::room(device)? {
            let takes = |step: StepMemory| step.on_gpu(room.total);
            demand.check(device, CasesInMemory::default(), room.free, takes)?;
        }
    }
    let Some(host) = HostMemory::read() else {
        return Ok(());
    };
    let sizes = CaseSize::of(&request.cases, &plans.deploy);
    let cases = CasesInMemory {
        count: request.cases.len(),
        bytes: CasesMemory::new(&sizes, request.fold, &plans.deploy).within(request.max_ram_bytes),
    };
    let steps_here = devices.contains(&TrainDevice::Cpu);
    demand.check(TrainDevice::Cpu, cases, host.available, |step| {
        if steps_here { step.on_host() } else { 0 }
    })
}

/// Memory demand of the steps of a plan.
#[derive(Debug, Clone, Copy)]
struct Demand<'a> {
    network: &'a NetworkConfig,
    patch: [usize; 3],
    images: usize,
    crops: usize,
    devices: usize,
    precision: Precision,
    /// Numbers per parameter that the optimizer keeps.
    moments: u64,
    averages: bool,
}

impl Demand<'_> {
    fn check(
        &self,
        device: TrainDevice,
        cases: CasesInMemory,
        present: u64,
        takes: impl Fn(StepMemory) -> u64,
    ) -> Result<(), FitError> {
        let bytes = |patch, patches| {
            let mut step =
                StepMemory::new(self.network, patch, patches, self.precision, self.moments);
            if self.averages {
                step = step.with_average(self.network);
            }
            cases.bytes + takes(step)
        };
        let patches = (self.images * self.crops).div_ceil(self.devices);
        let needed = bytes(self.patch, patches);
        if needed <= present {
            return Ok(());
        }
        let suggestion = if cases.bytes > present {
            Suggestion::Memory
        } else {
            self.suggestion(patches, |patch, patches| bytes(patch, patches) <= present)
        };
        Err(FitError::Memory(Box::new(MemoryShortfall {
            device,
            patches,
            patch: self.patch,
            cases,
            needed,
            present,
            suggestion,
        })))
    }

    /// The largest number of patches that fits; if not even one does, a single smaller patch.
    fn suggestion(&self, patches: usize, fits: impl Fn([usize; 3], usize) -> bool) -> Suggestion {
        let fewer = (1..patches).rev().find(|&fewer| fits(self.patch, fewer));
        if let Some(fewer) = fewer {
            let fewer = fewer * self.devices;
            return Suggestion::Plan(vec![if self.crops > 1 && fewer >= self.images {
                format!("num_crops_per_image={}", fewer / self.images)
            } else {
                format!("num_images_per_batch={fewer}")
            }]);
        }
        let mut settings = Vec::new();
        if patches > 1 {
            settings.push(format!("num_images_per_batch={}", self.devices));
        }
        match smaller_patch(self.network, self.patch, |patch| fits(patch, 1)) {
            Some([x, y, z]) => {
                settings.push(format!("\"roi_size=[{x}, {y}, {z}]\""));
                Suggestion::Plan(settings)
            }
            None => Suggestion::Network,
        }
    }
}

/// The first patch that fits when its longest side is reduced repeatedly, by the network's stride each time.
fn smaller_patch(
    network: &NetworkConfig,
    mut patch: [usize; 3],
    fits: impl Fn([usize; 3]) -> bool,
) -> Option<[usize; 3]> {
    let factor = network.shape_factor();
    loop {
        let longest = (0..3)
            .filter(|&axis| patch[axis] > 2 * factor[axis])
            .max_by_key(|&axis| patch[axis])?;
        patch[longest] -= factor[longest];
        if fits(patch) {
            return Some(patch);
        }
    }
}

#[cfg(test)]
mod tests {
    use vesal_network::SegResNetDsConfig;

    use super::*;
    use crate::memory::GIB;

    fn network(filters: usize) -> NetworkConfig {
        NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 1,
            out_channels: 3,
            init_filters: filters,
            blocks_down: vec![1, 2, 2, 4],
            dsdepth: 4,
            resolution: None,
        })
    }

    fn shortfall(demand: Demand<'_>, cases: CasesInMemory, gib: f64) -> Option<MemoryShortfall> {
        let outcome = demand.check(
            TrainDevice::Cuda(1),
            cases,
            (gib * GIB) as u64,
            |step: StepMemory| step.on_gpu((gib * GIB) as u64),
        );
        match outcome {
            Ok(()) => None,
            Err(FitError::Memory(shortfall)) => Some(*shortfall),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        let wide = network(32);
        let demand = Demand {
            network: &wide,
            patch: [128; 3],
            images: 1,
            crops: 4,
            devices: 1,
            precision: Precision::Mixed,
            moments: 2,
            averages: false,
        };
        let none = CasesInMemory::default();
        assert_eq!(shortfall(demand, none, 24.0), None);
        let found = shortfall(demand, none, 8.0).unwrap();
        let text = found.to_string();
        assert!(
            text.starts_with("a step of 4 patches of [128, 128, 128] voxels needs about 1")
                && text.ends_with(" GiB on `cuda:1`, which has 8.0 GiB free"),
            "{text}"
        );
        assert_eq!(
            found.suggestion,
            Suggestion::Plan(vec!["num_crops_per_image=2".to_owned()])
        );
        // Each of two devices takes half of the patches; the setting is for both together.
        let shared = Demand {
            devices: 2,
            crops: 8,
            ..demand
        };
        let found = shortfall(shared, none, 8.0).unwrap();
        assert_eq!(
            found.suggestion,
            Suggestion::Plan(vec!["num_crops_per_image=4".to_owned()])
        );
        let found = shortfall(demand, none, 2.0).unwrap();
        let Suggestion::Plan(settings) = &found.suggestion else {
            panic!("{:?}", found.suggestion)
        };
        assert_eq!(settings[0], "num_images_per_batch=1");
        assert!(settings[1].starts_with("\"roi_size=["), "{settings:?}");
        let hint = found.suggestion.to_string();
        assert!(
            hint.starts_with("`vesal-train plan --work-dir DIR --set num_images_per_batch=1 --set"),
            "{hint}"
        );
    }

    #[test]
    fn a_suggestion_that_is_followed_fits() {
        let wide = network(32);
        let demand = |patch| Demand {
            network: &wide,
            patch,
            images: 1,
            crops: 1,
            devices: 1,
            precision: Precision::Single,
            moments: 2,
            averages: false,
        };
        let mut patch = [320, 256, 160];
        let found = shortfall(demand(patch), CasesInMemory::default(), 10.0).unwrap();
        let Suggestion::Plan(settings) = &found.suggestion else {
            panic!("{:?}", found.suggestion)
        };
        let numbers = settings[0]
            .trim_start_matches("\"roi_size=[")
            .trim_end_matches("]\"");
        for (side, number) in patch.iter_mut().zip(numbers.split(", ")) {
            *side = number.parse().unwrap();
        }
        assert!(patch.iter().all(|side| side % 8 == 0), "{patch:?}");
        assert_eq!(
            shortfall(demand(patch), CasesInMemory::default(), 10.0),
            None
        );
    }

    #[test]
    fn networks_and_cases_that_never_fit_say_so() {
        let (wide, small) = (network(256), network(8));
        let demand = |network| Demand {
            network,
            patch: [16; 3],
            images: 1,
            crops: 1,
            devices: 1,
            precision: Precision::Mixed,
            moments: 2,
            averages: false,
        };
        let found = shortfall(demand(&wide), CasesInMemory::default(), 4.0).unwrap();
        assert_eq!(found.suggestion, Suggestion::Network);
        let cases = CasesInMemory {
            count: 900,
            bytes: 5 << 30,
        };
        let found = shortfall(demand(&small), cases, 4.0).unwrap();
        assert_eq!(found.suggestion, Suggestion::Memory);
        assert!(
            found
                .to_string()
                .contains(" and 900 cases (5.0 GiB) needs about 5.")
        );
    }
}
