use std::fs;
use std::path::Path;

use ndarray::Array5;
use ort::session::Session;
use ort::value::TensorRef;

use super::register::is_library;
use super::*;
use crate::install;
use crate::library::{self, Runtime};

/// One convolution of a channel into three classes.
const CONV: &[u8] = include_bytes!("../../tests/fixtures/conv_a.onnx");

#[cfg(target_os = "linux")]
const OPENVINO: &str = "libonnxruntime_providers_openvino_plugin.so";
#[cfg(target_os = "linux")]
const TENSORRT_RTX: &str = "libonnxruntime_providers_nv_tensorrt_rtx.so";

fn runtime() -> &'static Runtime {
    library::load(&install::find_or_fetch().expect("ONNX Runtime")).expect("loads")
}

#[test]
fn providers_are_written_as_they_are_read() {
    for provider in [Provider::Native, Provider::OpenVino, Provider::TensorRtRtx] {
        assert_eq!(provider.to_string().parse(), Ok(provider));
    }
    for text in ["", "Native", "open-vino", "tensorrt"] {
        assert_eq!(
            text.parse::<Provider>(),
            Err(ParseProviderError { found: text.into() })
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn places_are_searched_in_their_order() {
    let root = tempfile::tempdir().expect("temporary directory");
    let touch = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("created");
        fs::write(&path, "").expect("written");
        path
    };
    let at = |path: &str| root.path().join(path);
    fs::create_dir_all(at("venv/lib/python3.12/site-packages")).expect("created");
    let locations = Locations {
        explicit: None,
        executable: Some(at("bin")),
        cache: Some(at("cache")),
        python: vec![at("venv")],
    };
    let Err(PluginError::NotFound { searched, .. }) = locations.find(Provider::OpenVino) else {
        panic!("nothing is there")
    };
    let site = at("venv/lib/python3.12/site-packages");
    assert_eq!(searched, [at("bin"), at("cache"), site]);

    let folder = "onnxruntime_ep_openvino";
    let other = touch("bin/onnxruntime_ep_nv_tensorrt_rtx/unrelated.so");
    assert!(other.is_file());
    for place in ["venv/lib/python3.12/site-packages", "cache"] {
        let path = touch(&format!("{place}/{folder}/{OPENVINO}"));
        assert_eq!(locations.find(Provider::OpenVino).expect("found"), path);
    }
    let beside = touch(&format!("bin/{OPENVINO}"));
    assert_eq!(locations.find(Provider::OpenVino).expect("found"), beside);
    assert!(locations.find(Provider::TensorRtRtx).is_err());

    let named = touch(&format!("mine/{TENSORRT_RTX}"));
    for explicit in [at("mine"), named.clone()] {
        let locations = Locations {
            explicit: Some(explicit),
            ..locations.clone()
        };
        assert_eq!(locations.find(Provider::TensorRtRtx).expect("found"), named);
    }
    let locations = Locations {
        explicit: Some(at("mine")),
        ..locations
    };
    assert!(matches!(
        locations.find(Provider::OpenVino),
        Err(PluginError::NotThere { .. })
    ));
}

#[test]
fn a_variable_names_an_absolute_path() {
    let locations = Locations {
        explicit: Some("plugins".into()),
        ..Locations::default()
    };
    assert!(matches!(
        locations.find(Provider::OpenVino),
        Err(PluginError::Place { .. })
    ));
}

#[test]
fn a_provider_refuses_the_devices_of_others() {
    for (provider, device) in [
        (Provider::OpenVino, Device::Cuda(0)),
        (Provider::TensorRtRtx, Device::Cpu),
    ] {
        let builder = Session::builder(&runtime().environment).expect("a builder");
        let options = ProviderOptions {
            device,
            ..ProviderOptions::default()
        };
        let error = append(builder, runtime(), provider, &options)
            .map(drop)
            .expect_err("another device");
        assert!(matches!(error, PluginError::Device { .. }), "{error}");
        assert!(provider.serves(provider.preferred()));
        assert!(Provider::Native.serves(device));
    }
}

#[test]
fn what_is_absent_says_how_to_get_it() {
    for found in available(runtime()) {
        if let Some(error) = &found.error {
            let remedy = error.hint().expect("a remedy");
            let named = error.to_string().contains(found.provider.name());
            assert!(named, "{error}");
            if matches!(error, PluginError::NotFound { .. }) {
                assert!(remedy.contains(found.provider.package().expect("a package")));
                assert_eq!(found.source, None);
            }
        }
        assert!(found.error.is_some() || found.source.is_some());
    }
}

/// Runs where OpenVINO is installed for this processor; elsewhere it checks that nothing else ran instead.
#[test]
fn openvino_computes_what_onnx_runtime_does() {
    let run = |provider: Provider| -> Result<Vec<f32>, PluginError> {
        let builder = Session::builder(&runtime().environment)
            .expect("a builder")
            .with_dimension_override("N", 1)
            .expect("a dimension");
        let mut session = append(builder, runtime(), provider, &ProviderOptions::default())?
            .commit_from_memory(CONV)
            .expect("a session");
        let patch = Array5::from_shape_fn((1, 1, 8, 6, 4), |(_, _, x, y, z)| {
            (x * 24 + y * 4 + z) as f32 / 96.0 - 1.0
        });
        let input = session.inputs()[0].name().to_owned();
        let patch = TensorRef::from_array_view(&patch).expect("a tensor");
        let outputs = session
            .run(ort::inputs![input.as_str() => patch])
            .expect("runs");
        let logits = outputs[0].try_extract_array::<f32>().expect("logits");
        Ok(logits.iter().copied().collect())
    };
    let expected = run(Provider::Native).expect("always there");
    assert_eq!(expected.len(), 3 * 8 * 6 * 4);
    match run(Provider::OpenVino) {
        Ok(found) => {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let difference = (found - expected).abs();
                assert!(difference < 1e-5, "{found} instead of {expected}");
            }
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
fn companions_are_libraries_of_that_name_in_any_version() {
    let is = |file: &str, name| is_library(&Path::new("plugins").join(file), name);
    for file in [
        "libtensorrt_rtx.so.1.7.1",
        "libtensorrt_rtx.so",
        "tensorrt_rtx_1_7.dll",
    ] {
        assert!(is(file, "tensorrt_rtx"), "{file}");
    }
    assert!(is("cudart64_13.dll", "cudart"));
    for file in [
        "tensorrt_rtx_provider_options.h",
        "libtensorrt_onnxparser_rtx.so.1",
        "libonnxruntime_providers_nv_tensorrt_rtx.so",
        "libtensorrt_rtx.so_",
        "tensorrt_rtx",
    ] {
        assert!(!is(file, "tensorrt_rtx"), "{file}");
    }
}
