//! How do I write a network of my own? As a struct of layers with a forward method. Whoever implements
//! `Classifier` can be trained, summarised and exported as any network of the zoo.

use ocelli_nn::layers::{ConvConfig, ConvNormAct, Linear};
use ocelli_nn::{Activation, Block, Classifier, Feature, ParamStore};
use ocelli_nn::{Pass, Result, functional, record};

/// Three convolutions that halve the image, and a linear layer on their mean.
struct SmallNet {
    params: ParamStore,
    stages: Vec<ConvNormAct>,
    fc: Linear,
    classes: usize,
}

impl SmallNet {
    fn new(classes: usize, seed: u64) -> Result<Self> {
        let params = ParamStore::new(seed);
        let mut stages = Vec::new();
        for (index, channels) in [3, 16, 32, 64].windows(2).enumerate() {
            let scope = params.root().stage(index).pp(format!("layer{}", index + 1));
            let config = ConvConfig::new(channels[0], channels[1], 3).stride(2);
            stages.push(ConvNormAct::new(&scope, ["conv", "bn"], config, Activation::Relu)?);
        }
        let fc = Linear::new(&params.root().stage(stages.len()).pp("fc"), 64, classes)?;
        Ok(Self { params, stages, fc, classes })
    }
}

impl Classifier for SmallNet {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.stages.forward(images, pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let pooled = functional::global_average_pool("global_pool", features, pass)?;
        self.fc.forward(&pooled, pass)
    }
}

fn main() -> Result<()> {
    let network = SmallNet::new(10, 0)?;
    let images = Feature::from_vec(vec![0.0; 4 * 48 * 32 * 3], &[4, 48, 32, 3])?; // [N, H, W, C]
    let logits = network.logits(&images, &mut Pass::eval())?;
    println!("logits {:?}", logits.dims());
    println!("{}", record(&network, "smallnet", [48, 32])?.summary());
    Ok(())
}
