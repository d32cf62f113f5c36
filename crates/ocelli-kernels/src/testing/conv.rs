//! Convolution by its definition: seven nested loops in f64.

use crate::ConvShape;

/// One multiplication of the definition, as indices into x, w and y.
struct Term {
    x: usize,
    w: usize,
    y: usize,
}

/// Calls `visit` for every product x·w that the convolution adds to y. The three passes differ only in
/// which of the three they accumulate.
fn terms(s: &ConvShape, mut visit: impl FnMut(Term)) {
    let [out_height, out_width] = s.output();
    let (group_in, group_out) = (s.in_channels / s.groups, s.out_channels / s.groups);
    for n in 0..s.batch {
        for oy in 0..out_height {
            for ox in 0..out_width {
                for ky in 0..s.kernel[0] {
                    for kx in 0..s.kernel[1] {
                        let (row, column) = (
                            oy * s.stride[0] + ky * s.dilation[0],
                            ox * s.stride[1] + kx * s.dilation[1],
                        );
                        let (Some(row), Some(column)) =
                            (row.checked_sub(s.padding.top), column.checked_sub(s.padding.left))
                        else {
                            continue;
                        };
                        if row >= s.height || column >= s.width {
                            continue;
                        }
                        let x = ((n * s.height + row) * s.width + column) * s.in_channels;
                        let y = ((n * out_height + oy) * out_width + ox) * s.out_channels;
                        for o in 0..s.out_channels {
                            let w = ((o * s.kernel[0] + ky) * s.kernel[1] + kx) * group_in;
                            for i in 0..group_in {
                                visit(Term {
                                    x: x + o / group_out * group_in + i,
                                    w: w + i,
                                    y: y + o,
                                });
                            }
                        }
                    }
                }
            }
        }
    }
}

/// y `[N, oH, oW, O]` of x `[N, H, W, C]` and w `[O, kH, kW, C / groups]`, without bias.
pub fn conv_forward(shape: &ConvShape, x: &[f64], w: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; shape.y_len()];
    terms(shape, |at| y[at.y] += x[at.x] * w[at.w]);
    y
}

/// dx `[N, H, W, C]` of dy `[N, oH, oW, O]` and w `[O, kH, kW, C / groups]`.
pub fn conv_backward_input(shape: &ConvShape, dy: &[f64], w: &[f64]) -> Vec<f64> {
    let mut dx = vec![0.0; shape.x_len()];
    terms(shape, |at| dx[at.x] += dy[at.y] * w[at.w]);
    dx
}

/// dw `[O, kH, kW, C / groups]` of x `[N, H, W, C]` and dy `[N, oH, oW, O]`.
pub fn conv_backward_weight(shape: &ConvShape, x: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dw = vec![0.0; shape.w_len()];
    terms(shape, |at| dw[at.w] += x[at.x] * dy[at.y]);
    dw
}
