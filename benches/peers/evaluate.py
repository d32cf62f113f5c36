"""Counts the right answers of published weights under PyTorch.

    pip install torch torchvision timm safetensors
    python benches/peers/evaluate.py --model resnet20_cifar --weights resnet20-12fca82f.th --data cifar/test
    python benches/peers/evaluate.py --model squeezenet1_1 --weights squeezenet1_1.safetensors \\
        --data imagenet-sample-500
    python benches/peers/evaluate.py --model mobilenetv2_100_same --weights mobilenetv2_100.safetensors \\
        --data imagenet-sample-500 [--interpolation bicubic]

--data is a folder of class folders (classes in alphabetical order), or a flat one whose file names begin
with the class index, as in 0042_n01687978_agama.jpg. Pictures are decoded and resized by Pillow, in f32.
Prints one JSON line: model, images, top1 and top5 as counts, seconds.

Expected, with torch 2.15, torchvision 0.29, timm 1.0.31:
    resnet20, 32, 44, 56 on the CIFAR-10 test JPEGs     8103, 8256, 8267, 8320
    squeezenet1_1 on imagenet-sample-500                295, top-5 401
    mobilenetv2_100_same on imagenet-sample-500         423, top-5 482 (bicubic 424, 480)
"""

import argparse
import json
import pathlib
import sys
import time

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder

import models


class IndexedFolder(Dataset):
    """Pictures in one folder, the class index being the number before the first underscore."""

    def __init__(self, root, transform):
        self.files = sorted(p for p in root.iterdir() if p.stem.split("_")[0].isdigit())
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        path = self.files[index]
        with Image.open(path) as image:
            return self.transform(image.convert("RGB")), int(path.stem.split("_")[0])


def dataset(root, transform):
    """The pictures under `root`, whichever of the two layouts it has."""
    if not root.is_dir():
        sys.exit(f"{root}: no such folder")
    flat = IndexedFolder(root, transform)
    return flat if len(flat) else ImageFolder(root, transform)


@torch.no_grad()
def count(model, loader):
    """Images, top-1 and top-5 counts."""
    images, top1, top5 = 0, 0, 0
    for x, targets in loader:
        ranked = model(x).topk(5).indices
        hits = ranked == targets[:, None]
        images += len(targets)
        top1 += hits[:, 0].sum().item()
        top5 += hits.any(1).sum().item()
    return images, top1, top5


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--interpolation", default="bilinear", choices=["bilinear", "bicubic"])
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes that decode")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = models.create(args.model)
    models.load(model, args.weights)
    transform = models.preprocess(args.model).evaluation(args.interpolation)
    data = dataset(args.data, transform)
    start = time.perf_counter()
    images, top1, top5 = count(
        model.eval(), DataLoader(data, args.batch_size, num_workers=args.workers)
    )
    print(json.dumps({
        "model": args.model,
        "weights": args.weights.name,
        "images": images,
        "top1": top1,
        "top5": top5,
        "seconds": round(time.perf_counter() - start, 1),
    }))


if __name__ == "__main__":
    main()
