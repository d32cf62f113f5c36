//! Layers as a network uses them: gradients through all of them, freezing, randomness, recording.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use ocelli_core::Targets;
use ocelli_nn::functional::{PoolConfig, activation, concat, global_average_pool, max_pool};
use ocelli_nn::layers::{
    Conv2d, ConvConfig, ConvNormAct, DropPath, Dropout, Linear, Pad, SqueezeExcite,
};
use ocelli_nn::{
    Activation, Block, Classifier, Error, Feature, Param, ParamStore, Pass, Precision, Result,
    Tensor, cross_entropy, record,
};

/// A small network with one of everything, smooth where finite differences look.
struct Small {
    params: ParamStore,
    stem: ConvNormAct,
    depthwise: Conv2d,
    excite: SqueezeExcite,
    residual: ConvNormAct,
    drop_path: DropPath,
    dropout: Dropout,
    linear: Linear,
    /// Goes around the pass, as a mistake would.
    cheats: bool,
}

impl Small {
    fn new(seed: u64) -> Result<Self> {
        let params = ParamStore::new(seed);
        let root = params.root();
        let body = root.pp("body").stage(1);
        let head = root.stage(2);
        Ok(Self {
            stem: ConvNormAct::new(
                &root,
                ["conv1", "bn1"],
                ConvConfig::new(3, 8, 3).stride(2),
                Activation::Silu,
            )?,
            depthwise: Conv2d::new(
                &body.pp("dw"),
                ConvConfig::new(8, 8, 3).depthwise().pad(Pad::Same).bias(),
            )?,
            excite: SqueezeExcite::new(&body.pp("se"), 8, 4)?
                .activations(Activation::Gelu, Activation::Sigmoid),
            residual: ConvNormAct::new(
                &body,
                ["conv2", "bn2"],
                ConvConfig::new(8, 8, 1),
                Activation::Identity,
            )?,
            drop_path: DropPath::new(&body.pp("drop_path"), 0.3),
            dropout: Dropout::new(&head.pp("dropout"), 0.4),
            linear: Linear::new(&head.pp("fc"), 16, 5)?,
            params,
            cheats: false,
        })
    }
}

impl Classifier for Small {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        5
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        let x = self.stem.forward(images, pass)?;
        pass.tap("stem", &x);
        let y = self.depthwise.forward(&x, pass)?;
        let y = if self.cheats { Feature::new(&(y.tensor()? * 2.0)?)? } else { y };
        let y = self.excite.forward(&y, pass)?;
        let y = self.drop_path.forward(&y, pass)?;
        let y = self.residual.forward_add(&y, &x, pass)?;
        let pooled = max_pool("pool", &y, PoolConfig::new(3, 2, 1), pass)?;
        let other = max_pool("pool2", &x, PoolConfig::new(3, 2, 1), pass)?;
        concat("concat", &[&pooled, &other], pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let x = activation("act", features, Activation::HardSwish, pass)?;
        let x = global_average_pool("mean", &x, pass)?;
        let x = self.dropout.forward(&x, pass)?;
        self.linear.forward(&x, pass)
    }
}

fn images() -> Feature {
    let values: Vec<f32> = (0..4 * 9 * 11 * 3).map(|i| (i as f32 * 0.713).sin()).collect();
    Feature::from_vec(values, &[4, 9, 11, 3]).unwrap()
}

fn loss_in(network: &Small, pass: &mut Pass) -> Tensor {
    let logits = network.logits(&images(), pass).unwrap();
    let targets = Targets::Classes(vec![0, 3, 4, 1]);
    cross_entropy(&logits, &targets, 0.1, Some(&[1.0, 0.5, 2.0, 1.5, 1.0])).unwrap()
}

fn loss(network: &Small, step: u64) -> Tensor {
    loss_in(network, &mut Pass::train(7, step))
}

