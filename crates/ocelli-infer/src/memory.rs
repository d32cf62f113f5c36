//! Where every value lies: one block of memory, in which values that are never alive together share a place.

use std::ops::Range;

use crate::step::Step;

/// Places begin at whole cache lines.
const LINE: usize = 16;
/// Values that a step of a segment may read and write at a time: about what the caches hold.
const BUDGET: usize = 1 << 22;

/// Steps that run over the whole batch before the next ones do, so many images at a time.
///
/// A network's maps are large first and small in the end. What a step writes should still be in the cache when
/// the next one reads it: large maps a few images at a time. Small maps many at a time, as weights are read
/// anew each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub steps: Range<usize>,
    pub images: usize,
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the caller has it: the network's input.
    Caller,
    /// All images of the batch, from this value on (times the images of the batch).
    Batch(usize),
    /// The images that its segment has in hand, from this value on (times so many).
    Segment(usize),
}

/// The block of memory, in values per image.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub segments: Vec<Segment>,
    pub places: Vec<Place>,
    /// What places in the batch take.
    batch: usize,
    /// What places in each segment take.
    within: Vec<usize>,
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
    /// Plans for values of `sizes` (of one image); value 0 is the input.
    pub fn plan<K>(steps: &[Step<K>], sizes: &[usize], output: usize) -> Self {
        Self::plan_for(steps, sizes, output, BUDGET)
    }

    fn plan_for<K>(steps: &[Step<K>], sizes: &[usize], output: usize, budget: usize) -> Self {
        let segments = cut(steps, sizes, budget);
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
            let (start, end) = (segment_of(first), segment_of(last));
            if value == output {
                kept.push(Life { first: start, last: segments.len(), ..life });
            } else if start != end {
                kept.push(Life { first: start, last: end, ..life });
            } else {
                within[start].push(life);
            }
        }
        let batch = arrange(kept, |value, at| places[value] = Place::Batch(at));
        let within = within
            .into_iter()
            .map(|lives| arrange(lives, |value, at| places[value] = Place::Segment(at)))
            .collect();
        Self { segments, places, batch, within }
    }

    /// Values for a batch of so many images.
    pub fn len(&self, images: usize) -> usize {
        let segments = self.segments.iter().zip(&self.within);
        let most = segments.map(|(segment, len)| len * segment.images.min(images)).max();
        self.batch * images + most.unwrap_or(0)
    }

    /// Where some images of a value of `size` lie, if not with the caller. They are part of a batch of `all`,
    /// and, in their segment, all that it has in hand.
    pub fn range(
        &self,
        value: usize,
        size: usize,
        images: &Range<usize>,
        all: usize,
    ) -> Option<Range<usize>> {
        let start = match self.places[value] {
            Place::Caller => return None,
            Place::Batch(at) => at * all + images.start * size,
            Place::Segment(at) => self.batch * all + at * images.len(),
        };
        Some(start..start + images.len() * size)
    }
}

/// Cuts steps into segments. A segment has no fewer images in hand than the one before it.
fn cut<K>(steps: &[Step<K>], sizes: &[usize], budget: usize) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut images = usize::MAX;
    for (i, step) in steps.iter().enumerate().rev() {
        let touched: usize =
            step.inputs.iter().chain([&step.output]).map(|&value| sizes[value]).sum();
        // Powers of two, so that there are few segments.
        let fit = 1 << (budget / touched.max(1)).max(1).ilog2();
        images = images.min(fit);
        match segments.last_mut() {
            Some(segment) if segment.images == images => segment.steps.start = i,
            _ => segments.push(Segment { steps: i..i + 1, images }),
        }
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

    fn plan(steps: &[Step<()>], sizes: &[usize], budget: usize) -> Memory {
        Memory::plan_for(steps, sizes, steps.len(), budget)
    }

    #[test]
    fn values_that_live_together_lie_apart() {
        let steps = chain(6);
        let sizes = [3, 160, 320, 160, 32, 100, 7];
        for budget in [1, 300, 700, 1000, 100_000] {
            let memory = plan(&steps, &sizes, budget);
            for all in 1..6 {
                for segment in &memory.segments {
                    let images = 0..segment.images.min(all);
                    let range =
                        |value: usize| memory.range(value, sizes[value], &images, all).unwrap();
                    for i in segment.steps.clone() {
                        let y = range(i + 1);
                        assert!(y.end <= memory.len(all), "{budget} {all} {i}");
                        // Values from before that this step or a later one reads.
                        let alive = |value: &usize| {
                            steps[i..].iter().any(|step| step.inputs.contains(value))
                        };
                        for value in (1..i + 1).filter(alive) {
                            let x = range(value);
                            assert!(
                                x.end <= y.start || y.end <= x.start,
                                "{budget} {all} {value} {i}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_chain_takes_two_places_and_one_for_the_output() {
        let memory = plan(&chain(6)[..5], &[16; 6], 1 << 20);
        assert_eq!(memory.segments.len(), 1);
        assert_eq!(memory.len(1), 3 * 16);
    }

    #[test]
    fn large_maps_run_few_images_at_a_time() {
        let memory = plan(&chain(4)[..3], &[100, 100, 40, 10], 400);
        let segments: Vec<_> =
            memory.segments.iter().map(|s| (s.steps.clone(), s.images)).collect();
        assert_eq!(segments, [(0..2, 2), (2..3, 8)]);
    }
}
