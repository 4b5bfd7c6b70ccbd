//! The checker accepts what the exporter writes; its refusals are tested in its crate.

use crate::support::{config, network};
use prost::Message;
use vesal_exporter::lower;
use vesal_onnx::check::{check, check_bytes};

#[test]
fn what_the_exporter_writes_is_accepted() {
    let config = config(&[1, 1], [1, 2], None);
    let model = lower::lower(&network(&config, 1), &config, [4, 6, 8]).unwrap();
    assert_eq!(check(&model), Ok(()));
    assert_eq!(check_bytes(&model.encode_to_vec()), Ok(model));
}
