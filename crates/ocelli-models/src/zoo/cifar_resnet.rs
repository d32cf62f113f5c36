//! The ResNets of section 4.2 of He et al. 2016 (arXiv:1512.03385) for 32 x 32 images: three stages of 16,
//! 32 and 64 channels, shortcuts without parameters (option A: every other pixel, the new channels zero).
//! Names are those of the widely published checkpoints (`conv1`, `layer1.0.bn2`, `linear`).

use std::mem::replace;

use ocelli_nn::functional::{PoolConfig, global_average_pool, max_pool, pad_channels};
use ocelli_nn::layers::{ConvConfig, ConvNormAct, Linear};
use ocelli_nn::{Activation, Block, Classifier, Feature, ParamStore, Pass, Result, Scope};

use super::layers::Layers;
use crate::ModelConfig;

/// A CIFAR ResNet of `6 * blocks + 2` layers, for any image size from 4 pixels.
pub struct CifarResNet {
    params: ParamStore,
    classes: usize,
    stem: ConvNormAct,
    layers: Layers<Residual>,
    linear: Linear,
}

impl CifarResNet {
    /// `blocks` residual blocks a stage. Stages: 0 stem, 1 to 3 the layers, 4 the head.
    ///
    /// # Errors
    /// Where a weight cannot be created.
    pub fn new(blocks: usize, config: &ModelConfig) -> Result<Self> {
        let params = ParamStore::new(config.seed);
        let root = params.root();
        let stem =
            ConvNormAct::new(&root, ["conv1", "bn1"], ConvConfig::new(3, 16, 3), Activation::Relu)?;
        let mut channels = 16;
        let layers = Layers::new(&root, &[blocks; 3], |scope, layer, _| {
            let width = 16 << layer;
            Residual::new(scope, replace(&mut channels, width), width)
        })?;
        let linear = Linear::new(&root.pp("linear").stage(4), channels, config.classes)?;
        Ok(Self { params, classes: config.classes, stem, layers, linear })
    }
}

impl Classifier for CifarResNet {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        let x = self.stem.forward(images, pass)?;
        self.layers.forward(&x, pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let pooled = global_average_pool("global_pool", features, pass)?;
        self.linear.forward(&pooled, pass)
    }
}

/// Two 3 x 3 convolutions beside an option A shortcut; a block that widens also halves the map.
struct Residual {
    path: String,
    conv1: ConvNormAct,
    conv2: ConvNormAct,
    /// Channels of zeros on each side of the shortcut's; none where it is the identity.
    widening: Option<usize>,
}

impl Residual {
    fn new(scope: &Scope, channels: usize, width: usize) -> Result<Self> {
        let widens = channels != width;
        let stride = if widens { 2 } else { 1 };
        Ok(Self {
            path: scope.pp("shortcut").path().to_string(),
            conv1: ConvNormAct::new(
                scope,
                ["conv1", "bn1"],
                ConvConfig::new(channels, width, 3).stride(stride),
                Activation::Relu,
            )?,
            conv2: ConvNormAct::new(
                scope,
                ["conv2", "bn2"],
                ConvConfig::new(width, width, 3),
                Activation::Relu,
            )?,
            widening: widens.then_some((width - channels) / 2),
        })
    }

    /// Every other pixel is a pooling window of one pixel with stride 2.
    fn shortcut(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let Some(zeros) = self.widening else { return Ok(x.clone()) };
        let x = max_pool(&self.path, x, PoolConfig::new(1, 2, 0), pass)?;
        pad_channels(&self.path, &x, zeros, zeros, pass)
    }
}

impl Block for Residual {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let y = self.conv1.forward(x, pass)?;
        let shortcut = self.shortcut(x, pass)?;
        self.conv2.forward_add(&y, &shortcut, pass)
    }
}
