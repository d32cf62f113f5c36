"""Makes ops.json of ocelli-kernels: activations, batch norm, pooling and cross-entropy under PyTorch.

    pip install torch
    python tests/golden/ops.py        # rewrites crates/ocelli-kernels/tests/golden/ops.json

Inputs are multiples of 1/64, so f32 holds them exactly; results were computed in f64. Tensors are
flat lists in channels-last order. Every gradient is that of sum(y * dy).
"""

import json
import pathlib

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parents[2] / "crates/ocelli-kernels/tests/golden/ops.json"


def draw(*shape, low=-2.0, high=2.0):
    """Random multiples of 1/64."""
    return ((torch.rand(shape, dtype=torch.float64) * (high - low) + low) * 64).round() / 64


def flat(tensor):
    """A tensor, images as NHWC, in nine digits."""
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 2, 3, 1)
    return [float(f"{v:.9g}") for v in tensor.detach().flatten().tolist()]


def leaf(tensor):
    return tensor.clone().requires_grad_()


def activations():
    functions = {
        "Relu": F.relu, "Relu6": F.relu6, "Sigmoid": torch.sigmoid, "Silu": F.silu,
        "HardSigmoid": F.hardsigmoid, "HardSwish": F.hardswish, "Gelu": F.gelu,
    }
    x = torch.cat([draw(40, low=-9, high=9), torch.tensor([-3.0, 0.0, 3.0, 6.0, -40.0, 40.0])]).double()
    cases = []
    for name, function in functions.items():
        at = leaf(x)
        y = function(at)
        y.sum().backward()
        cases.append({"act": name, "x": flat(x), "y": flat(y), "dx": flat(at.grad)})
    return cases


def norms():
    cases = []
    for size, act, residual, train in [
        ((2, 3, 3, 2), "Identity", False, True), ((3, 5, 2, 4), "Relu", True, True),
        ((2, 17, 3, 1), "Relu6", True, True), ((1, 1, 1, 3), "Relu", False, True),
        ((3, 5, 2, 4), "Relu", True, False), ((2, 17, 3, 1), "Relu6", False, False),
    ]:
        channels = size[1]
        x, dy = leaf(draw(*size)), draw(*size)
        gamma, beta = leaf(draw(channels, low=0.5, high=3)), leaf(draw(channels))
        mean, var = draw(channels), draw(channels, low=0.5, high=2)
        added = leaf(draw(*size)) if residual else None
        z = F.batch_norm(x, mean.clone(), var.clone(), gamma, beta, training=train, eps=1e-5)
        z = z + added if residual else z
        y = {"Identity": lambda v: v, "Relu": F.relu, "Relu6": F.relu6}[act](z)
        (y * dy).sum().backward()
        batch = x.detach().transpose(0, 1).flatten(1)
        cases.append({
            "act": act, "train": train, "x": flat(x), "gamma": flat(gamma), "beta": flat(beta),
            "mean": flat(batch.mean(1) if train else mean),
            "var": flat(batch.var(1, unbiased=False) if train else var),
            "residual": flat(added) if residual else None, "dy": flat(dy), "y": flat(y),
            "dx": flat(x.grad), "dgamma": flat(gamma.grad), "dbeta": flat(beta.grad),
            "dresidual": flat(added.grad) if residual else None,
        })
    return cases


def pools():
    cases = []
    for size, kernel, stride, padding, ceil in [
        ((2, 3, 6, 5), (3, 3), (2, 2), (1, 1), False), ((1, 17, 5, 6), (3, 2), (2, 3), (0, 0), True),
        ((1, 1, 7, 7), (3, 3), (2, 2), (0, 0), True), ((1, 2, 6, 6), (3, 3), (2, 2), (1, 1), True),
        ((1, 3, 1, 1), (1, 1), (1, 1), (0, 0), False), ((1, 2, 2, 3), (4, 4), (2, 1), (2, 2), False),
        ((1, 1, 3, 2), (2, 2), (3, 3), (1, 1), True), ((1, 1, 2, 2), (3, 3), (2, 2), (0, 0), True),
    ]:
        x = draw(*size)
        for kind in ["max", "padded", "valid"]:
            at = leaf(x)
            if kind == "max":
                y = F.max_pool2d(at, kernel, stride, padding, ceil_mode=ceil)
            else:
                y = F.avg_pool2d(at, kernel, stride, padding, ceil, count_include_pad=kind == "padded")
            dy = draw(*y.shape)
            (y * dy).sum().backward()
            cases.append({
                "kind": kind, "size": [size[0], size[2], size[3], size[1]], "kernel": kernel, "stride": stride,
                "padding": padding, "ceil": ceil, "output": list(y.shape[2:]), "x": flat(x), "dy": flat(dy),
                "y": flat(y), "dx": flat(at.grad),
            })
    return cases


def losses():
    cases = []
    for rows, classes in [(1, 2), (4, 5), (6, 19)]:
        z, labels = draw(rows, classes, low=-6, high=6), torch.randint(classes, (rows,))
        soft = (torch.rand(rows, classes, dtype=torch.float64) * 64).round() / 64
        for smoothing in [0.0, 0.125]:
            for weights in [None, draw(classes, low=0.25, high=2)]:
                for target in [labels, soft]:
                    at = leaf(z)
                    loss = F.cross_entropy(at, target, weights, label_smoothing=smoothing)
                    loss.backward()
                    cases.append({
                        "classes": classes, "z": flat(z), "smoothing": smoothing,
                        "labels": labels.tolist() if target is labels else None,
                        "soft": flat(soft) if target is soft else None,
                        "weights": flat(weights) if weights is not None else None,
                        "loss": loss.item(), "grad": flat(at.grad),
                    })
    return cases


def main():
    torch.set_num_threads(1)
    torch.manual_seed(7)
    parts = {"activations": activations(), "norms": norms(), "pools": pools(), "losses": losses()}
    lines = []
    for name, cases in parts.items():
        body = ",\n".join("  " + json.dumps(case, separators=(",", ":")) for case in cases)
        lines.append(f'"{name}": [\n{body}\n]')
    made = f"tests/golden/ops.py, torch {torch.__version__.split('+')[0]}"
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(f'{{"made_by": "{made}",\n' + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
