//! Attention as a custom operator, which keeps no matrix of weights.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::attention::AttentionSizes;
use crate::domain::{ATTENTION, DOMAIN};
use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::ops;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorDataType, TensorProto};
use crate::rewrite_error::RewriteError;

/// Most groups of a case, of all attentions together: each has entries in the attributes.
const MAX_GROUPS: usize = 1 << 18;

type Shapes = BTreeMap<String, Vec<u64>>;

impl OnnxModel {
    /// Makes every attention that `takes` accepts an [`ATTENTION`]; also returns their number.
    ///
    /// Windows of 343 tokens have 343² weights for each head: half a gigabyte for a volume of 48³ tokens, which
    /// the operator computes a few rows at a time. A mask is not stored for every pair of tokens either.
    ///
    /// **Definition**: `MatMul` of queries and keys, then at most one sum with a constant of a matrix per group (bias)
    /// and at most one with the product of two constants (mask), each broadcast over groups, with `Reshape` that regroups matrices
    /// in between; `Softmax` along the keys; `MatMul` with the values. Nothing else uses a value in between.
    ///
    /// **Errors**: a weight that a caller may replace, graphs in graphs, or shape inference fails.
    pub fn fuse_attention(
        &self,
        mut takes: impl FnMut(&AttentionSizes) -> bool,
    ) -> Result<(Self, usize), RewriteError> {
        let (mut network, count) = self.rewritten(|graph| {
            graph.no_replaceable_weights()?;
            graph.no_subgraphs()?;
            if !graph.node.iter().any(|node| node.is("Softmax")) {
                return Ok(0);
            }
            let shapes = shapes(graph, 1)?;
            let found: Vec<FoundAttention> = {
                let search = Search::new(graph, &shapes);
                let softmaxes = (0..graph.node.len()).filter(|&at| graph.node[at].is("Softmax"));
                let mut groups = 0;
                let found = softmaxes.filter_map(|at| search.attention(at));
                let few = |found: &FoundAttention| {
                    groups += found.sizes.groups;
                    groups <= MAX_GROUPS
                };
                let found = found.take_while(few);
                found.filter(|found| takes(&found.sizes)).collect()
            };
            let count = found.len();
            if count > 0 {
                replace(graph, found);
            }
            Ok(count)
        })?;
        if count > 0 {
            network.import_own_domain();
        }
        Ok((network, count))
    }
}

/// A pattern of nodes that is an attention.
struct FoundAttention {
    sizes: AttentionSizes,
    /// Positions of its nodes; that of the last product, which the operator replaces, comes first.
    nodes: Vec<usize>,
    node: NodeProto,
}

/// Constant matrices, and which of them each group has.
struct Summand {
    inputs: Vec<String>,
    of: Vec<usize>,
    /// 0 for plain matrices, otherwise the columns of the left factor.
    rank: usize,
}

