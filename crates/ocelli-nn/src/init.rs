//! Initial values of weights.

use ocelli_core::random::{Purpose, Stream, key_of};
use rand::Rng;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// One value everywhere.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform between minus and plus this bound.
    Uniform(f32),
}

impl Init {
    /// He et al. 2015 (arXiv:1502.01852) for a rectifier: normal with variance `2 / fan_out`, as timm and
    /// torchvision initialise the convolutions of a ResNet. `fan_out` is filters times kernel area, per
    /// group.
    pub fn kaiming_fan_out(fan_out: usize) -> Self {
        Self::Normal((2.0 / fan_out.max(1) as f32).sqrt())
    }

    /// PyTorch's default for linear layers: uniform within `1 / sqrt(fan_in)`.
    pub fn linear(fan_in: usize) -> Self {
        Self::Uniform(1.0 / (fan_in.max(1) as f32).sqrt())
    }

    /// Values for the parameter `name` of a network seeded with `seed`; other parameters do not move them.
    pub(crate) fn values(self, len: usize, seed: u64, name: &str) -> Vec<f32> {
        let mut random = Stream::new(seed, Purpose::Init, key_of(name), 0);
        match self {
            Self::Constant(value) => vec![value; len],
            Self::Uniform(bound) => {
                (0..len).map(|_| random.random_range(-1.0f32..=1.0) * bound).collect()
            }
            Self::Normal(std) => (0..len.div_ceil(2))
                .flat_map(|_| normal_pair(&mut random))
                .take(len)
                .map(|v| v * std)
                .collect(),
        }
    }
}

/// Two independent standard normal numbers (Box and Muller, 1958).
fn normal_pair(random: &mut Stream) -> [f32; 2] {
    let radius = (-2.0 * (1.0 - random.random::<f32>()).ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * random.random::<f32>()).sin_cos();
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_their_moments_and_do_not_depend_on_other_names() {
        let values = Init::Normal(2.0).values(20_001, 3, "conv1.weight");
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.05 && (var.sqrt() - 2.0).abs() < 0.05, "{mean} {var}");
        assert_eq!(values, Init::Normal(2.0).values(20_001, 3, "conv1.weight"));
        assert_ne!(values[0], Init::Normal(2.0).values(1, 3, "conv2.weight")[0]);
    }
}
