"""Functions and modules of PyTorch, as users write them: traced, with its values and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck import compare_functions
from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.torch_.trace import trace_torch
from crosscheck.frontends.traced import TracedFunction
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LEFT_OUT
from crosscheck.run.functions.checking import compare_spec
from crosscheck.run.functions.judged import FunctionJudge
from crosscheck.run.functions.partnered import loaded, specs_in
from crosscheck.tools.errors import UnsupportedError, UsageError
from crosscheck.tools.words import place_of

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {}


def numbers(*shape: int) -> Any:
    """Numbers that are none of the breakpoints below, and no two of them equal."""
    count = int(np.prod(shape))
    return (np.random.default_rng(count).permutation(count) - count / 2 + 0.3).reshape(shape) / 4


def function(**arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def kept(write: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[write.__name__] = write, arguments
        return write

    return kept


X = numbers(3, 4)
W = numbers(4, 5)
IMAGE = numbers(2, 4, 5, 5) / 8
IDS = np.array([0, 2, 2])


@function(x=X, w1=W, b1=numbers(5), w2=numbers(5, 2))
def mlp(x: Any, w1: Any, b1: Any, w2: Any) -> Any:
    return torch.relu(x @ w1 + b1) @ w2


@function(params={"first": {"w": W, "b": numbers(5)}, "second": [numbers(5, 2)]}, x=X)
def mlp_of_a_tree(params: Any, x: Any) -> Any:
    h = torch.tanh(F.linear(x, params["first"]["w"].T, params["first"]["b"]))
    return ((h @ params["second"][0]) ** 2).mean()


@function(x=IMAGE, k=numbers(6, 2, 3, 3), b=numbers(6))
def grouped_convolution(x: Any, k: Any, b: Any) -> Any:
    y = F.conv2d(x, k, b, stride=(2, 1), padding=1, dilation=(1, 2), groups=2)
    return F.max_pool2d(F.relu(y), 2, ceil_mode=True)


@function(x=IMAGE[:, :, :3, :3], k=numbers(4, 3, 3, 2), b=numbers(6))
def transposed_convolution(x: Any, k: Any, b: Any) -> Any:
    return F.conv_transpose2d(x, k, b, stride=2, padding=1, output_padding=1, groups=2)


@function(x=IMAGE)
def pools(x: Any) -> Any:
    return (
        F.avg_pool2d(x, 2, 2, padding=1, ceil_mode=True), F.adaptive_avg_pool2d(x, (2, 3)),
        F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False), F.max_pool2d(x, 3, 2, 1, 2),
        F.adaptive_max_pool2d(x, 2), F.lp_pool2d(x, 2, 2), F.max_pool1d(x[0], 2),
    )  # fmt: skip


@function(x=IMAGE)
def enlarged(x: Any) -> Any:
    y = F.interpolate(x, scale_factor=2, mode="nearest")
    return F.pixel_unshuffle(y, 2), F.pad(x, (1, 2), value=0.5), F.pad(x, (1, 1, 0, 2), "reflect")


@function(x=X, w=numbers(4), b=numbers(4))
def norms(x: Any, w: Any, b: Any) -> Any:
    return (
        F.layer_norm(x, (4,), w, b), F.rms_norm(x, (4,), w), F.group_norm(x, 2, w, b),
        F.batch_norm(x, None, None, w, b, training=True), F.normalize(x, dim=1), x.std(0),
    )  # fmt: skip


@function(x=IMAGE)
def instance_norm(x: Any) -> Any:
    return F.instance_norm(x)


@function(q=numbers(1, 2, 3, 4) / 2, k=numbers(1, 2, 3, 4) / 3, v=numbers(1, 2, 3, 4) + 1)
def attention(q: Any, k: Any, v: Any) -> Any:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@function(x=numbers(2, 3, 4), wq=numbers(4, 4), wk=numbers(4, 4) / 3, wv=numbers(4, 4))
def attention_by_hand(x: Any, wq: Any, wk: Any, wv: Any) -> Any:
    q, k, v = ((x @ w).view(2, 3, 2, -1).transpose(1, 2) for w in (wq, wk, wv))
    scores = q @ k.transpose(-2, -1) / 2**0.5
    mask = torch.tril(torch.ones(3, 3)).bool()
    shares = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return (shares @ v).transpose(1, 2).reshape(2, 3, -1)


@function(table=numbers(4, 3), w=numbers(3, 5), ids=IDS, y=np.array([4, 0, -100]))
def embedding_and_cross_entropy(table: Any, w: Any, ids: Any, y: Any) -> Any:
    h = F.embedding(ids, table, padding_idx=0)
    return F.cross_entropy(h @ w, y), F.cross_entropy(h @ w, y, label_smoothing=0.25)


@function(z=X, p=1 / (1 + np.exp(-X)), y=np.abs(X) / 2)
def losses(z: Any, p: Any, y: Any) -> Any:
    return (
        F.mse_loss(z, y), F.l1_loss(z, y), F.huber_loss(z, y, delta=0.5),
        F.smooth_l1_loss(z, y, reduction="sum"), F.binary_cross_entropy(p, y),
        F.binary_cross_entropy_with_logits(z, y, reduction="none"), F.cosine_similarity(z, y),
        F.kl_div(z, p, reduction="batchmean"), F.nll_loss(z, torch.tensor(IDS)),
    )  # fmt: skip


@function(x=X * 3)
def activations_with_kinks(x: Any) -> Any:
    return (
        F.relu6(x), F.leaky_relu(x, 0.2), F.elu(x), F.hardtanh(x), F.relu(x), x.clamp(-1, 2),
        F.threshold(x, 0.1, 0.1), F.softshrink(x), F.prelu(x, torch.tensor([0.25])), x.abs(),
        x * (x > 0), torch.where(x > 1, x - 1, torch.where(x < -1, x + 1, 0.0)), F.celu(x, 2.0),
        torch.max(x, x.flip(0)), F.selu(x), F.tanhshrink(x), torch.maximum(x, x.T.reshape(3, 4)),
    )  # fmt: skip


@function(x=X)
def smooth_activations(x: Any) -> Any:
    return (
        F.gelu(x), F.gelu(x, approximate="tanh"), F.silu(x), F.softplus(x), F.sigmoid(x), F.mish(x),
        F.logsigmoid(x), F.glu(x), F.softsign(x), F.log_softmax(x, 0), torch.logsumexp(x, (0, 1)),
    )  # fmt: skip


class ScaledSine(torch.autograd.Function):  # type: ignore[misc, name-defined]
    @staticmethod
    def forward(ctx: Any, x: Any, scale: float) -> Any:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return torch.sin(x) * scale

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return torch.cos(x) * ctx.scale * g, None


class Cubed(torch.autograd.Function):  # type: ignore[misc, name-defined]
    @staticmethod
    def forward(x: Any) -> Any:
        y = torch.empty_like(x)
        torch.mul(x, x, out=y)
        return y.mul_(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 3 * ctx.saved_tensors[0] ** 2 * g


scaled_sine = ScaledSine.apply


@function(x=X)
def functions_with_derivatives_of_their_own(x: Any) -> Any:
    return scaled_sine(x, 2.0) * Cubed.apply(x.detach()) + Cubed.apply(x)


@function(x=X, w=W)
def written_in_place(x: Any, w: Any) -> Any:
    h = torch.zeros(3, 5)
    for i in range(5):
        h[:, i] = (x * w[:, i]).sum(1)
    h[0] += 1
    top = h.view(5, 3)[1:3]
    top.mul_(2).clamp_(min=-1)
    h[IDS[:2]] -= 0.5
    top = F.relu_(top + 1)
    return h, top.T


@function(a=numbers(2, 3), b=numbers(3, 4), c=numbers(2, 4))
def einsums(a: Any, b: Any, c: Any) -> Any:
    return (
        torch.einsum("ij,jk,ik->", a, b, c),
        torch.einsum("ij,jk->kij", a, b),
        torch.outer(a[0], b[0]),
    )


@function(x=X, y=numbers(2, 4))
def rearranged(x: Any, y: Any) -> Any:
    z = torch.cat([x.flip(0)[:, 1:], y.roll(1, 1)[:, :3]])
    a, b = torch.stack([z, z.tile(1, 1)]).unfold(1, 2, 3).chunk(2, dim=1)
    return (
        a,
        b,
        z.unsqueeze(0).expand(2, -1, -1).diagonal(dim1=1, dim2=2),
        x.as_strided((2, 2), (4, 1)),
    )


@function(x=X, v=numbers(2, 4), ids=np.array([1, 1]))
def scattered_to(x: Any, v: Any, ids: Any) -> Any:
    once = x.clone()
    once[ids[0]] = v[0]
    return (
        x.index_add(0, ids, v), once, torch.zeros(3, 4).index_put((ids,), v, accumulate=True),
        torch.zeros(3, 4).scatter_add(0, ids[:, None].expand(2, 4), v), x.gather(1, ids[None]),
    )  # fmt: skip


@function(x=X)
def sorted_and_summed_up(x: Any) -> Any:
    values, _ = x.topk(2, dim=1)
    largest, where = x.max(dim=1)
    return (
        x.sort(dim=0, descending=True).values, values, x.cumsum(1), x[:, :2].prod(), x.amin(0),
        largest, x[torch.arange(3), where], x.min(), x.median(), torch.linalg.norm(x, dim=1),
    )  # fmt: skip


@function(x=X)
def held_constant(x: Any) -> Any:
    e = torch.exp(x - x.detach().max(-1, keepdim=True).values)
    with torch.no_grad():
        scale = x.sum()
    return e / e.sum(-1, keepdim=True) * scale + x.data * x


@function(x=X)
def powers(x: Any) -> Any:
    size = x.abs() + 1.0
    return size**2.5, size.sqrt(), x**3, 1 / size, size.rsqrt(), size.log1p(), x.square().sum()


@function(x=X)
def mapped(x: Any) -> Any:
    return torch.vmap(lambda row: torch.tanh(row) * row.sum())(x)


class Net(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(12, 2)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.norm(self.conv(x)), inplace=True), 2)
        return self.head(x.flatten(1))


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.norm, self.gate = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

    def forward(self, x: Any) -> Any:
        y = F.relu(self.norm(self.first(x)), inplace=True)
        y = self.second(y) * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(y, 1)))
        y += x
        return F.relu(y)


def seeded(make: Callable[[], Any]) -> Any:
    torch.manual_seed(3)
    return make()


def encoder() -> Any:
    return nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)


MODULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "net": (seeded(Net), {"x": IMAGE}),
    "sequential in evaluation": (
        seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout()).eval()),
        {"input": X},
    ),
    "residual": (seeded(Residual), {"x": IMAGE[:1]}),
    "rrelu": (nn.RReLU().eval(), {"input": X}),
    "lstm": (seeded(lambda: nn.LSTM(4, 3, batch_first=True)), {"input": numbers(2, 3, 4)}),
    "gru": (seeded(lambda: nn.GRU(4, 3)), {"input": numbers(3, 2, 4)}),
    "transformer": (seeded(encoder), {"src": numbers(2, 3, 4)}),
    "transformer in evaluation": (seeded(encoder).eval(), {"src": numbers(2, 3, 4)}),
    "bilinear": (seeded(lambda: nn.Bilinear(4, 4, 2)), {"a": X, "b": X[::-1].copy()}),
}


def is_known(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "i"


def traced(write: Any, arguments: Mapping[str, Any]) -> TracedFunction:
    real = [key for key, value in arguments.items() if not is_known(value)]
    return trace_torch(write, arguments, traced=real)


def by_pytorch(
    write: Any, arguments: Mapping[str, Any], found: TracedFunction, seeds: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values, and the cotangents times the Jacobian, by PyTorch's own reverse mode."""
    pytree = torch.utils._pytree
    leaves: dict[str, Any] = {}

    def tensor(path: Any, value: Any) -> Any:
        name = ".".join(str(getattr(each, "key", getattr(each, "idx", each))) for each in path)
        if is_known(value):
            return torch.tensor(value)
        leaves[name] = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        return leaves[name]

    given = pytree.tree_map_with_path(tensor, dict(arguments))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        if isinstance(write, nn.Module):
            own = {n: p.detach().double().requires_grad_() for n, p in write.named_parameters()}
            others = {
                n: b.clone().double() if b.is_floating_point() else b.clone()
                for n, b in write.named_buffers()
            }
            leaves |= own
            returned = torch.func.functional_call(write, {**own, **others}, tuple(given.values()))
        else:
            returned = write(**given)
    finally:
        torch.set_default_dtype(before)
    outputs = pytree.tree_leaves(returned)
    names = list(found.outputs)
    values = dict(zip(names, outputs, strict=True))
    moving = [name for name in names if values[name].requires_grad]
    sent = [torch.tensor(seeds[name]) for name in moving]
    gradients = torch.autograd.grad(
        [values[name] for name in moving], list(leaves.values()), sent, materialize_grads=True
    )
    return (
        {name: value.detach().numpy() for name, value in values.items()},
        dict(zip(leaves, (each.numpy() for each in gradients), strict=True)),
    )


