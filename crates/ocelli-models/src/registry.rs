//! Architectures by name.

use ocelli_core::{Interpolation, Normalize, Preprocess};
use ocelli_nn::{Classifier, Result};

use crate::weights::mobilenet_v2_from_torchvision;
use crate::zoo::{CifarResNet, MobileNetV2, ResNet, ResNetConfig, SqueezeNet};
use crate::{Model, ModelConfig, ModelError, PadType};

type Build = fn(&ModelConfig) -> Result<Box<dyn Classifier>>;

/// What is known about an architecture.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// The name: timm's where timm has the network.
    pub name: &'static str,
    /// Whether timm has the network under this name.
    pub timm: bool,
    /// Height and width of the images it is usually trained on.
    pub size: usize,
    /// The module path of the classifier, whose weights a new task replaces: `fc`.
    pub head: &'static str,
    /// The module path of the first convolution, timm's `first_conv`.
    pub first_conv: &'static str,
    /// The paper.
    pub paper: &'static str,
    arguments: &'static [&'static str],
    build: Build,
}

const RESNET: &str = "arXiv:1512.03385";

const fn resnet(name: &'static str, build: Build) -> Architecture {
    let (head, first_conv) = ("fc", "conv1");
    Architecture {
        name,
        timm: true,
        size: 224,
        head,
        first_conv,
        paper: RESNET,
        arguments: &[],
        build,
    }
}

const fn cifar_resnet(name: &'static str, build: Build) -> Architecture {
    let (head, first_conv) = ("linear", "conv1");
    Architecture {
        name,
        timm: false,
        size: 32,
        head,
        first_conv,
        paper: RESNET,
        arguments: &[],
        build,
    }
}

static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "mobilenetv2_100",
        timm: true,
        size: 224,
        head: "classifier",
        first_conv: "conv_stem",
        paper: "arXiv:1801.04381",
        arguments: &["pad_type", "drop_rate", "drop_path_rate"],
        build: |config| Ok(Box::new(MobileNetV2::new(config)?)),
    },
    resnet("resnet18", |config| Ok(Box::new(ResNet::new(ResNetConfig::RESNET18, config)?))),
    resnet("resnet34", |config| Ok(Box::new(ResNet::new(ResNetConfig::RESNET34, config)?))),
    resnet("resnet50", |config| Ok(Box::new(ResNet::new(ResNetConfig::RESNET50, config)?))),
    resnet("resnet101", |config| Ok(Box::new(ResNet::new(ResNetConfig::RESNET101, config)?))),
    resnet("resnet152", |config| Ok(Box::new(ResNet::new(ResNetConfig::RESNET152, config)?))),
    cifar_resnet("resnet20_cifar", |config| Ok(Box::new(CifarResNet::new(3, config)?))),
    cifar_resnet("resnet32_cifar", |config| Ok(Box::new(CifarResNet::new(5, config)?))),
    cifar_resnet("resnet44_cifar", |config| Ok(Box::new(CifarResNet::new(7, config)?))),
    cifar_resnet("resnet56_cifar", |config| Ok(Box::new(CifarResNet::new(9, config)?))),
    cifar_resnet("resnet110_cifar", |config| Ok(Box::new(CifarResNet::new(18, config)?))),
    Architecture {
        name: "squeezenet1_1",
        timm: false,
        size: 224,
        head: "classifier.1",
        first_conv: "features.0",
        paper: "arXiv:1602.07360",
        arguments: &["drop_rate"],
        build: |config| Ok(Box::new(SqueezeNet::new(config)?)),
    },
];

impl Architecture {
    /// The preprocessing that its published weights usually want.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess {
            size: [self.size; 2],
            crop_pct: if self.size < 64 { 1.0 } else { 0.875 },
            interpolation: Interpolation::Bilinear,
            normalize: Normalize::IMAGENET,
            ..Preprocess::default()
        }
    }

    /// The name under which this network keeps a tensor that a checkpoint calls `name`: torchvision's
    /// MobileNetV2 has names of its own.
    pub fn rename(&self, name: &str) -> String {
        let renamed = match self.name {
            "mobilenetv2_100" => mobilenet_v2_from_torchvision(name),
            _ => None,
        };
        renamed.unwrap_or_else(|| name.to_string())
    }

    fn check(&self, config: &ModelConfig) -> Result<(), ModelError> {
        let args = &config.args;
        let given = [
            ("pad_type", args.pad_type != PadType::Symmetric),
            ("drop_rate", args.drop_rate.is_some()),
            ("drop_path_rate", args.drop_path_rate != 0.0),
        ];
        let refused =
            given.into_iter().find(|(name, given)| *given && !self.arguments.contains(name));
        if let Some((argument, _)) = refused {
            return Err(ModelError::Argument { model: self.name, argument });
        }
        if config.classes == 0 {
            return Err(ModelError::Config("a classifier needs at least one class".to_string()));
        }
        let rates = [args.drop_rate.unwrap_or(0.0), args.drop_path_rate];
        match rates.into_iter().find(|rate| !(0.0..1.0).contains(rate)) {
            Some(rate) => Err(ModelError::Config(format!("a drop rate lies in 0..1, not {rate}"))),
            None => Ok(()),
        }
    }
}

/// The names that fit a pattern, families together and by depth; `*` stands for any characters, `?` for one.
pub fn list(pattern: &str) -> Vec<&'static str> {
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &str| matches(&pattern, &name.chars().collect::<Vec<_>>());
    ARCHITECTURES.iter().map(|architecture| architecture.name).filter(|name| fits(name)).collect()
}

/// What is known about the architecture `name`.
///
/// # Errors
/// Where there is none; the message gives near names.
pub fn architecture(name: &str) -> Result<&'static Architecture, ModelError> {
    ARCHITECTURES.iter().find(|architecture| architecture.name == name).ok_or_else(|| {
        let near = list(&format!("*{}*", name.split(['.', '_']).next().unwrap_or(name)));
        let hint =
            if near.is_empty() { String::new() } else { format!(" (near: {})", near.join(", ")) };
        ModelError::Unknown { name: name.to_string(), hint }
    })
}

/// Builds a network with initial weights.
///
/// # Errors
/// Where there is no such architecture or it does not take an argument.
pub fn create(name: &str, config: &ModelConfig) -> Result<Model, ModelError> {
    let architecture = architecture(name)?;
    architecture.check(config)?;
    Ok(Model::new(architecture, *config, (architecture.build)(config)?))
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) if matches(rest, name) => true,
        (Some(('*', _)), Some((_, name))) => matches(pattern, name),
        (Some((wanted, rest)), Some((found, name))) if *wanted == '?' || wanted == found => {
            matches(rest, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(list("resnet?0*"), ["resnet50", "resnet101", "resnet20_cifar"]);
        assert_eq!(list("resnet?0"), ["resnet50"]);
        assert_eq!(list("*cifar").len(), 5);
        assert!(list("nothing").is_empty());
        assert_eq!(list("*").len(), ARCHITECTURES.len());
    }

    #[test]
    fn unknown_names_and_arguments() {
        let error = architecture("resnet19").unwrap_err().to_string();
        assert!(error.contains("resnet19") && error.contains("models list"), "{error}");
        let mut config = ModelConfig::default();
        config.args.pad_type = PadType::Same;
        let error = create("resnet18", &config).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("resnet18 does not take the argument pad_type"));
    }
}
