//! Depthwise convolution with every instruction set. A process of its own, because the limit holds for all
//! of it.

use ocelli_kernels::isa::{Isa, limit};
use ocelli_kernels::testing::{
    conv_backward_input, conv_backward_weight, conv_forward, fill, relative_error, widen,
};
use ocelli_kernels::{Conv, ConvShape, Form, Padding, Scratch};

const SHAPE: ConvShape = ConvShape {
    batch: 2,
    height: 9,
    width: 11,
    in_channels: 45,
    out_channels: 45,
    kernel: [3, 3],
    stride: [1, 1],
    padding: Padding::symmetric(1, 1),
    dilation: [1, 1],
    groups: 45,
};

#[test]
fn every_instruction_set_follows_the_definition() {
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        limit(isa);
        for stride in [[1, 1], [2, 2]] {
            check(ConvShape { stride, ..SHAPE });
        }
    }
}

fn check(s: ConvShape) {
    let conv = Conv::plan(s).expect("a shape");
    let (x, w, dy) = (fill(s.x_len(), 1), fill(s.w_len(), 2), fill(s.y_len(), 3));
    let [mut y, mut dx, mut dw] = [s.y_len(), s.x_len(), s.w_len()].map(|len| vec![f32::NAN; len]);
    let scratch = &mut Scratch::new();
    conv.forward(&x, &conv.pack(Form::Forward, &w), None, &mut y, scratch);
    conv.backward_input(&dy, &conv.pack(Form::BackwardInput, &w), &mut dx, scratch);
    conv.backward_weight(&x, &dy, &mut dw, scratch);
    let (x, w, dy) = (widen(&x), widen(&w), widen(&dy));
    assert!(relative_error(&y, &conv_forward(&s, &x, &w)) < 1e-5);
    assert!(relative_error(&dx, &conv_backward_input(&s, &dy, &w)) < 1e-5);
    assert!(relative_error(&dw, &conv_backward_weight(&s, &x, &dy)) < 1e-5);
}
