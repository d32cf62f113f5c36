"""Golden resizes of Pillow and eval geometry of torchvision and timm -> crates/ocelli-core/tests/golden/resize.json

Run: python tests/golden/resize.py

Pictures come from a formula, so that only results are kept (hexadecimal, row-major RGB):

    noise(x, y, c)  = (7 x^2 + 13 y^2 + 5 x y + 91 c) mod 256      hard edges everywhere
    smooth(x, y, c) = (3 x + 2 y + 40 c) mod 256                   ramps with a few edges
"""

import pathlib

import numpy as np
import PIL
import timm
import torchvision
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval
from torchvision import transforms
from torchvision.transforms.functional import InterpolationMode

from golden import versions, write_json

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/ocelli-core/tests/golden/resize.json"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def picture(kind, width, height):
    x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(3), indexing="xy")
    value = 7 * x * x + 13 * y * y + 5 * x * y + 91 * c if kind == "noise" else 3 * x + 2 * y + 40 * c
    return Image.fromarray((value % 256).astype(np.uint8))


def hexed(image):
    return np.asarray(image).tobytes().hex()


def resizes():
    cases = []
    sizes = [(37, 23, 53, 31), (37, 23, 16, 9), (37, 23, 5, 40), (37, 23, 37, 11), (37, 23, 20, 23), (37, 23, 1, 1),
             (1, 30, 7, 9), (30, 1, 9, 4), (1, 1, 3, 2), (200, 3, 6, 5), (37, 23, 37, 23)]
    for kind in ("noise", "smooth"):
        for width, height, to_width, to_height in sizes:
            for name, filter in FILTERS.items():
                out = picture(kind, width, height).resize((to_width, to_height), filter)
                cases.append({"picture": kind, "from": [width, height], "box": None, "to": [to_width, to_height],
                              "filter": name, "pixels": hexed(out)})
    for box in ([3.0, 5.0, 20.0, 12.0], [2.25, 4.5, 30.5, 10.125], [30.0, 20.0, 7.0, 3.0], [0.0, 0.0, 8.0, 23.0]):
        for to_width, to_height in ((16, 16), (8, 10)):
            for name, filter in FILTERS.items():
                left, top, width, height = box
                out = picture("noise", 37, 23).resize((to_width, to_height), filter, (left, top, left + width, top + height))
                cases.append({"picture": "noise", "from": [37, 23], "box": box, "to": [to_width, to_height],
                              "filter": name, "pixels": hexed(out)})
    return cases


def crops():
    """torchvision's resized_crop: pixels outside the box have no influence."""
    cases = []
    for x, y, width, height in ((3, 5, 20, 12), (0, 0, 37, 23), (30, 20, 7, 3), (10, 4, 1, 1)):
        for name in FILTERS:
            out = transforms.functional.resized_crop(
                picture("noise", 37, 23), y, x, height, width, [11, 14], InterpolationMode(name))
            cases.append({"box": [x, y, width, height], "filter": name, "pixels": hexed(out)})
    return cases


def centers():
    """torchvision's CenterCrop, also larger than the image."""
    cases = []
    for width, height, rows, columns in ((9, 7, 4, 4), (9, 7, 4, 6), (10, 7, 7, 3), (5, 9, 8, 8), (4, 3, 8, 9), (11, 8, 3, 4)):
        out = transforms.CenterCrop((rows, columns))(picture("smooth", width, height))
        cases.append({"from": [width, height], "size": [rows, columns], "pixels": hexed(out)})
    return cases


def geometry():
    cases = []
    for width, height in ((47, 33), (33, 48), (90, 5), (1, 40)):
        for size, crop_pct in (([16, 16], 0.875), ([16, 16], 1.0), ([12, 12], 0.8), ([10, 16], 0.9), ([17, 9], 0.875)):
            for mode, name in (("center", "bilinear"), ("center", "bicubic"), ("squash", "bilinear")):
                photo = picture("smooth", width, height)
                if mode == "center" and size[0] == size[1]:
                    steps = transforms.Compose([
                        transforms.Resize(int(size[0] / crop_pct), InterpolationMode(name)),
                        transforms.CenterCrop(size)])
                    out = steps(photo)
                else:
                    steps = transforms_imagenet_eval(tuple(size), crop_pct, mode, None, name, normalize=False)
                    out = np.moveaxis(steps(photo).numpy(), 0, -1)
                cases.append({"from": [width, height], "size": size, "crop_pct": crop_pct, "crop_mode": mode,
                              "filter": name, "pixels": hexed(out)})
    return cases


if __name__ == "__main__":
    write_json(OUT, {"versions": versions(PIL, torchvision, timm), "resize": resizes(), "crop": crops(),
                     "center": centers(), "geometry": geometry()})
