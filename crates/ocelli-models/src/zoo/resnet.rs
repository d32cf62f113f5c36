//! ResNet (He et al. 2016, arXiv:1512.03385), in the form that torchvision and timm train: the stride of a
//! bottleneck is on its 3 x 3 convolution ("v1.5"). Names are timm's.

use std::mem::replace;

use ocelli_nn::functional::{PoolConfig, global_average_pool, max_pool};
use ocelli_nn::layers::{ConvConfig, ConvNormAct, Linear};
use ocelli_nn::{Activation, Block, Classifier, Feature, ParamStore, Pass, Result, Scope};

use super::layers::Layers;
use crate::ModelConfig;

/// Which residual block a ResNet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    /// Two 3 x 3 convolutions.
    Basic,
    /// 1 x 1 down, 3 x 3, 1 x 1 up by four.
    Bottleneck,
}

impl BlockKind {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// The depth of a ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    kind: BlockKind,
    blocks: [usize; 4],
}

impl ResNetConfig {
    /// 11.7 M parameters, 1.8 G multiply-adds.
    pub const RESNET18: Self = Self { kind: BlockKind::Basic, blocks: [2, 2, 2, 2] };
    /// 21.8 M parameters, 3.7 G multiply-adds.
    pub const RESNET34: Self = Self { kind: BlockKind::Basic, blocks: [3, 4, 6, 3] };
    /// 25.6 M parameters, 4.1 G multiply-adds.
    pub const RESNET50: Self = Self { kind: BlockKind::Bottleneck, blocks: [3, 4, 6, 3] };
    /// 44.5 M parameters, 7.8 G multiply-adds.
    pub const RESNET101: Self = Self { kind: BlockKind::Bottleneck, blocks: [3, 4, 23, 3] };
    /// 60.2 M parameters, 11.5 G multiply-adds.
    pub const RESNET152: Self = Self { kind: BlockKind::Bottleneck, blocks: [3, 8, 36, 3] };
}

/// A ResNet for any image size from 32 pixels.
pub struct ResNet {
    params: ParamStore,
    classes: usize,
    stem: ConvNormAct,
    layers: Layers<Residual>,
    fc: Linear,
}

impl ResNet {
    /// Stages: 0 stem, 1 to 4 the layers, 5 the head.
    ///
    /// # Errors
    /// Where a weight cannot be created.
    pub fn new(depth: ResNetConfig, config: &ModelConfig) -> Result<Self> {
        let params = ParamStore::new(config.seed);
        let root = params.root();
        let stem = ConvNormAct::new(
            &root,
            ["conv1", "bn1"],
            ConvConfig::new(3, 64, 7).stride(2),
            Activation::Relu,
        )?;
        let mut channels = 64;
        let layers = Layers::new(&root, &depth.blocks, |scope, layer, block| {
            let width = 64 << layer;
            let stride = if block == 0 && layer > 0 { 2 } else { 1 };
            let input = replace(&mut channels, width * depth.kind.expansion());
            Residual::new(scope, depth.kind, input, width, stride)
        })?;
        let fc = Linear::new(&root.pp("fc").stage(5), channels, config.classes)?;
        Ok(Self { params, classes: config.classes, stem, layers, fc })
    }
}

impl Classifier for ResNet {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        let x = self.stem.forward(images, pass)?;
        let x = max_pool("maxpool", &x, PoolConfig::new(3, 2, 1), pass)?;
        self.layers.forward(&x, pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let pooled = global_average_pool("global_pool", features, pass)?;
        self.fc.forward(&pooled, pass)
    }
}

/// `act(branch(x) + shortcut(x))`.
struct Residual {
    branch: Vec<ConvNormAct>,
    last: ConvNormAct,
    /// None where the shortcut is the identity.
    downsample: Option<ConvNormAct>,
}

impl Residual {
    fn new(
        scope: &Scope,
        kind: BlockKind,
        channels: usize,
        width: usize,
        stride: usize,
    ) -> Result<Self> {
        let out = width * kind.expansion();
        let configs = match kind {
            BlockKind::Basic => {
                vec![
                    ConvConfig::new(channels, width, 3).stride(stride),
                    ConvConfig::new(width, width, 3),
                ]
            }
            BlockKind::Bottleneck => vec![
                ConvConfig::new(channels, width, 1),
                ConvConfig::new(width, width, 3).stride(stride),
                ConvConfig::new(width, out, 1),
            ],
        };
        let mut branch = configs
            .into_iter()
            .zip([["conv1", "bn1"], ["conv2", "bn2"], ["conv3", "bn3"]])
            .map(|(config, names)| ConvNormAct::new(scope, names, config, Activation::Relu))
            .collect::<Result<Vec<_>>>()?;
        let last = branch.remove(branch.len() - 1);
        last.zero_norm()?;
        let downsample = (stride != 1 || channels != out)
            .then(|| {
                let config = ConvConfig::new(channels, out, 1).stride(stride);
                ConvNormAct::new(&scope.pp("downsample"), ["0", "1"], config, Activation::Identity)
            })
            .transpose()?;
        Ok(Self { branch, last, downsample })
    }
}

impl Block for Residual {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let y = self.branch.forward(x, pass)?;
        match &self.downsample {
            Some(downsample) => self.last.forward_add(&y, &downsample.forward(x, pass)?, pass),
            None => self.last.forward_add(&y, x, pass),
        }
    }
}
