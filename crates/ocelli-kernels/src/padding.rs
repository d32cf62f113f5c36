//! Zeros around an image, each side on its own.

/// Rows and columns of padding around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Rows above the first.
    pub top: usize,
    /// Rows below the last.
    pub bottom: usize,
    /// Columns before the first.
    pub left: usize,
    /// Columns after the last.
    pub right: usize,
}

impl Padding {
    /// The same number of rows above and below, and of columns left and right.
    pub const fn symmetric(height: usize, width: usize) -> Self {
        Self { top: height, bottom: height, left: width, right: width }
    }

    /// TensorFlow's "same": as much as makes the output `ceil(size / stride)`, the odd row or column
    /// after the image. All arguments are `[height, width]`; a stride of 0 counts as 1.
    pub fn same(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Self {
        let total = |axis: usize| {
            let stride = stride[axis].max(1);
            let outputs = size[axis].div_ceil(stride);
            let reach = outputs.saturating_sub(1) * stride
                + kernel[axis].saturating_sub(1) * dilation[axis]
                + 1;
            reach.saturating_sub(size[axis])
        };
        let (rows, columns) = (total(0), total(1));
        Self {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_puts_the_odd_one_after_the_image() {
        let same = Padding::same([224, 225], [3, 3], [2, 2], [1, 1]);
        assert_eq!(same, Padding { top: 0, bottom: 1, left: 1, right: 1 });
        let dilated = Padding::same([10, 11], [2, 3], [1, 1], [3, 2]);
        assert_eq!(dilated, Padding { top: 1, bottom: 2, left: 2, right: 2 });
        // A stride beyond the kernel leaves gaps and needs no padding.
        assert_eq!(Padding::same([7, 7], [1, 1], [4, 4], [1, 1]), Padding::default());
    }
}