struct Search<'a> {
    graph: &'a GraphProto,
    shapes: &'a Shapes,
    /// Position of the node that gives a value.
    givers: HashMap<&'a str, usize>,
    uses: HashMap<&'a str, usize>,
    /// Position of the last node that uses a value.
    takers: HashMap<&'a str, usize>,
    weights: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a GraphProto, shapes: &'a Shapes) -> Self {
        let mut givers = HashMap::new();
        let mut uses: HashMap<&str, usize> = HashMap::new();
        let mut takers = HashMap::new();
        for (position, node) in graph.node.iter().enumerate() {
            for input in &node.input {
                *uses.entry(input).or_default() += 1;
                takers.insert(input.as_str(), position);
            }
            givers.extend(node.output.iter().map(|output| (output.as_str(), position)));
        }
        // Outputs of the graph must not disappear.
        for output in &graph.output {
            *uses
                .entry(output.name.as_deref().unwrap_or_default())
                .or_default() += 2;
        }
        let weights = graph.initializer.iter();
        let weights = weights.filter_map(|weight| Some((weight.name.as_deref()?, weight)));
        Self {
            graph,
            shapes,
            givers,
            uses,
            takers,
            weights: weights.collect(),
        }
    }

    fn shape(&self, value: &str) -> Option<&'a [u64]> {
        self.shapes.get(value).map(Vec::as_slice)
    }

    /// The node that gives a value which one node alone uses, once.
    fn inner(&self, value: &str) -> Option<usize> {
        (self.uses.get(value) == Some(&1)).then_some(())?;
        self.givers.get(value).copied()
    }

    /// The attention around a softmax.
    fn attention(&self, softmax: usize) -> Option<FoundAttention> {
        let node = &self.graph.node[softmax];
        let ([scores], [weights]) = (&node.input[..], &node.output[..]) else {
            return None;
        };
        let shape = self.shape(scores)?;
        let axis = ops::find("Softmax")?.node("", node, &[]).int("axis")?;
        let last = i64::try_from(shape.len()).ok()? - 1;
        (axis == last || axis == -1).then_some(())?;
        // The only user of the weights multiplies them with the values.
        (self.uses.get(weights.as_str()) == Some(&1)).then_some(())?;
        let product = *self.takers.get(weights.as_str())?;
        let last = &self.graph.node[product];
        let [left, values] = &last.input[..] else {
            return None;
        };
        (last.is("MatMul") && left == weights).then_some(())?;

        let mut nodes = vec![product, softmax];
        let (mut bias, mut mask) = (None, None);
        let mut value = scores;
        let [queries, keys] = loop {
            let at = self.inner(value)?;
            let node = &self.graph.node[at];
            nodes.push(at);
            match &node.input[..] {
                [a, b] if node.is("MatMul") => break [a, b],
                [a, _] if node.is("Reshape") => {
                    let (from, to) = (self.shape(a)?, self.shape(value)?);
                    // Matrices and cases stay as they are.
                    (matrix(from)? == matrix(to)? && from[0] == to[0]).then_some(())?;
                    value = a;
                }
                [a, b] if node.is("Add") => {
                    let (summand, rest) = match self.summand(b, value) {
                        Some(summand) => (summand, a),
                        None => (self.summand(a, value)?, b),
                    };
                    (self.shape(rest)? == self.shape(value)?).then_some(())?;
                    let place = match summand.rank {
                        0 => &mut bias,
                        _ => &mut mask,
                    };
                    place.is_none().then_some(())?;
                    *place = Some(summand);
                    value = rest;
                }
                _ => return None,
            }
        };
        let sizes = self.sizes(shape, [queries, keys, values], mask.as_ref())?;
        let mut inputs = vec![queries.clone(), keys.clone(), values.clone()];
        let mut attribute = Vec::new();
        if bias.is_some() || mask.is_some() {
            let names = bias.as_ref().map(|bias| bias.inputs.clone());
            inputs.extend(names.unwrap_or_else(|| vec![String::new()]));
        }
        for (name, summand) in [("bias_of", bias), ("mask_of", mask)] {
            let Some(summand) = summand else { continue };
            if name == "mask_of" {
                inputs.extend(summand.inputs);
            }
            attribute.push(AttributeProto::ints(name, summand.of));
        }
        let node = NodeProto {
            input: inputs,
            output: last.output.clone(),
            name: last.name.clone(),
            op_type: Some(ATTENTION.into()),
            domain: Some(DOMAIN.into()),
            attribute,
            ..NodeProto::default()
        };
        Some(FoundAttention { sizes, nodes, node })
    }

    /// Sizes of an attention with scores of this shape, if those of its inputs are the same in all groups.
    fn sizes(
        &self,
        scores: &[u64],
        inputs: [&String; 3],
        mask: Option<&Summand>,
    ) -> Option<AttentionSizes> {
        let [queries, keys, values] = inputs.map(|value| self.shape(value));
        let (queries, keys, values) = (queries?, keys?, values?);
        let (groups, [rows, columns]) = (groups(scores)?, matrix(scores)?);
        let [[n, depth], [d, m], [k, features]] =
            [matrix(queries)?, matrix(keys)?, matrix(values)?];
        let leading = |shape: &[u64]| shape[..shape.len() - 2].to_vec();
        let same = leading(queries) == leading(keys) && leading(values) == leading(scores);
        let fit = same && self::groups(queries) == Some(groups);
        let fit = fit && [n, m, d] == [rows, columns, depth];
        // Activations: a constant has no batch.
        let computed = inputs
            .iter()
            .all(|value| !self.weights.contains_key(value.as_str()));
        (fit && k == columns && computed && groups <= MAX_GROUPS).then_some(())?;
        Some(AttentionSizes {
            groups,
            queries: size(rows)?,
            keys: size(columns)?,
            depth: size(depth)?,
            features: size(features)?,
            rank: mask.map_or(0, |mask| mask.rank),
        })
    }

    /// A constant that is added to scores, if it is one matrix for each of some groups.
    fn summand(&self, value: &str, scores: &str) -> Option<Summand> {
        let scores = self.shape(scores)?;
        let matrices = |shape: &[u64]| {
            let leading = &shape[..shape.len().checked_sub(2)?];
            indices(leading, &scores[..scores.len() - 2])
        };
        if self.is_floats(value) {
            let shape = self.shape(value)?;
            (matrix(shape)? == matrix(scores)?).then_some(())?;
            return Some(Summand {
                inputs: vec![value.into()],
                of: matrices(shape)?,
                rank: 0,
            });
        }
        let node = &self.graph.node[*self.givers.get(value)?];
        let [left, right] = &node.input[..] else {
            return None;
        };
        (node.is("MatMul") && self.is_floats(left) && self.is_floats(right)).then_some(())?;
        let [a, b, product] = [self.shape(left)?, self.shape(right)?, self.shape(value)?];
        (a[..a.len() - 2] == b[..b.len() - 2] && matrix(product)? == matrix(scores)?)
            .then_some(())?;
        Some(Summand {
            inputs: vec![left.clone(), right.clone()],
            of: matrices(a)?,
            rank: size(a[a.len() - 1]).filter(|rank| *rank > 0)?,
        })
    }

    /// Whether a value is a constant of 32-bit floats.
    fn is_floats(&self, value: &str) -> bool {
        let floats = |tensor: &&TensorProto| {
            let bytes = tensor.elements().and_then(|count| count.checked_mul(4));
            let found = tensor.raw_data.as_ref().map(|raw| raw.len());
            tensor.data_type == Some(TensorDataType::Float as i32) && found == bytes
        };
        self.weights.get(value).copied().filter(floats).is_some()
    }
}

