//! A normalisation with known statistics is a scale and a shift, which a convolution before it can take over.

/// `x * scale + shift`, per channel; in f64, so that folding loses nothing that matters.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// `[C]`
    pub scale: Vec<f64>,
    /// `[C]`
    pub shift: Vec<f64>,
}

impl Affine {
    /// A batch norm with the statistics that it learned: `(x - mean) / sqrt(var + eps) * gamma + beta`.
    ///
    /// # Panics
    /// When lengths differ.
    pub fn of_norm(gamma: &[f32], beta: &[f32], mean: &[f32], var: &[f32], eps: f32) -> Self {
        let lengths = [beta.len(), mean.len(), var.len()];
        assert_eq!(lengths, [gamma.len(); 3], "a norm's parameters differ in length");
        let scale = |(&gamma, &var)| f64::from(gamma) / (f64::from(var) + f64::from(eps)).sqrt();
        let scale: Vec<f64> = gamma.iter().zip(var).map(scale).collect();
        let shift = |((&beta, &mean), scale): ((&f32, &f32), &f64)| {
            f64::from(beta) - f64::from(mean) * scale
        };
        let shift = beta.iter().zip(mean).zip(&scale).map(shift).collect();
        Self { scale, shift }
    }

    /// Makes it part of the filters `[O, ...]` before it, and returns the bias to go with them.
    ///
    /// # Panics
    /// When there is not one channel for each filter, or the bias has another length.
    pub fn fold(&self, filters: &mut [f32], bias: Option<&[f32]>) -> Vec<f32> {
        let channels = self.scale.len();
        assert!(bias.is_none_or(|bias| bias.len() == channels), "length of the bias");
        assert!(filters.len().is_multiple_of(channels.max(1)), "filters for each channel");
        let per_filter = (filters.len() / channels.max(1)).max(1);
        for (filter, scale) in filters.chunks_exact_mut(per_filter).zip(&self.scale) {
            filter.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        }
        let bias = |channel: usize| bias.map_or(0.0, |bias| f64::from(bias[channel]));
        let moved = |channel| (bias(channel) * self.scale[channel] + self.shift[channel]) as f32;
        (0..channels).map(moved).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_norm_is_the_norm_of_the_result() {
        let affine = Affine::of_norm(&[2.0, 1.0], &[0.5, 0.0], &[1.0, -1.0], &[3.0, 0.0], 1.0);
        assert_eq!(affine, Affine { scale: vec![1.0, 1.0], shift: vec![-0.5, 1.0] });
        let affine = Affine { scale: vec![2.0, -1.0], shift: vec![1.0, 0.0] };
        let mut filters = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(affine.fold(&mut filters, Some(&[5.0, 6.0])), [11.0, -6.0]);
        assert_eq!(filters, [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(affine.fold(&mut filters, None), [1.0, 0.0]);
    }
}
