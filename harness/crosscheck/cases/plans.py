"""The networks that strategies and sweeps draw numbers for: every operator in one of them.

Few, since frameworks compile for each. An activation stands between two dense layers, or between
three with a residual sum. Every other operator stands behind a bias of its own and a ReLU, with a
dense layer and a loss behind it. A ReLU recurrence has the same weights at each of its steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crosscheck.network.composed import Composed
from crosscheck.network.steps import Step, step
from crosscheck.numbers.arrays import Array
from crosscheck.operators import add, dense, exponential, flatten, relu, squared_error
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.registry import known, operator_of
from crosscheck.program.graph import Graph, Shape

__all__ = ["Making", "Plan", "plans", "recurrence"]

_FEATURES, _WIDTH, _OUTPUTS, _ROWS = 2, 3, 2, 3

Used = tuple[Operator, Mapping[str, Attribute]]
"""An operator, and its attributes."""


@dataclass(frozen=True)
class Plan:
    """A network without its numbers.

    Attributes:
        steps: The steps.
        parameters: Name to shape.
        inputs: Name to shape.
    """

    steps: tuple[Step, ...]
    parameters: Mapping[str, Shape]
    inputs: Mapping[str, Shape]

    @classmethod
    def of(cls, case: Composed) -> Plan:
        """The network of a case, or of a stack."""
        shapes = case.shapes
        parts = ({name: shapes[name] for name in each} for each in (case.parameters, case.inputs))
        return cls(case.steps, *parts)

    def case(self, arrays: Mapping[str, Array], dtype: str, count: int | None = None) -> Composed:
        """The case with these numbers, rounded to ``dtype``."""
        return Composed.of(
            self.steps,
            {name: arrays[name] for name in self.parameters},
            {name: arrays[name] for name in self.inputs},
            dtype=dtype,
            count=count,
        )


def plans(
    operators: Sequence[str] | None = None, *, rows: int = _ROWS, width: int = _WIDTH
) -> list[Plan]:
    """Networks with each activation and each loss in turn, and with each other operator.

    Args:
        operators: Names of those that are wanted, in all their variants; by default those that are
            drawn, of which activations and losses alone come in variants. Where there is no loss
            among them, or nothing but losses, the default ones are taken.
        rows: Of inputs and targets.
        width: Of hidden layers.

    Raises:
        UsageError: There is no such operator.
    """
    chosen = [operator_of(name) for name in operators or ()]
    usual = [each for each in known().values() if each.is_drawn]

    def of_role(*roles: str) -> list[Operator]:
        own = [each for each in chosen if each.role in roles]
        return own or [each for each in usual if each.role in roles]

    losses = [pair for each in of_role("loss") for pair in _variants(each)]
    activations = [pair for each in of_role("activation") for pair in _variants(each)]
    others = [each for each in chosen or usual if each.role not in ("activation", "loss")]
    if not chosen:
        others = [each for each in others if each not in (dense.OPERATOR, add.OPERATOR)]
    found = []
    if not others or not chosen or any(each.role == "activation" for each in chosen):
        for number in range(max(len(activations), len(losses))):
            both = activations[number % len(activations)], losses[number % len(losses)]
            found.append(_plan(*both, rows, width, residual=number % 2 == 1))
    around = [
        (used, is_bare)
        for each in others
        for used in (_variants(each) if chosen else [(each, {})])
        for is_bare in ([False, True] if each.optional and not used[1] else [False])
    ]
    for number, (used, is_bare) in enumerate(around):
        found.append(_around(used, losses[number % len(losses)], rows, is_bare=is_bare))
    return found if chosen else [*found, recurrence(rows=rows, width=width)]


def _variants(operator: Operator) -> Iterator[Used]:
    yield operator, {}
    for attributes in operator.variants:
        yield operator, attributes


@dataclass(eq=False)
class Making:
    """A plan in the making.

    Attributes:
        inputs: Name to shape of what is given.
        parameters: Name to shape of what is learned.
        steps: So far.
        shapes: Of all arrays and results.
    """

    inputs: dict[str, Shape]
    parameters: dict[str, Shape] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes |= self.inputs

    def parameter(self, name: str, shape: Shape) -> str:
        """An array that is learned, known from now on."""
        self.parameters[name] = self.shapes[name] = shape
        return name

    def apply(
        self, name: str, operator: Operator, *operands: str | None, **attributes: Attribute
    ) -> str:
        """One more step."""
        made = step(name, operator.name, *operands, **attributes)
        graph = Graph()
        leaves = {
            operand: graph.leaf(operand, self.shapes[source]) for operand, source in made.inputs
        }
        self.shapes[name] = operator.expand(**leaves, **made.settings).shape
        self.steps.append(made)
        return name

    def layer(
        self, name: str, operator: Operator, below: str, units: int, **attributes: Attribute
    ) -> str:
        """A step with parameters of its own, for all operands but the first."""
        own = operator.parameters_of(self.shapes[below], units, attributes)
        more = [self.parameter(f"{each}_{name}", own[each]) for each in operator.operands[1:]]
        return self.apply(name, operator, below, *more, **attributes)

    def before(self, name: str, operator: Operator, below: str) -> str:
        """What an operator is applied to: eᶻ, where that has to be positive."""
        return self.apply(name, exponential.OPERATOR, below) if operator.is_of_positive else below

    def ending(self, below: str, loss: Used) -> Plan:
        """A dense layer, and a loss."""
        if len(self.shapes[below]) > 2:
            below = self.apply("flat", flatten.OPERATOR, below)
        out = self.layer("out", dense.OPERATOR, below, _OUTPUTS)
        targets = []
        if loss[0].targets:
            self.inputs["y"] = self.shapes["y"] = self.shapes[out]
            targets.append("y")
        self.apply("loss", loss[0], out, *targets, **loss[1])
        return Plan(tuple(self.steps), self.parameters, self.inputs)


def _plan(activation: Used, loss: Used, rows: int, width: int, *, residual: bool) -> Plan:
    """Dense layers with an activation between them, and a loss."""
    making = Making({"x": (rows, _FEATURES)})
    unit, settings = activation
    below = making.layer("z1", dense.OPERATOR, "x", width)
    below = making.before("e1", unit, below)
    below = making.layer("a1", unit, below, width, **settings)
    if residual:
        inner = making.layer("z2", dense.OPERATOR, below, width)
        below = making.apply("sum2", add.OPERATOR, inner, below)
        below = making.before("e2", unit, below)
        below = making.layer("a2", unit, below, width, **settings)
    return making.ending(below, loss)


def _around(used: Used, loss: Used, rows: int, *, is_bare: bool) -> Plan:
    """An operator behind a bias for each number and a ReLU, or before them if it takes nothing.

    A bare one is without what may be left out, as a bias.
    """
    operator, attributes = used
    shape = (min(rows, operator.tried_on[0]), *operator.tried_on[1:])
    own = operator.parameters_of(shape, 2, attributes)
    is_table = operator.role == "table"
    making = Making({} if is_table else {"x": shape})
    below = ""
    if not is_table:
        making.parameter("c", shape)
        below = making.apply("sum1", add.OPERATOR, "x", "c")
        below = making.apply("a1", relu.OPERATOR, below)
    operands: list[str | None] = []
    sources = [making.before("e1", operator, below)]
    sources += [making.before("e2", operator, "c"), below] if below else ["c"]
    for operand in operator.operands:
        name = f"{operand}_it"
        if is_bare and operand in operator.optional:
            operands.append(None)
        elif operand in own:
            operands.append(making.parameter(name, own[operand]))
        else:
            operands.append(sources.pop(0))
    below = making.apply("it", operator, *operands, **attributes)
    if is_table:
        making.parameter("c", making.shapes["it"])
        below = making.apply("sum1", add.OPERATOR, "it", "c")
        below = making.apply("a1", relu.OPERATOR, below)
    return making.ending(below, loss)


def recurrence(*, rows: int = _ROWS, width: int = _WIDTH, times: int = 3) -> Plan:
    """A ReLU recurrence, unrolled: h = max(x_t Uᵀ + h Wᵀ + b, 0), the same U, W and b each time.

    The derivative by each of them is the sum over the steps of what goes down to its uses.

    Args:
        rows: Of inputs and targets.
        width: Of h.
        times: How many steps there are.
    """
    making = Making({f"x{t}": (rows, _FEATURES) for t in range(1, times + 1)})
    making.parameter("U", (width, _FEATURES))
    making.parameter("W", (width, width))
    making.parameter("b", (width,))
    below = ""
    for t in range(1, times + 1):
        bias = "b" if t == 1 else None
        z = making.apply(f"u{t}", dense.OPERATOR, f"x{t}", "U", bias)
        if below:
            held = making.apply(f"r{t}", dense.OPERATOR, below, "W", "b")
            z = making.apply(f"s{t}", add.OPERATOR, z, held)
        below = making.apply(f"h{t}", relu.OPERATOR, z)
    return making.ending(below, (squared_error.OPERATOR, {}))
