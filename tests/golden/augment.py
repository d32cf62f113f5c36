"""torchvision's colour adjustments of a Pillow image -> crates/ocelli-augment/tests/golden/augment.json

Run: python tests/golden/augment.py

The picture comes from a formula (row 0 is gray), so that only results are kept (hexadecimal, row-major RGB).
"""

import pathlib

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import functional

from golden import versions, write_json

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/ocelli-augment/tests/golden/augment.json"


def picture(width=19, height=13):
    x, y = np.meshgrid(np.arange(width), np.arange(height), indexing="xy")
    rgb = np.stack([7 * x * x + 13 * y * y, 29 * x + 3 * y * y, 5 * x * y + 71 * y], -1)
    rgb[0] = (14 * x[0])[:, None]
    return Image.fromarray((rgb % 256).astype(np.uint8))


def adjust():
    cases = []
    for what in ("brightness", "contrast", "saturation"):
        for factor in (0.0, 0.6, 0.9371, 1.0, 1.4, 2.5):
            cases.append((what, factor, getattr(functional, f"adjust_{what}")(picture(), factor)))
    for factor in (-0.5, -0.1234, 0.0, 0.05, 0.3, 0.5):
        cases.append(("hue", factor, functional.adjust_hue(picture(), factor)))
    return [{"what": what, "factor": factor, "pixels": np.asarray(out).tobytes().hex()} for what, factor, out in cases]


if __name__ == "__main__":
    write_json(OUT, {"versions": versions(PIL, torchvision), "adjust": adjust()})
