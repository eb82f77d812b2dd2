"""Where one framework is examined, step by step: in a worker (`crosscheck.workers.process`)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crosscheck.numbers.ieee import ArithmeticModeError, ieee_arithmetic, is_ieee
from crosscheck.tools.words import named

__all__ = ["LIBRARIES", "Answer", "do"]

LIBRARIES = "libraries"
"""The name under which the optional packages and NumPy itself are examined."""

PACKAGES: Mapping[str, str] = {
    "python-flint": "flint",
    "scikit-learn": "sklearn",
    "safetensors": "safetensors",
    "matplotlib": "matplotlib",
    "numba": "numba",
    "distributed": "distributed",
}
"""Optional distributions, and the modules they bring."""

Step = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What came of a step.

    Attributes:
        plan: The steps there are, as far as is known after it.
        seconds: How long it took.
        found: What it found.
        error: What went wrong; empty if nothing did.
    """

    plan: tuple[str, ...]
    seconds: float
    found: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


_subjects: dict[tuple[str, bool], Any] = {}


def do(name: str, step: str, compilation: bool) -> Answer:
    """Do one step of an examination, in the process that is there for it.

    Args:
        name: What to examine.
        step: Which step; ``import`` has to have been done where there is such a step. None, to
            learn which there are, if it is empty.
        compilation: Whether modes that wait for a compiler are tried.
    """
    subject = _subject(name, compilation)
    start = time.monotonic()
    try:
        found = subject.steps()[step]() if step else {}
    except BaseException as error:  # whatever a library raises is a finding
        seconds = time.monotonic() - start
        return Answer(tuple(subject.steps()), seconds, error=named(error, 500))
    return Answer(tuple(subject.steps()), time.monotonic() - start, found)


def _subject(name: str, compilation: bool) -> Any:
    key = name, compilation
    if key not in _subjects:
        _subjects[key] = _Libraries() if name == LIBRARIES else _Subject(name, compilation)
    return _subjects[key]


class _Subject:
    """One framework, and the steps of its examination.

    Args:
        name: The framework.
        compilation: Whether modes that wait for a compiler are tried; the default mode always is.
    """

    def __init__(self, name: str, compilation: bool) -> None:
        self.name = name
        self.compilation = compilation
        self.adapter: Any = None
        self.framework: Any = None
        self.was_ieee = is_ieee()

    def steps(self) -> dict[str, Step]:
        """Name to function; those for the modes only once the adapter is known."""
        steps: dict[str, Step] = {"import": self.open}
        if self.framework is None:
            return steps
        default, *others = self.adapter.modes
        steps["devices"] = self.devices
        steps[f"mode {default}"] = self.adapter_mode(default)
        steps["subnormals"] = self.subnormals
        left_out = self.left_out()
        for mode in others:
            if mode not in left_out:
                steps[f"mode {mode}"] = self.adapter_mode(mode)
        lines = self.adapter.lines
        if lines is not None:
            for mode in sorted(lines.modes, key=lambda mode: mode in lines.slow):
                if mode not in self.adapter.modes and mode not in left_out:
                    steps[f"mode {mode}"] = self.pointwise_mode(mode)
        return steps

    def left_out(self) -> list[str]:
        """The modes that are not tried."""
        if self.compilation or self.adapter is None:
            return []
        default, *others = self.adapter.modes
        slow = () if self.adapter.lines is None else self.adapter.lines.slow
        waiting = {*self.adapter.compiled_modes, *slow} - {default}
        known = dict.fromkeys([*others, *sorted(slow)])
        return [mode for mode in known if mode in waiting]

    def open(self) -> Mapping[str, Any]:
        """Import the library and open its adapter."""
        from crosscheck.frameworks import registry

        adapter = registry.adapter_of(self.name)
        if isinstance(adapter, BaseException):
            raise adapter
        state = registry.state_of(self.name)
        found = {
            "state": state.state,
            "versions": dict(state.versions),
            "detail": state.detail,
            "default": state.mode,
        }
        if state.state == "broken":
            raise ImportError(state.detail)
        if state.state == "available":
            self.adapter, self.framework = adapter, adapter()
        return {**found, "left_out": self.left_out()}

    def devices(self) -> Mapping[str, Any]:
        """What the library can compute on, and with how many threads, as it says itself."""
        about = _ABOUT.get(self.name)
        devices, threads = about() if about is not None else ([], {})
        return {"devices": devices, "threads": threads}

    def adapter_mode(self, mode: str) -> Step:
        """The gradient of the worked example in one mode of the adapter."""

        def check() -> Mapping[str, Any]:
            from crosscheck.frameworks.gatekeeper import required
            from crosscheck.judge.door import Answer, judge
            from crosscheck.judge.verdict import Kind
            from crosscheck.network.dense import worked_example

            case = worked_example(dtype="float32")
            framework = self.adapter(mode=mode)
            found = required(framework, case)
            verdict = judge(case).another(Answer(found, framework.derivation))
            if verdict.kind is not Kind.AGREES:
                (w1, w2), (b1, b2) = found.weights, found.biases
                given = ", ".join(f"{float(value.sum()):g}" for value in (w2, b2, w1, b1))
                raise ArithmeticError(f"the worked example gave {given}, wanted 4, 2, 6, 6")
            return {"changes_arithmetic": self.was_ieee and not is_ieee()}

        return check

    def pointwise_mode(self, mode: str) -> Step:
        """The derivative of ReLU at -1 and 2, in a mode that only the table of conventions has."""

        def check() -> Mapping[str, Any]:
            from crosscheck.frameworks.leaves import RELU

            lines = self.adapter.lines
            formulation = next(iter(lines.formulations(RELU)))
            with self.framework.session():
                _, slopes = lines.measure(RELU, formulation, mode)("float32", [-1.0, 2.0])
            if slopes != [0.0, 1.0]:
                raise ArithmeticError(f"ReLU' at -1 and 2 is {slopes}, wanted 0 and 1")
            return {}

        return check

    def subnormals(self) -> Mapping[str, Any]:
        """Whether subnormal numbers survive as results and as operands, for each dtype.

        One unit without ReLU, z = w·x, y = 0, has dJ/dw = z·x. With λ₀ the smallest normal
        number: w = λ₀ and x = ½ make the *result* z = λ₀/2 subnormal, so that dJ/dw is 0 just
        where such results are replaced by 0. With the subnormal *operand* w = λ₀/2 and x = 4,
        z = 2 λ₀ is normal, and dJ/dw is 0 just where such operands are read as 0.
        """
        from crosscheck.frameworks.gatekeeper import required
        from crosscheck.network.dense import Case
        from crosscheck.numbers.formats import format_of

        found = {}
        for dtype in ("float64", "float32"):
            if dtype not in self.adapter.dtypes:
                continue
            least = format_of(dtype).smallest_normal
            kept = {}
            for kind, weight, x in (("results", least, 0.5), ("operands", least / 2, 4.0)):
                case = Case.of([[[weight]]], None, [[x]], [[0.0]], dtype=dtype, output="identity")
                kept[kind] = bool(required(self.framework, case).weights[0].item() != 0)
            found[dtype] = kept
        return found


