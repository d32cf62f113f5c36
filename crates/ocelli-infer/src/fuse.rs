//! From the nodes of a graph to the steps that compute it.
//!
//! A convolution takes in what follows it, where nobody else reads what lies between: a batch norm, by which
//! its weights are scaled; the addition of a shortcut; a clamp. The step then stands where the last of these
//! stood, as only there all its inputs are known.

use std::collections::HashMap;

use ocelli_graph::{self as graph, Graph, Node, Op};
use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::Affine;
use ocelli_kernels::pool::{Divisor, PoolShape};
use ocelli_kernels::{ConvShape, layout};

use crate::InferError;
use crate::conv::Filters;
use crate::shapes::{conv_shape, hwc, pool_shape};
use crate::step::{Kind, Step};

/// Finds the values of a weight by its name.
pub(crate) type Weights<'a> = &'a dyn Fn(&str) -> Option<&'a [f32]>;
type OpenStep = Step<Kind<Filters>>;

/// The steps of a graph.
pub(crate) fn fuse<'a>(
    graph: &'a Graph,
    weights: Weights<'a>,
) -> Result<Vec<OpenStep>, InferError> {
    let mut fusion = Fusion { graph, weights, steps: Vec::new(), writers: HashMap::new() };
    for node in graph.nodes() {
        fusion.add(node)?;
    }
    Ok(fusion.steps.into_iter().flatten().collect())
}

struct Fusion<'a> {
    graph: &'a Graph,
    weights: Weights<'a>,
    /// None where a step has moved.
    steps: Vec<Option<OpenStep>>,
    /// Which step writes a value.
    writers: HashMap<usize, usize>,
}

