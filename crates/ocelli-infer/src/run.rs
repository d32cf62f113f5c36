//! One run of an engine, over a batch.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ocelli_kernels::{Bf16, Conv, Floats, FloatsMut};
use rayon::prelude::*;

use crate::engine::Plans;
use crate::memory::{Place, Segment};
use crate::step::Step;
use crate::workspace::Aside;
use crate::{Engine, InferError};

/// What is the same for all steps.
pub(crate) struct Run<'a, E> {
    pub engine: &'a Engine,
    pub images: &'a [f32],
    /// How many images there are.
    pub batch: usize,
    /// Threads that share the work.
    pub threads: usize,
    /// Called with every step's number and plan, with how many threads run steps of their own, and with the step.
    pub each: E,
}

/// Where a segment runs.
struct Room<'a> {
    values: &'a mut [Bf16],
    /// Whether it is a thread's own.
    own: bool,
    aside: &'a mut Aside,
}

impl<E: Fn(usize, Option<&Conv>, usize, &mut dyn FnMut()) + Sync> Run<'_, E> {
    /// Runs all segments.
    pub fn segments(&self, values: &mut [Bf16], asides: &mut [Aside]) -> Result<(), InferError> {
        if self.batch == 0 {
            return Ok(());
        }
        for segment in &self.engine.memory.segments {
            // Parts of two sizes at most, so that there are few plans; known before there are threads, which could not say
            // what went wrong.
            let (all, count) = (self.batch, self.batch.div_ceil(segment.images));
            let plans = [all / count, all.div_ceil(count)].map(|images| self.engine.plans(images));
            let [few, many] = plans;
            let plans = [few?, many?];
            let parts = (0..count).map(move |i| i * all / count..(i + 1) * all / count);
            if segment.apart {
                self.apart(segment, parts, &plans, values, asides);
                continue;
            }
            for part in parts {
                let room = Room { values: &mut *values, own: false, aside: &mut asides[0] };
                self.part(segment, &part, &plans, room);
            }
        }
        Ok(())
    }

    /// Runs a segment in which every thread has images of its own, in memory behind the batch's.
    fn apart(
        &self,
        segment: &Segment,
        parts: impl Iterator<Item = Range<usize>> + Send,
        plans: &[Plans; 2],
        values: &mut [Bf16],
        asides: &mut [Aside],
    ) {
        let threads = segment.threads(self.batch, self.threads);
        let (batch, rest) = values.split_at_mut(self.engine.memory.batch * self.batch);
        let (batch, parts) = (Mutex::new(batch), Mutex::new(parts));
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = |(values, aside): (&mut [Bf16], &mut Aside)| {
            while let Some(part) = next() {
                let room = Room { values: &mut *values, own: true, aside: &mut *aside };
                self.part(segment, &part, plans, room);
                let mut batch = batch.lock().unwrap_or_else(PoisonError::into_inner);
                self.copy(segment, values, &mut batch, &part);
            }
        };
        let len = segment.len * segment.images.min(self.batch);
        let memories: Vec<_> =
            rest.chunks_exact_mut(len.max(1)).zip(asides).take(threads).collect();
        let alone = threads > 1 && threads == self.threads;
        memories.into_par_iter().with_max_len(1).for_each(|(values, aside)| {
            aside.scratch.set_alone(alone);
            work((values, &mut *aside));
            aside.scratch.set_alone(false);
        });
    }

    /// Runs a segment's steps for some images.
    fn part(
        &self,
        segment: &Segment,
        part: &Range<usize>,
        plans: &[Plans; 2],
        Room { values, own, aside }: Room<'_>,
    ) {
        let Self { engine, batch: all, .. } = *self;
        let threads = segment.threads(all, self.threads);
        let many = part.len() * all.div_ceil(segment.images) > all;
        let plans = &plans[usize::from(many)];
        let range = |value: usize| match own {
            true => engine.memory.own_range(value, engine.values[value].size(), part.len()),
            false => engine.range(value, part, all),
        };
        for i in segment.steps.clone() {
            let step = &engine.steps[i];
            let (inputs, mut y) = self.operands(step, part, values, range);
            let plan = plans[i].as_ref();
            (self.each)(i, plan, threads, &mut || {
                step.kind.run(part.len(), plan, &inputs, y.reborrow(), aside);
            });
        }
    }

    /// What a step reads and what it writes, for some images: what lies where in memory, `range` knows.
    fn operands<'v>(
        &'v self,
        step: &Step,
        part: &Range<usize>,
        values: &'v mut [Bf16],
        range: impl Fn(usize) -> Option<Range<usize>>,
    ) -> (Vec<Floats<'v>>, FloatsMut<'v>) {
        let all = &self.engine.values;
        let to = range(step.output).unwrap_or(0..0);
        let (before, rest) = values.split_at_mut(to.start);
        let (y, after) = rest.split_at_mut(to.len());
        let (before, after) = (&*before, &*after);
        let input = |&value: &usize| {
            let memory = match range(value) {
                None => {
                    let len = all[value].len;
                    return self.images[part.start * len..part.end * len].into();
                }
                Some(from) if from.end <= to.start => &before[from],
                Some(from) => &after[from.start - to.end..from.end - to.end],
            };
            match all[value].narrow {
                true => memory.into(),
                false => Bf16::wide(memory).into(),
            }
        };
        let y = match all[step.output].narrow {
            true => y.into(),
            false => Bf16::wide_mut(y).into(),
        };
        (step.inputs.iter().map(input).collect(), y)
    }

    /// Copies what others will read of what a thread computed apart.
    fn copy(&self, segment: &Segment, own: &[Bf16], batch: &mut [Bf16], part: &Range<usize>) {
        let Self { engine, batch: all, .. } = *self;
        for step in &engine.steps[segment.steps.clone()] {
            let value = step.output;
            let Place::Copied { .. } = engine.memory.places[value] else { continue };
            let from = engine.memory.own_range(value, engine.values[value].size(), part.len());
            if let (Some(from), Some(to)) = (from, engine.range(value, part, all)) {
                batch[to].copy_from_slice(&own[from]);
            }
        }
    }
}
