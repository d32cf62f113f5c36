"""Small image files written by Pillow, and what Pillow reads from them -> crates/ocelli-core/tests/golden/decode.json

Run: python tests/golden/decode.py

Each entry: name, file (hexadecimal), size [width, height], pixels (hexadecimal RGB, upright, alpha over white).
"""

import io
import pathlib

import numpy as np
import PIL
from PIL import Image, ImageOps

from golden import versions, write_json

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/ocelli-core/tests/golden/decode.json"
ORIENTATION = 0x112


def picture(width=19, height=14):
    x, y = np.meshgrid(np.arange(width), np.arange(height), indexing="xy")
    planes = 127 + 120 * np.sin(x / 7 + y / 11), 127 + 120 * np.cos(x / 5 - y / 9), (x * 8 + y * 5) % 256
    return Image.fromarray(np.stack(planes, -1).clip(0, 255).astype(np.uint8))


def upright(image):
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white
    elif image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def entry(name, image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    read = upright(Image.open(io.BytesIO(file.getvalue())))
    return {"name": name, "file": file.getvalue().hex(), "size": list(read.size),
            "pixels": np.asarray(read).tobytes().hex()}


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def entries():
    image, gray = picture(), picture().convert("L")
    alpha = image.copy()
    alpha.putalpha(gray)
    deep = Image.fromarray((np.asarray(gray).astype(np.uint16) * 211 + 77))
    for sampling, name in ((0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")):
        yield entry(f"jpeg {name}", image, "JPEG", quality=90, subsampling=sampling)
    yield entry("jpeg progressive", image, "JPEG", quality=90, progressive=True)
    yield entry("jpeg restart markers", image, "JPEG", quality=90, restart_marker_blocks=1)
    yield entry("jpeg gray", gray, "JPEG", quality=90)
    yield entry("jpeg cmyk", image.convert("CMYK"), "JPEG", quality=90)
    yield entry("jpeg rgb", image, "JPEG", quality=90, keep_rgb=True)
    yield entry("jpeg one pixel", picture(1, 1), "JPEG", quality=90)
    for orientation in range(1, 9):
        yield entry(f"jpeg orientation {orientation}", gray, "JPEG", quality=70, exif=turned(orientation))
    for kind in ("PNG", "TIFF", "WEBP"):
        yield entry(f"{kind} orientation 6", image, kind, exif=turned(6), lossless=True)
    yield entry("png palette", image.quantize(8), "PNG")
    yield entry("png one bit", image.convert("1"), "PNG")
    yield entry("png gray with alpha", alpha.convert("LA"), "PNG")
    yield entry("png alpha", alpha, "PNG")
    yield entry("png gray 16 bit", deep, "PNG")
    yield entry("gif", image.quantize(8), "GIF")
    yield entry("webp alpha", alpha, "WEBP", lossless=True)
    yield entry("tiff cmyk", image.convert("CMYK"), "TIFF")
    yield entry("bmp palette", image.quantize(8), "BMP")
    yield entry("tga run lengths", image, "TGA", compression="tga_rle")
    yield entry("tga alpha", alpha, "TGA")
    yield entry("pgm", gray, "PPM")


if __name__ == "__main__":
    write_json(OUT, {"versions": versions(PIL), "files": list(entries())})