class _Libraries:
    """NumPy and the optional packages."""

    def steps(self) -> dict[str, Step]:
        """One for each."""
        steps: dict[str, Step] = {"numpy": self.numpy}
        for distribution, module in PACKAGES.items():
            steps[distribution] = self.load(distribution, module)
        return steps

    def numpy(self) -> Mapping[str, Any]:
        """What NumPy does with subnormal numbers in a process that has loaded nothing else."""
        import numpy as np

        kept = {}
        for dtype in (np.float64, np.float32):
            least = np.finfo(dtype).tiny
            # At run time, in arrays: a constant would be folded by the interpreter.
            results = np.array([least]) * np.array([0.5], dtype=dtype)
            operands = np.array([np.finfo(dtype).smallest_subnormal]) * dtype(2.0**60)
            kept[np.dtype(dtype).name] = {
                "results": bool(results[0] != 0),
                "operands": bool(operands[0] != 0),
            }
        return {"subnormals": kept, "judged": _can_be_judged()}

    def load(self, distribution: str, module: str) -> Step:
        """Import one package."""

        def check() -> Mapping[str, Any]:
            from importlib import metadata
            from importlib.util import find_spec

            if find_spec(module) is None:
                return {"version": ""}
            importlib.import_module(module)
            try:
                return {"version": metadata.version(distribution)}
            except metadata.PackageNotFoundError:
                return {"version": "unknown"}

        return check


def _can_be_judged() -> bool:
    """Whether this thread's arithmetic is IEEE 754's, or can be set to it for a judgement."""
    try:
        with ieee_arithmetic():
            return True
    except ArithmeticModeError:
        return False


def _about_torch() -> tuple[list[str], dict[str, int]]:
    torch = importlib.import_module("torch")
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    threads = {"within an operation": torch.get_num_threads()}
    return devices, {**threads, "between operations": torch.get_num_interop_threads()}


def _about_tensorflow() -> tuple[list[str], dict[str, int]]:
    tf = importlib.import_module("tensorflow")
    threading = tf.config.threading
    return [device.name for device in tf.config.list_physical_devices()], {
        "within an operation": threading.get_intra_op_parallelism_threads(),
        "between operations": threading.get_inter_op_parallelism_threads(),
    }


def _about_jax() -> tuple[list[str], dict[str, int]]:
    jax = importlib.import_module("jax")
    return [f"{device.platform}:{device.id}" for device in jax.devices()], {}


_ABOUT: Mapping[str, Callable[[], tuple[list[str], dict[str, int]]]] = {
    "torch": _about_torch,
    "tensorflow": _about_tensorflow,
    "jax": _about_jax,
}
