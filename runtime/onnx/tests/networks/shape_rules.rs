//! The shape rule of each operator, on one node whose first input is `x`.

mod arithmetic;
mod arrangement;
mod windows;

use prost::Message;
use vesal_onnx::check::{AttributeProblem, CheckError, ShapeProblem};
use vesal_onnx::proto::{
    AttributeProto, AttributeType, ModelProto, NodeProto, TensorDataType, TensorProto,
};
use vesal_onnx::{AxisSize, GraphBuilder, OnnxModel};

use crate::parts::{attributed, graph};

fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    TensorProto {
        dims: dims.to_vec(),
        data_type: Some(TensorDataType::Float as i32),
        name: Some(name.into()),
        raw_data: Some(vec![0; 4 * count].into()),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: Some(TensorDataType::Int64 as i32),
        name: Some(name.into()),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..AttributeProto::int(name, 0)
    }
}

fn text(name: &str, value: &str) -> AttributeProto {
    attributed(AttributeType::String, |attribute| {
        attribute.name = Some(name.into());
        attribute.s = Some(value.into());
    })
}

/// A node of `x`, `[batch, ...]`, and constants.
struct Case {
    operator: &'static str,
    x: Vec<usize>,
    attributes: Vec<AttributeProto>,
    constants: Vec<TensorProto>,
}

fn case(operator: &'static str, x: &[usize]) -> Case {
    Case {
        operator,
        x: x.to_vec(),
        attributes: Vec::new(),
        constants: Vec::new(),
    }
}

impl Case {
    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn and(mut self, constant: TensorProto) -> Self {
        self.constants.push(constant);
        self
    }

    /// The network whose outputs have these sizes behind the batch.
    fn model(&self, outputs: &[&[usize]]) -> ModelProto {
        let shape = |sizes: &[usize]| {
            let sizes = sizes.iter().map(|&size| AxisSize::Fixed(size));
            [AxisSize::Free("batch")]
                .into_iter()
                .chain(sizes)
                .collect::<Vec<_>>()
        };
        let mut made = GraphBuilder::new("case");
        made.input("x", &shape(&self.x));
        let names: Vec<String> = (0..outputs.len())
            .map(|index| format!("y{index}"))
            .collect();
        for (name, sizes) in names.iter().zip(outputs) {
            made.output(name, &shape(sizes));
        }
        let mut model = made.finish("test");
        let constants = self.constants.iter().map(|tensor| tensor.name().to_owned());
        graph(&mut model).node.push(NodeProto {
            input: [String::from("x")].into_iter().chain(constants).collect(),
            output: names,
            name: Some("node".into()),
            op_type: Some(self.operator.into()),
            attribute: self.attributes.clone(),
            ..Default::default()
        });
        graph(&mut model).initializer.extend(self.constants.clone());
        model
    }

    fn load(&self, outputs: &[&[usize]]) -> Result<OnnxModel, CheckError> {
        OnnxModel::load(self.model(outputs).encode_to_vec())
    }

    /// Checks that the output has these sizes behind the batch, and no others.
    fn gives(&self, sizes: &[usize]) {
        self.splits(&[sizes]);
    }

    fn splits(&self, outputs: &[&[usize]]) {
        let network = self
            .load(outputs)
            .unwrap_or_else(|error| panic!("{}: {error}", self.operator));
        let elements = |sizes: &[usize]| sizes.iter().product::<usize>() as u64;
        let least = outputs.iter().map(|sizes| elements(sizes)).sum::<u64>();
        assert!(
            network.activation_bytes(3, 4, true).unwrap() >= 3 * 4 * least.max(elements(&self.x))
        );
        let mut other = outputs[0].to_vec();
        match other.last_mut() {
            Some(last) => *last += 1,
            None => other.push(1),
        }
        let others: Vec<&[usize]> = [other.as_slice()]
            .into_iter()
            .chain(outputs[1..].iter().copied())
            .collect();
        let error = self.load(&others).unwrap_err();
        assert!(
            matches!(error, CheckError::Declaration { .. }),
            "{}: {error}",
            self.operator
        );
    }

    fn refused(&self) -> CheckError {
        match self.load(&[&[1]]) {
            Err(CheckError::Declaration { found, .. }) => {
                panic!("{}: gives {found}", self.operator)
            }
            Err(error) => error,
            Ok(_) => panic!("{}: loaded", self.operator),
        }
    }

    fn shape_problem(&self) -> ShapeProblem {
        match self.refused() {
            CheckError::Shape { problem, .. } => problem,
            error => panic!("{}: {error}", self.operator),
        }
    }

    fn range(&self) -> String {
        match self.refused() {
            CheckError::Attribute {
                problem: AttributeProblem::Range { found, .. },
                ..
            } => found,
            error => panic!("{}: {error}", self.operator),
        }
    }
}
