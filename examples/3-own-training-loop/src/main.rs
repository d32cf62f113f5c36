//! How do I write the training loop myself? A step is a forward pass, the loss, its gradients, the
//! optimizer, and the running statistics of the batch norms. The layers and the optimizer know no trainer.

use std::error::Error;

use ocelli_core::Targets;
use ocelli_nn::layers::{ConvConfig, ConvNormAct, Linear};
use ocelli_nn::{Activation, Block, Feature, ParamStore, Pass};
use ocelli_nn::{cross_entropy, functional};
use ocelli_train::{Optimizer, OptimizerConfig};

const BATCH: usize = 16;
const SIDE: usize = 24;

/// Waves that run down (class 0) or across (class 1), each batch with others.
fn batch(step: u64) -> Result<(Feature, Targets), Box<dyn Error>> {
    let mut pixels = Vec::with_capacity(BATCH * SIDE * SIDE * 3);
    for n in 0..BATCH {
        let (length, phase) = (1.5 + (n / 2) as f32 * 0.3, step as f32 * 0.7 + n as f32);
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            let along = if n % 2 == 0 { y } else { x };
            let wave = (along as f32 / length + phase).sin();
            pixels.extend([wave, 0.5 * wave, -wave]);
        }
    }
    let images = Feature::from_vec(pixels, &[BATCH, SIDE, SIDE, 3])?;
    Ok((images, Targets::Classes((0..BATCH as u32).map(|n| n % 2).collect())))
}

fn main() -> Result<(), Box<dyn Error>> {
    let params = ParamStore::new(0);
    let config = ConvConfig::new(3, 16, 5).stride(2);
    let conv = ConvNormAct::new(&params.root(), ["conv", "bn"], config, Activation::Relu)?;
    let fc = Linear::new(&params.root().pp("fc"), 16, 2)?;
    let mut optimizer = Optimizer::new(OptimizerConfig::default());
    let (mut first, mut last) = (None, 0.0);
    for step in 0..60 {
        let (images, targets) = batch(step)?;
        let mut pass = Pass::train(0, step);
        let features = conv.forward(&images, &mut pass)?;
        let pooled = functional::global_average_pool("pool", &features, &mut pass)?;
        let logits = fc.forward(&pooled, &mut pass)?;
        let loss = cross_entropy(&logits.tensor()?, &targets, 0.0, None)?;
        let gradients = pass.backward(&loss)?;
        optimizer.step(&params.trainable(), &gradients, |_| 0.05)?;
        pass.update_statistics()?;
        last = loss.to_scalar::<f32>()?;
        first.get_or_insert(last);
        if step % 10 == 0 {
            println!("step {step:2}: loss {last:.4}");
        }
    }
    let first = first.unwrap_or(last);
    println!("loss {first:.4} at first, {last:.4} at last");
    if last < 0.5 * first { Ok(()) } else { Err("the network did not learn".into()) }
}
