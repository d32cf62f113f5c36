//! A network that is ready to answer.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ocelli_graph::Graph;
use ocelli_kernels::{Algorithm, Conv};

use crate::fuse::fuse;
use crate::memory::Memory;
use crate::shapes::hwc;
use crate::step::{Kind, Step};
use crate::{InferError, Workspace};

/// A network, fused, with packed weights. See the [crate].
#[derive(Debug)]
pub struct Engine {
    steps: Vec<Step>,
    /// Values of one image, by number.
    sizes: Vec<usize>,
    memory: Memory,
    /// `[H, W, C]`
    input: [usize; 3],
    output: usize,
    /// Per number of images, the plans of the convolutions among the steps.
    plans: RwLock<HashMap<usize, Plans>>,
}

type Plans = Arc<Vec<Option<Conv>>>;

/// What a step did in a profiled run.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// The path of the layer that it began as.
    pub name: String,
    /// What it computes, in a word or two.
    pub kind: &'static str,
    /// How a convolution was computed.
    pub algorithm: Option<Algorithm>,
    /// How long it took, over all images.
    pub time: Duration,
}

impl Engine {
    /// Makes an engine of a recorded network. `weights` finds the values of a weight by its name, in the graph's
    /// axis order.
    ///
    /// # Errors
    /// Where a weight is missing or has another size, or a layer cannot be computed.
    pub fn new<'a>(
        graph: &'a Graph,
        weights: &'a dyn Fn(&str) -> Option<&'a [f32]>,
    ) -> Result<Self, InferError> {
        if graph.output() == graph.input() {
            return Err(InferError::Empty);
        }
        let steps = fuse(graph, weights)?.into_iter().map(Step::pack);
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        let sizes: Vec<usize> = graph.shapes().map(|shape| shape.iter().product()).collect();
        let output = graph.output().index();
        let memory = Memory::plan(&steps, &sizes, output);
        let input = hwc(graph.shape(graph.input()));
        Ok(Self { steps, sizes, memory, input, output, plans: RwLock::default() })
    }

    /// The size of an image, `[height, width, channels]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// How many numbers it answers with for each image.
    pub fn outputs(&self) -> usize {
        self.sizes[self.output]
    }

    /// The logits `[N, outputs]` of images `[N, H, W, C]`.
    ///
    /// # Errors
    /// Where the images are no whole number of the network's size.
    pub fn run<'w>(
        &self,
        images: &[f32],
        workspace: &'w mut Workspace,
    ) -> Result<&'w [f32], InferError> {
        self.run_with(images, workspace, |_, _, step| step())
    }

    /// Runs and takes the time of every step.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(
        &self,
        images: &[f32],
        workspace: &mut Workspace,
    ) -> Result<Vec<StepTime>, InferError> {
        let untimed = |step: &Step| StepTime {
            name: step.name.clone(),
            kind: step.kind.name(),
            algorithm: None,
            time: Duration::ZERO,
        };
        let mut times: Vec<StepTime> = self.steps.iter().map(untimed).collect();
        self.run_with(images, workspace, |i, plan, step| {
            let start = Instant::now();
            step();
            times[i].time += start.elapsed();
            times[i].algorithm = plan.map(Conv::algorithm);
        })?;
        Ok(times)
    }

    /// Runs; `each` is called with every step's number and plan, and has to run it.
    fn run_with<'w>(
        &self,
        images: &[f32],
        workspace: &'w mut Workspace,
        mut each: impl FnMut(usize, Option<&Conv>, &mut dyn FnMut()),
    ) -> Result<&'w [f32], InferError> {
        let [height, width, channels] = self.input;
        let size = self.sizes[0].max(1);
        if !images.len().is_multiple_of(size) {
            return Err(InferError::Images { values: images.len(), height, width, channels });
        }
        let all = images.len() / size;
        let Workspace { values, scratch } = workspace;
        let values = values.take(self.memory.len(all));
        for segment in &self.memory.segments {
            for start in (0..all).step_by(segment.images) {
                let part = start..(start + segment.images).min(all);
                let plans = self.plans(part.len())?;
                for i in segment.steps.clone() {
                    let step = &self.steps[i];
                    let (inputs, y) = self.operands(step, images, values, &part, all);
                    let plan = plans[i].as_ref();
                    each(i, plan, &mut || step.kind.run(part.len(), plan, &inputs, y, scratch));
                }
            }
        }
        let output = self.range(self.output, &(0..all), all);
        Ok(output.map_or(&[], |range| &values[range]))
    }

    /// What a step reads and what it writes, for some images.
    fn operands<'v>(
        &self,
        step: &Step,
        images: &'v [f32],
        values: &'v mut [f32],
        part: &Range<usize>,
        all: usize,
    ) -> (Vec<&'v [f32]>, &'v mut [f32]) {
        let to = self.range(step.output, part, all).unwrap_or(0..0);
        let (before, rest) = values.split_at_mut(to.start);
        let (y, after) = rest.split_at_mut(to.len());
        let (before, after) = (&*before, &*after);
        let input = |&value: &usize| match self.range(value, part, all) {
            None => &images[part.start * self.sizes[0]..part.end * self.sizes[0]],
            Some(from) if from.end <= to.start => &before[from],
            Some(from) => &after[from.start - to.end..from.end - to.end],
        };
        (step.inputs.iter().map(input).collect(), y)
    }

    fn range(&self, value: usize, images: &Range<usize>, all: usize) -> Option<Range<usize>> {
        self.memory.range(value, self.sizes[value], images, all)
    }

    fn plans(&self, images: usize) -> Result<Plans, InferError> {
        let known = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(plans) = known.get(&images) {
            return Ok(plans.clone());
        }
        drop(known);
        let plan = |step: &Step| match &step.kind {
            Kind::Conv(conv) => conv.plan(images).map(Some).map_err(|error| step.fault(error)),
            _ => Ok(None),
        };
        let plans = Plans::new(self.steps.iter().map(plan).collect::<Result<_, _>>()?);
        let mut known = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        Ok(known.entry(images).or_insert(plans).clone())
    }
}
