//! The architectures, one file each.

mod cifar_resnet;
mod layers;
mod mobilenet_v2;
mod resnet;
mod squeezenet;

pub use cifar_resnet::CifarResNet;
pub use mobilenet_v2::MobileNetV2;
pub use resnet::{ResNet, ResNetConfig};
pub use squeezenet::SqueezeNet;
