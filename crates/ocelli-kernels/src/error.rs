//! The one error of this crate: a shape that no kernel can serve.

/// Why a shape is refused. Found when an operation is planned, before any data is touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A size that must be at least 1 is 0.
    #[error("{what} is 0; it must be at least 1")]
    Zero {
        /// The name of the size, for instance `stride`.
        what: &'static str,
    },
    /// The channels cannot be dealt out evenly to the groups.
    #[error("{what} ({channels}) must be a multiple of the number of groups ({groups})")]
    Groups {
        /// `in_channels` or `out_channels`.
        what: &'static str,
        /// How many channels there are.
        channels: usize,
        /// How many groups were asked for.
        groups: usize,
    },
    /// The window does not fit even once into the padded image.
    #[error(
        "a window of {extent} (kernel {kernel}, dilation included) does not fit into the {axis} of the image: \
         {size} with padding; use a larger image or more padding"
    )]
    Window {
        /// `height` or `width`.
        axis: &'static str,
        /// Kernel size along that axis.
        kernel: usize,
        /// Pixels the dilated kernel spans.
        extent: usize,
        /// Pixels of the padded image.
        size: usize,
    },
    /// A pooling window could lie wholly inside the padding, where there is nothing to take.
    #[error("{axis} padding {padding} must be smaller than the pooling window of {kernel}")]
    PoolPadding {
        /// `height` or `width`.
        axis: &'static str,
        /// The larger of the two paddings of that axis.
        padding: usize,
        /// Kernel size along that axis.
        kernel: usize,
    },
    /// The algorithm that was asked for does not compute convolutions of this shape.
    #[error("{algorithm:?} does not compute convolutions of this shape")]
    Algorithm {
        /// What was asked for.
        algorithm: crate::Algorithm,
    },
    /// A tensor of this shape would not fit into the address space.
    #[error("{what} would have more elements than this machine, or a kernel, can address")]
    TooLarge {
        /// Which tensor.
        what: &'static str,
    },
}
