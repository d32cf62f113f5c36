"""Makes names.json: torchvision's parameter names of MobileNetV2 beside timm's.

    pip install torch torchvision timm
    python tests/golden/names.py    # writes crates/ocelli-models/tests/golden/names.json

Both libraries define the network in the order of the forward pass, so the names pair up by position;
the shapes must agree, and a random state dict carried over by the pairs must give the same logits. The
script also checks that the ResNets need no renaming.
"""

import argparse
import json
import pathlib

import timm
import torch
import torchvision

FILE = pathlib.Path(__file__).resolve().parents[2] / "crates/ocelli-models/tests/golden/names.json"


def pairs(ours, theirs):
    """(name in ours, name in theirs) of two state dicts in the same order."""
    assert [tuple(t.shape) for t in ours.values()] == [tuple(t.shape) for t in theirs.values()]
    return list(zip(ours, theirs))


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vision = torchvision.models.mobilenet_v2().eval()
    other = timm.create_model("mobilenetv2_100").eval()
    names = pairs(vision.state_dict(), other.state_dict())
    other.load_state_dict({theirs: vision.state_dict()[ours] for ours, theirs in names})
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        difference = (vision(image) - other(image)).abs().max().item()
    assert difference < 1e-5, difference
    for name in ("resnet18", "resnet34", "resnet50"):
        ours = getattr(torchvision.models, name)().state_dict()
        theirs = timm.create_model(name).state_dict()
        assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}, name
    rows = ",\n".join(f"  {json.dumps(pair)}" for pair in names)
    FILE.write_text('{"mobilenet_v2": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
