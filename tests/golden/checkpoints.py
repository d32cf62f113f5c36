"""Makes tiny checkpoints in both formats of torch.save, and what torch.load finds in them.

    pip install torch
    python tests/golden/checkpoints.py   # writes crates/ocelli-models/tests/golden/pickle/

The files are made here and hold nothing but small counting numbers; they exist to be read and, by the
tests, to be damaged. expected.json has for each file the tensors of its state dict after prefixes are
removed, in order: name, dtype, shape and the values as doubles.
"""

import argparse
import collections
import datetime
import json
import pathlib

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "crates/ocelli-models/tests/golden/pickle"


def count(*shape, dtype=torch.float32):
    """Halves counted up from -2: exact in every dtype here."""
    n = torch.Size(shape).numel()
    values = torch.arange(n, dtype=torch.float64) * 0.5 - 2
    return values.reshape(shape).to(dtype)


def plain():
    return collections.OrderedDict([("fc.weight", count(2, 3)), ("fc.bias", count(2))])


def dtypes():
    kinds = ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
    return {kind: (count(4) + 2).to(getattr(torch, kind)) for kind in kinds}


def views():
    base = count(3, 4)
    return {
        "base": base,
        "transposed": base.t(),
        "column": base[:, 1],
        "rows": base[1:],
        "channels_last": count(1, 2, 2, 2).to(memory_format=torch.channels_last),
        "expanded": base[0, :2].expand(2, 2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
    }


def parameters():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(count(*p.shape) + i)
    state = {name: p for name, p in net.named_parameters()}
    state["1.num_batches_tracked"] = net[1].num_batches_tracked
    return state


def state_with_metadata():
    """Module.state_dict() carries an attribute, _metadata, that the pickle sets with BUILD."""
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(count(1, 2))
        net.bias.copy_(count(1))
    return net.state_dict()


def training():
    """What a training script leaves: DataParallel's prefix, an optimizer, arguments, times, numbers."""
    weights = {"module." + name: value for name, value in plain().items()}
    return {
        "epoch": 3,
        "arch": "tiny",
        "best_acc1": torch.tensor(71.25),
        "args": argparse.Namespace(lr=0.1, layers=[1, 2], out=pathlib.PurePosixPath("runs/1")),
        "when": datetime.datetime(2020, 1, 2, 3, 4, 5),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "log": collections.defaultdict(list, {"loss": [1.0, None, True, -7, 2**40]}),
        "state_dict": collections.OrderedDict(weights),
        "optimizer": {"state": {0: {"momentum_buffer": count(2, 3)}}, "param_groups": [{"lr": 0.1}]},
        "state_dict_ema": {"module." + name: value + 1 for name, value in plain().items()},
    }


CASES = {
    "plain": (plain, plain),
    "dtypes": (dtypes, dtypes),
    "views": (views, views),
    "parameters": (parameters, parameters),
    "metadata": (state_with_metadata, state_with_metadata),
    "training": (training, plain),
}


def describe(state):
    return [
        [name, str(t.dtype).removeprefix("torch."), list(t.shape), t.detach().double().flatten().tolist()]
        for name, t in state.items()
    ]


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for case, (make, state) in CASES.items():
        for form, zipped in (("zip", True), ("legacy", False)):
            torch.save(make(), FOLDER / f"{case}.{form}.pth", _use_new_zipfile_serialization=zipped)
            expected[f"{case}.{form}.pth"] = describe(state())
    for protocol in (1, 3, 4, 5):  # torch.load cannot read its own protocol 0
        name = f"protocol{protocol}.legacy.pth"
        torch.save(plain(), FOLDER / name, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        expected[name] = describe(plain())
    lines = [f" {json.dumps(name)}: {json.dumps(rows)}" for name, rows in expected.items()]
    (FOLDER / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
