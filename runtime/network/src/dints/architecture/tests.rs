use super::*;

fn codes() -> DintsCodes {
    DintsArchitecture::default().into()
}

/// The error after a number of a matrix is another.
fn refused(change: impl FnOnce(&mut DintsCodes)) -> DintsArchitectureError {
    let mut codes = codes();
    change(&mut codes);
    DintsArchitecture::try_from(codes).unwrap_err()
}

#[test]
fn matrices_state_an_architecture_completely() {
    let default = DintsArchitecture::default();
    assert_eq!(default.cells().count(), 97);
    assert_eq!(DintsArchitecture::try_from(codes()), Ok(default));
}

#[test]
fn nodes_are_needed_while_a_path_leads_on() {
    let default = DintsArchitecture::default();
    assert_eq!(default.nodes(0), [true, true, true, false]);
    assert_eq!(default.needed(0), [true, true, true, false]);
    assert_eq!(default.needed(BLOCKS), [true, false, true, true]);

    // Without path 2 from node 0 in the first block, the image is needed at fewer nodes.
    let mut fewer = codes();
    fewer.code_a[0].0 = vec![0, 0, 0, 1, 1, 1, 1, 0, 1, 0];
    fewer.code_a[1].0 = vec![0, 1, 0, 1, 0, 1, 1, 0, 1, 1];
    fewer.node_a[1].0 = vec![0, 1, 1, 1];
    let fewer = DintsArchitecture::try_from(fewer).unwrap();
    assert_eq!(fewer.nodes(0), [true, true, true, false]);
    assert_eq!(fewer.needed(0), [false, true, true, false]);
}

#[test]
fn matrices_of_other_sizes_are_refused() {
    assert_eq!(
        refused(|codes| {
            codes.node_a.pop();
        }),
        DintsArchitectureError::Rows {
            matrix: "node_a",
            found: 12,
            expected: 13
        }
    );
    assert_eq!(
        refused(|codes| codes.code_c[4].0.push(0)),
        DintsArchitectureError::Columns {
            matrix: "code_c",
            row: 4,
            found: 11,
            expected: 10
        }
    );
    assert_eq!(
        refused(|codes| codes.code_c[4].0[7] = 5),
        DintsArchitectureError::Number {
            matrix: "code_c",
            row: 4,
            column: 7,
            found: 5,
            max: 4
        }
    );
}

#[test]
fn paths_from_nowhere_are_refused() {
    assert_eq!(
        refused(|codes| codes.code_a[0].0[7] = 1),
        DintsArchitectureError::NoInput { path: 7, node: 3 }
    );
    // Node 1 exists no longer after the block, and path 1 of the next one comes from there.
    let alone = refused(|codes| {
        codes.code_a[3].0[2..5].fill(0);
        codes.node_a[4].0[1] = 0;
    });
    assert_eq!(
        alone,
        DintsArchitectureError::NoSource {
            block: 4,
            path: 1,
            node: 1
        }
    );
    assert_eq!(
        refused(|codes| codes.code_a[11].0.fill(0)),
        DintsArchitectureError::NoPath { block: 11 }
    );
    assert_eq!(
        refused(|codes| codes.node_a[12].0[1] = 1),
        DintsArchitectureError::Node {
            row: 12,
            node: 1,
            found: 1,
            expected: 0
        }
    );
}
