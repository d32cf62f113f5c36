//! SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360, and its 1.1 release). Names are torchvision's;
//! timm does not have the network.

use ocelli_nn::functional::{PoolConfig, concat, global_average_pool, max_pool};
use ocelli_nn::layers::{Conv2d, ConvConfig, Dropout, Pad};
use ocelli_nn::{Activation, Block, Classifier, Feature, Init, ParamStore, Pass, Result, Scope};

use crate::ModelConfig;

/// Input, squeezed and expanded channels of each Fire module, with its index in torchvision's `features`;
/// the three groups are divided by pooling.
const FIRES: [&[(usize, usize, usize, usize)]; 3] = [
    &[(3, 64, 16, 64), (4, 128, 16, 64)],
    &[(6, 128, 32, 128), (7, 256, 32, 128)],
    &[(9, 256, 48, 192), (10, 384, 48, 192), (11, 384, 64, 256), (12, 512, 64, 256)],
];

/// SqueezeNet 1.1, for any image size from 17 pixels.
pub struct SqueezeNet {
    params: ParamStore,
    classes: usize,
    stem: Conv2d,
    fires: Vec<Vec<Fire>>,
    dropout: Dropout,
    classifier: Conv2d,
}

impl SqueezeNet {
    /// Stages: 0 stem, 1 to 3 the Fire modules between poolings, 4 the head.
    ///
    /// # Errors
    /// Where a weight cannot be created.
    pub fn new(config: &ModelConfig) -> Result<Self> {
        let params = ParamStore::new(config.seed);
        let root = params.root();
        let features = root.pp("features");
        let stem = ConvConfig::new(3, 64, 3).stride(2).pad(Pad::Symmetric([0; 2]));
        let stem = Conv2d::with_init(&features.pp(0), stem.bias(), kaiming_uniform(27))?;
        let mut fires = Vec::new();
        for (index, group) in FIRES.iter().enumerate() {
            let scope = features.stage(index + 1);
            let fire = |&(name, input, squeezed, expanded)| {
                Fire::new(&scope.pp(name), input, squeezed, expanded)
            };
            fires.push(group.iter().map(fire).collect::<Result<Vec<_>>>()?);
        }
        let head = root.pp("classifier").stage(FIRES.len() + 1);
        let classifier = ConvConfig::new(512, config.classes, 1).bias();
        Ok(Self {
            stem,
            fires,
            dropout: Dropout::new(&head.pp(0), config.args.drop_rate.unwrap_or(0.5)),
            classifier: Conv2d::with_init(&head.pp(1), classifier, Init::Normal(0.01))?,
            params,
            classes: config.classes,
        })
    }
}

impl Classifier for SqueezeNet {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        let mut x = self.stem.forward_act(images, Activation::Relu, "features.1", pass)?;
        for (fires, pool) in self.fires.iter().zip(["features.2", "features.5", "features.8"]) {
            x = max_pool(pool, &x, PoolConfig::new(3, 2, 0).ceil_mode(), pass)?;
            x = fires.forward(&x, pass)?;
            pass.tap(pool, &x);
        }
        Ok(x)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let x = self.dropout.forward(features, pass)?;
        let x = self.classifier.forward_act(&x, Activation::Relu, "classifier.2", pass)?;
        global_average_pool("classifier.3", &x, pass)
    }
}

/// He et al. 2015 with a uniform distribution and fan in, as torchvision initialises this network.
fn kaiming_uniform(fan_in: usize) -> Init {
    Init::Uniform((6.0 / fan_in as f32).sqrt())
}

/// A 1 x 1 convolution to few channels, then 1 x 1 and 3 x 3 beside each other.
struct Fire {
    path: String,
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn new(scope: &Scope, input: usize, squeezed: usize, expanded: usize) -> Result<Self> {
        let conv = |name: &str, input: usize, out: usize, kernel: usize| {
            let config = ConvConfig::new(input, out, kernel).bias();
            Conv2d::with_init(&scope.pp(name), config, kaiming_uniform(input * kernel * kernel))
        };
        Ok(Self {
            path: scope.path().to_string(),
            squeeze: conv("squeeze", input, squeezed, 1)?,
            expand1x1: conv("expand1x1", squeezed, expanded, 1)?,
            expand3x3: conv("expand3x3", squeezed, expanded, 3)?,
        })
    }
}

impl Block for Fire {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let relu = Activation::Relu;
        let x = self.squeeze.forward_act(x, relu, &self.path, pass)?;
        let one = self.expand1x1.forward_act(&x, relu, &self.path, pass)?;
        let three = self.expand3x3.forward_act(&x, relu, &self.path, pass)?;
        concat(&self.path, &[&one, &three], pass)
    }
}
