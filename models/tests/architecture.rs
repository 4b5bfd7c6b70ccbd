//! Inference of families from the shapes of their tensors.

use std::collections::BTreeMap;

use burn_flex::Flex;
use burn_store::ModuleSnapshot;
use vesal_network::{
    ArchitectureError, CodeRow, DintsArchitecture, DintsCodes, DintsConfig, NetworkConfig,
    PatchMerging, SegResNet2dConfig, SegResNetDsConfig, Shapes, SwinUnetrConfig,
};

fn config(levels: usize, dsdepth: usize, resolution: Option<[f64; 3]>) -> NetworkConfig {
    NetworkConfig::SegresnetDs(SegResNetDsConfig {
        in_channels: 2,
        out_channels: 3,
        init_filters: 4,
        blocks_down: [1, 2, 3, 1, 1][..levels].to_vec(),
        dsdepth,
        resolution,
    })
}

fn planar(levels: usize, dsdepth: usize) -> NetworkConfig {
    NetworkConfig::Segresnet2d(SegResNet2dConfig {
        in_channels: 2,
        out_channels: 3,
        init_filters: 4,
        blocks_down: [1, 2, 3, 1, 1][..levels].to_vec(),
        dsdepth,
    })
}

fn swin(channels: [usize; 2], patch_merging: PatchMerging) -> NetworkConfig {
    let [in_channels, out_channels] = channels;
    NetworkConfig::Swinunetr(SwinUnetrConfig {
        in_channels,
        out_channels,
        feature_size: 12,
        patch_merging,
    })
}

fn shapes_of(config: &NetworkConfig) -> BTreeMap<String, Vec<usize>> {
    let network = vesal_models::init::<Flex>(config, &Default::default()).unwrap();
    let parameters = network.collect(None, None, true);
    parameters
        .iter()
        .map(|p| (p.full_path(), p.shape.to_vec()))
        .collect()
}

fn view(shapes: &BTreeMap<String, Vec<usize>>) -> Shapes<'_> {
    shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.clone()))
        .collect()
}

/// Tensors as the description lists them.
fn listed(config: &NetworkConfig) -> BTreeMap<String, Vec<usize>> {
    config.tensors().into_iter().collect()
}

#[test]
fn tensors_of_every_family_are_those_of_its_description() {
    let planar = [planar(1, 0), planar(4, 2)];
    let swin = [[1, 2], [3, 4]].map(|channels| swin(channels, PatchMerging::Monai15));
    let dints = dints(DintsArchitecture::default()).into();
    for config in planar.into_iter().chain(swin).chain([dints]) {
        assert_eq!(listed(&config), shapes_of(&config), "{config:?}");
    }
}

#[test]
fn a_network_is_told_from_its_own_shapes() {
    let resolutions = [
        None,
        Some([0.6, 0.6, 3.0]),
        Some([1.0, 2.0, 5.0]),
        Some([1.0, 1.0, 1.0]),
        Some([5.0, 1.0, 0.1]),
    ];
    for levels in 1..=5 {
        for dsdepth in [0, 1, 2, 4] {
            for resolution in resolutions {
                let config = config(levels, dsdepth, resolution);
                let shapes = shapes_of(&config);
                let shapes = view(&shapes);
                let inferred = NetworkConfig::infer(&shapes)
                    .unwrap_or_else(|error| panic!("{config:?}: {error}"));
                assert_eq!(config.check_shapes(&shapes), Ok(()));
                assert_eq!(listed(&config), shapes_of(&config));
                assert_eq!(config.shape_factor(), inferred.shape_factor());
                assert_eq!(shapes_of(&inferred), shapes_of(&config));
            }
        }
    }
}

#[test]
fn a_planar_network_is_told_from_its_shapes_in_two_dimensions_or_three() {
    for levels in 1..=5 {
        for dsdepth in [0, 1, 2] {
            let config = planar(levels, dsdepth);
            let shapes = shapes_of(&config);
            assert!(shapes.keys().all(|name| name.starts_with("net.")));
            let flat = |shape: &[usize]| match shape {
                [kept @ .., 1] if kept.len() == 4 => kept.to_vec(),
                other => other.to_vec(),
            };
            let in_two = shapes
                .iter()
                .map(|(name, shape)| (name.as_str(), flat(shape)));
            for shapes in [view(&shapes), in_two.collect()] {
                let inferred = NetworkConfig::infer(&shapes);
                let inferred = inferred.unwrap_or_else(|error| panic!("{config:?}: {error}"));
                assert_eq!(config.check_shapes(&shapes), Ok(()));
                assert_eq!(shapes_of(&inferred), shapes_of(&config));
            }
        }
    }
    let mut deep = shapes_of(&planar(2, 1));
    let kernel = "net.encoder.layers.1.blocks.0.conv1.weight";
    deep.insert(kernel.into(), vec![8, 8, 3, 3, 3]);
    assert!(matches!(
        NetworkConfig::infer(&view(&deep)),
        Err(ArchitectureError::PlanarKernels { .. })
    ));
}

