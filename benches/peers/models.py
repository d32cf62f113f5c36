"""The networks of the peer scripts: created in PyTorch, with their weights and their preprocessing.

Names are those of our registry: timm's for MobileNetV2 ("mobilenetv2_100" with symmetric padding,
"mobilenetv2_100_same" with TensorFlow's) and the ResNets, torchvision's for SqueezeNet, and
"resnet20_cifar" and its kin for akamaster's CIFAR-10 networks.
"""

import pathlib
import sys
from dataclasses import dataclass

import safetensors.torch
import timm
import torch
import torchvision
from torch import nn
from torchvision import transforms
from torchvision.transforms import InterpolationMode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))
from networks import CifarResNet  # noqa: E402

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass
class Preprocess:
    """Resize of the short side (None: the picture as it is), center crop, mean and std."""

    resize: int | None
    crop: int
    mean: tuple
    std: tuple

    def evaluation(self, interpolation="bilinear"):
        """Pillow's antialiased resize, the crop, and the normalisation."""
        steps = []
        if self.resize is not None:
            steps += [
                transforms.Resize(self.resize, InterpolationMode(interpolation)),
                transforms.CenterCrop(self.crop),
            ]
        return transforms.Compose([*steps, *self.to_tensor()])

    def training(self):
        """Random resized crop of 35 to 100 % of the area, flip, and the normalisation."""
        crop = transforms.RandomResizedCrop(self.crop, scale=(0.35, 1.0), ratio=(3 / 4, 4 / 3))
        return transforms.Compose([crop, transforms.RandomHorizontalFlip(), *self.to_tensor()])

    def to_tensor(self):
        return transforms.ToTensor(), transforms.Normalize(self.mean, self.std)


def create(name, num_classes=None):
    """A network with random weights; `num_classes` defaults to that of its published weights."""
    if name.endswith("_cifar"):
        depth = int(name.removeprefix("resnet").removesuffix("_cifar"))
        return CifarResNet(depth, num_classes or 10)
    num_classes = num_classes or 1000
    if name == "squeezenet1_1":
        return torchvision.models.squeezenet1_1(num_classes=num_classes)
    if name.endswith("_same"):
        name = name.removesuffix("_same")
        return timm.create_model(name, num_classes=num_classes, pad_type="same")
    return timm.create_model(name, num_classes=num_classes)


def preprocess(name):
    """The preprocessing that the published weights expect."""
    if name.endswith("_cifar"):
        return Preprocess(None, 32, *IMAGENET)
    return Preprocess(256, 224, *(HALF if name.startswith("mobilenetv2_100") else IMAGENET))


def head(model):
    """The modules of the classifier (dropout included), and the layer in it that has the weights."""
    for name in ("classifier", "fc", "linear"):
        if hasattr(model, name):
            part = getattr(model, name)
            layers = [m for m in part.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
            return part, layers[-1]
    raise ValueError(f"{type(model).__name__} has no classifier, fc or linear")


def read_weights(path):
    """The state dict of a safetensors file or of a pickle, `module.` prefixes removed."""
    if str(path).endswith(".safetensors"):
        return safetensors.torch.load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def load(model, path):
    """Loads every tensor; a missing, unexpected or reshaped one is an error."""
    state = {name: tensor.float() for name, tensor in read_weights(path).items()}
    model.load_state_dict(state, strict=True)


def load_backbone(model, path):
    """Loads everything but the classifier's layer, whose shape may differ."""
    _, layer = head(model)
    prefix = next(name for name, module in model.named_modules() if module is layer) + "."
    state = {n: t.float() for n, t in read_weights(path).items() if not n.startswith(prefix)}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [n for n in missing if not n.startswith(prefix) and "num_batches" not in n]
    if missing or unexpected:
        raise ValueError(f"{path} does not fit: missing {missing}, unexpected {unexpected}")
