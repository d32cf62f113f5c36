"""Makes the "optimizers" and "clipping" of train.json: parameters after every step, under PyTorch.

    pip install torch
    python tests/golden/optimizers.py          # rewrites its part of train.json beside this script

One parameter of 5 elements and 10 gradients, the same for every case; all are multiples of 1/64, so
f32 holds them exactly. Everything was computed in f64. With g the gradient, w the parameter, t from 1:

    sgd     g += weight_decay * w;  b = momentum * b + g (b = g at t = 1);
            w -= lr * (g + momentum * b if nesterov else b)
    adam    g += weight_decay * w;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
            w -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    adamw   w -= lr * weight_decay * w first, and the gradient as it is

"lr" is one rate, or a list with the rate of each step: momentum buffers hold gradients, not steps, so
a changed rate acts at once. "clipping" has gradients of two tensors, their joint norm, and what
torch.nn.utils.clip_grad_norm_ makes of them: times min(1, max_norm / (norm + 1e-6)).
"""

import argparse
import pathlib

import torch

import golden

HERE = pathlib.Path(__file__).parent
STEPS, SIZE = 10, 5


def multiples(name, shape):
    """Numbers in [-1, 1] that are multiples of 1/64, from the formula of golden.py."""
    return torch.from_numpy((golden.signed(name, shape) * 64).round() / 64)


SGD = {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
ADAM = {"kind": "adam", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
CASES = {
    "sgd": {**SGD, "momentum": 0.0},
    "sgd_momentum": SGD,
    "sgd_momentum_decay": {**SGD, "weight_decay": 1e-2},
    "sgd_nesterov": {**SGD, "nesterov": True},
    "sgd_nesterov_decay": {**SGD, "nesterov": True, "weight_decay": 1e-2},
    "sgd_nesterov_changing_lr": {
        **SGD,
        "nesterov": True,
        "weight_decay": 1e-2,
        "lr": [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.2, 0.2, 0.01, 0.0],
    },
    "adam": ADAM,
    "adam_decay": {**ADAM, "weight_decay": 1e-2},
    "adamw_decay": {**ADAM, "kind": "adamw", "weight_decay": 1e-2},
    "adamw_betas_eps": {
        **ADAM,
        "kind": "adamw",
        "weight_decay": 0.05,
        "betas": [0.8, 0.95],
        "eps": 1e-3,
    },
}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def steps(config, start, gradients):
    """The parameter after each step."""
    options = dict(config)
    make = OPTIMIZERS[options.pop("kind")]
    rates = options.pop("lr")
    rates = rates if isinstance(rates, list) else [rates] * STEPS
    weight = start.clone().requires_grad_()
    optimizer = make([weight], lr=rates[0], **options)
    after = []
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = gradient.clone()
        optimizer.step()
        after.append(weight.tolist())
    return after


def clipped(scale, max_norm):
    """One example of clipping by the joint norm of two tensors."""
    tensors = [multiples(f"clip{i}", (n,)) * scale for i, n in enumerate((3, 4))]
    parameters = [torch.zeros_like(t).requires_grad_() for t in tensors]
    for parameter, gradient in zip(parameters, tensors, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return {
        "max_norm": max_norm,
        "gradients": [t.tolist() for t in tensors],
        "norm": norm.item(),
        "clipped": [p.grad.tolist() for p in parameters],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "train.json")
    args = parser.parse_args()
    start, gradients = multiples("parameter", (SIZE,)), multiples("gradient", (STEPS, SIZE))
    optimizers = {"start": start.tolist(), "gradients": gradients.tolist()}
    for name, config in CASES.items():
        optimizers[name] = {**config, "after": steps(config, start, gradients)}
    clipping = {
        "above": clipped(4.0, 1.0),
        "below": clipped(0.25, 1.0),
        "zero": clipped(0.0, 1.0),
    }
    entries = {"optimizers": optimizers, "clipping": clipping}
    golden.update_json(args.out, {"versions": golden.versions(torch), **entries})


if __name__ == "__main__":
    main()
