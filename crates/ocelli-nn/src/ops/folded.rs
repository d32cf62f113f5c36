//! A convolution with the batch norm behind it, where nothing learns: scale and shift become part of the weights,
//! and the sums are finished while they are in registers.

use std::sync::{Arc, Mutex, PoisonError};

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::Affine;
use ocelli_kernels::{Conv, ConvShape, Epilogue, Form, Packed};

use super::conv::plan;
use super::{Filters, with_scratch};
use crate::numbers::Fresh;
use crate::{Error, Feature, Param, Pass, Result};

/// The parameters of a batch norm, and what is added to the variance.
pub(crate) struct Norm<'a> {
    pub weight: &'a Param,
    pub bias: &'a Param,
    pub mean: &'a Param,
    pub var: &'a Param,
    pub eps: f32,
}

/// Weights with a norm folded in, kept for as long as none of the parameters changes.
#[derive(Debug, Default)]
pub(crate) struct Folding(Mutex<Option<Arc<Folded>>>);

#[derive(Debug)]
struct Folded {
    versions: Vec<u64>,
    packed: Packed,
    bias: Vec<f32>,
}

impl Folding {
    fn get(&self, plan: &Conv, filters: &Filters, norm: &Norm<'_>) -> Result<Arc<Folded>> {
        let params =
            filters.params().into_iter().chain([norm.weight, norm.bias, norm.mean, norm.var]);
        let versions: Vec<u64> = params.map(Param::version).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            |folded: &&Arc<Folded>| folded.versions == versions && plan.accepts(&folded.packed);
        if let Some(folded) = kept.as_ref().filter(fits) {
            return Ok(folded.clone());
        }
        let [weight, bias, mean, var] = [norm.weight, norm.bias, norm.mean, norm.var].map(values);
        let affine = Affine::of_norm(&weight?, &bias?, &mean?, &var?, norm.eps);
        let mut w = values(&filters.weight)?;
        let bias = filters.bias.as_ref().map(values).transpose()?;
        let bias = affine.fold(&mut w, bias.as_deref());
        let folded = Arc::new(Folded { versions, packed: plan.pack(Form::Forward, &w), bias });
        *kept = Some(folded.clone());
        Ok(folded)
    }
}

fn values(param: &Param) -> Result<Vec<f32>> {
    param.with(<[f32]>::to_vec)
}

/// `act(norm(x * w) [+ residual])` with the statistics that the norm learned; `act` is a clamp.
pub(crate) fn conv_norm_act(
    path: &str,
    (x, residual): (&Feature, Option<&Feature>),
    (filters, norm, folding): (&Filters, &Norm<'_>, &Folding),
    shape: ConvShape,
    act: Activation,
    pass: &mut Pass,
) -> Result<Feature> {
    let plan = plan(path, shape, pass)?;
    let folded = folding.get(&plan, filters, norm)?;
    let [height, width] = shape.output();
    let dims = [shape.batch, height, width, shape.out_channels];
    if let Some(residual) = residual.filter(|residual| residual.dims() != dims) {
        let reason = format!("cannot add {:?} to {dims:?}", residual.dims());
        return Err(Error::shape(path, reason));
    }
    let mut y = Fresh::new(shape.y_len(), pass.narrows(&dims));
    let residual = residual.map(|residual| residual.numbers().get());
    let epilogue = Epilogue { bias: Some(&folded.bias), residual, act };
    with_scratch(|scratch| plan.forward(x.source(), &folded.packed, epilogue, y.get(), scratch));
    Ok(pass.output(&dims, y, None))
}
