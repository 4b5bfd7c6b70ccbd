//! Convolutions as a custom operator.

use std::collections::BTreeMap;

use crate::convolution::VolumeConvolution;
use crate::domain::{CONVOLUTION, DOMAIN, is_default_domain};
use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::ops::{self, Convolution};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorDataType};
use crate::rewrite_error::RewriteError;

impl OnnxModel {
    /// Makes every 3-D convolution that `takes` accepts a [`CONVOLUTION`]; also returns their number.
    ///
    /// **Definition**: a `Conv` or `ConvTranspose` of one group, not dilated, with stated padding and constant weights of 32-bit
    /// floats, whose input has a known shape; its weights stay in place.
    ///
    /// **Errors**: a weight that a caller may replace, graphs in graphs, or shape inference fails.
    pub fn own_convolutions(
        &self,
        mut takes: impl FnMut(&VolumeConvolution) -> bool,
    ) -> Result<(Self, usize), RewriteError> {
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
    let operator = ops::find(node.op_type.as_deref()?)?;
    if !is_default_domain(node.domain.as_deref()) || operator.check("", node).is_err() {
        return None;
    }
    let weight = graph.weight(&node.input[1])?;
    let [mut filters, mut channels, ref kernel @ ..] = weight.dims[..] else {
        return None;
    };
    if transposed {
        (filters, channels) = (channels, filters);
    }
    let view = operator.node("", node, &[]);
    let attributes = Convolution::read(&view, kernel.to_vec(), transposed).ok()?;
    if attributes.groups != 1 || attributes.dilations.iter().any(|size| *size != 1) {
        return None;
    }
    let [_, found, input @ ..] = &shapes.get(&node.input[0])?[..] else {
        return None;
    };
    let positive = |size: i64| usize::try_from(size).ok().filter(|size| *size > 0);
    let sizes = VolumeConvolution {
        channels: positive(channels)?,
        filters: positive(filters)?,
        kernel: list(kernel)?,
        stride: list(&attributes.strides)?,
        before: list(&attributes.before)?,
        after: list(&attributes.after)?,
        input: list(input)?,
        transposed: match transposed {
            true => Some(list(&attributes.output_padding)?),
            false => None,
        },
    };
    let bias = node.input.get(2).filter(|name| !name.is_empty());
    let floats = |name: &String, dims: &[i64]| {
        let weight = graph.weight(name)?;
        let bytes = weight.elements()?.checked_mul(size_of::<f32>())?;
        let whole = weight.raw_data.as_ref()?.len() == bytes && weight.dims == dims;
        (whole && weight.data_type == Some(TensorDataType::Float as i32)).then_some(())
    };
    floats(&node.input[1], &weight.dims)?;
    if let Some(bias) = bias {
        floats(bias, &[filters])?;
    }
    let fits = usize::try_from(*found) == Ok(sizes.channels)
        && sizes.kernel.iter().all(|size| *size > 0)
        && sizes.output().is_some();
    fits.then_some(sizes)
}

/// Three sizes, none of them negative.
fn list<T: Copy + TryInto<usize>>(values: &[T]) -> Option<[usize; 3]> {
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
