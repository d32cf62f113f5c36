//! Where every value lies: one block of memory, in which values that are never alive together share a place.
//!
//! It is counted in halves of an f32: a value in bf16 takes one, one in f32 two.

use std::ops::Range;

use crate::step::Step;

/// Places begin at whole cache lines.
const LINE: usize = 32;
/// What a step of a segment may read and write at a time: about what the caches hold.
const BUDGET: usize = 1 << 23;
/// The same where threads work apart: about what a thread's own cache holds.
const OWN: usize = 1 << 20;
/// Bytes of a step's weights that are worth being read anew for that.
const WEIGHTS: usize = 1 << 20;
/// What all threads together may take where they work apart.
const APART: usize = 1 << 27;

/// Steps that run over the whole batch before the next ones do, so many images at a time.
///
/// A network's maps are large first and small in the end. What a step writes should still be in the cache when
/// the next one reads it: large maps a few images at a time. Small maps many at a time, as weights are read
/// anew each time. As long as weights are small, each thread has images of its own, whose values stay in its own
/// cache.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub steps: Range<usize>,
    pub images: usize,
    /// Whether each thread has images of its own.
    pub apart: bool,
    /// What its places take, in halves per image.
    pub len: usize,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the caller has it: the network's input.
    Caller,
    /// All images of the batch, from this half on (times the images of the batch).
    Batch(usize),
    /// The images that its segment has in hand, from this half on (times so many).
    Segment(usize),
    /// There while the segment runs, then copied to a place in the batch.
    Copied { segment: usize, batch: usize },
}

/// The block of memory, in halves per image: the batch's part, then that of the segment that runs, once for each
/// thread that runs it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub segments: Vec<Segment>,
    pub places: Vec<Place>,
    /// What places in the batch take.
    pub batch: usize,
}

/// When a value is written and when it is last read, in steps or in segments.
#[derive(Clone, Copy, Debug)]
struct Life {
    value: usize,
    size: usize,
    first: usize,
    last: usize,
}

impl Memory {
    /// Plans for values that take `sizes` (of one image) and steps whose weights take so many bytes; value 0 is the
    /// input.
    pub fn plan<K>(steps: &[Step<K>], weights: &[usize], sizes: &[usize], output: usize) -> Self {
        Self::plan_for(steps, sizes, output, cut(steps, weights, sizes, [OWN, BUDGET]))
    }

    fn plan_for<K>(
        steps: &[Step<K>],
        sizes: &[usize],
        output: usize,
        mut segments: Vec<Segment>,
    ) -> Self {
        let segment_of = |step: usize| {
            segments.iter().position(|segment| segment.steps.contains(&step)).unwrap_or(0)
        };
        let mut places = vec![Place::Caller; sizes.len()];
        let mut kept = Vec::new();
        let mut within: Vec<Vec<Life>> = vec![Vec::new(); segments.len()];
        for (first, step) in steps.iter().enumerate() {
            let value = step.output;
            let reads = |step: &Step<K>| step.inputs.contains(&value);
            let last = steps.iter().rposition(reads).unwrap_or(first);
            let life = Life { value, size: sizes[value], first, last };
            let (start, mut end) = (segment_of(first), segment_of(last));
            if value == output {
                end = segments.len();
            }
            if start == end {
                within[start].push(life);
                continue;
            }
            kept.push(Life { first: start, last: end, ..life });
            if segments[start].apart {
                within[start].push(Life { last: segments[start].steps.end, ..life });
            }
        }
        let batch = arrange(kept, |value, at| places[value] = Place::Batch(at));
        for (segment, lives) in segments.iter_mut().zip(within) {
            segment.len = arrange(lives, |value, at| {
                places[value] = match places[value] {
                    Place::Batch(batch) => Place::Copied { segment: at, batch },
                    _ => Place::Segment(at),
                };
            });
        }
        Self { segments, places, batch }
    }

    /// Halves for a batch of so many images on so many threads.
    pub fn len(&self, images: usize, threads: usize) -> usize {
        let each = self.segments.iter().map(|segment| {
            segment.len * segment.images.min(images) * segment.threads(images, threads)
        });
        self.batch * images + each.max().unwrap_or(0)
    }

    /// Where some images of a value that takes `size` lie in the batch's part of a batch of `all`, or in that of the
    /// segment, behind it, which has these images in hand; None where the caller has them.
    pub fn range(
        &self,
        value: usize,
        size: usize,
        images: &Range<usize>,
        all: usize,
    ) -> Option<Range<usize>> {
        let start = match self.places[value] {
            Place::Caller => return None,
            Place::Batch(at) | Place::Copied { batch: at, .. } => at * all + images.start * size,
            Place::Segment(at) => self.batch * all + at * images.len(),
        };
        Some(start..start + images.len() * size)
    }

    /// The same within the part of the segment, while it runs apart.
    pub fn own_range(&self, value: usize, size: usize, images: usize) -> Option<Range<usize>> {
        match self.places[value] {
            Place::Caller | Place::Batch(_) => None,
            Place::Segment(at) | Place::Copied { segment: at, .. } => {
                Some(at * images..at * images + images * size)
            }
        }
    }
}

impl Segment {
    /// How many threads have images of their own: not so many that their memory is out of proportion.
    pub fn threads(&self, images: usize, threads: usize) -> usize {
        let most = (APART / (self.len * self.images).max(1)).min(images.div_ceil(self.images));
        if self.apart { threads.min(most).max(1) } else { 1 }
    }
}

