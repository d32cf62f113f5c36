//! Every network of the zoo against PyTorch: logits, gradients, parameters and multiply-adds.
//!
//! `tests/golden/networks.py` and `macs.py` made the values. Weights and images come from a formula keyed by
//! the parameter's name, so that no weight file is needed; the scripts state it.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use std::path::Path;

use ocelli_core::Targets;
use ocelli_models::{Model, ModelArgs, ModelConfig, PadType, create};
use ocelli_nn::{Classifier, DiskTensor, Feature, Pass, cross_entropy, record};
use serde_json::Value;

fn golden(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The golden files call MobileNetV2 with TensorFlow's padding by a name of its own.
fn network(name: &str, drop_rate: Option<f32>) -> Model {
    let (name, pad_type) = match name.strip_suffix("_same") {
        Some(name) => (name, PadType::Same),
        None => (name, PadType::Symmetric),
    };
    let classes = if name.ends_with("_cifar") { 10 } else { 1000 };
    let args = ModelArgs { pad_type, drop_rate, ..ModelArgs::default() };
    let model = create(name, &ModelConfig { classes, seed: 0, args }).unwrap();
    let tensors: Vec<(String, DiskTensor)> = (model.params().all().iter())
        .map(|param| (param.name().to_string(), formula(&model, param.name(), param.disk_shape())))
        .collect();
    let report =
        model.params().load(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap();
    assert_eq!(report.loaded.len(), model.params().all().len());
    model
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Element `index` of `name`, in -1..1.
fn signed(name: &str, index: usize) -> f64 {
    let key = ocelli_core::random::key_of(name).wrapping_add(index as u64);
    2.0 * ((splitmix64(key) >> 11) as f64 * 2f64.powi(-53)) - 1.0
}

fn formula(model: &Model, name: &str, shape: Vec<usize>) -> DiskTensor {
    let classifier = ["fc.", "classifier.", "linear."].iter().any(|head| name.starts_with(head));
    let fan_in: usize = shape[1..].iter().product();
    let last_norm = name.starts_with("layer")
        && (name.ends_with(".bn3.weight")
            || name
                .strip_suffix(".bn2.weight")
                .is_some_and(|block| model.params().get(&format!("{block}.bn3.weight")).is_none()));
    let (offset, scale) = if shape.len() > 1 {
        (0.0, (3.0 * if classifier { 1.0 } else { 2.0 } / fan_in as f64).sqrt())
    } else if name.ends_with("running_var") {
        (1.25, 0.25)
    } else if name.ends_with("weight") {
        let factor = if last_norm { 0.3 } else { 1.0 };
        (factor, 0.2 * factor)
    } else {
        (0.0, 0.1)
    };
    let count = shape.iter().product();
    let values = (0..count).map(|index| (offset + scale * signed(name, index)) as f32).collect();
    DiskTensor { shape, values }
}

fn input(golden: &Value) -> Feature {
    let shape: Vec<usize> =
        golden["input"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|index| signed("input", index) as f32).collect();
    Feature::from_vec(values, &shape).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance, "{what}: {found}, PyTorch has {wanted}");
}

#[test]
fn logits_are_pytorchs() {
    let golden = golden("networks.json");
    for (name, wanted) in golden["networks"].as_object().unwrap() {
        let model = network(name, None);
        let images = input(wanted);
        let features = model.features(&images, &mut Pass::eval()).unwrap();
        let shape: Vec<u64> = features.dims().iter().map(|&n| n as u64).collect();
        assert_eq!(serde_json::json!(shape), wanted["features"]["shape"], "{name}");
        let logits = model.head(&features, &mut Pass::eval()).unwrap();
        let logits: Vec<Vec<f32>> = logits.tensor().unwrap().to_vec2().unwrap();
        for (row, wanted) in logits.iter().zip(wanted["logits"].as_array().unwrap()) {
            for (&found, wanted) in row.iter().zip(floats(wanted)) {
                close(f64::from(found), wanted, 1e-4, &format!("{name}: a logit"));
            }
        }
        let all = logits.iter().flatten().map(|&logit| f64::from(logit));
        let squares: f64 = all.clone().map(|logit| logit * logit).sum();
        let wanted_squares = wanted["logits_sq"].as_f64().unwrap();
        close(squares, wanted_squares, 1e-4 * wanted_squares, &format!("{name}: sum of squares"));
        close(all.sum(), wanted["logits_sum"].as_f64().unwrap(), 5e-3, &format!("{name}: sum"));
        let trained = model.params().parameter_count() as u64;
        assert_eq!(trained, wanted["params"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn gradients_are_pytorchs() {
    let golden = golden("networks.json");
    for (name, wanted) in golden["train"].as_object().unwrap() {
        let model = network(name, Some(0.0).filter(|_| !name.starts_with("resnet")));
        let mut pass = Pass::train(0, 0);
        let logits = model.logits(&input(wanted), &mut pass).unwrap();
        let targets =
            Targets::Classes(floats(&wanted["targets"]).iter().map(|&t| t as u32).collect());
        let loss = cross_entropy(&logits, &targets, 0.0, None).unwrap();
        let value: f32 = loss.to_scalar().unwrap();
        close(f64::from(value), wanted["loss"].as_f64().unwrap(), 1e-4, &format!("{name}: loss"));
        let gradients = pass.backward(&loss).unwrap();
        // A rounding that crosses the kink of ReLU6 moves MobileNetV2's gradients: PyTorch's own by 1e-2.
        let share = if name.starts_with("mobilenet") { 1e-2 } else { 1e-3 };
        for (param, wanted) in wanted["gradients"].as_object().unwrap() {
            let found = model.params().get(param).unwrap();
            let gradient = to_disk(&found, gradients.get(&found).unwrap());
            let abs_sum: f64 = gradient.iter().map(|&g| f64::from(g).abs()).sum();
            let wanted_abs = wanted["abs_sum"].as_f64().unwrap();
            let what = format!("{name}: gradient of {param}");
            close(abs_sum, wanted_abs, share * wanted_abs, &what);
            let probe =
                gradient.iter().enumerate().map(|(i, &g)| f64::from(g) * signed("probe", i)).sum();
            close(probe, wanted["probe"].as_f64().unwrap(), share * wanted_abs, &what);
        }
        pass.update_statistics().unwrap();
        if let Some(norm) = wanted.get("norm") {
            let sum = |buffer: &str| -> f64 {
                let param = model
                    .params()
                    .get(&format!("{}.{buffer}", norm["name"].as_str().unwrap()))
                    .unwrap();
                param.values().unwrap().iter().map(|&v| f64::from(v)).sum()
            };
            close(sum("running_mean"), norm["running_mean_sum"].as_f64().unwrap(), 1e-4, name);
            close(sum("running_var"), norm["running_var_sum"].as_f64().unwrap(), 1e-3, name);
        }
    }
}

/// A gradient in PyTorch's order: the parameter itself knows the way.
fn to_disk(param: &ocelli_nn::Param, gradient: &[f32]) -> Vec<f32> {
    param.update(|values| values.copy_from_slice(gradient)).unwrap();
    param.to_disk().unwrap().values
}

#[test]
fn parameters_and_multiply_adds_are_fvcores() {
    let golden = golden("macs.json");
    for (name, wanted) in golden["networks"].as_object().unwrap() {
        let model = network(name, None);
        let size = floats(&wanted["input"]);
        let (height, width) = (size[size.len() - 3] as usize, size[size.len() - 2] as usize);
        let summary = record(&model, name, [height, width]).unwrap().summary();
        assert_eq!(summary.macs, wanted["macs"].as_u64().unwrap(), "{name}");
        assert_eq!(summary.parameters, wanted["params"].as_u64().unwrap(), "{name}");
    }
}

/// Layer by layer, in the order they run.
#[test]
fn the_summary_of_resnet18_is_fvcores() {
    let golden = golden("macs.json");
    let summary = record(&network("resnet18", None), "resnet18", [224, 224]).unwrap().summary();
    let counted: Vec<_> = summary.rows.iter().filter(|row| row.parameters > 0).collect();
    let wanted = golden["resnet18_layers"].as_array().unwrap();
    assert_eq!(counted.len(), wanted.len());
    for wanted in wanted {
        let name = wanted["name"].as_str().unwrap();
        let row = counted.iter().find(|row| row.name == name).unwrap();
        assert_eq!(row.macs, wanted["macs"].as_u64().unwrap(), "{name}");
        assert_eq!(row.parameters, wanted["params"].as_u64().unwrap(), "{name}");
    }
}

/// What is written loads again, in PyTorch's order, into a network of another seed.
#[test]
fn every_network_saves_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["resnet20_cifar", "mobilenetv2_100", "squeezenet1_1", "resnet18"] {
        let config = |seed| ModelConfig { classes: 7, seed, ..ModelConfig::default() };
        let (written, read) =
            (create(name, &config(1)).unwrap(), create(name, &config(2)).unwrap());
        let path = folder.path().join("weights.safetensors");
        ocelli_nn::write_safetensors(
            &path,
            &written.params().to_disk().unwrap(),
            Default::default(),
        )
        .unwrap();
        let (tensors, _) = ocelli_nn::read_safetensors(&path).unwrap();
        let pairs = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        read.load(pairs, ocelli_models::HeadPolicy::Keep, name).unwrap();
        for (a, b) in written.params().all().iter().zip(read.params().all()) {
            assert_eq!(a.values().unwrap(), b.values().unwrap(), "{name}: {}", a.name());
        }
    }
}
