//! Engines of the whole zoo beside the layers they were recorded from.

#![allow(clippy::unwrap_used)]

use ocelli_export::engine;
use ocelli_infer::Workspace;
use ocelli_models::{Model, ModelArgs, ModelConfig, PadType, create, list};
use ocelli_nn::{Classifier, Feature, Kind, Pass, Precision};

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.7 + seed as f32).sin()).collect()
}

/// A network whose norms are not the identity.
fn network(name: &str, args: ModelArgs) -> Model {
    let model = create(name, &ModelConfig { classes: 7, seed: 3, args }).unwrap();
    for (i, param) in model.params().all().iter().enumerate() {
        let shift = numbers(param.len(), i as u64);
        let norm = matches!(param.kind(), Kind::Norm | Kind::Buffer);
        let move_by = |values: &mut [f32]| {
            values.iter_mut().zip(&shift).for_each(|(v, s)| *v += 0.2 * s);
        };
        if norm {
            param.update(move_by).unwrap();
        }
    }
    model
}

fn check(name: &str, args: ModelArgs) {
    let model = network(name, args);
    let size = if name.ends_with("_cifar") { [32, 24] } else { [70, 64] };
    let [engine, narrow] =
        [Precision::Fast, Precision::Mixed].map(|way| engine(&model, size, way).unwrap());
    assert_eq!((engine.input(), engine.outputs()), ([size[0], size[1], 3], 7));
    let mut workspace = Workspace::new();
    for batch in [1, 5] {
        let images = numbers(batch * size[0] * size[1] * 3, 50);
        let feature = Feature::from_vec(images.clone(), &[batch, size[0], size[1], 3]).unwrap();
        let eager = |precision| -> Vec<f32> {
            let pass = &mut Pass::eval().with_precision(precision);
            model.logits(&feature, pass).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        let wanted = eager(Precision::Fast);
        // A NaN is the largest of all.
        let most = |most: f32, value: f32| if value <= most { most } else { value };
        let off = |got: &[f32]| {
            assert_eq!(got.len(), wanted.len());
            wanted.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, most)
        };
        let scale = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let fast = off(engine.run(&images, &mut workspace).unwrap());
        assert!(fast <= 1e-4 * scale, "{name}, {batch}: {fast} of {scale}");
        // What bf16 loses, the layers lose, too.
        let [mixed, layers] =
            [off(narrow.run(&images, &mut workspace).unwrap()), off(&eager(Precision::Mixed))];
        let bound = (2.0 * layers).clamp(1e-2 * scale, 0.2 * scale);
        assert!(mixed <= bound, "{name}, {batch}: {mixed} of {scale}, the layers {layers}");
    }
}

#[test]
fn every_network_answers_as_its_layers_do() {
    for name in list("*") {
        check(name, ModelArgs::default());
    }
}

#[test]
fn with_the_padding_of_tensorflow_too() {
    check("mobilenetv2_100", ModelArgs { pad_type: PadType::Same, ..ModelArgs::default() });
}
