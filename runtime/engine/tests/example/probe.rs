//! Probes with expectations from ONNX Runtime.

use ndarray::{Array5, Axis};
use vesal_bundle::manifest::NetworkInterface;
use vesal_bundle::probe::ProbeRecorder;
use vesal_bundle::{DeployPlan, Probe};
use vesal_engine::{Convolutions, Device, EngineOptions, OnnxPredictor, library};
use vesal_volume::postprocess::Combine;

/// Records the probe of networks that share a plan, with their weights.
pub fn recorded(
    plan: &DeployPlan,
    interface: &NetworkInterface,
    networks: &[(&[u8], f64)],
    options: &EngineOptions,
) -> Probe {
    let mut recorder = ProbeRecorder::new(plan, Combine::Mean);
    let input = recorder.input();
    let input = Array5::from_shape_vec(input.shape, input.values()).expect("of that shape");
    let options = EngineOptions {
        convolutions: Convolutions::OnnxRuntime,
        ..options.clone()
    };
    let runtime = library::runtime(options.library.as_deref()).expect("ONNX Runtime");
    for (network, weight) in networks {
        let network = (*network).into();
        let predictor =
            OnnxPredictor::new(runtime, network, interface, plan, Device::Cpu, &options);
        let logits = predictor.expect("loads").logits(input.view());
        let logits = logits.expect("runs").index_axis_move(Axis(0), 0);
        recorder.add(logits, *weight).expect("combines");
    }
    Probe::record(vec![recorder]).expect("labels")
}
