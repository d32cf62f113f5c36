//! What a convolution is told about its operands.

use crate::{Padding, ShapeError};

/// The shape of a two-dimensional convolution.
///
/// x is `[batch, height, width, in_channels]`, w `[out_channels, kernel, kernel, in_channels / groups]`
/// and y `[batch, oH, oW, out_channels]`; pairs are `[height, width]`. A linear layer is a convolution
/// with a 1 x 1 kernel on 1 x 1 images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Number of images N; 0 is allowed.
    pub batch: usize,
    /// Rows of an input image.
    pub height: usize,
    /// Columns of an input image.
    pub width: usize,
    /// Channels C of an input pixel.
    pub in_channels: usize,
    /// Channels O of an output pixel.
    pub out_channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Input pixels from one output pixel to the next.
    pub stride: [usize; 2],
    /// Zeros around each image.
    pub padding: Padding,
    /// Input pixels from one kernel row or column to the next; 1 is a dense kernel.
    pub dilation: [usize; 2],
    /// Input and output channels are dealt out to this many independent convolutions.
    pub groups: usize,
}

impl ConvShape {
    /// A linear layer: a 1 x 1 kernel on images of one pixel.
    pub fn pixel(batch: usize, in_channels: usize, out_channels: usize) -> Self {
        Self {
            batch,
            height: 1,
            width: 1,
            in_channels,
            out_channels,
            kernel: [1, 1],
            stride: [1, 1],
            padding: Padding::default(),
            dilation: [1, 1],
            groups: 1,
        }
    }

    /// Whether some convolution has this shape.
    ///
    /// # Errors
    /// A size of 0 (but for the batch), channels that the groups do not divide, a kernel larger than the
    /// padded image, or more elements than can be addressed.
    pub fn check(&self) -> Result<(), ShapeError> {
        let sizes = [
            ("height", self.height),
            ("width", self.width),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("kernel", self.kernel[0].min(self.kernel[1])),
            ("stride", self.stride[0].min(self.stride[1])),
            ("dilation", self.dilation[0].min(self.dilation[1])),
            ("groups", self.groups),
        ];
        if let Some((what, _)) = sizes.into_iter().find(|&(_, size)| size == 0) {
            return Err(ShapeError::Zero { what });
        }
        for (what, channels) in
            [("in_channels", self.in_channels), ("out_channels", self.out_channels)]
        {
            if channels % self.groups != 0 {
                return Err(ShapeError::Groups { what, channels, groups: self.groups });
            }
        }
        self.check_window("height", 0)?;
        self.check_window("width", 1)?;
        let [rows, columns] = self.output();
        let [kernel_rows, kernel_columns] = self.kernel;
        addressable("x", [self.batch, self.height, self.width, self.in_channels])?;
        addressable("w", [self.out_channels, kernel_rows, kernel_columns, self.in_channels])?;
        addressable("y", [self.batch, rows, columns, self.out_channels])
    }

    fn check_window(&self, axis: &'static str, i: usize) -> Result<(), ShapeError> {
        let kernel = self.kernel[i];
        let (Some(size), Some(extent)) = (self.padded(i), self.extent(i)) else {
            return Err(ShapeError::TooLarge { what: "the padded image" });
        };
        if extent > size { Err(ShapeError::Window { axis, kernel, extent, size }) } else { Ok(()) }
    }

    /// Pixels of the padded image along one axis.
    fn padded(&self, axis: usize) -> Option<usize> {
        let (size, before, after) = match axis {
            0 => (self.height, self.padding.top, self.padding.bottom),
            _ => (self.width, self.padding.left, self.padding.right),
        };
        // Halved, so that positions relative to the image fit into an isize.
        size.checked_add(before)?.checked_add(after).filter(|&sum| sum <= isize::MAX as usize / 2)
    }

    /// Pixels that the dilated kernel spans along one axis.
    fn extent(&self, axis: usize) -> Option<usize> {
        (self.kernel[axis].checked_sub(1)?).checked_mul(self.dilation[axis])?.checked_add(1)
    }

    /// Rows and columns of the output; 0 where the kernel does not fit.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| match (self.padded(axis), self.extent(axis)) {
            (Some(size), Some(extent)) if extent <= size => {
                (size - extent) / self.stride[axis].max(1) + 1
            }
            _ => 0,
        })
    }

    /// Elements of x and dx.
    pub fn x_len(&self) -> usize {
        self.batch * self.height * self.width * self.in_channels
    }

    /// Elements of w and dw.
    pub fn w_len(&self) -> usize {
        self.out_channels * self.kernel[0] * self.kernel[1] * self.group_in()
    }

    /// Elements of y and dy.
    pub fn y_len(&self) -> usize {
        let [rows, columns] = self.output();
        self.batch * rows * columns * self.out_channels
    }

    /// Multiply-adds of the forward pass, those with the zeros of the padding included.
    pub fn macs(&self) -> u64 {
        self.y_len() as u64 * (self.kernel[0] * self.kernel[1] * self.group_in()) as u64
    }

    /// Input channels of one group.
    pub(crate) fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Output channels of one group.
    pub(crate) fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }
}

fn addressable(what: &'static str, sizes: [usize; 4]) -> Result<(), ShapeError> {
    let elements = sizes.into_iter().try_fold(1_usize, usize::checked_mul);
    match elements.filter(|&n| n <= isize::MAX as usize / 16) {
        Some(_) => Ok(()),
        None => Err(ShapeError::TooLarge { what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEM: ConvShape = ConvShape {
        batch: 2,
        height: 224,
        width: 225,
        in_channels: 3,
        out_channels: 64,
        kernel: [7, 7],
        stride: [2, 2],
        padding: Padding::symmetric(3, 3),
        dilation: [1, 1],
        groups: 1,
    };

    #[test]
    fn the_resnet_stem_has_its_known_sizes() {
        assert_eq!(STEM.check(), Ok(()));
        assert_eq!(STEM.output(), [112, 113]);
        assert_eq!((STEM.x_len(), STEM.w_len()), (2 * 224 * 225 * 3, 64 * 147));
        let square = ConvShape { width: 224, batch: 1, ..STEM };
        assert_eq!(square.macs(), 118_013_952);
    }

    #[test]
    fn impossible_shapes_are_named() {
        let zero = ConvShape { stride: [1, 0], ..STEM };
        assert_eq!(zero.check(), Err(ShapeError::Zero { what: "stride" }));
        let groups = ConvShape { groups: 2, ..STEM };
        assert_eq!(
            groups.check(),
            Err(ShapeError::Groups { what: "in_channels", channels: 3, groups: 2 })
        );
        let small = ConvShape { height: 4, dilation: [2, 1], ..STEM };
        assert_eq!(small.output()[0], 0);
        assert_eq!(
            small.check(),
            Err(ShapeError::Window { axis: "height", kernel: 7, extent: 13, size: 10 })
        );
        let huge = ConvShape { batch: usize::MAX / 4, ..STEM };
        assert_eq!(huge.check(), Err(ShapeError::TooLarge { what: "x" }));
        let edge = ConvShape { padding: Padding { top: usize::MAX, ..STEM.padding }, ..STEM };
        assert_eq!(edge.check(), Err(ShapeError::TooLarge { what: "the padded image" }));
    }

    #[test]
    fn an_empty_batch_is_a_shape() {
        let empty = ConvShape { batch: 0, ..STEM };
        assert_eq!(empty.check(), Ok(()));
        assert_eq!((empty.y_len(), empty.macs()), (0, 0));
    }
}
