//! Windows along one axis: which inputs an output sees, and which outputs see an input.

use std::ops::Range;

#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub size: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub before: usize,
    pub after: usize,
}

impl Axis {
    /// PyTorch's output size: with `ceil`, a last window that reaches past the padding counts, unless it
    /// would start there.
    pub fn new(
        size: usize,
        kernel: usize,
        stride: usize,
        before: usize,
        after: usize,
        ceil: bool,
    ) -> Option<Self> {
        let reach = size.checked_add(before)?.checked_add(after)?;
        let rounded = reach.checked_add(if ceil { stride.checked_sub(1)? } else { 0 })?;
        let spare = rounded.checked_sub(kernel)?;
        let windows = spare.checked_div(stride)? + 1;
        let past_the_end = ceil && (windows - 1) * stride >= size + before;
        let output = windows - usize::from(past_the_end);
        (output > 0).then_some(Self { size, output, kernel, stride, before, after })
    }

    /// The inputs of output `o`; never empty, because the padding is smaller than the kernel.
    #[inline(always)]
    pub fn inputs(self, o: usize) -> Range<usize> {
        let start = o * self.stride;
        start.saturating_sub(self.before)..(start + self.kernel - self.before).min(self.size)
    }

    /// How many positions of output `o` lie in the input or its padding.
    #[inline(always)]
    pub fn padded_inputs(self, o: usize) -> usize {
        let start = o * self.stride;
        (start + self.kernel).min(self.size + self.before + self.after) - start
    }

    /// The outputs that see input `i`.
    #[inline(always)]
    pub fn outputs(self, i: usize) -> Range<usize> {
        let last = (i + self.before) / self.stride;
        let first = (i + self.before + 1).saturating_sub(self.kernel).div_ceil(self.stride);
        first..(last + 1).min(self.output)
    }

    /// Where input `i` lies in the window of output `o`.
    #[inline(always)]
    pub fn tap(self, o: usize, i: usize) -> usize {
        i + self.before - o * self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceil_mode_drops_a_window_that_starts_past_the_input() {
        let output = |size, kernel, stride, pad, ceil| {
            Axis::new(size, kernel, stride, pad, pad, ceil).map(|a| a.output)
        };
        assert_eq!(output(112, 3, 2, 1, false), Some(56));
        assert_eq!(output(111, 3, 2, 0, true), Some(55));
        assert_eq!(output(6, 3, 2, 0, false), Some(2));
        assert_eq!(output(6, 3, 2, 0, true), Some(3));
        assert_eq!(output(3, 1, 3, 0, true), Some(1));
        assert_eq!(output(3, 2, 2, 1, true), Some(2));
        assert_eq!(output(2, 3, 2, 0, true), Some(1));
        assert_eq!(output(2, 3, 2, 0, false), None);
        assert_eq!(output(1, 5, 1, 1, true), None);
    }

    #[test]
    fn inputs_and_outputs_are_each_others_inverse() {
        for (size, kernel, stride, before, after, ceil) in [
            (7, 3, 2, 1, 1, false),
            (6, 3, 2, 0, 1, true),
            (5, 2, 3, 1, 0, true),
            (9, 5, 1, 2, 2, false),
            (4, 1, 3, 0, 0, true),
        ] {
            let axis = Axis::new(size, kernel, stride, before, after, ceil).unwrap();
            for o in 0..axis.output {
                assert!(!axis.inputs(o).is_empty());
                for i in 0..size {
                    assert_eq!(
                        axis.inputs(o).contains(&i),
                        axis.outputs(i).contains(&o),
                        "{axis:?} o {o} i {i}"
                    );
                }
            }
        }
    }
}