fn size(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// The last two sizes of a shape that has a batch axis before them.
fn matrix(shape: &[u64]) -> Option<[u64; 2]> {
    match shape {
        [_, .., rows, columns] => Some([*rows, *columns]),
        _ => None,
    }
}

/// Matrices of one case, of a shape `[1, .., n, m]`.
fn groups(shape: &[u64]) -> Option<usize> {
    let [1, groups @ .., _, _] = shape else {
        return None;
    };
    let product = groups
        .iter()
        .try_fold(1_u64, |product, &n| product.checked_mul(n));
    size(product?)
}

/// For every group in C order, the index of the matrix that broadcasting gives it; the first axis is that of the batch.
fn indices(from: &[u64], to: &[u64]) -> Option<Vec<usize>> {
    let missing = to.len().checked_sub(from.len())?;
    let aligned: Vec<usize> = std::iter::repeat_n(Some(1), missing)
        .chain(from.iter().map(|&n| size(n)))
        .collect::<Option<_>>()?;
    let to: Vec<usize> = to.iter().map(|&n| size(n)).collect::<Option<_>>()?;
    let fits = aligned.iter().zip(&to).all(|(a, b)| *a == 1 || a == b);
    let count = to
        .iter()
        .try_fold(1_usize, |count, &n| count.checked_mul(n))?;
    (fits && aligned.first() == Some(&1) && count <= MAX_GROUPS).then_some(())?;
    let index = |mut group: usize| {
        let (mut index, mut stride) = (0, 1);
        for (&n, &of) in aligned.iter().zip(&to).rev() {
            if n > 1 {
                index += group % of * stride;
            }
            stride *= n;
            group /= of;
        }
        index
    };
    Some((0..count).map(index).collect())
}

/// Puts the operators in place, and removes nodes and weights that nothing uses any more.
fn replace(graph: &mut GraphProto, found: Vec<FoundAttention>) {
    let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node)
        .into_iter()
        .map(Some)
        .collect();
    for attention in found {
        for &at in &attention.nodes {
            nodes[at] = None;
        }
        nodes[attention.nodes[0]] = Some(attention.node);
    }
    let outputs = graph.output.iter().filter_map(|info| info.name.clone());
    let mut used: HashSet<String> = outputs.collect();
    for place in nodes.iter_mut().rev() {
        let needed = |node: &NodeProto| node.output.iter().any(|output| used.contains(output));
        match place {
            Some(node) if needed(node) => used.extend(node.input.iter().cloned()),
            _ => *place = None,
        }
    }
    graph.node = nodes.into_iter().flatten().collect();
    let is_used = |name: &Option<String>| name.as_ref().is_some_and(|name| used.contains(name));
    graph.initializer.retain(|tensor| is_used(&tensor.name));
    let given: HashSet<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
    graph
        .value_info
        .retain(|info| info.name.as_ref().is_some_and(|name| given.contains(name)));
}
