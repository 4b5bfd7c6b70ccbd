//! Convolutions for an operator of ours.

use std::collections::BTreeMap;

use crate::check::shapes;
use crate::convolution::VolumeConvolution;
use crate::network::{Network, is_default_domain};
use crate::proto::{AttributeProto, DataType, GraphProto, NodeProto};
use crate::refusal::Refusal;
use crate::rewrite::norm_relu::DOMAIN;

/// Operator of [`DOMAIN`] that convolves volumes.
///
/// **Shapes**: input `[N, C, X, Y, Z]`, weights `[F, C, kernel]` and perhaps bias `[F]`; output `[N, F, X', Y', Z']`. Its
/// attributes are `strides` and `pads`, both always stated, as those of the standard's `Conv`. With the attribute
/// `output_padding` it is the standard's `ConvTranspose`, of weights `[C, F, kernel]`.
pub const CONVOLUTION: &str = "Convolution";

impl Network {
    /// Makes every 3-D convolution of which `takes` says so a [`CONVOLUTION`]; gives their number as well.
    ///
    /// **Definition**: a `Conv` or `ConvTranspose` of one group, not dilated, with stated padding and constant weights of 32-bit
    /// floats, whose input has a known shape; its weights stay what and where they are.
    ///
    /// **Errors**: a weight that a caller may replace, graphs in graphs, or an operator of which is not known what shape it
    /// gives.
    pub fn own_convolutions(
        &self,
        mut takes: impl FnMut(&VolumeConvolution) -> bool,
    ) -> Result<(Self, usize), Refusal> {
        let (mut network, count) = self.rewritten(|graph| {
            graph.no_replaceable_weights()?;
            graph.no_subgraphs()?;
            let shapes = shapes(graph, 1)?;
            let found: Vec<(usize, VolumeConvolution)> = (0..graph.node.len())
                .filter_map(|index| Some((index, sizes(graph, &graph.node[index], &shapes)?)))
                .filter(|(_, sizes)| takes(sizes))
                .collect();
            for (index, sizes) in &found {
                replace(&mut graph.node[*index], sizes);
            }
            Ok(found.len())
        })?;
        if count > 0 {
            network.import_own_domain();
        }
        Ok((network, count))
    }
}

/// Sizes of a node that is a convolution as above.
fn sizes(
    graph: &GraphProto,
    node: &NodeProto,
    shapes: &BTreeMap<String, Vec<u64>>,
) -> Option<VolumeConvolution> {
    let transposed = match node.op_type.as_deref() {
        Some("Conv") => false,
        Some("ConvTranspose") => true,
        _ => return None,
    };
    let known = is_default_domain(node.domain.as_deref());
    if !known || node.output.len() != 1 || !(2..=3).contains(&node.input.len()) {
        return None;
    }
    let weight = graph.weight(&node.input[1])?;
    let [mut filters, mut channels, x, y, z] = weight.dims[..] else {
        return None;
    };
    if transposed {
        (filters, channels) = (channels, filters);
    }
    let size = |size: i64| usize::try_from(size).ok().filter(|size| *size > 0);
    let mut sizes = VolumeConvolution {
        channels: size(channels)?,
        filters: size(filters)?,
        kernel: [size(x)?, size(y)?, size(z)?],
        stride: [1; 3],
        before: [0; 3],
        after: [0; 3],
        input: [0; 3],
        transposed: transposed.then_some([0; 3]),
    };
    let [_, found, input @ ..] = &shapes.get(&node.input[0])?[..] else {
        return None;
    };
    sizes.input = list(input)?;
    let bias = node.input.get(2).filter(|name| !name.is_empty());
    let floats = |name: &String, dims: &[i64]| {
        let weight = graph.weight(name)?;
        let bytes = weight.elements()?.checked_mul(size_of::<f32>())?;
        let whole = weight.raw_data.as_ref()?.len() == bytes && weight.dims == dims;
        (whole && weight.data_type == Some(DataType::Float as i32)).then_some(())
    };
    floats(&node.input[1], &weight.dims)?;
    if let Some(bias) = bias {
        floats(bias, &[filters])?;
    }
    for attribute in &node.attribute {
        if attribute.ref_attr_name.is_some() {
            return None;
        }
        match attribute.name.as_deref()? {
            "kernel_shape" if list(&attribute.ints)? == sizes.kernel => {}
            "dilations" if list::<_, 3>(&attribute.ints)? == [1; 3] => {}
            "group" if attribute.i == Some(1) => {}
            // The table of operators allows explicit padding alone.
            "auto_pad" if attribute.s.as_deref() == Some(b"NOTSET") => {}
            "strides" => sizes.stride = list(&attribute.ints)?,
            "pads" => {
                let [a, b, c, d, e, f] = list(&attribute.ints)?;
                (sizes.before, sizes.after) = ([a, b, c], [d, e, f]);
            }
            "output_padding" if transposed => sizes.transposed = Some(list(&attribute.ints)?),
            _ => return None,
        }
    }
    let fits = usize::try_from(*found) == Ok(sizes.channels) && sizes.output().is_some();
    fits.then_some(sizes)
}

/// So many sizes, none of them negative.
fn list<T: Copy + TryInto<usize>, const LENGTH: usize>(values: &[T]) -> Option<[usize; LENGTH]> {
    let sizes: Option<Vec<usize>> = values.iter().map(|&value| value.try_into().ok()).collect();
    sizes?.try_into().ok()
}

fn replace(node: &mut NodeProto, sizes: &VolumeConvolution) {
    node.op_type = Some(CONVOLUTION.into());
    node.domain = Some(DOMAIN.into());
    let pads: Vec<usize> = [sizes.before, sizes.after].concat();
    node.attribute = vec![
        AttributeProto::ints("strides", sizes.stride),
        AttributeProto::ints("pads", pads),
    ];
    if let Some(extra) = sizes.transposed {
        let extra = AttributeProto::ints("output_padding", extra);
        node.attribute.push(extra);
    }
    node.input.retain(|input| !input.is_empty());
}
