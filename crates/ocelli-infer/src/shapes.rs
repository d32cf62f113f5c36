//! From the nodes of a graph to the shapes of the kernels, for one image.

use ocelli_graph::{self as graph, Graph, Node, Op};
use ocelli_kernels::pool::PoolShape;
use ocelli_kernels::{ConvShape, Padding};

/// A value's shape, channels last; vectors are maps of one pixel.
pub fn hwc(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [channels, height, width] => [height, width, channels],
        _ => [1, 1, shape.iter().product()],
    }
}

/// The convolution that a convolution or a linear layer is; none for other nodes.
pub fn conv_shape(graph: &Graph, node: &Node) -> Option<ConvShape> {
    let [height, width, channels] = hwc(graph.shape(*node.inputs.first()?));
    let [.., out_channels] = hwc(graph.shape(node.output));
    let pixel = ConvShape { height, width, ..ConvShape::pixel(1, channels, out_channels) };
    match &node.op {
        Op::Conv { kernel, stride, padding, dilation, groups, .. } => Some(ConvShape {
            kernel: *kernel,
            stride: *stride,
            padding: self::padding(padding),
            dilation: *dilation,
            groups: *groups,
            ..pixel
        }),
        Op::Linear { .. } => Some(pixel),
        _ => None,
    }
}

/// The windows of a max or average pool; none for other nodes.
pub fn pool_shape(graph: &Graph, node: &Node) -> Option<PoolShape> {
    let [height, width, channels] = hwc(graph.shape(*node.inputs.first()?));
    match &node.op {
        Op::MaxPool { kernel, stride, padding, ceil_mode }
        | Op::AveragePool { kernel, stride, padding, ceil_mode, .. } => Some(PoolShape {
            batch: 1,
            height,
            width,
            channels,
            kernel: *kernel,
            stride: *stride,
            padding: self::padding(padding),
            ceil_mode: *ceil_mode,
        }),
        _ => None,
    }
}

fn padding(padding: &graph::Padding) -> Padding {
    let graph::Padding { top, bottom, left, right } = *padding;
    Padding { top, bottom, left, right }
}
