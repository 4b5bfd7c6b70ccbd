//! The shapes that the table of operators states are those that ONNX Runtime computes, and operators that are safe in 16-bit
//! floats compute nearly the same in them.

use ndarray::{ArrayD, IxDyn};
use ort::value::TensorRef;
use vesal_onnx::proto::{AttributeProto, AttributeType, NodeProto, TensorDataType, TensorProto};
use vesal_onnx::{AxisSize as Size, GraphBuilder, Interface, OnnxModel, ops};

use crate::comparison::relative_difference;
use crate::network::Random;
use crate::session;

/// A node of `image`, `[batch, ...]`, and constants, whose output has these sizes behind the batch.
struct Case {
    operator: &'static str,
    x: &'static [usize],
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
    output: &'static [usize],
}

fn case(operator: &'static str, x: &'static [usize], output: &'static [usize]) -> Case {
    Case {
        operator,
        x,
        attributes: Vec::new(),
        constants: Vec::new(),
        output,
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..AttributeProto::int(name, 0)
    }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        s: Some(value.into()),
        r#type: Some(AttributeType::String as i32),
        ..AttributeProto::default()
    }
}

impl Case {
    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn push(mut self, dims: &[i64], element: TensorDataType, bytes: Vec<u8>) -> Self {
        self.constants.push(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(element as i32),
            name: Some(format!("c{}", self.constants.len())),
            raw_data: Some(bytes.into()),
            ..TensorProto::default()
        });
        self
    }

    /// A constant of numbers from 0.5 to 1.5.
    fn floats(self, dims: &[i64]) -> Self {
        let count = dims.iter().product::<i64>() as usize;
        let values = Random(count as u64).values(count, 0.5);
        let bytes = values.iter().flat_map(|value| (value + 1.).to_le_bytes());
        self.push(dims, TensorDataType::Float, bytes.collect())
    }

    fn integers(self, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.push(
            &[values.len() as i64],
            TensorDataType::Int64,
            bytes.collect(),
        )
    }

    fn network(&self) -> OnnxModel {
        let shape = |sizes: &[usize]| {
            let mut shape = vec![Size::Free("batch")];
            shape.extend(sizes.iter().map(|&size| Size::Fixed(size)));
            shape
        };
        let mut made = GraphBuilder::new("case");
        made.input("image", &shape(self.x));
        made.output("logits", &shape(self.output));
        let mut model = made.finish("test");
        let graph = model.graph.as_mut().expect("a graph");
        let constants = self.constants.iter().map(|tensor| tensor.name().to_owned());
        graph.node.push(NodeProto {
            input: [String::from("image")]
                .into_iter()
                .chain(constants)
                .collect(),
            output: vec!["logits".into()],
            op_type: Some(self.operator.into()),
            attribute: self.attributes.clone(),
            ..NodeProto::default()
        });
        graph.initializer.extend(self.constants.clone());
        let bytes = OnnxModel::from(model).encode();
        OnnxModel::load(bytes).unwrap_or_else(|error| panic!("{}: {error}", self.operator))
    }

    fn run(&self, network: &OnnxModel) -> ArrayD<f32> {
        let shape = [&[2][..], self.x].concat();
        let mut random = Random(5);
        let image = ArrayD::from_shape_simple_fn(IxDyn(&shape), || 1. + 0.5 * random.next());
        let input = TensorRef::from_array_view(&image).expect("a tensor");
        let mut session = session(network);
        let outputs = session.run(ort::inputs!["image" => input]).expect("runs");
        let output = outputs[0].try_extract_array::<f32>().expect("floats");
        output.to_owned()
    }
}

