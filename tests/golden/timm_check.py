"""Opens a model folder with timm and prints its logits, to compare with ours.

    pip install torch timm
    python tests/golden/timm_check.py MODEL_DIR INPUT.json

MODEL_DIR holds config.json and model.safetensors in timm's layout; it is opened as any timm user would,
`timm.create_model("local-dir:MODEL_DIR", pretrained=True)`, which loads with strict=True. INPUT.json:

    {"input": [2, 224, 192, 3], "logits": [[...], ...]}

"input" is [N, H, W, C] of the formula input (golden.py: signed("input", i), rounded to f32, no
preprocessing); "logits", if given, are ours, all classes for every image. Prints one JSON object with
architecture, classes, timm's resolved preprocessing, its logits and, if ours were given, the largest
difference; ends with status 1 where that is above --tolerance, or where the folder does not load.
"""

import argparse
import json
import pathlib
import sys

import timm
import torch

import networks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model_dir", type=pathlib.Path)
    parser.add_argument("input", type=pathlib.Path)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    given = json.loads(args.input.read_text(encoding="utf-8"))
    model = timm.create_model(f"local-dir:{args.model_dir.resolve()}", pretrained=True).eval()
    with torch.no_grad():
        logits = model(networks.formula_input(given["input"]))
    config = timm.data.resolve_model_data_config(model)
    report = {
        "architecture": model.pretrained_cfg.get("architecture"),
        "num_classes": model.num_classes,
        "label_names": model.pretrained_cfg.get("label_names"),
        "preprocess": config,
        "logits": logits.tolist(),
    }
    within = True
    if "logits" in given:
        ours = torch.tensor(given["logits"])
        if ours.shape != logits.shape:
            sys.exit(f"{args.input}: logits of shape {list(ours.shape)}, timm's {list(logits.shape)}")
        difference = (ours - logits).abs().max().item()
        within = difference <= args.tolerance  # false for NaN too
        report.update(largest_difference=difference, tolerance=args.tolerance)
    print(json.dumps(report))
    sys.exit(0 if within else 1)


if __name__ == "__main__":
    main()
