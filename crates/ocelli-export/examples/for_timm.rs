//! Writes model folders and our logits for `tests/golden/timm_check.py`, which opens them with timm:
//!
//!     cargo run --release -p ocelli-export --example for_timm -- /tmp/folders
//!     python tests/golden/timm_check.py /tmp/folders/resnet18 /tmp/folders/resnet18.json

use std::error::Error;
use std::path::PathBuf;

use ocelli_core::ClassNames;
use ocelli_core::random::key_of;
use ocelli_export::{open, save};
use ocelli_models::{ModelArgs, ModelConfig, PadType, architecture, create};
use ocelli_nn::{Classifier, Feature, Pass};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("wants a folder to write to")?);
    let networks = [
        ("resnet18", "resnet18", PadType::Symmetric),
        ("resnet50", "resnet50", PadType::Symmetric),
        ("mobilenetv2_100", "mobilenetv2_100", PadType::Symmetric),
        ("mobilenetv2_100_same", "mobilenetv2_100", PadType::Same),
    ];
    for (folder, name, pad_type) in networks {
        let args = ModelArgs { pad_type, ..ModelArgs::default() };
        let model = create(name, &ModelConfig { classes: 10, seed: 1, args })?;
        // Statistics that a network of random weights would not have by itself.
        for param in
            model.params().all().iter().filter(|param| param.name().ends_with("running_var"))
        {
            param.update(|values| values.iter_mut().for_each(|value| *value = 2.0))?;
        }
        save(
            &root.join(folder),
            &model,
            &ClassNames::numbered(10),
            &architecture(name)?.preprocess(),
            "random",
        )?;
        let model = open(&root.join(folder))?.model;
        let shape = [2, 70, 102, 3];
        let images: Vec<f32> = (0..shape.iter().product()).map(input).collect();
        let images = Feature::from_vec(images, &shape)?;
        let logits: Vec<Vec<f32>> = model.logits(&images, &mut Pass::eval())?.to_vec2()?;
        let answer = serde_json::json!({ "input": shape, "logits": logits });
        std::fs::write(root.join(format!("{folder}.json")), answer.to_string())?;
    }
    Ok(())
}

/// Element `index` of the input of `tests/golden/golden.py`, in -1..1.
fn input(index: usize) -> f32 {
    let z = key_of("input").wrapping_add(index as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (2.0 * (((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)) - 1.0) as f32
}
