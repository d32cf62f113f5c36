"""Makes networks.json: what PyTorch answers for every network of the zoo, with weights from a formula.

    pip install torch torchvision timm
    python tests/golden/networks.py            # writes networks.json beside this script, in about a minute

Each parameter and buffer is keyed by its name (timm's for the ResNets and MobileNetV2, torchvision's
for SqueezeNet, akamaster's for the CIFAR ResNets), so the order of a state dict does not matter.
With `signed` and `unit` of golden.py, element i in PyTorch's axis order (OIHW, OI) is

    weight of 4 axes, or 2   signed * sqrt(3 * g / fan_in), fan_in = (inputs / groups) * kH * kW;
                             g = 1 where the name begins with fc., classifier. or linear., else g = 2
    bias                     signed * 0.1
    weight of 1 axis         1 + 0.2 * signed, and 0.3 times that for the last norm of a residual
                             branch of a ResNet: the name begins with "layer" and ends with
                             ".bn3.weight", or with ".bn2.weight" where the network has no such
                             name with bn3 in place of bn2
    running_mean             signed * 0.1
    running_var              1 + 0.5 * unit
    num_batches_tracked      0

in f64 and rounded to f32 once. The factor 0.3 keeps the activations of 54 residual blocks near 1.
The input of shape [N, H, W, C] is `signed("input", i)` over its row-major elements, rounded to f32.

In the file, each network has
    params          elements of all parameters (buffers not counted)
    input           [N, H, W, C]; not square, and odd sizes on the way down
    logits          the first 8 of each image, eval mode
    logits_sum, logits_sq      over all logits
    features        shape [N, H, W, C], sum and sum of squares of the last feature map (after its
                    activation, before the global pooling)
    f32_error       the largest difference in all logits between PyTorch in f32 and in f64
and, under "train", one step in train mode without dropout: mean cross-entropy over targets 1 and 3,
    input           [N, H, W, C]
    loss, f32_error (of the loss)
    gradients       for some parameters: sum, sum of magnitudes, the first four elements, and probe,
                    the sum of element i times signed("probe", i), which sees their order; with
                    f32_error, the largest difference between f32 and f64 relative to the largest
                    magnitude in that gradient. Rounding can carry an activation over the kink of
                    its ReLU: allow a few times 1e-3 where f32_error is above 1e-5
    running_mean_sum, running_var_sum     of the named batch norm after that forward pass
All values but the f32 errors were computed in f64 from the f32-rounded weights and input.
"""

import argparse
import math
import pathlib

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import golden

HERE = pathlib.Path(__file__).parent
IMAGENET_INPUT = [2, 70, 102, 3]
IMAGENET_TRAIN_INPUT = [2, 90, 134, 3]
CIFAR_INPUT = [2, 26, 38, 3]
TARGETS = [1, 3]


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (option A)."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.widens = stride != 1 or inputs != planes

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.widens:
            pad = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    """The ResNet of section 4.2 of "Deep Residual Learning" (depth 6n + 2), akamaster's names."""

    def __init__(self, depth, num_classes=10):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self.stage(16, 16, blocks, 1)
        self.layer2 = self.stage(16, 32, blocks, 2)
        self.layer3 = self.stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, num_classes)

    @staticmethod
    def stage(inputs, planes, blocks, stride):
        rest = [CifarBlock(planes, planes, 1) for _ in range(blocks - 1)]
        return nn.Sequential(CifarBlock(inputs, planes, stride), *rest)

    def forward_features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, x):
        return self.linear(self.forward_features(x).mean((2, 3)))


def squeezenet(num_classes=1000, dropout=0.0):
    """Torchvision's SqueezeNet 1.1, with timm's name for the trunk."""
    model = torchvision.models.squeezenet1_1(num_classes=num_classes, dropout=dropout)
    model.forward_features = model.features.forward
    return model


def zoo():
    """Name to constructor, the names being those of the registry ("_same" for TensorFlow padding)."""
    nets = {}
    for depth in (18, 34, 50, 101, 152):
        nets[f"resnet{depth}"] = lambda n=f"resnet{depth}": timm.create_model(n)
    nets["mobilenetv2_100"] = lambda: timm.create_model("mobilenetv2_100")
    nets["mobilenetv2_100_same"] = lambda: timm.create_model("mobilenetv2_100", pad_type="same")
    nets["squeezenet1_1"] = squeezenet
    for depth in (20, 32, 44, 56, 110):
        nets[f"resnet{depth}_cifar"] = lambda d=depth: CifarResNet(d)
    return nets


def last_norm(name, names):
    """Whether `name` is the weight of the last norm of a ResNet's residual branch."""
    if not name.startswith("layer"):
        return False
    if name.endswith(".bn2.weight"):
        return name.replace(".bn2.weight", ".bn3.weight") not in names
    return name.endswith(".bn3.weight")


