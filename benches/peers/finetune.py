"""Fine-tunes a published ImageNet network on class folders under PyTorch: the peer of `ocelli finetune`.

    pip install torch torchvision timm safetensors
    python benches/peers/finetune.py --data clothing --model mobilenetv2_100_same \\
        --weights mobilenetv2_100.safetensors --scope head --seed 0
    ... --scope all, and --model squeezenet1_1 --weights squeezenet1_1.safetensors

--data holds train/ and test/, each with one folder per class. The recipe:
    training     random resized crop to 224 (area 35 to 100 %, aspect 3/4 to 4/3, Pillow, bilinear),
                 flip; batches of 32, shuffled, the last incomplete one dropped; two loader processes
    loss         cross-entropy with label smoothing 0.1
    optimizer    SGD, Nesterov momentum 0.9, weight decay 1e-4 on everything that trains
    rate         50 warm-up steps lr * (t + 1) / 50, then half a cosine to zero, changed every step
    head         the classifier is new: weights N(0, 0.01), bias 0; SqueezeNet's dropout of 0.5 is on
    scope head   only the classifier's layer trains, the backbone stays in eval mode
    scope all    everything trains, batch norm in train mode
    evaluation   the last epoch's weights on test/, short side to 256 (bilinear), center crop 224
Epochs and rate default to those below. f32, channels last.

    network                  scope   epochs, lr     test top-1 in one run on 2 cores (372 photos)
    mobilenetv2_100_same     head    5, 0.05        83.9 %
    squeezenet1_1            head    5, 0.01        80.9 %
    mobilenetv2_100_same     all     4, 0.02        87.6 %
    squeezenet1_1            all     4, 0.004       88.7 %

Prints one line of JSON; progress goes to stderr, a line per epoch. train_s and images_per_s are of the
epochs; wall_s adds the evaluation and loading the weights; peak_mb is the peak resident size of the
main process and worker_peak_mb that of the largest loader process (pages they share count in both).
"""

import argparse
import json
import math
import pathlib
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

import models

DEFAULTS = {
    ("mobilenetv2_100_same", "head"): (5, 0.05),
    ("squeezenet1_1", "head"): (5, 0.01),
    ("mobilenetv2_100_same", "all"): (4, 0.02),
    ("squeezenet1_1", "all"): (4, 0.004),
}
BATCH, WARMUP, SMOOTHING = 32, 50, 0.1


def prepare(args, classes):
    """The network with a new head, and the parameters that train."""
    model = models.create(args.model, classes)
    models.load_backbone(model, args.weights)
    _, layer = models.head(model)
    torch.nn.init.normal_(layer.weight, std=0.01)
    torch.nn.init.zeros_(layer.bias)
    model = model.to(memory_format=torch.channels_last)
    if args.scope == "all":
        return model, list(model.parameters())
    model.requires_grad_(False)
    layer.requires_grad_(True)
    return model, list(layer.parameters())


def set_mode(model, scope):
    """Train mode for what trains: all of it, or the head alone."""
    if scope == "all":
        model.train()
    else:
        model.eval()
        models.head(model)[0].train()


def rate(lr, step, steps):
    """Linear warm-up, then half a cosine to zero."""
    if step < WARMUP:
        return lr * (step + 1) / WARMUP
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return 0.5 * lr * (1 + math.cos(math.pi * progress))


def train(model, parameters, loader, args):
    """All epochs; the number of images seen."""
    optimizer = torch.optim.SGD(
        parameters, lr=args.lr, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    step, steps = 0, args.epochs * len(loader)
    for epoch in range(args.epochs):
        set_mode(model, args.scope)
        start, loss_sum, hits = time.perf_counter(), 0.0, 0
        for x, targets in loader:
            optimizer.param_groups[0]["lr"] = rate(args.lr, step, steps)
            logits = model(x.to(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, targets, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            loss_sum += loss.item()
            hits += (logits.argmax(1) == targets).sum().item()
        seconds, seen = time.perf_counter() - start, len(loader) * BATCH
        print(
            f"epoch {epoch + 1}/{args.epochs}  loss {loss_sum / len(loader):.4f}  "
            f"train top-1 {100 * hits / seen:.1f} %  {seen / seconds:.1f} images/s",
            file=sys.stderr,
            flush=True,
        )
    return steps * BATCH


@torch.no_grad()
def evaluate(model, loader):
    """Images and top-1 count."""
    model.eval()
    images, hits = 0, 0
    for x, targets in loader:
        logits = model(x.to(memory_format=torch.channels_last))
        hits += (logits.argmax(1) == targets).sum().item()
        images += len(targets)
    return images, hits


def peak_mb(who):
    return resource.getrusage(who).ru_maxrss // 1024


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--weights", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scope", required=True, choices=["head", "all"])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="loader processes")
    args = parser.parse_args()
    default = DEFAULTS.get((args.model, args.scope))
    if default is None and (args.epochs is None or args.lr is None):
        parser.error(f"no recipe for {args.model}, {args.scope}: give --epochs and --lr")
    if args.epochs is None:
        args.epochs = default[0]
    if args.lr is None:
        args.lr = default[1]
    return args


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    preprocess = models.preprocess(args.model)
    train_set = ImageFolder(args.data / "train", preprocess.training())
    test_set = ImageFolder(args.data / "test", preprocess.evaluation())
    if train_set.classes != test_set.classes:
        sys.exit(f"{args.data}: train/ and test/ do not have the same class folders")
    workers = {"num_workers": args.workers, "persistent_workers": args.workers > 0}
    start = time.perf_counter()
    model, parameters = prepare(args, len(train_set.classes))
    began = time.perf_counter()
    seen = train(
        model, parameters, DataLoader(train_set, BATCH, shuffle=True, drop_last=True, **workers), args
    )
    train_s = time.perf_counter() - began
    images, hits = evaluate(model, DataLoader(test_set, BATCH, num_workers=args.workers))
    print(json.dumps({
        "model": args.model,
        "scope": args.scope,
        "epochs": args.epochs,
        "lr": args.lr,
        "seed": args.seed,
        "threads": args.threads,
        "test_images": images,
        "test_correct": hits,
        "test_top1": round(100 * hits / images, 2),
        "wall_s": round(time.perf_counter() - start, 1),
        "train_s": round(train_s, 1),
        "images_per_s": round(seen / train_s, 1),
        "peak_mb": peak_mb(resource.RUSAGE_SELF),
        "worker_peak_mb": peak_mb(resource.RUSAGE_CHILDREN),
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
