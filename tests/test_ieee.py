"""Verdicts are the same in a thread whose arithmetic replaces subnormal numbers by zero."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import processes
import pytest
from flushing import FLUSH, needs_x86

from crosscheck.numbers import ieee
from crosscheck.numbers.ieee import ArithmeticModeError, ieee_arithmetic, is_ieee

VERDICTS = """
import json
from hashlib import sha256
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from crosscheck.judge.compare import Judge
from crosscheck.judge.stacks import StackJudge
from crosscheck.studies.conventions.points import points_of
from crosscheck.numbers.formats import format_of
from crosscheck.judge.compiled import FusedJudge
from crosscheck.numbers.ieee import is_ieee
from crosscheck.operators.units import UNITS
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.reference import gradients
from crosscheck.cases.strategies import boundary_cases
from crosscheck.cases.stream.families import DEFAULT_MIX
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.judge.together import judged_together

said = {"ieee": is_ieee()}
for dtype in ("float32", "float64"):
    form = format_of(dtype)
    eta, least = np.ldexp(1.0, form.emin - form.precision + 1), np.ldexp(1.0, form.emin)
    example = worked_example(dtype=dtype)
    right = Gradients(
        np.array(2.0), (np.array([[6.0]]), np.array([[4.0]])), (np.array([6.0]), np.array([2.0])),
        np.array([[12.0]]),
    )
    said[f"worked {dtype}"] = Judge(example).verdict(right, framework="f").kind
    # dJ/dw = z x with z = w x; w = 301 eta, x = 1, y = 0, and dJ/dx = z w underflows to 0.
    tiny = np.array([[301]], dtype=np.int64).view(np.float64) if dtype == "float64" else None
    if tiny is None:
        tiny = np.array([[301.0]]) * eta
    case = Case.of([tiny], None, [[1.0]], [[0.0]], dtype=dtype, output="identity")
    far = np.array([[100.0]]) * least
    for name, dw in (("kept", tiny), ("zero", tiny * 0.0), ("wrong", far)):
        given_ = Gradients(np.array(0.0), (dw,), (None,), np.array([[0.0]]))
        said[f"{name} {dtype}"] = Judge(case).verdict(given_, framework="f").kind
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.integers(-8, 9, shape) / 8.0
    stack = Case.of(
        [draw(16, 3, 2), draw(16, 1, 3)], [draw(16, 3), draw(16, 1)], draw(16, 1, 2),
        draw(16, 1, 1), dtype=dtype,
    )
    found = gradients(stack)
    said[f"stack {dtype}"] = StackJudge(stack).agreements(found)[0].tolist()
    said[f"together {dtype}"] = [
        None if one is None else [each and each.kind for each in one.verdicts]
        for one in judged_together(stack, [found])
    ]
    if dtype == "float32":  # the compiled passes; each takes long to compile
        said["fused"] = FusedJudge(stack).certified([found])[0].tolist()
        made = block(Shape(Network((2, 3, 1)), 1, dtype), 1, 0, DEFAULT_MIX)
        arrays = [*made.batch.weights, *made.batch.biases, made.batch.x, made.batch.y]
        said["block"] = sha256(
            b"".join(np.ascontiguousarray(a).tobytes() for a in arrays if a is not None)
        ).hexdigest()
    points = [points_of(unit, dtype) for unit in UNITS.values()]
    said[f"points {dtype}"] = [
        {name: np.float64(at).tobytes().hex() for name, at in each.items()} for each in points
    ]
    keys = []
    @seed(0)
    @settings(max_examples=8, database=None, phases=[Phase.generate], deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(boundary_cases(dtype=dtype, kind="subnormal"))
    def collect(drawn):
        keys.append([w.tobytes().hex() for w in (*drawn.weights, drawn.x)])
    collect()
    said[f"drawn {dtype}"] = sorted(map(str, keys))
said["ieee in the end"] = is_ieee()
print(json.dumps(said))
"""


def run(source: str) -> Any:
    words = [sys.executable, "-c", textwrap.dedent(source)]
    done = processes.run(words, timeout=5 * processes.LIMIT, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@needs_x86
def test_every_road_says_the_same_where_the_thread_flushes_and_leaves_it_flushing() -> None:
    plain, flushing = run(VERDICTS), run(FLUSH + VERDICTS)
    assert (plain.pop("ieee"), plain.pop("ieee in the end")) == (True, True)
    assert (flushing.pop("ieee"), flushing.pop("ieee in the end")) == (False, False)
    for dtype in ("float32", "float64"):
        assert plain[f"worked {dtype}"] == plain[f"kept {dtype}"] == "AGREES"
        assert plain[f"zero {dtype}"] == "SUBNORMAL"
        assert plain[f"wrong {dtype}"] == "DISAGREES"
        assert any(plain[f"stack {dtype}"])
    assert {name for name in plain if plain[name] != flushing[name]} == set()


@needs_x86
@pytest.mark.parametrize(
    "bits",
    ["0x8000", "0x0040", "0x2000", "0x4000", "0x6000"],
    ids=["FTZ", "DAZ", "down", "up", "towards-zero"],
)
def test_each_mode_by_itself_is_noticed_and_taken_back(bits: str) -> None:
    assert run(
        FLUSH.replace("0x8040", bits)
        + """
import json
from crosscheck.numbers.ieee import ieee_arithmetic, is_ieee
seen = [is_ieee()]
with ieee_arithmetic():
    seen.append(is_ieee())
seen.append(is_ieee())
try:
    with ieee_arithmetic():
        raise KeyError
except KeyError:
    seen.append(is_ieee())
print(json.dumps(seen))
"""
    ) == [False, True, False, False]


@needs_x86
def test_a_module_that_is_compiled_where_numbers_are_flushed_has_its_constants(
    tmp_path: Path,
) -> None:
    compiled = f"""
import json, sys
sys.pycache_prefix, sys.dont_write_bytecode = {str(tmp_path)!r}, False
import crosscheck.numbers.double_double, crosscheck.numbers.enclosure
import crosscheck.judge.gates, crosscheck.network.loss_bounds
from crosscheck.numbers import double_double, enclosure
from crosscheck.numbers.formats import FORMATS
tiny = [enclosure.TINY, double_double.PRODUCT_UNDERFLOW, FORMATS["float64"].smallest_subnormal]
print(json.dumps([value.hex() for value in tiny]))
"""
    run(FLUSH + compiled)
    assert list(tmp_path.rglob("enclosure*.pyc"))
    assert run(compiled) == [(2.0**-1074).hex(), (2.0**-1073).hex(), (2.0**-1074).hex()]


@needs_x86
def test_where_the_mode_cannot_be_set_a_judgement_is_refused_in_one_line() -> None:
    code, kind, message = run(
        FLUSH
        + """
import json
import numpy as np
from crosscheck.numbers import ieee
ieee._environment = lambda: None
from crosscheck.judge.compare import Judge
from crosscheck.network.dense import worked_example
try:
    Judge(worked_example()).enclosed(None)
except Exception as error:
    print(json.dumps([error.exit_code, type(error).__name__, str(error)]))
"""
    )
    assert (code, kind) == (4, "ArithmeticModeError")
    assert "\n" not in message
    assert "torch.set_flush_denormal(False)" in message


def test_in_the_default_mode_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ieee, "_environment", lambda: pytest.fail("the mode was asked for"))
    assert is_ieee()
    with ieee_arithmetic():
        assert is_ieee()


def test_a_mode_that_stays_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(ieee, "is_ieee", lambda: False)
    monkeypatch.setattr(
        ieee,
        "_environment",
        lambda: (lambda room: calls.append("get"), lambda room: calls.append("set"), None),
    )
    with pytest.raises(ArithmeticModeError), ieee_arithmetic():
        pytest.fail("no bound holds here")
    assert calls == ["get", "set", "set"], "what was there is put back"
