//! Nodes, values and weights.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::shape::infer;
use crate::{Op, Summary};

/// A value that flows between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ValueId(usize);

impl ValueId {
    /// Its number: 0 is the input, and every node's output has the next one.
    pub fn index(self) -> usize {
        self.0
    }
}

/// One operation at its place in the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The layer's path, as in the names of its weights: `layer1.0.conv1`.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it writes.
    pub output: ValueId,
}

/// A network with one input and one output. See the [crate] for its conventions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    name: String,
    shapes: Vec<Vec<usize>>,
    nodes: Vec<Node>,
    weights: IndexMap<String, Vec<usize>>,
    output: ValueId,
}

/// Why a node does not fit its graph.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{node} ({op}): {reason}")]
pub struct GraphError {
    /// The layer's path.
    pub node: String,
    /// The operation's name.
    pub op: &'static str,
    /// What does not fit.
    pub reason: String,
}

impl Graph {
    /// An empty network whose input is `[channels, height, width]`.
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        Self {
            name: name.to_string(),
            shapes: vec![input.to_vec()],
            nodes: Vec::new(),
            weights: IndexMap::new(),
            output: ValueId(0),
        }
    }

    /// The architecture's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value that the images come in.
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// The value that holds the logits.
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// Declares which value holds the logits.
    pub fn set_output(&mut self, value: ValueId) {
        self.output = value;
    }

    /// The shape of a value behind the batch axis.
    pub fn shape(&self, value: ValueId) -> &[usize] {
        &self.shapes[value.0]
    }

    /// The shapes of all values by their [number](ValueId::index).
    pub fn shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.shapes.iter().map(Vec::as_slice)
    }

    /// The nodes in the order they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Name and shape of each weight, in the order they were declared.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.weights.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// The shape of a weight.
    pub fn weight_shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.get(name).map(Vec::as_slice)
    }

    /// Declares a weight, in ONNX's axis order. A name may be declared again with the same shape.
    pub fn weight(&mut self, name: &str, shape: &[usize]) {
        self.weights.insert(name.to_string(), shape.to_vec());
    }

    /// Appends a node and returns the value it writes, whose shape follows from its inputs.
    ///
    /// # Errors
    /// Where the inputs or weights do not fit the operation.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&value| self.shape(value)).collect();
        let weights = |weight: &str| self.weight_shape(weight);
        let shape = infer(&op, &shapes, &weights).map_err(|reason| GraphError {
            node: name.to_string(),
            op: op.name(),
            reason,
        })?;
        self.shapes.push(shape);
        let output = ValueId(self.shapes.len() - 1);
        self.nodes.push(Node { name: name.to_string(), op, inputs: inputs.to_vec(), output });
        Ok(output)
    }

    /// Output shapes, parameters and multiply-adds of each node.
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}
