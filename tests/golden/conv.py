"""Makes conv.json of ocelli-kernels: convolutions and their gradients by PyTorch, in f64.

    pip install torch
    python tests/golden/conv.py        # rewrites crates/ocelli-kernels/tests/golden/conv.json

Tensors hold value(i), and results stand, in PyTorch's order (NCHW, OIHW).
"""

import json
import pathlib

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parents[2] / "crates/ocelli-kernels/tests/golden/conv.json"

CASES = {
    # name: (n, c, h, w, o, kernel, stride, padding [top, bottom, left, right], dilation, groups)
    "dense": (2, 3, 5, 4, 4, [3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 1),
    "strided, padded after the image": (1, 4, 7, 6, 5, [3, 2], [2, 2], [0, 1, 0, 1], [1, 1], 1),
    "dilated": (1, 2, 6, 9, 3, [2, 3], [1, 2], [2, 0, 1, 3], [3, 2], 1),
    "grouped": (1, 6, 4, 5, 4, [3, 1], [1, 1], [1, 1, 0, 0], [1, 1], 2),
    "depthwise": (1, 4, 7, 5, 4, [3, 3], [2, 1], [1, 1, 1, 1], [1, 1], 4),
    "depthwise with two outputs per channel": (1, 3, 4, 4, 6, [3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 3),
    "linear": (3, 7, 1, 1, 5, [1, 1], [1, 1], [0, 0, 0, 0], [1, 1], 1),
}


def values(shape, seed):
    """Numbers in [-1, 1) that another language can make as exactly."""
    count = torch.Size(shape).numel()
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 7919 + seed * 1013) % 2048).double() / 1024 - 1).reshape(shape)


def case(name, n, c, h, w, o, kernel, stride, padding, dilation, groups):
    x = values([n, c, h, w], 1).requires_grad_()
    weight = values([o, c // groups, *kernel], 2).requires_grad_()
    bias = values([o], 3).requires_grad_()
    top, bottom, left, right = padding
    padded = F.pad(x, [left, right, top, bottom])
    y = F.conv2d(padded, weight, bias, stride=stride, dilation=dilation, groups=groups)
    y.backward(values(y.shape, 4))
    shape = dict(n=n, c=c, h=h, w=w, o=o, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    results = dict(y=y, dx=x.grad, dw=weight.grad, db=bias.grad)
    digits = {k: [float(f"{v:.8g}") for v in t.flatten().tolist()] for k, t in results.items()}
    return dict(name=name, **shape, groups=groups, **digits)


torch.set_num_threads(1)
lines = [json.dumps(case(name, *sizes)) for name, sizes in CASES.items()]
OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
