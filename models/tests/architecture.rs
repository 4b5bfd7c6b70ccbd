//! Inference of families from the shapes of their tensors.

use std::collections::BTreeMap;

use burn_flex::Flex;
use burn_store::ModuleSnapshot;
use vesal_network::{
    ArchitectureError, NetworkConfig, PatchMerging, SegResNet2dConfig, SegResNetDsConfig, Shapes,
    SwinUnetrConfig,
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
        Err(ArchitectureError::Missing { .. })
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