fn scalar(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

#[test]
fn gradients_through_a_network_are_finite_differences() {
    // With and without a step that candle takes on its own.
    for cheats in [false, true] {
        let network = Small { cheats, ..Small::new(3).unwrap() };
        check_gradients(&network);
    }
}

#[test]
fn mixed_precision_is_the_same_but_for_its_rounding() {
    for cheats in [false, true] {
        let network = Small { cheats, ..Small::new(3).unwrap() };
        let run = |precision| {
            let mut pass = Pass::train(7, 0).with_precision(precision).with_taps();
            let loss = loss_in(&network, &mut pass);
            let stem = pass.take_taps()["stem"].values().to_vec();
            let gradients = pass.backward(&loss).unwrap();
            let of = |param: &Param| gradients.get(param).unwrap().to_vec();
            let all: Vec<_> = network.params.trainable().iter().map(of).collect();
            (scalar(&loss), stem, all)
        };
        let (loss, stem, gradients) = run(Precision::Precise);
        let (mixed_loss, mixed_stem, mixed) = run(Precision::Mixed);
        assert!((loss - mixed_loss).abs() < 0.02 * loss, "{loss} {mixed_loss}");
        // Computed from bf16, by a norm that was not asked to round.
        assert_ne!(stem, mixed_stem);
        for ((param, a), b) in network.params.trainable().iter().zip(gradients).zip(mixed) {
            let dot = |x: &[f32], y: &[f32]| -> f32 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
            let (norms, same) = (dot(&a, &a).sqrt() * dot(&b, &b).sqrt(), dot(&a, &b));
            assert!(same >= 0.98 * norms, "{}: {same} of {norms}", param.name());
        }
    }
}

fn check_gradients(network: &Small) {
    let mut pass = Pass::train(7, 0);
    let loss_tensor = loss_in(network, &mut pass);
    let gradients = pass.backward(&loss_tensor).unwrap();
    for param in network.params.trainable() {
        let gradient = gradients.get(&param).unwrap();
        for index in [0, gradient.len() / 2, gradient.len() - 1] {
            let step = 2e-3;
            let at = |offset: f32| {
                param.update(|values| values[index] += offset).unwrap();
                let value = scalar(&loss(network, 0));
                param.update(|values| values[index] -= offset).unwrap();
                value
            };
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[index]);
            assert!(
                (found - slope).abs() < 2e-3 + 0.03 * slope.abs(),
                "{} [{index}]: {found}, slope {slope}",
                param.name()
            );
        }
    }
}

#[test]
fn frozen_stages_stay_as_they_were() {
    let network = Small::new(3).unwrap();
    network.params.freeze_below(2);
    assert_eq!(
        network.params.trainable().iter().map(|p| p.name().to_string()).collect::<Vec<_>>(),
        ["fc.weight", "fc.bias"]
    );
    let before: Vec<_> = network.params.all().iter().map(|param| param.values().unwrap()).collect();
    let mut pass = Pass::train(7, 0);
    let logits = network.logits(&images(), &mut pass).unwrap();
    let loss = cross_entropy(&logits, &Targets::Classes(vec![0; 4]), 0.0, None).unwrap();
    let gradients = pass.backward(&loss).unwrap();
    pass.update_statistics().unwrap();
    let after: Vec<_> = network.params.all().iter().map(|param| param.values().unwrap()).collect();
    assert_eq!(before, after, "statistics of frozen stages must not move");
    for param in network.params.all().iter().filter(|param| param.stage() < 2) {
        assert!(gradients.get(param).is_none(), "{}", param.name());
    }
}

#[test]
fn dropout_is_keyed_by_seed_and_step() {
    let network = Small::new(3).unwrap();
    assert_eq!(scalar(&loss(&network, 5)), scalar(&loss(&network, 5)));
    assert_ne!(scalar(&loss(&network, 5)), scalar(&loss(&network, 6)));
}

#[test]
fn running_statistics_move_once_a_step() {
    let network = Small::new(3).unwrap();
    let mean = network.params.get("bn1.running_mean").unwrap();
    let mut pass = Pass::train(0, 0);
    network.logits(&images(), &mut pass).unwrap();
    assert!(mean.values().unwrap().iter().all(|&v| v == 0.0));
    pass.update_statistics().unwrap();
    let moved = mean.values().unwrap();
    assert!(moved.iter().any(|&v| v != 0.0));
    pass.update_statistics().unwrap();
    assert_eq!(mean.values().unwrap(), moved);
}

#[test]
fn an_evaluation_tracks_nothing_and_taps_are_kept() {
    let network = Small::new(3).unwrap();
    let mut pass = Pass::eval().with_taps();
    let logits = network.logits(&images(), &mut pass).unwrap();
    assert!(!logits.track_op());
    assert_eq!(pass.take_taps()["stem"].dims(), [4, 5, 6, 8]);
}

#[test]
fn recording_gives_the_graph_and_names_what_goes_around_it() {
    let mut network = Small::new(3).unwrap();
    let graph = record(&network, "small", [9, 11]).unwrap();
    let ops: Vec<&str> = graph.nodes().iter().map(|node| node.op.name()).collect();
    assert_eq!(ops[..4], ["Conv", "BatchNorm", "SiLU", "Conv"]);
    assert_eq!(graph.shape(graph.output()), [5]);
    assert_eq!(graph.summary().parameters as usize, network.params.parameter_count());
    network.cheats = true;
    let error = record(&network, "small", [9, 11]).unwrap_err();
    assert!(
        matches!(&error, Error::Unrecorded { consumer, .. } if consumer == "body.se"),
        "{error}"
    );
    assert!(error.to_string().contains("body.dw"), "{error}");
}

#[test]
fn wrong_shapes_name_the_layer() {
    let network = Small::new(0).unwrap();
    let gray = Feature::from_vec(vec![0.0; 81], &[1, 9, 9, 1]).unwrap();
    let error = network.logits(&gray, &mut Pass::eval()).unwrap_err();
    assert_eq!(error.to_string(), "conv1: wants 3 channels, not 1");
}
