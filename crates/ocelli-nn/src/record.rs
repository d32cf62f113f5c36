//! From a forward pass to a [`Graph`].

use ocelli_graph::{Graph, Op, ValueId};

use crate::{Classifier, Error, Feature, Param, Pass, Result};

/// Collects the nodes of a pass.
#[derive(Debug)]
pub(crate) struct Recorder {
    graph: Graph,
}

impl Recorder {
    pub(crate) fn value_of(&self, consumer: &str, feature: &Feature) -> Result<ValueId> {
        feature.value().ok_or_else(|| Error::Unrecorded {
            consumer: consumer.to_string(),
            last: match self.graph.nodes().last() {
                Some(node) => format!("{} ({})", node.name, node.op.name()),
                None => "the input".to_string(),
            },
        })
    }

    pub(crate) fn push(
        &mut self,
        path: &str,
        op: Op,
        inputs: &[ValueId],
        weights: &[&Param],
    ) -> Result<ValueId> {
        for param in weights {
            self.graph.weight(param.name(), &param.disk_shape());
        }
        Ok(self.graph.push(path, op, inputs)?)
    }

    /// The shape worked out from the node must be the one the layer computed.
    pub(crate) fn check(&self, path: &str, value: ValueId, output: &Feature) -> Result<()> {
        let computed = match output.dims() {
            &[_, height, width, channels] => vec![channels, height, width],
            other => other[1..].to_vec(),
        };
        let inferred = self.graph.shape(value);
        if computed == inferred {
            return Ok(());
        }
        Err(Error::shape(path, format!("computed {computed:?} where the graph says {inferred:?}")))
    }
}

/// Records a network for images of `size` (`[height, width]`): its evaluation pass as a [`Graph`] that
/// takes any batch size. It is recorded with two and with three images, and both must agree.
///
/// # Errors
/// Where an operation goes around the pass, or the network depends on the batch size.
pub fn record(network: &dyn Classifier, name: &str, size: [usize; 2]) -> Result<Graph> {
    let graph = record_batch(network, name, size, 2)?;
    if record_batch(network, name, size, 3)? != graph {
        return Err(Error::Unstable(name.to_string()));
    }
    Ok(graph)
}

fn record_batch(
    network: &dyn Classifier,
    name: &str,
    [height, width]: [usize; 2],
    batch: usize,
) -> Result<Graph> {
    let graph = Graph::new(name, [3, height, width]);
    let images =
        Feature::from_vec(vec![0.0; batch * height * width * 3], &[batch, height, width, 3])?;
    let input = images.recorded(Some(graph.input()));
    let mut pass = Pass::recording(Recorder { graph });
    let features = network.features(&input, &mut pass)?;
    let logits = network.head(&features, &mut pass)?;
    let unrecorded = || Error::Unstable(name.to_string());
    let mut recorder = pass.recorder.take().ok_or_else(unrecorded)?;
    let output = recorder.value_of("the output", &logits)?;
    recorder.graph.set_output(output);
    Ok(recorder.graph)
}