#[test]
fn a_network_of_attention_is_told_from_its_shapes_but_for_the_order_of_merging() {
    // With as many input channels as features, a residual block has one convolution less.
    for (channels, tensors) in [([1, 2], 151), ([12, 3], 150)] {
        let config = swin(channels, PatchMerging::Monai14);
        let shapes = shapes_of(&config);
        assert_eq!(shapes.len(), tensors);
        let count = |shape: &Vec<usize>| shape.iter().product::<usize>() as u64;
        assert_eq!(shapes.values().map(count).sum::<u64>(), config.parameters());
        let shapes = view(&shapes);
        assert_eq!(config.check_shapes(&shapes), Ok(()));
        let current = swin(channels, PatchMerging::Monai15);
        assert_eq!(NetworkConfig::infer(&shapes), Ok(current));
    }
}

#[test]
fn the_order_of_merging_is_stated_in_files() {
    let text = serde_json::to_string(&swin([1, 2], PatchMerging::default())).unwrap();
    assert_eq!(
        text,
        r#"{"swinunetr":{"in_channels":1,"out_channels":2,"feature_size":12,"patch_merging":"monai_1_5"}}"#
    );
    let without = text.replace(r#","patch_merging":"monai_1_5""#, "");
    assert!(serde_json::from_str::<NetworkConfig>(&without).is_err());
}

#[test]
fn another_description_is_a_contradiction() {
    let shapes = shapes_of(&config(3, 2, None));
    let shapes = view(&shapes);
    for (other, expected) in [
        (config(4, 2, None), "blocks_down"),
        (config(3, 1, None), "deep supervision heads"),
        (config(3, 2, Some([1.0, 1.0, 2.0])), "kernels by level"),
        (planar(3, 2), "family"),
        (swin([2, 3], PatchMerging::Monai15), "family"),
    ] {
        let error = other.check_shapes(&shapes).unwrap_err();
        assert!(
            matches!(error, ArchitectureError::Contradiction { field, .. } if field == expected),
            "{error}"
        );
    }
}

#[test]
fn foreign_weights_and_odd_kernels_are_refused() {
    let foreign = Shapes::from_iter([("conv1.weight", vec![8, 1, 3, 3, 3])]);
    assert!(matches!(
        NetworkConfig::infer(&foreign),
        Err(ArchitectureError::Unknown { found, families }) if found == "conv1.weight" && families.len() == 4
    ));
    let shapes = shapes_of(&config(2, 1, None));
    let mut shapes = view(&shapes);
    shapes.insert(
        "encoder.layers.0.blocks.0.conv1.weight",
        vec![4, 4, 5, 3, 3],
    );
    assert!(matches!(
        NetworkConfig::infer(&shapes),
        Err(ArchitectureError::Kernels { .. })
    ));
    shapes.insert("encoder.conv_init.weight", vec![4, 2]);
    assert!(matches!(
        NetworkConfig::infer(&shapes),
        Err(ArchitectureError::NoConvolution { .. })
    ));
}

fn dints(architecture: DintsArchitecture) -> DintsConfig {
    DintsConfig {
        in_channels: 2,
        out_channels: 3,
        filters: 1,
        architecture,
    }
}

/// The default architecture with another operation in a cell.
fn changed(block: usize, path: usize, code: u8) -> DintsArchitecture {
    let mut codes = DintsCodes::from(DintsArchitecture::default());
    let CodeRow(row) = &mut codes.code_c[block];
    row[path] = code;
    codes.try_into().unwrap()
}

#[test]
fn tensors_of_dints_are_those_of_its_description() {
    // A cell that changes nothing, one that only resamples, and one with two convolutions.
    for architecture in [
        DintsArchitecture::default(),
        changed(0, 0, 0),
        changed(3, 2, 0),
        changed(11, 9, 4),
    ] {
        let config = dints(architecture.clone());
        let shapes = shapes_of(&config.clone().into());
        assert_eq!(shapes, listed(&config.clone().into()));
        let shapes = view(&shapes);
        assert_eq!(
            DintsConfig::infer_with(&shapes, architecture),
            Ok(config.clone())
        );
        let config = NetworkConfig::from(config);
        assert_eq!(config.check_shapes(&shapes), Ok(()));
    }
}

#[test]
fn only_the_default_architecture_is_told_from_shapes() {
    let default = dints(DintsArchitecture::default());
    let shapes = shapes_of(&default.clone().into());
    let inferred = NetworkConfig::infer(&view(&shapes));
    assert_eq!(inferred, Ok(default.clone().into()));

    let other = NetworkConfig::from(dints(changed(3, 2, 0)));
    let shapes = shapes_of(&other);
    let error = NetworkConfig::infer(&view(&shapes)).unwrap_err();
    assert!(matches!(error, ArchitectureError::Untold { .. }), "{error}");
    assert!(error.hint().is_some());
    let error = NetworkConfig::from(default)
        .check_shapes(&view(&shapes))
        .unwrap_err();
    assert!(
        matches!(
            &error,
            ArchitectureError::Contradiction { field: "cells in block 3", described, found }
                if described == "4-2121101-" && found == "4-0121101-"
        ),
        "{error}"
    );
}

#[test]
fn odd_tensors_of_dints_are_refused() {
    let config = NetworkConfig::from(dints(DintsArchitecture::default()));
    let whole = shapes_of(&config);
    let refused = |name: &str, shape: Option<&[usize]>| {
        let mut shapes = whole.clone();
        match shape {
            Some(shape) => shapes.insert(name.into(), shape.to_vec()),
            None => shapes.remove(name),
        };
        let found = NetworkConfig::infer(&view(&shapes)).unwrap_err();
        assert_eq!(config.check_shapes(&view(&shapes)), Err(found.clone()));
        found
    };
    let kernel = "dints_space.cell_tree.(0, 0).op.ops.0.conv.weight";
    assert!(matches!(
        refused(kernel, Some(&[2, 2, 5, 3, 3])),
        ArchitectureError::CellKernel { .. }
    ));
    assert!(matches!(
        refused(kernel, Some(&[2, 4, 3, 3, 3])),
        ArchitectureError::Shape { tensor, .. } if tensor == kernel
    ));
    assert!(matches!(
        refused("stem_up.3.mod.2.bias", None),
        ArchitectureError::Missing { .. }
    ));
    assert!(matches!(
        refused("stem_finals.1.weight", Some(&[usize::MAX, 1, 1, 1, 1])),
        ArchitectureError::Channels { .. }
    ));
    assert!(matches!(
        refused("stem_down.0.mod.2.weight", None),
        ArchitectureError::PlainNorms { .. }
    ));
    // The cell is then one that changes nothing, and the template has none there.
    let mut shapes = whole.clone();
    shapes.remove(kernel);
    assert!(matches!(
        NetworkConfig::infer(&view(&shapes)),
        Err(ArchitectureError::Untold { .. })
    ));
}

#[test]
fn files_state_an_architecture_only_where_it_is_another() {
    let default = NetworkConfig::from(dints(DintsArchitecture::default()));
    let written = serde_json::to_value(&default).unwrap();
    let counts = serde_json::json!({ "in_channels": 2, "out_channels": 3, "filters": 1 });
    assert_eq!(written, serde_json::json!({ "dints": counts }));
    assert_eq!(
        serde_json::from_value::<NetworkConfig>(written).unwrap(),
        default
    );

    let other = NetworkConfig::from(dints(changed(11, 9, 4)));
    let mut written = serde_json::to_value(&other).unwrap();
    let matrix = &mut written["dints"]["architecture"]["code_a"];
    assert_eq!(matrix[11], "1100000111");
    // As NumPy's matrix of floats.
    matrix[11] = serde_json::json!([1., 1., 0., 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(
        serde_json::from_value::<NetworkConfig>(written.clone()).unwrap(),
        other
    );
    for broken in ["110000011", "1100000112", "11000 0111"] {
        written["dints"]["architecture"]["code_a"][11] = broken.into();
        assert!(serde_json::from_value::<NetworkConfig>(written.clone()).is_err());
    }
    written["dints"]["architecture"]["code_a"][11] =
        serde_json::json!([1.5, 1, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert!(serde_json::from_value::<NetworkConfig>(written).is_err());
}
