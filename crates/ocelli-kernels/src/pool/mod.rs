//! Max, average and global average pooling of `[N, H, W, C]`.
//!
//! Forward, a few output rows are one task; backward, a few input rows are: each gathers from the windows that
//! contain it, so nothing is scattered, no two threads write the same place and the order of additions
//! is fixed by the shape.

mod average;
mod axis;
mod global;
mod max;

pub use average::{Divisor, average_backward, average_forward};
pub use global::{global_average_backward, global_average_forward};
pub use max::{max_backward, max_forward};

use crate::{Padding, ShapeError};
use axis::Axis;

/// A pooling layer applied to an input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// N, the number of images.
    pub batch: usize,
    /// H of the input.
    pub height: usize,
    /// W of the input.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Step of the window, vertical and horizontal.
    pub stride: [usize; 2],
    /// Padding; each side smaller than the window. It never wins a maximum.
    pub padding: Padding,
    /// Whether a last window that reaches past the padded input counts, provided that it starts inside
    /// the input or the padding before it (PyTorch's rule).
    pub ceil_mode: bool,
}

impl PoolShape {
    /// Whether the windows fit.
    ///
    /// # Errors
    /// [`ShapeError`] for a window or stride of 0, padding not smaller than the window (such a window could
    /// lie wholly in the padding), a window that fits nowhere, or a tensor too large to address.
    pub fn check(&self) -> Result<(), ShapeError> {
        for (what, sizes) in [("kernel", self.kernel), ("stride", self.stride)] {
            if sizes.contains(&0) {
                return Err(ShapeError::Zero { what });
            }
        }
        let Padding { top, bottom, left, right } = self.padding;
        for (axis, kernel, before, after, size) in [
            ("height", self.kernel[0], top, bottom, self.height),
            ("width", self.kernel[1], left, right, self.width),
        ] {
            let padding = before.max(after);
            if padding >= kernel {
                return Err(ShapeError::PoolPadding { axis, padding, kernel });
            }
            if size.checked_add(2 * kernel).is_none() {
                return Err(ShapeError::TooLarge { what: "the input" });
            }
        }
        for (axis, kernel, size, found) in [
            ("height", self.kernel[0], self.height + top + bottom, self.rows()),
            ("width", self.kernel[1], self.width + left + right, self.columns()),
        ] {
            if found.is_none() {
                return Err(ShapeError::Window { axis, kernel, extent: kernel, size });
            }
        }
        // The position of a winner is kept in 16 bits.
        if self.kernel[0].saturating_mul(self.kernel[1]) > 1 << 16 {
            return Err(ShapeError::TooLarge { what: "the window" });
        }
        let [rows, columns] = self.output();
        for (what, sizes) in
            [("the input", [self.height, self.width]), ("the output", [rows, columns])]
        {
            let elements =
                sizes.iter().try_fold(self.batch, |product, &size| product.checked_mul(size));
            let bytes =
                elements.and_then(|e| e.checked_mul(self.channels)?.checked_mul(size_of::<f32>()));
            if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
                return Err(ShapeError::TooLarge { what });
            }
        }
        Ok(())
    }

    /// Height and width of the output, `[0, 0]` where no window fits ([`PoolShape::check`] says why).
    pub fn output(&self) -> [usize; 2] {
        match (self.rows(), self.columns()) {
            (Some(rows), Some(columns)) => [rows.output, columns.output],
            _ => [0, 0],
        }
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        let [height, width] = self.output();
        self.batch * height * width * self.channels
    }

    fn rows(&self) -> Option<Axis> {
        let Padding { top, bottom, .. } = self.padding;
        Axis::new(self.height, self.kernel[0], self.stride[0], top, bottom, self.ceil_mode)
    }

    fn columns(&self) -> Option<Axis> {
        let Padding { left, right, .. } = self.padding;
        Axis::new(self.width, self.kernel[1], self.stride[1], left, right, self.ceil_mode)
    }

    /// Both axes of a shape that [`PoolShape::check`] accepts.
    fn axes(&self) -> [Axis; 2] {
        if let Err(error) = self.check() {
            panic!("pool: {error}");
        }
        match (self.rows(), self.columns()) {
            (Some(rows), Some(columns)) => [rows, columns],
            _ => unreachable!("checked above"),
        }
    }
}

#[cfg(test)]
mod tests;
