//! Reports to test and to look at.

use ocelli_core::{ClassNames, Image};
use ocelli_metrics::Classification;

use super::{
    Data, Environment, EpochRecord, Judgement, Mistake, Network, Report, Unreadable, thumbnail,
};

const NAMES: [&str; 10] = [
    "capsule",
    "cone",
    "cube",
    "cylinder",
    "ellipsoid",
    "octahedron",
    "prism",
    "pyramid",
    "sphere",
    "torus",
];

/// A plausible run over so many classes and epochs.
pub(super) fn report(classes: usize, epochs: u64) -> Report {
    let names =
        (0..classes).map(|c| NAMES.get(c).map_or(format!("class {c}"), |name| name.to_string()));
    let classes_ = ClassNames::new(names.collect()).unwrap();
    let (summary, confusion) = judge(classes);
    let top1 = summary.top1;
    Report {
        title: "solids: fine-tuned resnet20".to_string(),
        network: Network {
            name: "resnet20".to_string(),
            parameters: 272_474,
            trainable: 272_474,
            weights: format!("weights of epoch {epochs}, the best on the validation images (91.8 %)"),
        },
        data: Data {
            name: "solids".to_string(),
            classes: classes_,
            splits: vec![("train".into(), 2000), ("validation".into(), 400), ("test".into(), 1000)],
        },
        epochs: (1..=epochs).map(|epoch| record(epoch, epochs, top1)).collect(),
        evaluation: Judgement { split: "test".to_string(), summary, confusion },
        mistakes: (0..12).map(|n| mistake(n, classes)).collect(),
        problems: vec![Unreadable {
            name: "train/cone/0007.jpg".to_string(),
            reason: "the JPEG ends after 1,024 of its bytes".to_string(),
        }],
        recipe: "seed = 0\nkeep = \"best\"\n\n[train]\nepochs = 12\nlearning_rate = 0.05\nbackbone_rate = 0.3\n\n\
                 [train.schedule]\nname = \"cosine\"\nwarmup_steps = 60\n\n[train.optimizer]\nname = \"sgd\"\n\
                 momentum = 0.9\nnesterov = true\nweight_decay = 0.0005\n"
            .to_string(),
        environment: Environment {
            versions: vec![("ocelli".into(), "0.1.0".into()), ("candle".into(), "0.11.1".into())],
            seed: 0,
            threads: 2,
            seconds: 48.3,
        },
    }
}

/// Neighbouring classes are confused, some more than others.
fn judge(classes: usize) -> (ocelli_metrics::Summary, ocelli_metrics::ConfusionMatrix) {
    let mut metrics = Classification::new(classes);
    for truth in 0..classes {
        for n in 0..100 {
            let noise = (n * 37 + truth * 11) % 100;
            let predicted = match noise {
                _ if noise < 3 + truth * 29 % 13 => (truth + 1) % classes,
                96..98 => (truth + 5) % classes,
                98 => (truth + 7) % classes,
                _ => truth,
            };
            let mut logits = vec![0.0; classes];
            logits[predicted] = 6.0;
            logits[truth] += 1.0;
            metrics.add_logits(&logits, &[truth as u32]).unwrap();
        }
    }
    (metrics.summary(), metrics.confusion().clone())
}

fn record(epoch: u64, epochs: u64, top1: f64) -> EpochRecord {
    let t = epoch as f64 / epochs as f64;
    let left = (-4.0 * t).exp();
    let wobble = (epoch as f64 * 2.1).sin() * 0.02 * (1.1 - t);
    EpochRecord {
        epoch,
        rate: 0.025 * (1.0 + (std::f64::consts::PI * t).cos()),
        train_loss: 0.62 + 1.6 * left,
        train_top1: top1 - 0.02 - 0.6 * left,
        val_loss: Some(0.31 + 1.5 * left - wobble),
        val_top1: Some(top1 + 0.01 - 0.5 * left + wobble),
        images_per_second: 612.0 + 9.0 * wobble,
        waiting: 0.013,
        seconds: 3.7,
    }
}

fn mistake(n: usize, classes: usize) -> Mistake {
    let truth = n % classes;
    let hue = [(200, 90, 60), (70, 130, 180), (90, 150, 90), (180, 150, 70)][n % 4];
    let (width, height) = if n.is_multiple_of(3) { (96, 64) } else { (64, 64) };
    let picture = Image::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 - 32.0, y as f32 - 34.0);
        let inside = dx * dx + dy * dy < 20.0 * 20.0;
        let light = (1.0 - (dx + dy) / 70.0).clamp(0.2, 1.3);
        let shade = |c: i32| (c as f32 * light).min(255.0) as u8;
        let wall = (120 + y + n * 7) as u8;
        if inside {
            [shade(hue.0), shade(hue.1), shade(hue.2)]
        } else {
            [wall, wall, wall.saturating_add(8)]
        }
    });
    Mistake {
        name: format!("test/{}/{n:04}.jpg", NAMES[truth % 10]),
        truth,
        predicted: (truth + 1) % classes,
        probability: 0.99 - 0.03 * n as f32,
        thumbnail: thumbnail(&picture),
    }
}
