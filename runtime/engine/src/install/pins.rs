//! The packages of ONNX Runtime by platform, with digests.

use crate::release::Variant;

/// A package for one platform.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pin {
    pub os: &'static str,
    pub arch: &'static str,
    pub variant: Variant,
    /// Platform tag of the package.
    pub platform: &'static str,
    /// SHA-256 of the package.
    pub sha256: &'static str,
    /// Files taken from it, below `onnxruntime/capi/`.
    pub files: &'static [&'static str],
}

/// Packages of this version for all platforms that this program is built for.
pub(super) const PINS: [Pin; 6] = [
    Pin {
        os: "linux",
        arch: "x86_64",
        variant: Variant::Cpu,
        platform: "manylinux_2_28_x86_64",
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        files: &["libonnxruntime.so.1.31.1"],
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        variant: Variant::Cpu,
        platform: "manylinux_2_28_aarch64",
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        files: &["libonnxruntime.so.1.31.1"],
    },
    Pin {
        os: "macos",
        arch: "aarch64",
        variant: Variant::Cpu,
        platform: "macosx_14_0_arm64",
        sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        files: &["libonnxruntime.1.31.1.dylib"],
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        variant: Variant::Cpu,
        platform: "win_amd64",
        sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
        files: &["onnxruntime.dll"],
    },
    Pin {
        os: "linux",
        arch: "x86_64",
        variant: Variant::Cuda,
        platform: "manylinux_2_28_x86_64",
        sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
        files: &[
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
        ],
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        variant: Variant::Cuda,
        platform: "win_amd64",
        sha256: "2bb1e9373baba88f6415257f5b6a589d23e23c16004f7d89adf4344eada5749e",
        files: &[
            "onnxruntime.dll",
            "onnxruntime_providers_shared.dll",
            "onnxruntime_providers_cuda.dll",
        ],
    },
];

impl Pin {
    /// The package for this machine.
    pub(super) fn for_this_machine(variant: Variant) -> Option<&'static Self> {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        // The packages need the GNU C library.
        let musl = cfg!(target_env = "musl");
        PINS.iter()
            .find(|pin| pin.os == os && pin.arch == arch && pin.variant == variant && !musl)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::release::VERSION;

    #[test]
    fn every_platform_and_variant_has_one_package_of_this_version() {
        let keys: BTreeSet<_> = PINS
            .iter()
            .map(|pin| (pin.os, pin.arch, pin.variant.package()))
            .collect();
        assert_eq!(keys.len(), PINS.len());
        for pin in &PINS {
            assert!(vesal_files::digest::is_digest(pin.sha256));
            assert!(
                pin.os == "windows" || pin.files[0].contains(VERSION),
                "{pin:?}"
            );
        }
    }
}
