//! Networks that do not fit their plan, and libraries other than the loaded one.

use crate::example::{self, CONV_A, interface, options, plan, runtime};
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::library::{FoundLibrary, LibraryError, LibraryOrigin, load};
use vesal_engine::{
    Device, EngineError, EngineOptions, Ensemble, PredictorError, availability, install,
};
use vesal_onnx::check::{CheckError, InitializerProblem, TypeProblem};
use vesal_onnx::proto::OperatorSetIdProto;
use vesal_onnx::{DOMAIN, EncodingProblem, NORM_LEAKY_RELU, NetworkError, OnnxModel};

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

/// The rule of the check that a network breaks.
fn broken_rule(network: &[u8]) -> CheckError {
    match refused(network, &interface(), &plan(Vec::new())) {
        PredictorError::Unknown(error) => *error,
        error => panic!("{error:?}"),
    }
}

#[test]
fn external_data_are_refused_before_they_are_followed() {
    let error = broken_rule(include_bytes!("../fixtures/external.onnx"));
    assert!(
        matches!(
            &error,
            CheckError::Initializer { initializer, problem: InitializerProblem::External } if initializer == "weight"
        ),
        "{error:?}"
    );
    let error = broken_rule(include_bytes!("../fixtures/nested_external.onnx"));
    assert!(
        matches!(&error, CheckError::Operator { found, .. } if found == "Constant"),
        "{error:?}"
    );
}

#[test]
fn a_file_that_decoders_read_differently_is_refused() {
    // The operator set again, under a key that is 8 in its lower 32 bits alone.
    let mut key = Vec::new();
    let mut rest = (8_u64 << 3 | 2) | 1 << 35;
    while rest >= 0x80 {
        key.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    key.push(rest as u8);
    let network = [CONV_A, &key[..], b"\x02\x10\x15"].concat();
    let error = broken_rule(&network);
    assert!(
        matches!(
            error,
            CheckError::Decode(NetworkError::Encoding { problem: EncodingProblem::Key, at }) if at == CONV_A.len()
        ),
        "{error:?}"
    );
}

#[test]
fn operators_of_this_program_are_none_of_a_file() {
    let mut model = OnnxModel::decode(CONV_A).expect("a model").into_model();
    let graph = model.graph.as_mut().expect("a graph");
    graph.node[0].op_type = Some(NORM_LEAKY_RELU.into());
    graph.node[0].domain = Some(DOMAIN.into());
    let error = broken_rule(&OnnxModel::from(model.clone()).encode());
    assert_eq!(
        error,
        CheckError::Domain {
            domain: DOMAIN.into()
        }
    );
    let imported = OperatorSetIdProto {
        domain: Some(DOMAIN.into()),
        version: Some(1),
    };
    model.opset_import.push(imported);
    let error = broken_rule(&OnnxModel::from(model).encode());
    assert!(matches!(error, CheckError::Domain { .. }), "{error:?}");
}

#[test]
fn names_shapes_types_and_opset_must_be_the_plans() {
    let plan = plan(Vec::new());
    let error = refused(include_bytes!("../fixtures/wide.onnx"), &interface(), &plan);
    assert_eq!(
        error.to_string(),
        "the network's input has shape [?, 1, 8, 6, 5], the deploy plan needs [?, 1, 8, 6, 4]"
    );
    let error = refused(
        include_bytes!("../fixtures/conv_two.onnx"),
        &interface(),
        &plan,
    );
    assert!(
        matches!(error, PredictorError::Shape { what: "input", .. }),
        "{error:?}"
    );
    let error = broken_rule(include_bytes!("../fixtures/double.onnx"));
    assert!(
        matches!(
            error,
            CheckError::Type {
                problem: TypeProblem::Element { found: Some(11) },
                ..
            }
        ),
        "{error:?}"
    );
    let error = refused(
        include_bytes!("../fixtures/two_outputs.onnx"),
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
    let error = broken_rule(b"not a network");
    assert!(matches!(error, CheckError::Decode(_)), "{error:?}");
    // Ends between two fields: protobuf, but no graph.
    let error = broken_rule(b"\x08\x09\x42\x04\x0a\x00\x10\x14");
    assert_eq!(error, CheckError::NoGraph);
    let plan = plan(Vec::new());
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
    let other = FoundLibrary {
        path,
        origin: LibraryOrigin::Explicit,
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
