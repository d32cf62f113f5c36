//! Keeps gradients short.

use ocelli_nn::{Param, ParamGradients};

use crate::TrainError;

/// Scales all gradients by `min(1, max_norm / (norm + 1e-6))`, `norm` being their length as one vector
/// (Pascanu et al. 2013, arXiv:1211.5063); the same as PyTorch's `clip_grad_norm_`, with the sum in f64.
/// Gives the norm before. Parameters without a gradient are passed over.
///
/// # Errors
/// Where a gradient is not finite; names its parameter, and no gradient is changed.
pub fn clip_gradients(
    params: &[Param],
    gradients: &mut ParamGradients,
    max_norm: f64,
) -> Result<f64, TrainError> {
    let mut total = 0.0;
    for param in params {
        let Some(gradient) = gradients.get(param) else { continue };
        let squares = sum_of_squares(gradient);
        // Squares of finite f32 cannot overflow an f64, so this finds each NaN and infinity.
        if !squares.is_finite() {
            let what = "not finite: try a lower learning rate".to_string();
            return Err(TrainError::Gradient { name: param.name().to_string(), what });
        }
        total += squares;
    }
    let norm = total.sqrt();
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 {
        for param in params {
            for value in gradients.get_mut(param).into_iter().flatten() {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    }
    Ok(norm)
}

/// Eight running sums, so that the compiler can use vectors without changing the order of additions.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0f64; 8];
    let chunks = values.chunks_exact(sums.len());
    let rest: f64 = chunks.remainder().iter().map(|&value| f64::from(value).powi(2)).sum();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use ocelli_nn::{Init, Kind, Layout, ParamStore};

    use super::*;

    /// One parameter per gradient, and the gradients as a backward pass leaves them.
    fn store(gradients: &[Vec<f32>]) -> (Vec<Param>, ParamGradients) {
        let store = ParamStore::new(0);
        let mut loss = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu).unwrap();
        for (index, gradient) in gradients.iter().enumerate() {
            let (name, shape) = (format!("clip{index}"), [gradient.len()]);
            let param = store
                .root()
                .param(&name, &shape, Init::Constant(0.0), Kind::Weight, Layout::Plain)
                .unwrap();
            let gradient = Tensor::new(gradient.as_slice(), &Device::Cpu).unwrap();
            let term = (param.tensor() * gradient).unwrap().sum_all().unwrap();
            loss = (loss + term).unwrap();
        }
        (store.all(), ParamGradients::from_candle(&loss.backward().unwrap()).unwrap())
    }

    fn values(params: &[Param], gradients: &ParamGradients) -> Vec<Vec<f32>> {
        params.iter().map(|param| gradients.get(param).unwrap().to_vec()).collect()
    }

    #[test]
    fn norms_and_gradients_are_pytorchs() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/golden/train.json")).unwrap();
        for (name, case) in golden["clipping"].as_object().unwrap() {
            let given: Vec<Vec<f32>> = serde_json::from_value(case["gradients"].clone()).unwrap();
            let wanted: Vec<Vec<f32>> = serde_json::from_value(case["clipped"].clone()).unwrap();
            let (params, mut gradients) = store(&given);
            let norm = clip_gradients(&params, &mut gradients, case["max_norm"].as_f64().unwrap())
                .unwrap();
            assert!((norm - case["norm"].as_f64().unwrap()).abs() < 1e-9, "{name}: {norm}");
            for (found, wanted) in values(&params, &gradients).concat().iter().zip(wanted.concat())
            {
                assert!((found - wanted).abs() < 1e-7, "{name}: {found} instead of {wanted}");
            }
        }
    }

    #[test]
    fn long_vectors_are_summed_whole() {
        let values: Vec<f32> = (1..=1003).map(|n| n as f32).collect();
        assert_eq!(sum_of_squares(&values), f64::from(1003 * 1004 * 2007 / 6));
    }

    #[test]
    fn gradients_that_are_not_finite_are_named() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (params, mut gradients) = store(&[vec![9.0, 9.0], vec![1.0, bad]]);
            let error = clip_gradients(&params, &mut gradients, 1.0).unwrap_err();
            assert!(error.to_string().contains("`clip1`"), "{error}");
            assert_eq!(values(&params, &gradients)[0], [9.0, 9.0]);
        }
    }
}