def judged(write: Any, arguments: Mapping[str, Any], other: Any = None) -> tuple[FunctionCase, Any]:
    """A case of a function with PyTorch's own derivatives of it or another; and the verdict."""
    found = traced(write, arguments)
    shapes = {n: found.program.nodes[found.program.outputs[n]].shape for n in found.outputs}
    seeds = {
        name: np.cos(1.0 + np.arange(int(np.prod(shape)))).reshape(shape)
        for name, shape in shapes.items()
    }
    values, gradients = by_pytorch(other or write, arguments, found, seeds)
    numbers_ = dict(_leaves(write, arguments))
    case = FunctionCase.at(found, numbers_, seeds, tuple(gradients))
    given = Derivatives(LEFT_OUT, {**values, **gradients})
    return case, FunctionJudge(case.recognised).verdict(given, "torch", "reverse")


def _leaves(write: Any, arguments: Mapping[str, Any]) -> Any:
    for path, value in torch.utils._pytree.tree_flatten_with_path(dict(arguments))[0]:
        if not is_known(value):
            yield ".".join(str(getattr(e, "key", getattr(e, "idx", e))) for e in path), value
    if isinstance(write, nn.Module):
        for name, parameter in write.named_parameters():
            yield name, parameter.detach().double().numpy()


LONG = (
    "gru", "instance_norm", "losses", "lstm", "mlp_of_a_tree", "residual", "sorted_and_summed_up",
    "transformer in evaluation",
)  # fmt: skip
"""What is left out of the functions where tests have to be short."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.long) if each in LONG else each
        for each in (*FUNCTIONS, *MODULES)
    ],
)
def test_the_program_has_pytorchs_values_and_gradients(name: str) -> None:
    write, arguments = (FUNCTIONS | MODULES)[name]
    _, verdict = judged(write, arguments)
    assert verdict.kind is Kind.AGREES, (verdict, verdict.worst)


def of(write: Callable[..., Any], x: Any = X, **known: Any) -> TracedFunction:
    return trace_torch(write, {"x": x, **known}, traced=["x"])


def test_dtypes_that_are_named_are_float64() -> None:
    def mixed(x: Any) -> Any:
        half = torch.arange(40, dtype=torch.float32).reshape(4, 10) / 64
        return x.float() @ half + torch.full((10,), 0.5, dtype=torch.bfloat16)

    found = of(mixed)
    assert list(found.constants) == ["constant 1"]
    assert found.notes == ("constant 1 (4 x 10) is the function's own: not differentiated",)
    assert torch.get_default_dtype() == torch.float32


KINKS = {
    "relu": (F.relu, 1),
    "relu6": (F.relu6, 2),
    "leaky_relu": (F.leaky_relu, 1),
    "hardtanh": (F.hardtanh, 2),
    "clamp": (lambda x: x.clamp(-1, 2), 2),
    "mask": (lambda x: x * (x > 0), 1),
    "mask as numbers": (lambda x: (x > 0).float() * x, 1),
    "assigned": (lambda x: x.clone().masked_fill_(x < 0, 0.0), 1),
    "abs": (torch.abs, 1),
    "huber": (lambda x: F.huber_loss(x, torch.zeros(3, 4)), 2),
    "softshrink": (F.softshrink, 2),
    "threshold": (lambda x: F.threshold(x, 1.0, 1.0), 1),
}


@pytest.mark.parametrize("name", KINKS)
def test_a_choice_whose_sides_meet_is_one_function_with_kinks(name: str) -> None:
    write, count = KINKS[name]
    found = of(write)
    functions = [
        found.program.nodes[number].settings["function"]
        for number in found.program.needed
        if found.program.nodes[number].op == "piecewise"
    ]
    assert [len(each.breakpoints) for each in functions] == [count]
    assert found.comparisons == ()


@pytest.mark.parametrize(
    "write",
    [
        lambda x: torch.where(x > 0, x + 1, x),
        lambda x: F.threshold(x, 1.0, 0.0),
        lambda x: x * torch.floor(x),
        lambda x: x[x > 0.1],
        lambda x: x[:, x.sum(0).argmax()],
        lambda x: x[0][x[1].long() % 4],
        lambda x: x.sign() * x**2,
        lambda x: F.softplus(x, 2.0),
    ],
    ids=["jump", "threshold", "steps", "mask", "place", "whole", "sign", "softplus"],
)
def test_what_is_chosen_by_numbers_otherwise_is_noted(write: Callable[..., Any]) -> None:
    found = of(write)
    assert found.comparisons
    assert all(each.source is not None for each in found.comparisons)


def test_numbers_that_are_only_given_may_be_branched_on() -> None:
    def chosen(x: Any, m: Any, n: Any) -> Any:
        if n > 1 and m.max() > 0.5:
            return x * m
        return x

    arguments = {"x": X, "m": np.abs(X), "n": np.array(2)}
    found = trace_torch(chosen, arguments, traced=["x"], fixed=["m"])
    assert set(found.program.inputs) == {"x", "m"}
    assert len(found.comparisons) == 1


def test_a_step_is_told_by_the_line_and_the_expression() -> None:
    def layered(x: Any) -> Any:
        y = F.relu(x * 2)
        return torch.tanh(y) + F.relu(y - 1)

    found = of(layered)
    texts = {each.text for each in found.sources.values()}
    assert {"F.relu(x * 2)", "x * 2", "torch.tanh(y)", "F.relu(y - 1)"} <= texts
    assert {each.file for each in found.sources.values()} == {__file__}


def test_a_step_of_pytorchs_own_modules_is_told_by_its_path() -> None:
    made = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.LayerNorm(3)))
    found = trace_torch(made, {"input": X}, traced=["input"])
    texts = {each.text for each in found.sources.values()}
    assert texts == {"0 (Linear)", "1.0 (ReLU)", "1.1 (LayerNorm)"}


def test_the_forward_pass_is_read_and_not_the_derivative_of_the_users() -> None:
    class Wrong(ScaledSine):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ScaledSine.backward(ctx, g)[0], None

    case, verdict = judged(lambda x: Wrong.apply(x, 3.0), {"x": X})
    assert verdict.kind is Kind.DISAGREES
    assert case.traced_function.program.nodes[-1].op == "times_constants"


WRONG: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "another slope": (lambda x: F.leaky_relu(x, 0.1), lambda x: F.leaky_relu(x, 0.01)),
    "another mean": (lambda x: x - x.mean(0), lambda x: x - x.mean(0).detach()),
    "another variance": (lambda x: x.var(0), lambda x: x.var(0, correction=0)),
    "another axis": (lambda x: x.softmax(0), lambda x: x.softmax(1)),
    "one step less": (lambda x: x.clone().mul_(2).relu_(), lambda x: x.relu()),
    "a part written over": (lambda x: _overwritten(x, 1), lambda x: _overwritten(x, 2)),
    "padding that learns": (lambda x: _embedded(x, None), lambda x: _embedded(x, 2)),
    "counts with zeros": (lambda x: _pooled(x, True), lambda x: _pooled(x, False)),
}


def _overwritten(x: Any, column: int) -> Any:
    y = x * 1
    y.view(-1)[column::4] = x[:, 0] ** 2
    return y


def _embedded(x: Any, padding: int | None) -> Any:
    return F.embedding(torch.tensor(IDS), x, padding_idx=padding) ** 2


def _pooled(x: Any, with_zeros: bool) -> Any:
    return F.avg_pool1d(x[None], 3, 2, padding=1, count_include_pad=with_zeros)


@pytest.mark.parametrize("name", WRONG)
def test_another_function_than_the_one_that_was_read_disagrees(name: str) -> None:
    right, wrong = WRONG[name]
    assert judged(right, {"x": X})[1].kind is Kind.AGREES
    assert judged(right, {"x": X}, wrong)[1].kind is Kind.DISAGREES


def test_reading_changes_no_bit_of_anything() -> None:
    def gradient() -> list[Any]:
        net.zero_grad()
        net.eval()(image).square().sum().backward()
        return [each.grad.clone() for each in net.parameters()]

    net, image = seeded(Net), torch.tensor(IMAGE, dtype=torch.float32)
    for _ in range(2):
        net.train()(image)
    before, state = gradient(), {n: b.clone() for n, b in net.state_dict().items()}
    numbers_, draws = IMAGE.copy(), torch.get_rng_state()
    trace_torch(net.train(), {"x": numbers_}, traced=["x"])
    assert all(torch.equal(one, other) for one, other in zip(before, gradient(), strict=True))
    assert all(torch.equal(state[name], each) for name, each in net.state_dict().items())
    assert torch.equal(draws, torch.get_rng_state())
    assert np.array_equal(numbers_, IMAGE)
    assert "apply" not in vars(torch.autograd.function._SingleLevelFunction)
    assert torch.get_default_dtype() == torch.float32


class Ctx(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return F.dropout(x, training=self.training)


REFUSED: dict[str, tuple[Any, str]] = {
    "lgamma": (torch.lgamma, "lgamma: no rule for this operation"),
    "inverse": (lambda x: torch.linalg.inv(x[:3, :3]), "no rule"),
    "power": (lambda x: x**x, "pow: wanted one exponent"),
    "fourier": (lambda x: torch.fft.fft(x).real, "_fft_r2c: no rule"),
    "complex": (lambda x: (x * 1j).abs(), "complex numbers, wanted real ones"),
    "infinite": (lambda x: torch.where(x > 0, x, -torch.inf).sin(), "infinite"),
    "branch": (lambda x: x if x.sum() > 0 else -x, "depends on the numbers"),
    "number": (lambda x: x * float(x[0, 0]), "depends on the numbers"),
    "numpy": (lambda x: x * torch.tensor(x.detach().numpy()), "numpy: the numbers of a tensor"),
    "random": (lambda x: x * torch.rand(4), "random numbers"),
    "dropout": (Ctx(), "random numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_with_the_line(name: str) -> None:
    write, words = REFUSED[name]
    if name == "lgamma":
        write = lambda x: torch.lgamma(x)  # noqa: E731  (the line is what is asked for)
    with pytest.raises(UnsupportedError, match=words) as caught:
        of(write)
    assert str(caught.value).startswith(place_of(__file__, 1)[:-1])
    assert "\n" not in str(caught.value)


def test_a_tensor_that_was_not_seen_to_be_computed_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="returned by an operation beside another"):
        of(lambda x: F.max_unpool1d(*F.max_pool1d(x[None], 2, return_indices=True), 2))
    weight = torch.ones(4, requires_grad=True)
    assert of(lambda x: x * weight).notes == ()
    elsewhere = weight * 2
    with pytest.raises(UnsupportedError, match="was computed elsewhere"):
        of(lambda x: x * elsewhere)


def test_a_number_that_pytorch_asks_for_itself_is_noted() -> None:
    found = of(lambda x: F.gaussian_nll_loss(x, torch.zeros(3, 4), x.abs() + 1.0))
    assert [each.source.text for each in found.comparisons if each.source is not None] == [
        "F.gaussian_nll_loss(x, torch.zeros(3, 4), x.abs() + 1.0)"
    ] * len(found.comparisons)


def test_what_the_user_does_wrong_is_said() -> None:
    with pytest.raises(UsageError, match="raised RuntimeError: mat1 and mat2"):
        of(lambda x: x @ x)
    with pytest.raises(UsageError, match="'y' is no argument"):
        trace_torch(torch.sin, {"x": X}, traced=["y"])
    with pytest.raises(UsageError, match="wanted real numbers"):
        of(torch.sin, X + 1j)
    with pytest.raises(UsageError, match="no tensor of real numbers"):
        of(lambda x: x.argmax())
    with pytest.raises(UnsupportedError, match="out: an entry is infinite or NaN"):
        of(lambda x: x + torch.empty(4))
    calls: list[None] = []

    def counted(x: Any) -> Any:
        calls.append(None)
        return x * len(calls)

    with pytest.raises(UsageError, match="gave other numbers when it was run again"):
        of(counted)


def test_a_module_is_a_formula_of_its_inputs_and_parameters() -> None:
    class Half(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return torch.tanh(x @ self.inner.weight.T + self.inner.bias) * self.factor

        factor = 1.0

    class Scaled(Half):
        factor = 0.5

    def by_hand(x: Any, weight: Any, bias: Any, g: Any) -> Any:
        d = g * (1 - np.tanh(x @ weight.T + bias) ** 2)
        return d @ weight, d.T @ x, d.sum(0)

    arguments: dict[str, Any] = {"sizes": {"b": [1, 2]}, "cases": 4, "dtypes": ["float64"]}
    given = {"same": Half(), "half": Scaled()}
    found = compare_functions(Half(), "b 2 -> b 2", torch=given, by_hand=by_hand, **arguments)
    assert [each.name for each in found.failures] == ["torch half"]
    assert "half of what they must be" in found.message
    with pytest.raises(UsageError, match=r"no parameter 'inner\.weight'; it has weight"):
        compare_functions(Half(), "b 2 -> b 2", torch=nn.Linear(2, 2), **arguments)


MODELS = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(2, width)

    def forward(self, x):
        return torch.relu(self.inner(x))

class Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.relu(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x > 0) * FACTOR

class ModelNew(Model):
    def forward(self, x):
        return Relu.apply(self.inner(x))

def get_inputs():
    return [torch.ones(1, 2)]

def get_init_inputs():
    return [1]
"""


@pytest.mark.parametrize("factor", [1, pytest.param(3, marks=pytest.mark.long)])
def test_two_models_of_a_file_are_compared_with_all_their_parameters(
    tmp_path: Path, factor: int
) -> None:
    file = tmp_path / f"models_{factor}.py"
    file.write_text(f"{MODELS}\nFACTOR = {factor}\n")
    (spec,) = specs_in(loaded(str(file)), "Model")
    found = compare_spec(spec, cases=6, dtypes=["float64"])
    assert found.passed == (factor == 1)
    assert not found.passed or set(found.kinds) == {"torch ModelNew"}
    assert found.passed or "wrong  ∂x, ∂inner.weight, ∂inner.bias" in found.message
