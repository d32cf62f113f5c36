//! torchvision's parameter names in timm's words.
//!
//! Of the networks here only MobileNetV2 needs it: torchvision's and timm's ResNets have the same names,
//! SqueezeNet exists in torchvision alone, and the CIFAR ResNets keep the names of their published files.

/// Inverted residuals in each stage (table 2 of arXiv:1801.04381).
const REPEATS: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];

/// The name that a parameter of torchvision's `mobilenet_v2` has in timm's `mobilenetv2_100`; `None` for
/// a name that torchvision's network does not have.
///
/// ```
/// use ocelli_models::weights::mobilenet_v2_from_torchvision;
/// let name = mobilenet_v2_from_torchvision("features.2.conv.0.0.weight");
/// assert_eq!(name.as_deref(), Some("blocks.1.0.conv_pw.weight"));
/// ```
#[must_use]
pub fn mobilenet_v2_from_torchvision(name: &str) -> Option<String> {
    let (layer, field) = name.rsplit_once('.')?;
    let layer = match layer {
        "features.0.0" => "conv_stem".to_owned(),
        "features.0.1" => "bn1".to_owned(),
        "features.18.0" => "conv_head".to_owned(),
        "features.18.1" => "bn2".to_owned(),
        "classifier.1" => "classifier".to_owned(),
        _ => block(layer)?,
    };
    Some(format!("{layer}.{field}"))
}

fn block(layer: &str) -> Option<String> {
    let (index, part) = layer.strip_prefix("features.")?.split_once(".conv.")?;
    let index = index.parse::<usize>().ok()?.checked_sub(1)?;
    // The first block does not expand: timm makes it a depthwise-separable convolution.
    let part = match (index, part) {
        (0, "0.0") => "conv_dw",
        (0, "0.1") => "bn1",
        (0, "1") => "conv_pw",
        (0, "2") => "bn2",
        (1.., "0.0") => "conv_pw",
        (1.., "0.1") => "bn1",
        (1.., "1.0") => "conv_dw",
        (1.., "1.1") => "bn2",
        (1.., "2") => "conv_pwl",
        (1.., "3") => "bn3",
        _ => return None,
    };
    let mut rest = index;
    for (stage, repeats) in REPEATS.into_iter().enumerate() {
        if rest < repeats {
            return Some(format!("blocks.{stage}.{rest}.{part}"));
        }
        rest -= repeats;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs found by `tests/golden/names.py` from the two libraries' own definition order.
    const NAMES: &str = include_str!("../../tests/golden/names.json");

    #[test]
    fn every_name_of_torchvision_becomes_timms() {
        let golden: serde_json::Value = serde_json::from_str(NAMES).unwrap();
        let pairs: Vec<(String, String)> =
            serde_json::from_value(golden["mobilenet_v2"].clone()).unwrap();
        assert_eq!(pairs.len(), 314);
        for (torchvision, timm) in pairs {
            let renamed = mobilenet_v2_from_torchvision(&torchvision);
            assert_eq!(renamed.as_deref(), Some(timm.as_str()), "{torchvision}");
        }
    }

    #[test]
    fn other_names_are_none() {
        let others = [
            "",
            "weight",
            "conv_stem.weight",
            "features.0.2.weight",
            "features.1.conv.3.weight",
            "features.18.conv.0.0.weight",
            "features.99999999999999999999.conv.0.0.weight",
            "features.0.conv.0.0.weight",
        ];
        for name in others {
            assert_eq!(mobilenet_v2_from_torchvision(name), None, "{name}");
        }
    }
}
