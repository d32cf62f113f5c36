//! A network that is ready to answer.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ocelli_graph::Graph;
use ocelli_kernels::{Algorithm, Bf16, Conv, Precision};

use crate::fuse::fuse;
use crate::memory::Memory;
use crate::run::Run;
use crate::shapes::hwc;
use crate::step::{Kind, Step};
use crate::workspace::Aside;
use crate::{InferError, Workspace};

/// A network, fused, with packed weights. See the [crate].
#[derive(Debug)]
pub struct Engine {
    pub(crate) steps: Vec<Step>,
    /// Of one image, by number.
    pub(crate) values: Vec<Value>,
    pub(crate) memory: Memory,
    /// `[H, W, C]`
    input: [usize; 3],
    output: usize,
    /// Per number of images, the plans of the convolutions among the steps.
    plans: RwLock<HashMap<usize, Plans>>,
}

/// A value of one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub len: usize,
    /// Whether it is bf16.
    pub narrow: bool,
}

impl Value {
    /// Memory that it takes, in halves of an f32.
    pub fn size(self) -> usize {
        if self.narrow { self.len } else { 2 * self.len }
    }
}

pub(crate) type Plans = Arc<Vec<Option<Conv>>>;

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
    /// Makes an engine of a recorded network, which computes in f32 by the fastest algorithms. `weights` finds the
    /// values of a weight by its name, in the graph's axis order.
    ///
    /// # Errors
    /// Where a weight is missing or has another size, or a layer cannot be computed.
    pub fn new<'a>(
        graph: &'a Graph,
        weights: &'a dyn Fn(&str) -> Option<&'a [f32]>,
    ) -> Result<Self, InferError> {
        Self::with_precision(graph, weights, Precision::Fast)
    }

    /// The same in another precision. In mixed precision feature maps are bf16, but for the images and for what is
    /// answered.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_precision<'a>(
        graph: &'a Graph,
        weights: &'a dyn Fn(&str) -> Option<&'a [f32]>,
        precision: Precision,
    ) -> Result<Self, InferError> {
        if graph.output() == graph.input() {
            return Err(InferError::Empty);
        }
        let steps = fuse(graph, weights)?.into_iter().map(|step| step.pack(precision));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        let [given, output] = [graph.input(), graph.output()].map(|value| value.index());
        let value = |(index, shape): (usize, &[usize])| {
            let [height, width, _] = hwc(shape);
            let narrow = precision.narrows(height, width) && ![given, output].contains(&index);
            Value { len: shape.iter().product(), narrow }
        };
        let values: Vec<Value> = graph.shapes().enumerate().map(value).collect();
        let sizes: Vec<usize> = values.iter().map(|value| value.size()).collect();
        let weights = |step: &Step| match &step.kind {
            Kind::Conv(conv) => conv.bytes(),
            _ => 0,
        };
        let weights: Vec<usize> = steps.iter().map(weights).collect();
        let memory = Memory::plan(&steps, &weights, &sizes, output);
        let input = hwc(graph.shape(graph.input()));
        Ok(Self { steps, values, memory, input, output, plans: RwLock::default() })
    }

    /// The size of an image, `[height, width, channels]`.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// How many numbers it answers with for each image.
    pub fn outputs(&self) -> usize {
        self.values[self.output].len
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
        self.run_with(images, workspace, |_, _, _, step| step())
    }

    /// Runs and takes the time of every step. Where threads have images of their own it is the time of all of them,
    /// divided by how many they are (and some of it twice, where a thread helped another in the middle of a step).
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
        let times = Mutex::new(self.steps.iter().map(untimed).collect::<Vec<_>>());
        self.run_with(images, workspace, |i, plan, threads, step| {
            let start = Instant::now();
            step();
            let took = start.elapsed() / threads as u32;
            let time = &mut times.lock().unwrap_or_else(PoisonError::into_inner)[i];
            time.time += took;
            time.algorithm = plan.map(Conv::algorithm);
        })?;
        Ok(times.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs; `each` is called with every step's number and plan and with how many threads run steps of their own, and
    /// has to run it.
    fn run_with<'w>(
        &self,
        images: &[f32],
        workspace: &'w mut Workspace,
        each: impl Fn(usize, Option<&Conv>, usize, &mut dyn FnMut()) + Sync,
    ) -> Result<&'w [f32], InferError> {
        let [height, width, channels] = self.input;
        let size = self.values[0].len.max(1);
        if !images.len().is_multiple_of(size) {
            return Err(InferError::Images { values: images.len(), height, width, channels });
        }
        let all = images.len() / size;
        let threads = rayon::current_num_threads();
        let Workspace { values, asides } = workspace;
        asides.resize_with(asides.len().max(threads), Aside::default);
        let values = Bf16::slice_mut(values.take(self.memory.len(all, threads).div_ceil(2)));
        let run = Run { engine: self, images, batch: all, threads, each };
        // On one of the threads that share the work: else each step would begin and end with a message to them.
        rayon::scope(|_| run.segments(values, asides))?;
        let output = self.range(self.output, &(0..all), all);
        Ok(output.map_or(&[], |range| Bf16::wide(&values[range])))
    }

    /// Where some images of a value lie while all steps but those apart run.
    pub(crate) fn range(
        &self,
        value: usize,
        images: &Range<usize>,
        all: usize,
    ) -> Option<Range<usize>> {
        self.memory.range(value, self.values[value].size(), images, all)
    }

    /// The plans for so many images.
    pub(crate) fn plans(&self, images: usize) -> Result<Plans, InferError> {
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
