"""PyTorch's ways of writing units with kinks, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING

__all__ = ["LINES"]

_PAIR = "torch.stack([z, torch.zeros_like(z)]"
_REVERSE = """\
def measure(z):
    z.requires_grad_()
    value = f(z)
    (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
    return value, slope"""

LINES = Pointwise(
    setup="import torch\nfrom torch.nn import functional as F",
    units={
        "relu": {
            "relu": "torch.relu(z)",
            "clamp": "torch.clamp(z, min=0)",
            "clamp_min": "torch.clamp_min(z, 0)",
            "maximum": "torch.maximum(z, torch.zeros_like(z))",
            "maximum_swapped": "torch.maximum(torch.zeros_like(z), z)",
            "where": "torch.where(z > 0, z, 0)",
            "where_ge": "torch.where(z >= 0, z, 0)",
            "threshold": "F.threshold(z, 0, 0)",
            "abs": "(z + torch.abs(z)) / 2",
            "mask": "z * (z > 0)",
            "leaky_relu": "F.leaky_relu(z, 0.0)",
            "prelu": "F.prelu(z, torch.zeros(1, dtype=z.dtype))",
            "amax": f"{_PAIR}).amax(0)",
            "max": f"{_PAIR}).max(0).values",
            "max_pool": f"F.max_pool1d({_PAIR}, -1).reshape(1, -1, 2), 2).reshape(z.shape)",
        },
        "abs": {"abs": "torch.abs(z)", "maximum": "torch.maximum(z, -z)"},
        "relu6": {"relu6": "F.relu6(z)", "clamp": "torch.clamp(z, 0, 6)"},
        "hardtanh": {"hardtanh": "F.hardtanh(z)", "clamp": "torch.clamp(z, -1, 1)"},
        "hard_sigmoid": {"hardsigmoid": "F.hardsigmoid(z)"},
        "hardswish": {"hardswish": "F.hardswish(z)"},
        "softshrink": {"softshrink": "F.softshrink(z)"},
        "max_pool": {
            "max_pool": "F.max_pool1d(torch.stack([z, torch.ones_like(z)], -1)"
            ".reshape(1, -1, 2), 2).reshape(z.shape)",
            "max_pool_last": "F.max_pool1d(torch.stack([torch.ones_like(z), z], -1)"
            ".reshape(1, -1, 2), 2).reshape(z.shape)",
        },
    },
    modes={
        "eager": _REVERSE,
        "func": """\
def measure(z):
    return f(z), torch.func.grad(lambda z: f(z).sum())(z)""",
        "vmap": """\
def measure(z):
    return torch.func.vmap(f)(z), torch.func.vmap(torch.func.grad(f))(z)""",
        "forward": """\
def measure(z):
    return torch.func.jvp(f, (z,), (torch.ones_like(z),))""",
        "compile": f"f = torch.compile(f)\n\n\n{_REVERSE}",
    },
    make={dtype: f"torch.tensor(points, dtype=torch.{dtype})" for dtype in WORKING},
    home="array.tolist()",
    slow=frozenset({"compile"}),
)