/// Cuts steps into segments: the first ones, as long as weights are small, are one in which threads work apart; then a
/// segment has no fewer images in hand than the one before it.
fn cut<K>(
    steps: &[Step<K>],
    weights: &[usize],
    sizes: &[usize],
    [own, budget]: [usize; 2],
) -> Vec<Segment> {
    let fit = |step: &Step<K>, budget: usize| {
        let touched: usize =
            step.inputs.iter().chain([&step.output]).map(|&value| sizes[value]).sum();
        // Powers of two, so that there are few segments.
        1 << (budget / touched.max(1)).max(1).ilog2()
    };
    let first = weights.iter().take_while(|&&bytes| bytes <= WEIGHTS).count();
    let mut segments: Vec<Segment> = Vec::new();
    let mut images = usize::MAX;
    for (i, step) in steps.iter().enumerate().skip(first).rev() {
        images = images.min(fit(step, budget));
        match segments.last_mut() {
            Some(segment) if segment.images == images => segment.steps.start = i,
            _ => segments.push(Segment { steps: i..i + 1, images, apart: false, len: 0 }),
        }
    }
    if let Some(images) = steps[..first].iter().map(|step| fit(step, own)).min() {
        segments.push(Segment { steps: 0..first, images, apart: true, len: 0 });
    }
    segments.reverse();
    segments
}

/// Gives each value the lowest place that is free during its life, the largest first; returns where the last
/// one ends.
fn arrange(mut lives: Vec<Life>, mut place: impl FnMut(usize, usize)) -> usize {
    lives.sort_by_key(|life| std::cmp::Reverse(life.size));
    let mut placed: Vec<(Life, Range<usize>)> = Vec::new();
    for life in lives {
        let size = life.size.next_multiple_of(LINE);
        let meets = |other: &Life| life.first <= other.last && other.first <= life.last;
        let mut taken: Vec<Range<usize>> = placed
            .iter()
            .filter(|(other, _)| meets(other))
            .map(|(_, range)| range.clone())
            .collect();
        taken.sort_by_key(|range| range.start);
        let mut at = 0;
        for range in taken {
            if at + size <= range.start {
                break;
            }
            at = at.max(range.end);
        }
        place(life.value, at);
        placed.push((life, at..at + size));
    }
    placed.iter().map(|(_, range)| range.end).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps in a row, the last of which also reads the first one's result.
    fn chain(count: usize) -> Vec<Step<()>> {
        let step = |i: usize| Step {
            name: String::new(),
            kind: (),
            inputs: if i + 1 == count && i > 1 { vec![i, 1] } else { vec![i] },
            output: i + 1,
        };
        (0..count).map(step).collect()
    }

    /// With the first so many steps apart.
    fn plan(steps: &[Step<()>], sizes: &[usize], first: usize, budget: usize) -> Memory {
        let mut weights = vec![0; first];
        weights.resize(steps.len(), WEIGHTS + 1);
        let segments = cut(steps, &weights, sizes, [budget / 2, budget]);
        Memory::plan_for(steps, sizes, steps.len(), segments)
    }

    #[test]
    fn values_that_live_together_lie_apart() {
        let steps = chain(6);
        let sizes = [3, 160, 320, 160, 32, 100, 7];
        for budget in [1, 300, 700, 1000, 100_000] {
            for first in 0..=6 {
                let memory = plan(&steps, &sizes, first, budget);
                for all in 1..6 {
                    for segment in &memory.segments {
                        lie_apart(&memory, segment, &steps, &sizes, all);
                    }
                }
            }
        }
    }

    fn lie_apart(
        memory: &Memory,
        segment: &Segment,
        steps: &[Step<()>],
        sizes: &[usize],
        all: usize,
    ) {
        let images = 0..segment.images.min(all);
        let range = |value: usize| match segment.apart {
            true => memory.own_range(value, sizes[value], images.len()).unwrap(),
            false => memory.range(value, sizes[value], &images, all).unwrap(),
        };
        for i in segment.steps.clone() {
            let y = range(i + 1);
            assert!(y.end <= memory.len(all, 1), "{all} {i} of {segment:?}");
            // Values from before that this step or a later one reads.
            let alive = |value: &usize| steps[i..].iter().any(|step| step.inputs.contains(value));
            for value in (1..i + 1).filter(alive) {
                let x = range(value);
                assert!(x.end <= y.start || y.end <= x.start, "{all} {value} {i} of {segment:?}");
            }
        }
    }

    #[test]
    fn a_chain_takes_two_places_and_one_for_the_output() {
        let memory = plan(&chain(6)[..5], &[LINE; 6], 0, 1 << 20);
        assert_eq!(memory.segments.len(), 1);
        assert_eq!(memory.len(1, 4), 3 * LINE);
        // Apart, the output lies in one of the two first, and each thread has these.
        let memory = plan(&chain(6)[..5], &[LINE; 6], 5, 4 * LINE);
        assert_eq!((memory.segments.len(), memory.segments[0].images), (1, 1));
        assert_eq!([1, 2, 5].map(|images| memory.len(images, 4)), [3, 6, 13].map(|n| n * LINE));
    }

    #[test]
    fn large_maps_run_few_images_at_a_time() {
        let cut = |first: usize| -> Vec<_> {
            let memory = plan(&chain(4)[..3], &[100, 100, 40, 10], first, 400);
            memory.segments.iter().map(|s| (s.steps.clone(), s.images, s.apart)).collect()
        };
        assert_eq!(cut(0), [(0..2, 2, false), (2..3, 8, false)]);
        assert_eq!(cut(1), [(0..1, 1, true), (1..2, 2, false), (2..3, 8, false)]);
    }
}
