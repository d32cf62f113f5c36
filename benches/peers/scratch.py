"""Trains a CIFAR ResNet from scratch on small pictures in class folders: the peer of `ocelli train`.

    pip install torch torchvision timm safetensors
    python benches/peers/scratch.py --data cifar --seed 0 [--precision bf16]

--data holds train/ and test/, each with one folder per class of pictures of 32 x 32. The recipe is that
of the table of precisions in benches/RESULTS.md:
    training     49 of 50 pictures of train/; four black pixels around each, a random crop of 32, flip;
                 batches of 128, shuffled, the last incomplete one dropped
    loss         cross-entropy with label smoothing 0.05
    optimizer    SGD, Nesterov momentum 0.9, weight decay 5e-4 on all but norms and biases
    rate         0.15: 200 warm-up steps, then half a cosine to zero, changed every step
    evaluation   the last epoch's weights on test/

Pictures are decoded once and kept, so seconds are of the network and the crops alone. Prints one line of
JSON; progress goes to stderr.
"""

import argparse
import contextlib
import json
import math
import pathlib
import sys
import time

import torch
import torch.nn.functional as F
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

import models

BATCH, PAD, SIZE = 128, 4, 32
RATE, WARMUP, DECAY, SMOOTHING = 0.15, 200, 5e-4, 0.05


def pictures(folder):
    """All pictures of class folders, [N, 3, 32, 32] in bytes, and their classes."""
    found = ImageFolder(folder)
    images = torch.stack([pil_to_tensor(found.loader(path).convert("RGB")) for path, _ in found.samples])
    return images, torch.tensor(found.targets), len(found.classes)


def normalized(images):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in models.IMAGENET)
    images = (images.float() / 255 - mean) / std
    return images.contiguous(memory_format=torch.channels_last)


def augmented(images):
    """A crop at a random place of each padded picture, every other one mirrored."""
    padded = F.pad(images, (PAD,) * 4)
    places = torch.randint(0, 2 * PAD + 1, (len(images), 2)).tolist()
    mirrored = (torch.rand(len(images)) < 0.5).tolist()
    crops = (picture[:, y : y + SIZE, x : x + SIZE] for picture, (y, x) in zip(padded, places))
    return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(crops, mirrored)])


def rate(step, steps):
    if step < WARMUP:
        return RATE * (step + 1) / WARMUP
    return 0.5 * RATE * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


def optimizer_of(model):
    weights = [p for p in model.parameters() if p.dim() > 1]
    spared = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=RATE, momentum=0.9, nesterov=True)


def precision(name):
    if name == "bf16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def train(model, images, targets, args):
    """All epochs; the seconds they took."""
    optimizer = optimizer_of(model)
    kept = torch.randperm(len(images))[len(images) // 50 :]
    per_epoch = len(kept) // BATCH
    step, start = 0, time.perf_counter()
    for epoch in range(args.epochs):
        order, loss_sum = kept[torch.randperm(len(kept))], 0.0
        for batch in order[: per_epoch * BATCH].split(BATCH):
            for group in optimizer.param_groups:
                group["lr"] = rate(step, args.epochs * per_epoch)
            x = normalized(augmented(images[batch]))
            with precision(args.precision):
                loss = F.cross_entropy(model(x).float(), targets[batch], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            step += 1
        print(f"epoch {epoch + 1}/{args.epochs}  loss {loss_sum / per_epoch:.4f}", file=sys.stderr, flush=True)
    return time.perf_counter() - start


@torch.no_grad()
def correct(model, images, targets, args):
    model.eval()
    hits = 0
    for x, y in zip(images.split(500), targets.split(500)):
        with precision(args.precision):
            hits += (model(normalized(x)).argmax(1) == y).sum().item()
    return hits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--model", default="resnet20_cifar")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, targets, classes = pictures(args.data / "train")
    model = models.create(args.model, classes).to(memory_format=torch.channels_last).train()
    seconds = train(model, images, targets, args)
    hits = correct(model, *pictures(args.data / "test")[:2], args)
    print(json.dumps({
        "model": args.model, "precision": args.precision, "epochs": args.epochs, "seed": args.seed,
        "test_correct": hits, "train_s": round(seconds, 1), "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
