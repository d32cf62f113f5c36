"""Makes the "schedules" of train.json: the learning rate of every step under each schedule.

    pip install torch
    python tests/golden/schedules.py           # rewrites its part of train.json beside this script

Step t counts optimizer steps from 0; `lr` is the peak rate; T the number of all steps.

    constant    lr
    step        lr * gamma^floor(t / step_size)                                  torch's StepLR
    cosine      t < W:   lr * (t + 1) / W                                        linear warm-up
                else:    0.5 * lr * (1 + cos(pi * (t - W) / (T - W)))            to zero at t = T
    one_cycle   a half cosine from lr / div_factor at t = 0 to lr at t = P, P = pct_start * T - 1
                (not rounded), and one from there to lr / div_factor / final_div_factor at
                t = T - 1                                                        torch's OneCycleLR

StepLR and OneCycleLR are PyTorch's own values; the cosine is the formula above, which is checked here
against CosineAnnealingLR after its warm-up.
"""

import argparse
import math
import pathlib

import torch

import golden

HERE = pathlib.Path(__file__).parent


def torch_rates(lr, steps, make):
    """The rates that a scheduler of PyTorch sets for the first `steps` steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def constant(lr, steps):
    return [lr] * steps


def step(lr, steps, step_size, gamma):
    return torch_rates(lr, steps, lambda o: torch.optim.lr_scheduler.StepLR(o, step_size, gamma))


def cosine(lr, steps, warmup):
    rates = []
    for t in range(steps):
        if t < warmup:
            rates.append(lr * (t + 1) / warmup)
        else:
            progress = (t - warmup) / (steps - warmup)
            rates.append(0.5 * lr * (1 + math.cos(math.pi * progress)))
    rest = steps - warmup
    theirs = torch_rates(lr, rest, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, rest))
    assert all(abs(a - b) < 1e-12 for a, b in zip(rates[warmup:], theirs, strict=True))
    return rates


def one_cycle(lr, steps, pct_start, div_factor, final_div_factor):
    def make(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=lr,
            total_steps=steps,
            pct_start=pct_start,
            anneal_strategy="cos",
            cycle_momentum=False,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
        )

    return torch_rates(lr, steps, make)


CYCLE = {"lr": 0.1, "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4}
CASES = {
    "constant": (constant, {"lr": 0.1, "steps": 5}),
    "step": (step, {"lr": 0.1, "steps": 12, "step_size": 5, "gamma": 0.1}),
    "cosine": (cosine, {"lr": 0.05, "steps": 20, "warmup": 0}),
    "cosine_warmup": (cosine, {"lr": 0.05, "steps": 20, "warmup": 5}),
    "one_cycle": (one_cycle, {**CYCLE, "steps": 20}),
    "one_cycle_peak_between_steps": (one_cycle, {**CYCLE, "steps": 25}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "train.json")
    args = parser.parse_args()
    cases = {n: {**config, "rates": make(**config)} for n, (make, config) in CASES.items()}
    golden.update_json(args.out, {"versions": golden.versions(torch), "schedules": cases})


if __name__ == "__main__":
    main()
