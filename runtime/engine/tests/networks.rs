//! Networks that do not fit their plan, and libraries that are not the one in use.

mod example;

use example::{CONV_A, interface, options, plan, runtime};
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::library::{Found, LibraryError, Origin, load};
use vesal_engine::{
    Device, EngineError, EngineOptions, Ensemble, PredictorError, availability, install,
};

fn refused(network: &[u8], interface: &NetworkInterface, plan: &DeployPlan) -> PredictorError {
    match Ensemble::from_networks(plan, interface, &[(CONV_A, 1.), (network, 1.)], &options()) {
        Err(EngineError::Member { member: 1, source }) => source,
        Err(EngineError::Member { member: 0, .. }) => {
            let error = Ensemble::from_networks(plan, interface, &[(network, 1.)], &options());
            let Err(EngineError::Member { source, .. }) = error else {
                panic!("{error:?}")
            };
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn external_data_are_refused_before_they_are_followed() {
    let plan = plan(Vec::new());
    for network in [
        &include_bytes!("fixtures/external.onnx")[..],
        &include_bytes!("fixtures/nested_external.onnx")[..],
    ] {
        let error = refused(network, &interface(), &plan);
        assert!(
            matches!(&error, PredictorError::ExternalData { tensor } if tensor == "weight"),
            "{error:?}"
        );
    }
}

#[test]
fn names_shapes_types_and_opset_must_be_the_plans() {
    let plan = plan(Vec::new());
    let error = refused(include_bytes!("fixtures/wide.onnx"), &interface(), &plan);
    assert_eq!(
        error.to_string(),
        "the network's input has shape [?, 1, 8, 6, 5], the deploy plan needs [?, 1, 8, 6, 4]"
    );
    let error = refused(
        include_bytes!("fixtures/conv_two.onnx"),
        &interface(),
        &plan,
    );
    assert!(
        matches!(error, PredictorError::Shape { what: "input", .. }),
        "{error:?}"
    );
    let error = refused(include_bytes!("fixtures/double.onnx"), &interface(), &plan);
    assert!(
        matches!(error, PredictorError::ElementType { what: "input", .. }),
        "{error:?}"
    );
    let error = refused(
        include_bytes!("fixtures/two_outputs.onnx"),
        &interface(),
        &plan,
    );
    assert!(
        matches!(error, PredictorError::Names { what: "output", .. }),
        "{error:?}"
    );

    let other = NetworkInterface {
        output: "probabilities".into(),
        ..interface()
    };
    let error = refused(CONV_A, &other, &plan);
    assert_eq!(
        error.to_string(),
        "the network's outputs are [\"logits\"], expected only \"probabilities\""
    );
    let error = refused(
        CONV_A,
        &NetworkInterface {
            opset: 18,
            ..interface()
        },
        &plan,
    );
    assert_eq!(error.to_string(), "the network has opset 20, expected 18");

    let mut fewer = plan.clone();
    fewer.labels.pop();
    let error = refused(CONV_A, &interface(), &fewer);
    assert!(
        matches!(error, PredictorError::Shape { what: "output", .. }),
        "{error:?}"
    );
}

#[test]
fn bytes_that_are_no_network_are_refused() {
    let plan = plan(Vec::new());
    let error = refused(b"not a network", &interface(), &plan);
    assert!(matches!(error, PredictorError::Malformed(_)), "{error:?}");
    // Ends between two fields: protobuf, but no graph.
    let error = refused(b"\x08\x09\x42\x04\x0a\x00\x10\x14", &interface(), &plan);
    assert!(matches!(error, PredictorError::Refused { .. }), "{error:?}");
    let error = Ensemble::from_networks(&plan, &interface(), &[], &options());
    assert!(matches!(error, Err(EngineError::NoMembers)));
}

#[test]
fn the_processor_is_always_available() {
    let devices = availability::available(runtime());
    assert_eq!(devices[0].device, Device::Cpu);
    assert_eq!(devices[0].provider, "CPUExecutionProvider");
    assert!(devices[0].error.is_none());
    assert_eq!(devices[1].device, Device::Cuda(0));
}

#[test]
fn the_library_is_fetched_once_and_says_its_version() {
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(install::find_or_fetch))
        .collect();
    let found: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic").expect("found"))
        .collect();
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(std::ptr::eq(load(&found[0]).expect("loads"), runtime()));
    assert!(
        runtime().version().starts_with("1."),
        "{}",
        runtime().version()
    );
}

#[test]
fn a_process_keeps_its_library() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder
        .path()
        .join(example::library_path().file_name().expect("a file"));
    std::fs::copy(example::library_path(), &path).expect("copied");
    let other = Found {
        path,
        origin: Origin::Explicit,
    };
    assert!(matches!(
        load(&other),
        Err(LibraryError::AlreadyLoaded { .. })
    ));
    let options = EngineOptions {
        library: Some(folder.path().join("nowhere")),
        ..options()
    };
    let error = Ensemble::from_networks(&plan(Vec::new()), &interface(), &[(CONV_A, 1.)], &options);
    assert!(matches!(
        error,
        Err(EngineError::Library(LibraryError::NotThere { .. }))
    ));
}