def formula_tensor(name, shape, names):
    """The value of one parameter or buffer as an f64 array, by the formula above."""
    if name.endswith("running_var"):
        return 1.0 + 0.5 * golden.unit(name, shape)
    u = golden.signed(name, shape)
    if len(shape) > 1:
        fan_in = math.prod(shape[1:])
        gain = 1.0 if name.startswith(("fc.", "classifier.", "linear.")) else 2.0
        return u * math.sqrt(3.0 * gain / fan_in)
    if name.endswith(("bias", "running_mean")):
        return u * 0.1
    return (1.0 + 0.2 * u) * (0.3 if last_norm(name, names) else 1.0)


def set_formula_weights(model):
    """Overwrites every parameter and buffer of `model` with the formula's values."""
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
        else:
            tensor.copy_(torch.from_numpy(formula_tensor(name, tuple(tensor.shape), state)))


def formula_input(shape_nhwc):
    """The input as an f32 tensor in PyTorch's NCHW order; its elements are counted in NHWC order."""
    x = torch.from_numpy(golden.signed("input", tuple(shape_nhwc))).float()
    return x.permute(0, 3, 1, 2).contiguous()


def eval_golden(model, shape):
    """Logits and feature sums in eval mode; `model` is left in f64."""
    x = formula_input(shape)
    model.eval()
    with torch.no_grad():
        logits32 = model(x)
        model.double()
        logits = model(x.double())
        features = model.forward_features(x.double())
    n, c, h, w = features.shape
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "input": shape,
        "logits": logits[:, :8].tolist(),
        "logits_sum": logits.sum().item(),
        "logits_sq": logits.square().sum().item(),
        "features": {
            "shape": [n, h, w, c],
            "sum": features.sum().item(),
            "sq": features.square().sum().item(),
        },
        "f32_error": (logits - logits32).abs().max().item(),
    }


# A first convolution, one in the middle, a norm, and the classifier of each.
TRAINED = {
    "resnet18": (
        "conv1.weight bn1.weight layer2.0.conv1.weight layer2.0.downsample.0.weight "
        "layer3.1.bn2.weight layer4.0.bn1.bias fc.weight fc.bias"
    ),
    "mobilenetv2_100": (
        "conv_stem.weight bn1.weight blocks.2.0.conv_dw.weight blocks.3.1.conv_pwl.weight "
        "blocks.4.0.bn2.weight bn2.bias classifier.weight classifier.bias"
    ),
    "squeezenet1_1": (
        "features.0.weight features.0.bias features.3.squeeze.weight features.7.expand1x1.weight "
        "features.9.expand3x3.weight features.9.expand3x3.bias classifier.1.weight classifier.1.bias"
    ),
    "resnet20_cifar": (
        "conv1.weight bn1.weight layer2.0.conv1.weight layer2.1.bn2.weight "
        "layer3.0.conv2.weight layer3.2.bn1.bias linear.weight linear.bias"
    ),
}
TRAINED["mobilenetv2_100_same"] = TRAINED["mobilenetv2_100"]


def train_step(model, x):
    """Loss and gradients of one forward and backward pass in train mode."""
    model.train()
    loss = F.cross_entropy(model(x), torch.tensor(TARGETS))
    loss.backward()
    return loss.item(), {name: p.grad.double() for name, p in model.named_parameters()}


def train_golden(create, shape, names):
    """The "train" entry of one network."""
    x = formula_input(shape)
    single, double = create(), create()
    set_formula_weights(single)
    set_formula_weights(double)
    loss32, grads32 = train_step(single, x)
    loss, grads = train_step(double.double(), x.double())
    entry = {
        "input": shape,
        "targets": TARGETS,
        "loss": loss,
        "f32_error": abs(loss - loss32),
        "gradients": {},
    }
    for name in names:
        g = grads[name]
        entry["gradients"][name] = {
            "sum": g.sum().item(),
            "abs_sum": g.abs().sum().item(),
            "probe": (g * torch.from_numpy(golden.signed("probe", tuple(g.shape)))).sum().item(),
            "first": g.flatten()[:4].tolist(),
            "f32_error": ((g - grads32[name]).abs().max() / g.abs().max()).item(),
        }
    norms = [(n, m) for n, m in double.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if norms:
        name, norm = norms[0]
        entry["norm"] = {
            "name": name,
            "running_mean_sum": norm.running_mean.sum().item(),
            "running_var_sum": norm.running_var.sum().item(),
        }
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "networks.json")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = {"versions": golden.versions(torch, torchvision, timm), "networks": {}, "train": {}}
    for name, create in zoo().items():
        cifar = name.endswith("_cifar")
        shape = CIFAR_INPUT if cifar else IMAGENET_INPUT
        model = create()
        set_formula_weights(model)
        data["networks"][name] = eval_golden(model, shape)
        if name in TRAINED:
            shape = CIFAR_INPUT if cifar else IMAGENET_TRAIN_INPUT
            data["train"][name] = train_golden(create, shape, TRAINED[name].split())
        print(name, "f32 error", data["networks"][name]["f32_error"], flush=True)
    golden.write_json(args.out, data)


if __name__ == "__main__":
    main()
