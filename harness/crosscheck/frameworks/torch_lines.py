"""PyTorch's ways of writing units with kinks and selections, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.selections import selection_lines_of
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
    selections=selection_lines_of("torch"),
    of_units=frozenset({"compile"}),  # it would take another ten minutes
    of_windows={
        "vmap": """\
def measure(z):
    def one(window):
        return f(window[None])[0]
    return torch.func.vmap(one)(z), torch.func.vmap(torch.func.grad(one))(z)""",
        "forward": """\
def measure(z):
    each = [one.expand_as(z) for one in torch.eye(z.shape[1], dtype=z.dtype)]
    slopes = [torch.func.jvp(f, (z,), (one.clone(),))[1] for one in each]
    return f(z), torch.stack(slopes, 1)""",
    },
)