fn cases() -> Vec<Case> {
    let one = |operator| case(operator, &[2, 3, 4], &[2, 3, 4]);
    let two = |operator| case(operator, &[2, 3, 1], &[2, 3, 4]).floats(&[3, 4]);
    let mut cases: Vec<Case> = [
        "Elu",
        "Erf",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Mish",
        "Relu",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Sqrt",
        "Tanh",
    ]
    .map(one)
    .into_iter()
    .chain(["Add", "Div", "Mul", "Pow", "Sub"].map(two))
    .collect();
    let window = |operator| {
        case(operator, &[2, 5, 6], &[2, 3, 3])
            .with(AttributeProto::ints("kernel_shape", [3, 2]))
            .with(AttributeProto::ints("strides", [2, 2]))
            .with(AttributeProto::ints("pads", [1, 0, 1, 0]))
    };
    cases.extend([
        window("AveragePool"),
        window("MaxPool"),
        // The last window begins inside.
        case("MaxPool", &[2, 6], &[2, 3])
            .with(AttributeProto::ints("kernel_shape", [3]))
            .with(AttributeProto::ints("strides", [2]))
            .with(int("ceil_mode", 1)),
        case("Conv", &[2, 7, 8], &[4, 2, 4])
            .with(AttributeProto::ints("dilations", [2, 1]))
            .with(AttributeProto::ints("strides", [2, 2]))
            .with(AttributeProto::ints("pads", [0, 1, 0, 1]))
            .floats(&[4, 2, 3, 3])
            .floats(&[4]),
        case("ConvTranspose", &[2, 3, 4], &[4, 6, 8])
            .with(AttributeProto::ints("strides", [2, 2]))
            .with(AttributeProto::ints("pads", [1, 1, 1, 1]))
            .with(AttributeProto::ints("output_padding", [1, 1]))
            .floats(&[2, 4, 3, 3]),
        case("BatchNormalization", &[2, 3], &[2, 3])
            .floats(&[2])
            .floats(&[2])
            .floats(&[2])
            .floats(&[2]),
        case("InstanceNormalization", &[2, 3], &[2, 3])
            .floats(&[2])
            .floats(&[2]),
        case("LayerNormalization", &[3, 2, 4], &[3, 2, 4])
            .with(int("axis", 2))
            .floats(&[2, 4])
            .floats(&[2, 4]),
        case("MatMul", &[1, 3, 4], &[5, 3, 2]).floats(&[5, 4, 2]),
        case("Gemm", &[4], &[3])
            .with(int("transB", 1))
            .floats(&[3, 4])
            .floats(&[3]),
        case("Reshape", &[4, 6], &[8, 3]).integers(&[-1, 8, 3]),
        case("Reshape", &[4, 6], &[4, 2, 3]).integers(&[0, 0, -1, 3]),
        case("Transpose", &[4, 6], &[6, 4]).with(AttributeProto::ints("perm", [0, 2, 1])),
        case("Gather", &[4, 6], &[3, 6])
            .with(int("axis", 1))
            .integers(&[3, 0, -1]),
        case("Slice", &[8, 6], &[4, 3])
            .integers(&[7, -3])
            .integers(&[0, i64::MAX])
            .integers(&[1, 2])
            .integers(&[-2, 1]),
        case("Pad", &[4, 6], &[7, 5])
            .integers(&[0, 1, 0, 0, 2, -1])
            .floats(&[]),
        case("Pad", &[4, 6], &[6, 6])
            .with(text("mode", "reflect"))
            .integers(&[0, 2, 0, 0, 0, 0]),
        case("ReduceMean", &[4, 6], &[4, 1]).integers(&[-1]),
        case("ReduceMean", &[4, 6], &[6])
            .with(int("keepdims", 0))
            .integers(&[1]),
        case("GlobalAveragePool", &[2, 3], &[2, 1]),
        case("Split", &[6], &[6])
            .with(int("axis", 1))
            .with(int("num_outputs", 1)),
    ]);
    cases
}

#[test]
fn shapes_are_those_of_onnx_runtime() {
    for case in cases() {
        let network = case.network();
        let found = case.run(&network);
        let expected = [&[2][..], case.output].concat();
        assert_eq!(found.shape(), expected, "{}", case.operator);
        let operator = ops::find(case.operator).expect("known");
        if operator.half.is_some() {
            let half = network.half(Interface::Single);
            let half = half.unwrap_or_else(|error| panic!("{}: {error}", case.operator));
            let error = relative_difference(case.run(&half).view(), found.view());
            assert!(error < 5e-3, "{}: {error}", case.operator);
        }
    }
}
