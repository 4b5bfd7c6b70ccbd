//! Shared by all fuzzers.

pub use libfuzzer_sys;
use libfuzzer_sys::fuzzer_mutate;
use vesal_fuzz_targets::{Target, targets};

/// The target of this name.
pub fn known(name: &str) -> &'static Target {
    targets()
        .find(|target| target.name == name)
        .expect("a target")
}

/// Mutates the first `size` bytes of `data`, inside of what they are compressed with in three of four cases.
pub fn mutate(target: &Target, data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if let Some(wrapping) = target.wrapping
        && seed % 4 != 0
    {
        let mutated = wrapping.mutate(&data[..size], |mut inside| {
            let length = inside.len();
            inside.resize(2 * length + 64, 0);
            let length = fuzzer_mutate(&mut inside, length, 2 * length + 64);
            inside.truncate(length);
            inside
        });
        if let Some(mutated) = mutated.filter(|mutated| mutated.len() <= most) {
            data[..mutated.len()].copy_from_slice(&mutated);
            return mutated.len();
        }
    }
    fuzzer_mutate(data, size, most)
}

/// A fuzzer of a target.
#[macro_export]
macro_rules! fuzzer {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: {
                std::panic::set_hook(Box::new(|panic| {
                    // Panics of other threads count as well.
                    eprintln!("{panic}");
                    std::process::abort();
                }));
            },
            |bytes: &[u8]| ($crate::known($name).run)(bytes)
        );
        $crate::libfuzzer_sys::fuzz_mutator!(
            |data: &mut [u8], size: usize, max_size: usize, seed: u32| {
                $crate::mutate($crate::known($name), data, size, max_size, seed)
            }
        );
    };
}
