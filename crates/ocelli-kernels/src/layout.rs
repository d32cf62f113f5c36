//! Between the axis orders of files and ours.
//!
//! PyTorch keeps images as `[N, C, H, W]` and convolution weights as `[O, I, kH, kW]`; here channels come
//! last. Biases, norms and linear layers are the same in both, but for a linear layer that reads a
//! flattened image: its inputs are numbered as the pixels were laid out.
//!
//! Every function copies and panics if the slice does not have as many elements as the sizes say.

/// Convolution weights `[O, I, kH, kW]` to `[O, kH, kW, I]`. `sizes` are O, I, kH, kW.
pub fn oihw_to_ohwi(w: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    let [o, i, h, wd] = sizes;
    swap_last_two(w, [o, i, h * wd])
}

/// Convolution weights `[O, kH, kW, I]` to `[O, I, kH, kW]`. `sizes` are O, I, kH, kW.
pub fn ohwi_to_oihw(w: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    let [o, i, h, wd] = sizes;
    swap_last_two(w, [o, h * wd, i])
}

/// Linear weights `[O, C * H * W]`, after a flatten of `[C, H, W]`, to `[O, H * W * C]`. `sizes` are O, C,
/// H, W.
pub fn linear_from_chw(w: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    oihw_to_ohwi(w, sizes)
}

/// Linear weights `[O, H * W * C]` to `[O, C * H * W]`. `sizes` are O, C, H, W.
pub fn linear_to_chw(w: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    ohwi_to_oihw(w, sizes)
}

/// Images `[N, C, H, W]` to `[N, H, W, C]`. `sizes` are N, C, H, W.
pub fn nchw_to_nhwc(x: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    oihw_to_ohwi(x, sizes)
}

/// Images `[N, H, W, C]` to `[N, C, H, W]`. `sizes` are N, C, H, W.
pub fn nhwc_to_nchw(x: &[f32], sizes: [usize; 4]) -> Vec<f32> {
    ohwi_to_oihw(x, sizes)
}

/// `[a, b, c]` to `[a, c, b]`.
fn swap_last_two(x: &[f32], [a, b, c]: [usize; 3]) -> Vec<f32> {
    assert_eq!(x.len(), a * b * c, "layout: elements for the sizes given");
    let mut out = Vec::with_capacity(x.len());
    for matrix in 0..a {
        let matrix = &x[matrix * b * c..][..b * c];
        for column in 0..c {
            out.extend((0..b).map(|row| matrix[row * c + column]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_goes_to_its_place_and_back() {
        // Element (o, i, h, w) has the value 1000 o + 100 i + 10 h + w; no two sizes are equal.
        let sizes = [2, 3, 4, 5];
        let mut oihw = vec![];
        let mut ohwi = vec![0.0; 120];
        for o in 0..2 {
            for i in 0..3 {
                for h in 0..4 {
                    for w in 0..5 {
                        let value = (1000 * o + 100 * i + 10 * h + w) as f32;
                        oihw.push(value);
                        ohwi[((o * 4 + h) * 5 + w) * 3 + i] = value;
                    }
                }
            }
        }
        assert_eq!(oihw_to_ohwi(&oihw, sizes), ohwi);
        assert_eq!(ohwi_to_oihw(&ohwi, sizes), oihw);
        assert_eq!(nchw_to_nhwc(&oihw, sizes), ohwi);
        assert_eq!(nhwc_to_nchw(&ohwi, sizes), oihw);
        assert_eq!(linear_to_chw(&linear_from_chw(&oihw, sizes), sizes), oihw);
    }
}
