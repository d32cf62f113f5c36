"""Images per second of training and of inference under PyTorch, on synthetic data.

    pip install torch torchvision timm safetensors
    python benches/peers/train_speed.py --model resnet18 --batch-size 32 --threads 2

f32, or bf16 by autocast, channels last, the same random batch again and again, so that no loader takes
part. A training step is forward, cross-entropy, backward, and SGD with Nesterov momentum; inference runs
under inference_mode and is not compiled. --warmup steps are run first and not counted. Prints one JSON line; the rates are
those of the median step; train_mb is the process's peak resident size when training has ended, less what it was
before there was a model.
Run it in turn with `ocelli bench` on a quiet machine: only the ratio of the two means something.
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F

import models


def rate(step, batch, warmup, steps):
    """Images per second of the median of `steps` calls."""
    seconds = []
    for index in range(warmup + steps):
        start = time.perf_counter()
        step()
        if index >= warmup:
            seconds.append(time.perf_counter() - start)
    return round(batch / statistics.median(seconds), 2)


def peak_mb():
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--layout", default="channels_last", choices=["channels_last", "contiguous"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    idle = peak_mb()
    layout = torch.channels_last if args.layout == "channels_last" else torch.contiguous_format
    size = args.image_size or models.preprocess(args.model).crop
    model = models.create(args.model).to(memory_format=layout)
    x = torch.randn(args.batch_size, 3, size, size).to(memory_format=layout)
    targets = torch.arange(args.batch_size) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    mixed = torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16")

    def train():
        optimizer.zero_grad()
        with mixed:
            loss = F.cross_entropy(model(x), targets)
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def infer():
        with mixed:
            model(x)

    model.train()
    trained = rate(train, args.batch_size, args.warmup, args.steps)
    train_mb = peak_mb() - idle
    model.eval()
    inferred = rate(infer, args.batch_size, args.warmup, args.steps)
    print(json.dumps({
        "model": args.model,
        "image_size": size,
        "batch_size": args.batch_size,
        "threads": args.threads,
        "precision": args.precision,
        "layout": args.layout,
        "train_images_per_s": trained,
        "infer_images_per_s": inferred,
        "train_mb": round(train_mb),
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
