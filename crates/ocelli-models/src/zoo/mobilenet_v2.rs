//! MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381). Names are timm's `mobilenetv2_100`.

use ocelli_nn::functional::global_average_pool;
use ocelli_nn::layers::{ConvConfig, ConvNormAct, DropPath, Dropout, Linear, Pad};
use ocelli_nn::{Activation, Block, Classifier, Feature, Init, ParamStore, Pass, Result, Scope};

use crate::{ModelConfig, PadType};

/// Repeats, first stride, expansion and channels of each stage (table 2 of the paper).
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (3, 2, 6, 32),
    (4, 2, 6, 64),
    (3, 1, 6, 96),
    (3, 2, 6, 160),
    (1, 1, 6, 320),
];
const STEM: usize = 32;
const HEAD: usize = 1280;

/// MobileNetV2 of width 1.0, for any image size from 32 pixels.
pub struct MobileNetV2 {
    params: ParamStore,
    classes: usize,
    stem: ConvNormAct,
    blocks: Vec<Vec<InvertedResidual>>,
    conv_head: ConvNormAct,
    dropout: Dropout,
    classifier: Linear,
}

impl MobileNetV2 {
    /// Stages: 0 stem, 1 to 7 the blocks, 8 the last convolution, 9 the head.
    ///
    /// # Errors
    /// Where a weight cannot be created.
    pub fn new(config: &ModelConfig) -> Result<Self> {
        let params = ParamStore::new(config.seed);
        let root = params.root();
        let pad = config.args.pad_type;
        let total: usize = STAGES.iter().map(|stage| stage.0).sum();
        let stem = ConvConfig::new(3, STEM, 3).stride(2);
        let stem =
            ConvNormAct::new(&root, ["conv_stem", "bn1"], padded(stem, pad), Activation::Relu6)?;
        let mut blocks = Vec::new();
        let (mut channels, mut index) = (STEM, 0);
        for (stage, &(repeats, stride, expansion, width)) in STAGES.iter().enumerate() {
            let scope = root.pp("blocks").pp(stage).stage(stage + 1);
            let mut row = Vec::new();
            for block in 0..repeats {
                let stride = if block == 0 { stride } else { 1 };
                // Deeper blocks are dropped more often, as timm does.
                let drop_path = config.args.drop_path_rate * index as f32 / total as f32;
                let shape = Shape { channels, width, stride, expansion, pad, drop_path };
                row.push(InvertedResidual::new(&scope.pp(block), shape)?);
                channels = width;
                index += 1;
            }
            blocks.push(row);
        }
        let last = root.stage(STAGES.len() + 1);
        let conv_head = ConvNormAct::new(
            &last,
            ["conv_head", "bn2"],
            ConvConfig::new(channels, HEAD, 1),
            Activation::Relu6,
        )?;
        let head = root.stage(STAGES.len() + 2);
        // torchvision's. timm's is uniform within 1 / sqrt(classes), 0.3 for ten classes: beside a pretrained
        // backbone so loud a head overshoots for epochs.
        let quiet = Init::Normal(0.01);
        let classifier = Linear::with_init(
            &head.pp("classifier"),
            HEAD,
            config.classes,
            quiet,
            Init::Constant(0.0),
        )?;
        let dropout = Dropout::new(&head.pp("dropout"), config.args.drop_rate.unwrap_or(0.0));
        Ok(Self { params, classes: config.classes, stem, blocks, conv_head, dropout, classifier })
    }
}

impl Classifier for MobileNetV2 {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        let mut x = self.stem.forward(images, pass)?;
        for (index, blocks) in self.blocks.iter().enumerate() {
            x = blocks.forward(&x, pass)?;
            pass.tap(&format!("blocks.{index}"), &x);
        }
        self.conv_head.forward(&x, pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        let pooled = global_average_pool("global_pool", features, pass)?;
        let pooled = self.dropout.forward(&pooled, pass)?;
        self.classifier.forward(&pooled, pass)
    }
}

fn padded(config: ConvConfig, pad: PadType) -> ConvConfig {
    match pad {
        PadType::Symmetric => config,
        PadType::Same => config.pad(Pad::Same),
    }
}

struct Shape {
    channels: usize,
    width: usize,
    stride: usize,
    expansion: usize,
    pad: PadType,
    drop_path: f32,
}

/// 1 x 1 up, depthwise 3 x 3, 1 x 1 down without an activation; added to its input where shapes agree.
struct InvertedResidual {
    path: String,
    branch: Vec<ConvNormAct>,
    project: ConvNormAct,
    adds: bool,
    drop_path: Option<DropPath>,
}

impl InvertedResidual {
    fn new(scope: &Scope, shape: Shape) -> Result<Self> {
        let Shape { channels, width, stride, expansion, pad, drop_path } = shape;
        let wide = channels * expansion;
        let depthwise = padded(ConvConfig::new(wide, wide, 3).depthwise().stride(stride), pad);
        let project = ConvConfig::new(wide, width, 1);
        let layer = |names, config, activation| ConvNormAct::new(scope, names, config, activation);
        // timm numbers the norms, and names the last convolution, by what comes before.
        let (branch, project) = if expansion == 1 {
            let branch = vec![layer(["conv_dw", "bn1"], depthwise, Activation::Relu6)?];
            (branch, layer(["conv_pw", "bn2"], project, Activation::Identity)?)
        } else {
            let expand = ConvConfig::new(channels, wide, 1);
            let branch = vec![
                layer(["conv_pw", "bn1"], expand, Activation::Relu6)?,
                layer(["conv_dw", "bn2"], depthwise, Activation::Relu6)?,
            ];
            (branch, layer(["conv_pwl", "bn3"], project, Activation::Identity)?)
        };
        let adds = stride == 1 && channels == width;
        let drop_path =
            (drop_path > 0.0 && adds).then(|| DropPath::new(&scope.pp("drop_path"), drop_path));
        Ok(Self { path: scope.path().to_string(), branch, project, adds, drop_path })
    }
}

impl Block for InvertedResidual {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let y = self.branch.forward(x, pass)?;
        match &self.drop_path {
            _ if !self.adds => self.project.forward(&y, pass),
            None => self.project.forward_add(&y, x, pass),
            Some(drop_path) => {
                let y = self.project.forward(&y, pass)?;
                let y = drop_path.forward(&y, pass)?;
                ocelli_nn::functional::add(&self.path, &y, x, pass)
            }
        }
    }
}
