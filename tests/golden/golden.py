"""What the golden-value scripts share: the formula for weights and inputs, and how a file is written.

The formula lets a test rebuild a network's weights and its input from names alone, so that no file
of weights has to be kept. All integers are unsigned 64 bit and wrap around.

    fnv1a(name):       h = 0xcbf29ce484222325
                       for each byte b of name (UTF-8):  h = (h ^ b) * 0x100000001b3
    splitmix64(x):     z = x + 0x9e3779b97f4a7c15
                       z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
                       z = (z ^ (z >> 27)) * 0x94d049bb133111eb
                       return z ^ (z >> 31)
    unit(name, i):     (splitmix64(fnv1a(name) + i) >> 11) * 2^-53          a double in [0, 1)
    signed(name, i):   2 * unit(name, i) - 1                                a double in [-1, 1)

`i` counts elements in row-major order: OIHW for a convolution's weight, OI for a linear layer's,
NHWC for an input. Everything is computed in f64 and rounded to f32 once, at the end.

Check values: fnv1a("input") = 0x1ebbae8f5810b65b, splitmix64(0) = 0xe220a8397b1dcdaf,
signed("input", 0) = -0.80436331468492361.
"""

import json
import math
import platform

import numpy as np

GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def fnv1a(name):
    """The 64-bit FNV-1a hash of a name's UTF-8 bytes."""
    h = 0xCBF29CE484222325
    for byte in name.encode("utf-8"):
        h = ((h ^ byte) * 0x100000001B3) & (2**64 - 1)
    return h


def splitmix64(x):
    """One SplitMix64 output for each state in the uint64 array `x`."""
    z = x + np.uint64(GOLDEN_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(name, shape):
    """Doubles in [0, 1), one for each element of a row-major array of that shape."""
    index = np.arange(math.prod(shape), dtype=np.uint64)
    with np.errstate(over="ignore"):
        bits = splitmix64(np.uint64(fnv1a(name)) + index)
    return ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def signed(name, shape):
    """Doubles in [-1, 1), one for each element of a row-major array of that shape."""
    return 2.0 * unit(name, shape) - 1.0


def write_json(path, data):
    """Writes `data` with one line for each entry two levels down, so that a diff stays readable."""

    def block(value, depth):
        if depth == 0 or not isinstance(value, (dict, list)) or not value:
            return json.dumps(value, allow_nan=False)
        pad = " " * (3 - depth)
        if isinstance(value, dict):
            inside = [f"{pad}{json.dumps(k)}: {block(v, depth - 1)}" for k, v in value.items()]
            return "{\n" + ",\n".join(inside) + "\n" + pad[1:] + "}"
        inside = [pad + block(v, depth - 1) for v in value]
        return "[\n" + ",\n".join(inside) + "\n" + pad[1:] + "]"

    with open(path, "w", encoding="utf-8") as file:
        file.write(block(data, 2) + "\n")


def update_json(path, entries):
    """Replaces the given top-level entries of a file that several scripts write."""
    data = {}
    if path.exists():
        data = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**data, **entries})


def versions(*modules):
    """The versions of Python and of the given modules, to be kept beside the values they made."""
    found = {"python": platform.python_version()}
    found.update({module.__name__: module.__version__ for module in modules})
    return found