impl Fusion<'_> {
    fn add(&mut self, node: &Node) -> Result<(), InferError> {
        let inputs: Vec<usize> = node.inputs.iter().map(|value| value.index()).collect();
        let output = node.output.index();
        let step = match self.absorb(node, &inputs)? {
            Some(step) => Step { output, ..step },
            None => Step { name: node.name.clone(), kind: self.kind(node)?, inputs, output },
        };
        self.writers.insert(output, self.steps.len());
        self.steps.push(Some(step));
        Ok(())
    }

    /// The step that writes one of the node's inputs, with the node in it, if it can take it in.
    fn absorb(&mut self, node: &Node, inputs: &[usize]) -> Result<Option<OpenStep>, InferError> {
        let writer = |value: &usize| self.writer(*value, |kind| takes(kind, &node.op));
        // Of two, the one that stands later: the other's result is there when it runs.
        let Some(at) = inputs.iter().filter_map(writer).max() else { return Ok(None) };
        let affine = match &node.op {
            Op::BatchNorm { weight, bias, mean, var, eps } => {
                Some(self.affine([weight, bias, mean, var], *eps)?)
            }
            _ => None,
        };
        let Some(mut step) = self.steps[at].take() else { return Ok(None) };
        match (&mut step.kind, &node.op) {
            (Kind::Conv(filters), Op::Add) => {
                filters.residual = true;
                step.inputs.extend(inputs.iter().filter(|&&input| input != step.output));
            }
            (Kind::Conv(filters), Op::Activation(act)) => filters.act = activation(*act),
            (Kind::Add(end), Op::Activation(act)) => *end = activation(*act),
            (Kind::Conv(filters), _) => affine.iter().for_each(|affine| filters.fold(affine)),
            _ => {}
        }
        Ok(Some(step))
    }

    /// The step that writes a value which one node alone reads, if it `takes` that node in.
    fn writer(&self, value: usize, takes: impl Fn(&Kind<Filters>) -> bool) -> Option<usize> {
        let readers = self.graph.nodes().iter().flat_map(|node| &node.inputs);
        let readers = readers.filter(|reader| reader.index() == value).count();
        if readers != 1 || self.graph.output().index() == value {
            return None;
        }
        let at = *self.writers.get(&value)?;
        self.steps[at].as_ref().filter(|step| takes(&step.kind)).map(|_| at)
    }

    /// A node as a step of its own.
    fn kind(&self, node: &Node) -> Result<Kind<Filters>, InferError> {
        let shape = |index: usize| hwc(self.graph.shape(node.inputs[index]));
        let [height, width, channels] = shape(0);
        Ok(match &node.op {
            Op::Conv { .. } | Op::Linear { .. } => Kind::Conv(self.filters(node)?),
            Op::BatchNorm { weight, bias, mean, var, eps } => {
                let affine = self.affine([weight, bias, mean, var], *eps)?;
                Kind::Conv(Filters::of_affine(&affine, [height, width, channels]))
            }
            Op::Activation(act) => Kind::Activation(activation(*act)),
            Op::MaxPool { .. } => Kind::MaxPool(self.pool(node)),
            Op::AveragePool { count_include_pad: true, .. } => {
                Kind::AveragePool(self.pool(node), Divisor::Padded)
            }
            Op::AveragePool { .. } => Kind::AveragePool(self.pool(node), Divisor::Valid),
            Op::GlobalAveragePool => Kind::GlobalAveragePool(height * width),
            Op::Flatten => Kind::Flatten([height, width, channels]),
            Op::Add => Kind::Add(Activation::Identity),
            Op::Multiply if shape(1) == shape(0) => Kind::Multiply,
            Op::Multiply => Kind::Gate(channels),
            Op::Concat => {
                Kind::Concat((0..node.inputs.len()).map(|index| shape(index)[2]).collect())
            }
            Op::PadChannels { before, after } => Kind::PadChannels([*before, channels, *after]),
        })
    }

    fn affine(&self, names: [&String; 4], eps: f32) -> Result<Affine, InferError> {
        let [weight, bias, mean, var] = names.map(|name| self.weight(name));
        Ok(Affine::of_norm(weight?, bias?, mean?, var?, eps))
    }

    fn filters(&self, node: &Node) -> Result<Filters, InferError> {
        let shape = conv_shape(self.graph, node);
        let Some(shape) = shape else { unreachable!("{} is no convolution", node.name) };
        let ConvShape { in_channels, out_channels, kernel: [rows, columns], groups, .. } = shape;
        let sizes = [out_channels, in_channels / groups, rows, columns];
        let weights = node.op.weights().into_iter().map(|name| self.weight(name));
        let weights = weights.collect::<Result<Vec<_>, _>>()?;
        Ok(Filters {
            shape,
            weight: layout::oihw_to_ohwi(weights[0], sizes),
            bias: weights.get(1).map(|bias| bias.to_vec()),
            act: Activation::Identity,
            residual: false,
        })
    }

    fn pool(&self, node: &Node) -> PoolShape {
        match pool_shape(self.graph, node) {
            Some(shape) => shape,
            None => unreachable!("{} is no pool", node.name),
        }
    }

    fn weight(&self, name: &str) -> Result<&[f32], InferError> {
        let fault = |reason| InferError::Weight { name: name.to_string(), reason };
        let values = (self.weights)(name).ok_or_else(|| fault("is not given".to_string()))?;
        let shape = self.graph.weight_shape(name).unwrap_or_default();
        let wanted: usize = shape.iter().product();
        if values.len() != wanted {
            return Err(fault(format!("has {} values, not {wanted} {shape:?}", values.len())));
        }
        Ok(values)
    }
}

/// Whether a step can end with an operation.
fn takes(kind: &Kind<Filters>, op: &Op) -> bool {
    match (kind, op) {
        (Kind::Conv(filters), _) if filters.act != Activation::Identity => false,
        (Kind::Conv(filters), Op::BatchNorm { .. } | Op::Add) => !filters.residual,
        (Kind::Conv(_) | Kind::Add(Activation::Identity), Op::Activation(act)) => {
            activation(*act).bounds().is_some()
        }
        _ => false,
    }
}

fn activation(act: graph::Activation) -> Activation {
    match act {
        graph::Activation::Relu => Activation::Relu,
        graph::Activation::Relu6 => Activation::Relu6,
        graph::Activation::Sigmoid => Activation::Sigmoid,
        graph::Activation::Silu => Activation::Silu,
        graph::Activation::HardSigmoid => Activation::HardSigmoid,
        graph::Activation::HardSwish => Activation::HardSwish,
        graph::Activation::Gelu => Activation::Gelu,
    }
}
