"""Makes macs.json: parameters and multiply-adds of every network of the zoo, as fvcore counts them.

    pip install torch torchvision timm fvcore
    python tests/golden/macs.py                # writes macs.json beside this script

One image at the network's usual size (224 x 224; 32 x 32 for the CIFAR ResNets), eval mode. Counted
are the multiply-adds of convolutions and linear layers (fvcore's "conv", "linear" and "addmm"),
nothing for biases, norms, activations or pooling. For each network

    params, buffers   elements of all parameters; of all buffers but num_batches_tracked
    input             [H, W, C]
    macs              conv + linear
    conv_macs, linear_macs

and under "resnet18_layers" one row per layer that has parameters, in the order of the forward pass:
name, kind, output shape ([H, W, C], or [C] for the classifier), params, macs.
"""

import argparse
import pathlib
import warnings

import fvcore
import timm
import torch
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn

import golden
import networks

HERE = pathlib.Path(__file__).parent
COUNTED = {"conv": "conv_macs", "linear": "linear_macs", "addmm": "linear_macs"}
TABLED = "resnet18"
KINDS = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.Linear: "linear"}


def analyse(model, size):
    """fvcore's counts for one image of that size."""
    counts = FlopCountAnalysis(model.eval(), torch.zeros(1, 3, size, size))
    return counts.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def totals(model, counts, size):
    """One network's entry under "networks"."""
    macs = {"conv_macs": 0, "linear_macs": 0}
    for operator, count in counts.by_operator().items():
        if operator in COUNTED:
            macs[COUNTED[operator]] += int(count)
    buffers = (b for n, b in model.named_buffers() if not n.endswith("num_batches_tracked"))
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "buffers": sum(b.numel() for b in buffers),
        "input": [size, size, 3],
        "macs": sum(macs.values()),
        **macs,
    }


def output_shapes(model, size):
    """Name to output shape without N and channels last, in the order of the forward pass."""
    shapes, hooks = {}, []

    def note(name):
        def hook(_module, _inputs, output):
            _, channels, *space = output.shape
            shapes[name] = [*space, channels]

        return hook

    for name, module in model.named_modules():
        if type(module) in KINDS:
            hooks.append(module.register_forward_hook(note(name)))
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return shapes


def layer_table(model, counts, size):
    """The rows of one network's layer table."""
    modules, by_module = dict(model.named_modules()), counts.by_module_and_operator()
    rows = []
    for name, shape in output_shapes(model, size).items():
        layer_macs = sum(c for op, c in by_module[name].items() if op in COUNTED)
        rows.append({
            "name": name,
            "kind": KINDS[type(modules[name])],
            "output": shape,
            "params": sum(p.numel() for p in modules[name].parameters()),
            "macs": int(layer_macs),
        })
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "macs.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    made_with = golden.versions(torch, torchvision, timm, fvcore)
    data = {"versions": made_with, "networks": {}}
    for name, create in networks.zoo().items():
        size = 32 if name.endswith("_cifar") else 224
        model = create()
        counts = analyse(model, size)
        data["networks"][name] = totals(model, counts, size)
        if name == TABLED:
            data[f"{name}_layers"] = layer_table(model, counts, size)
    golden.write_json(args.out, data)


if __name__ == "__main__":
    main()
