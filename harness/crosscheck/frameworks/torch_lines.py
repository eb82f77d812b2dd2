"""PyTorch's ways of writing units with kinks, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.units import lines_of

__all__ = ["LINES"]

_REVERSE = """\
def measure(z):
    z.requires_grad_()
    value = f(z)
    (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
    return value, slope"""

LINES = Pointwise(
    setup="import torch\nfrom torch.nn import functional as F",
    units=lines_of("torch"),
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
