//! Convolution `y = x * w (+ b)`, channels last; a linear layer is one with a single pixel.

use std::sync::{Arc, Mutex, PoisonError};

use ocelli_kernels::activation::{self, Activation};
use ocelli_kernels::{Conv, ConvShape, Epilogue, Form, Packed, sum_rows};

use super::with_scratch;
use crate::numbers::{Fresh, Numbers};
use crate::tape::Gradients;
use crate::values::Values;
use crate::{Error, Feature, Param, Pass, Result};

/// The weights of a layer; and their packed forms, kept where the weights do not change in every step.
#[derive(Debug)]
pub(crate) struct Filters {
    pub weight: Param,
    pub bias: Option<Param>,
    packed: Arc<Mutex<Vec<Versioned>>>,
}

/// A packed form, and the version of the weight that it was made of.
type Versioned = (u64, Arc<Packed>);

/// Packed forms that are kept at a time: both directions of two plans.
const FORMS: usize = 4;

impl Filters {
    pub fn new(weight: Param, bias: Option<Param>) -> Self {
        Self { weight, bias, packed: Arc::default() }
    }

    /// All parameters.
    pub fn params(&self) -> Vec<&Param> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }

    /// A handle on the same weights and packed forms.
    fn share(&self) -> Self {
        let Self { weight, bias, packed } = self;
        Self { weight: weight.clone(), bias: bias.clone(), packed: packed.clone() }
    }

    /// The weight packed for a plan, of a pass in which it learns or does not.
    fn packed(&self, plan: &Conv, form: Form, learns: bool) -> Result<Arc<Packed>> {
        let mut kept = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.weight.version();
        kept.retain(|&(version, _)| version == now);
        let fits = |packed: &Packed| packed.form() == form && plan.accepts(packed);
        if let Some((_, packed)) = kept.iter().find(|(_, packed)| fits(packed)) {
            return Ok(packed.clone());
        }
        let pack = || Ok(Arc::new(self.weight.with(|w| plan.pack(form, w))?));
        // One that learns is another in the next step, and memory is short in this one.
        if learns {
            drop(kept);
            return pack();
        }
        let packed = pack()?;
        if kept.len() == FORMS {
            kept.remove(0);
        }
        kept.push((now, packed.clone()));
        Ok(packed)
    }
}

/// The plan of a convolution, by an algorithm of the pass's precision.
pub(super) fn plan(path: &str, shape: ConvShape, pass: &Pass) -> Result<Conv> {
    Conv::plan_in(shape, pass.precision()).map_err(|error| Error::shape(path, error.to_string()))
}

/// How a convolution ends.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// A clamp.
    pub act: Activation,
    /// Whether the moments of the result are wanted, too.
    pub summed: bool,
}

impl End {
    /// With the sums as they are.
    pub const PLAIN: Self = Self { act: Activation::Identity, summed: false };
}

/// `x` `[N, H, W, C]` by filters `[O, kH, kW, C / groups]` and perhaps a bias `[O]`, and a clamp of that; gives
/// `[N, oH, oW, O]`.
pub(crate) fn conv(
    path: &str,
    x: &Feature,
    filters: &Filters,
    shape: ConvShape,
    end: End,
    pass: &mut Pass,
) -> Result<Feature> {
    let End { act, summed } = end;
    let plan = plan(path, shape, pass)?;
    let packed = filters.packed(&plan, Form::Forward, pass.learns(&filters.weight))?;
    let [height, width] = shape.output();
    let dims = [shape.batch, height, width, shape.out_channels];
    let mut y = Fresh::new(shape.y_len(), pass.narrows(&dims));
    let mut run = |bias: Option<&[f32]>| {
        if pass.records() {
            // Only shapes matter, and this is where the time would go.
            y.clear();
            return None;
        }
        let epilogue = Epilogue { bias, act, ..Epilogue::default() };
        with_scratch(|scratch| match summed {
            true => Some(plan.forward_moments(x.source(), &packed, epilogue, y.get(), scratch)),
            false => {
                plan.forward(x.source(), &packed, epilogue, y.get(), scratch);
                None
            }
        })
    };
    let moments = match &filters.bias {
        Some(bias) => bias.with(|bias| run(Some(bias)))?,
        None => run(None),
    };
    let y = Numbers::from(y);
    let way = Way {
        input: pass.node(x)?,
        learns: pass.learns(&filters.weight),
        bias: filters.bias.clone().filter(|bias| pass.learns(bias)),
        x: x.kept(),
        clamped: (act != Activation::Identity).then(|| (act, y.clone())),
        filters: filters.share(),
        plan,
    };
    let wanted = way.input.is_some() || way.learns || way.bias.is_some();
    let backward = wanted.then(|| pass.backward_from(move |dy, gradients| way.back(dy, gradients)));
    Ok(pass.output(&dims, y, backward).with_moments(moments))
}

/// What the way back needs.
struct Way {
    plan: Conv,
    filters: Filters,
    x: Values,
    /// The clamp and what it made.
    clamped: Option<(Activation, Numbers)>,
    input: Option<usize>,
    learns: bool,
    /// If it learns.
    bias: Option<Param>,
}

impl Way {
    fn back(self, dy: &Values, gradients: &mut Gradients) -> Result<()> {
        // A clamp lets through where its result lies between the bounds.
        let gated = self.clamped.as_ref().map(|(act, y)| {
            let mut gated = Fresh::new(dy.len(), y.is_narrow());
            let dy = dy.written().like(y.is_narrow());
            activation::backward(*act, y.get(), dy.get(), gated.get());
            Values::from(gated)
        });
        let dy = gated.as_ref().unwrap_or(dy);
        if let Some(bias) = &self.bias {
            gradients.add_param(bias, |db| sum_rows(dy.written().get(), db.len(), db));
        }
        match self.input {
            Some(input) => {
                let dx = self.input_gradient(dy, gradients)?;
                gradients.add_values(input, dx);
            }
            None if self.learns => gradients.add_param(&self.filters.weight, |dw| {
                let (x, dy) = (self.x.source(), dy.source());
                with_scratch(|scratch| self.plan.backward_weight(x, dy, dw, scratch));
            }),
            None => {}
        }
        Ok(())
    }

    /// The gradient of the input; adds that of the weight on the way, if it learns.
    fn input_gradient(&self, dy: &Values, gradients: &mut Gradients) -> Result<Values> {
        let packed = self.filters.packed(&self.plan, Form::BackwardInput, self.learns)?;
        let norm = self.x.norm();
        let norm = norm.as_ref().map(|(x, norm)| (&**norm, x.get()));
        let (mut dx, mut sums, dy) =
            (Fresh::new(self.x.len(), self.x.is_narrow()), None, dy.source());
        if self.learns {
            gradients.add_param(&self.filters.weight, |dw| {
                let (x, into) = (self.x.source(), (dx.get(), dw));
                sums =
                    with_scratch(|scratch| self.plan.backward(x, dy, &packed, norm, into, scratch));
            });
        } else {
            sums = with_scratch(|scratch| {
                self.plan.backward_input_sums(dy, &packed, norm, dx.get(), scratch)
            });
        }
        Ok(Values::gradient(dx, sums))
    }
}
