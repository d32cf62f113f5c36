"""Writes JPEGs of a class-per-folder tree as PNGs, decoded by Pillow, so that decoders play no part.

    pip install pillow
    python tests/golden/cifar_png.py cifar/test cifar-png/test

JPEG decoders differ by a few grey levels, which turns some ten of 10,000 CIFAR-10 answers. On PNGs
our counts can be compared with PyTorch's exactly. Folder and file names stay, `.jpg` becomes `.png`.
"""

import argparse
import pathlib
import sys

from PIL import Image


def convert(source, target):
    """Writes one image as an RGB PNG."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        image.convert("RGB").save(target, compress_level=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="folder of class folders of JPEGs")
    parser.add_argument("target", type=pathlib.Path, help="folder to write; made where it is missing")
    args = parser.parse_args()
    files = sorted(args.source.glob("*/*.jpg"))
    if not files:
        sys.exit(f"{args.source}: no */*.jpg in it; give the folder that holds the class folders")
    for source in files:
        target = args.target / source.relative_to(args.source).with_suffix(".png")
        convert(source, target)
    print(f"{len(files)} images written under {args.target}")


if __name__ == "__main__":
    main()
