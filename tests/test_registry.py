"""The registry finds every framework, says honestly what state it is in, and opens it."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import processes
import pytest

from crosscheck.frameworks import registry
from crosscheck.frameworks.registry import GROUP, known, open_frameworks, state_of
from crosscheck.frameworks.torch_ import TorchFramework
from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, worked_example
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation

FOURTH = '''
"""Dual numbers in NumPy: each parameter's derivative is carried forward beside the values."""

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.network.dense import Gradients


class DualFramework(Framework):
    name, module, packages = "dual", "numpy", ("numpy",)
    forward_modes = frozenset({"eager"})

    def gradients(self, case):
        value = {name: array.astype(case.dtype) for name, array in case.entries()}
        y, lead = value.pop("y"), case.x.shape[:-2]
        shape = {name: array.shape[len(lead):] for name, array in value.items()}
        ends = np.cumsum([np.prod(sizes) for sizes in shape.values()])
        seeds = np.split(np.eye(ends[-1], dtype=case.dtype), ends[:-1], axis=1)
        dual = {name: s.reshape(-1, *shape[name]) for name, s in zip(value, seeds)}
        a, da = value["x"], dual["x"]  # ([C,] B, n) and ([C,] P, B, n) for P parameters
        for layer in range(1, case.network.depth + 1):
            w, dw = value[f"W{layer}"].swapaxes(-1, -2), dual[f"W{layer}"].swapaxes(-1, -2)
            a, da = a @ w, da @ w[..., None, :, :] + a[..., None, :, :] @ dw
            if f"b{layer}" in value:
                a, da = a + value[f"b{layer}"][..., None, :], da + dual[f"b{layer}"][:, None, :]
            if case.network.has_relu(layer):
                a, da = a * (a > 0), da * (a > 0)[..., None, :, :]
        share = case.rows if case.network.reduction == "mean" else 1
        d = (a - y) / share
        slopes = np.split((d[..., None, :, :] * da).sum((-2, -1)), ends[:-1], axis=-1)
        slope = {n: s.reshape(*lead, *shape[n]).astype(float) for n, s in zip(value, slopes)}
        layers = range(1, case.network.depth + 1)
        return Gradients(
            ((a - y) * d).sum((-2, -1)).astype(float) / 2,
            tuple(slope[f"W{layer}"] for layer in layers),
            tuple(slope.get(f"b{layer}") for layer in layers),
            slope["x"],
        )
'''
"""Someone else's package: a framework of the kind that the README shows."""

PLAIN = """
from crosscheck.frameworks.base import Framework

class Plain(Framework):
    name, module, packages = "plain", {module!r}, {packages!r}

    def __init__(self, *, formulation=None, mode=None):
        super().__init__(formulation=formulation, mode=mode)
        {opening}

    def gradients(self, case):
        raise NotImplementedError
"""

Install = Callable[..., None]


def hide_the_built_in_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this package were not installed and had no adapters of its own."""
    monkeypatch.setattr(registry, "_BUILT_IN", {})
    installed = importlib.metadata.entry_points

    def others(*, group: str) -> EntryPoints:
        entries = installed(group=group)
        return EntryPoints(e for e in entries if not e.value.startswith("crosscheck.frameworks."))

    monkeypatch.setattr("importlib.metadata.entry_points", others)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts modules, and a distribution that registers frameworks, on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(
        modules: Mapping[str, str], registers: Mapping[str, str], distribution: str = "somebodys"
    ) -> None:
        for name, source in modules.items():
            assert name not in sys.modules
            path = tmp_path.joinpath(*name.split("."))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".py").write_text(source, "utf-8")
        folder = tmp_path / f"{distribution}-1.0.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        (folder / "METADATA").write_text(metadata, "utf-8")
        lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in registers.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines), "utf-8")
        importlib.invalidate_caches()

    yield put
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def plain(install: Install, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes ``plain`` the only framework known: its library, its packages, how it opens."""
    hide_the_built_in_ones(monkeypatch)

    def put(
        library: Mapping[str, str],
        *,
        module: str = "somelibrary",
        packages: tuple[str, ...] = ("some-library",),
        opening: str = "__import__(self.module)",
    ) -> None:
        adapter = PLAIN.format(module=module, packages=packages, opening=opening)
        install({"plainadapter": adapter, **library}, {"plain": "plainadapter:Plain"})

    return put


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces all installed entry points by the ones given."""

    def replace(*registered: tuple[str, str]) -> None:
        points = EntryPoints(EntryPoint(name, value, GROUP) for name, value in registered)
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)

    return replace


# What is known


def test_the_three_are_known_in_a_source_tree_that_is_not_installed(
    only: Callable[..., None],
) -> None:
    only()
    adapters = known()
    assert list(adapters) == ["torch", "tensorflow", "jax"]
    assert adapters["torch"] is TorchFramework
    assert [getattr(adapter, "name", None) for adapter in adapters.values()] == list(adapters)


def test_our_own_entry_points_add_nothing_to_the_built_in_ones(
    only: Callable[..., None],
) -> None:
    only(("jax", "crosscheck.frameworks.jax_:JaxFramework"), ("torch", "x_:X"), ("torch", "x_:X"))
    adapters = known()
    assert list(adapters) == ["torch", "tensorflow", "jax"]
    assert getattr(adapters["jax"], "name", None) == "jax"
    assert isinstance(adapters["torch"], ModuleNotFoundError)  # replaced, by what is missing


def test_a_fourth_framework_is_found_opened_and_right(install: Install) -> None:
    install({"fourth_framework": FOURTH}, {"dual": "fourth_framework:DualFramework"})
    assert list(known())[:3] == ["torch", "tensorflow", "jax"]
    (framework,), (state,) = open_frameworks(["dual"], {}, {})
    assert (state.name, state.state, state.detail) == ("dual", "available", "")
    assert (state.formulation, state.mode) == ("relu", "eager")
    assert state.versions == {"numpy": np.__version__}
    case = worked_example()
    found = framework.gradients(case)
    (w1, w2), (b1, b2) = found.weights, found.biases
    assert [float(v.item()) for v in (found.loss, w2, b2, w1, b1)] == [2.0, 4.0, 2.0, 6.0, 6.0]
    assert framework.derivation == "forward"
    verdict = Judge(case).verdict(found, framework="dual", derivation=framework.derivation)
    assert verdict.kind is Kind.AGREES


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_fourth_framework_agrees_on_random_stacks(install: Install, dtype: str) -> None:
    install({"fourth_framework": FOURTH}, {"dual": "fourth_framework:DualFramework"})
    (framework,), _ = open_frameworks(["dual"], {}, {})
    draw = np.random.default_rng(5).standard_normal
    stack = Case.of(
        [draw((5, 4, 3)), draw((5, 2, 4))],
        [draw((5, 4)), None],
        draw((5, 3, 3)),
        draw((5, 3, 2)),
        dtype=dtype,
        reduction="mean",
        output="identity",
    )
    found = framework.gradients(stack)
    kinds = [
        Judge(stack[i]).verdict(found[i], framework="dual", derivation="forward").kind
        for i in range(5)
    ]
    assert kinds == [Kind.AGREES] * 5


def test_an_entry_point_replaces_a_built_in_framework(install: Install) -> None:
    source = PLAIN.format(module="sys", packages=(), opening="pass").replace('"plain"', '"torch"')
    install({"replacement": source}, {"torch": "replacement:Plain"})
    (framework,), _ = open_frameworks(["torch"], {}, {})
    assert type(framework).__module__ == "replacement"
    assert next(iter(known())) == "torch"


# Broken, and said so


@pytest.mark.parametrize(
    ("source", "value", "words"),
    [
        pytest.param(None, "nowhere:Plain", "No module named 'nowhere'", id="no-module"),
        pytest.param("", "odd:Plain", "AttributeError: ", id="no-class"),
        pytest.param("Plain = print", "odd:Plain", "TypeError: odd:Plain is not", id="no-adapter"),
        pytest.param("1 / 0", "odd:Plain", "ZeroDivisionError: division", id="raises"),
        pytest.param("raise SystemExit('no')", "odd:Plain", "SystemExit: no", id="exits"),
        pytest.param("import nil_", "odd:Plain", "ModuleNotFoundError: ", id="lacks-a-module"),
        pytest.param(
            PLAIN.format(module="sys", packages=(), opening="pass").replace('"plain"', '"other"'),
            "odd:Plain",
            "registered as 'plain' and named 'other'",
            id="other-name",
        ),
        pytest.param(
            PLAIN.format(module="sys", packages=(), opening="pass").replace("name,", "nome,"),
            "odd:Plain",
            "AttributeError: ",
            id="no-name",
        ),
        pytest.param(
            PLAIN.format(module="sys", packages=(), opening="pass").replace("gradients", "f"),
            "odd:Plain",
            "TypeError: ",
            id="no-method",
        ),
    ],
)
def test_an_entry_point_that_is_no_framework_is_broken(
    source: str | None, value: str, words: str, install: Install
) -> None:
    install({} if source is None else {"odd": source}, {"plain": value})
    state = state_of("plain")
    assert state.state == "broken"
    assert words in state.detail
    assert state.versions == {}


def test_two_packages_that_register_one_name_are_both_named(install: Install) -> None:
    install({}, {"plain": "one:A"}, "first")
    install({}, {"plain": "two:B"}, "second")
    state = state_of("plain")
    assert state.state == "broken"
    assert "one:A" in state.detail
    assert "two:B" in state.detail


@pytest.mark.parametrize(
    ("library", "words"),
    [
        pytest.param("import nil_", "ModuleNotFoundError: No module named 'nil_'", id="dependency"),
        pytest.param("raise ImportError('lib.so')", "ImportError: lib.so", id="shared-object"),
        pytest.param("raise OSError('a\\n\\n  b')", "OSError: a b", id="several-lines"),
        pytest.param("raise OSError", "OSError: no message", id="no-message"),
        pytest.param("raise SystemExit(3)", "SystemExit: 3", id="exits"),
        pytest.param("class E(BaseException): 'x'\nraise E('odd')", "E: odd", id="base-exception"),
    ],
)
def test_a_library_that_cannot_be_imported_is_broken_and_not_absent(
    library: str, words: str, plain: Install
) -> None:
    plain({"somelibrary": library})
    state = state_of("plain", mode="eager")
    assert (state.state, state.detail, state.mode) == ("broken", words, "eager")


def test_a_missing_dependency_of_the_parent_package_is_broken(plain: Install) -> None:
    plain({"somelibrary.__init__": "import nil_"}, module="somelibrary.part")
    state = state_of("plain")
    assert (state.state, state.detail) == ("broken", "ModuleNotFoundError: No module named 'nil_'")


def test_an_adapter_that_cannot_start_its_library_is_broken(plain: Install) -> None:
    plain({"somelibrary": ""}, opening="raise RuntimeError('no such device')")
    assert state_of("plain").detail == "RuntimeError: no such device"


def test_a_library_imported_without_a_spec_is_not_absent(
    plain: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain({"somelibrary": ""})
    library = type(sys)("somelibrary")
    assert library.__spec__ is None
    monkeypatch.setitem(sys.modules, "somelibrary", library)
    assert state_of("plain").state == "available"


@pytest.mark.parametrize("where", ["adapter", "library"])
def test_an_interrupt_is_not_taken_for_a_broken_library(where: str, plain: Install) -> None:
    interrupt = "raise KeyboardInterrupt"
    if where == "library":
        plain({"somelibrary": interrupt})
    else:
        plain({"somelibrary": ""}, opening=interrupt)
    with processes.interruptible(), pytest.raises(KeyboardInterrupt):
        state_of("plain")


# Absent


@pytest.mark.parametrize("module", ["somelibrary", "somelibrary.part", "somelibrary.part.deep"])
def test_a_library_that_is_not_there_is_absent(module: str, plain: Install) -> None:
    plain({}, module=module)
    state = state_of("plain")
    assert (state.state, state.detail) == ("absent", "pip install some-library")
    assert (state.formulation, state.mode, state.versions) == ("relu", "eager", {})


def test_a_part_that_the_library_does_not_have_is_absent(plain: Install) -> None:
    plain({"somelibrary.__init__": ""}, module="somelibrary.part", packages=())
    state = state_of("plain")
    assert (state.state, state.detail) == ("absent", "pip install somelibrary.part")


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_without_its_library_a_built_in_framework_says_which_extra_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    state = state_of(name)
    assert (state.state, state.formulation) == ("absent", "relu")
    assert state.detail == installation(name)
    with pytest.raises(UsageError, match=rf"{name}' is not installed here: pip install '{name}>="):
        open_frameworks([name], {}, {})


def test_knowing_the_frameworks_imports_no_library(plain: Install) -> None:
    plain({"somelibrary": "raise RuntimeError('imported')"})
    assert isinstance(known()["plain"], type)
    assert "somelibrary" not in sys.modules


# Opening


@pytest.fixture
def mixed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four frameworks: two available, one absent, one broken."""
    hide_the_built_in_ones(monkeypatch)
    modules, registers = {"wreck": "raise RuntimeError('wrecked')"}, {}
    for name, module in {"one": "sys", "two": "os", "gone": "nil_", "wrecked": "wreck"}.items():
        source = PLAIN.format(module=module, packages=(), opening="__import__(self.module)")
        source = source.replace('"plain"', repr(name))
        source += '    formulations = {"relu": "r", "clamp": "c"}\n    modes = {"e": "", "g": ""}\n'
        modules[f"adapter_{name}"] = source
        registers[name] = f"adapter_{name}:Plain"
    install(modules, registers)


@pytest.mark.usefixtures("mixed")
def test_by_default_all_that_are_not_absent_are_used_and_all_are_listed() -> None:
    frameworks, states = open_frameworks(None, {"two": "clamp"}, {"one": "g"})
    assert [(f.name, f.formulation, f.mode) for f in frameworks] == [
        ("one", "relu", "g"),
        ("two", "clamp", "e"),
    ]
    assert [(s.name, s.state, s.formulation, s.mode) for s in states] == [
        ("gone", "absent", "relu", "e"),
        ("one", "available", "relu", "g"),
        ("two", "available", "clamp", "e"),
        ("wrecked", "broken", "", ""),
    ]
    assert states[-1].detail == "RuntimeError: wrecked"


@pytest.mark.usefixtures("mixed")
def test_the_order_asked_for_is_kept_and_nothing_is_opened_twice() -> None:
    frameworks, states = open_frameworks(["two", "one", "two"])
    assert [f.name for f in frameworks] == [s.name for s in states] == ["two", "one"]


@pytest.mark.usefixtures("mixed")
def test_a_broken_framework_asked_for_is_reported_beside_the_others() -> None:
    frameworks, states = open_frameworks(["wrecked", "one"], {"wrecked": "clamp"}, {})
    assert [f.name for f in frameworks] == ["one"]
    assert (states[0].state, states[0].formulation) == ("broken", "clamp")


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("names", "formulations", "modes", "message"),
    [
        pytest.param(
            ["onne"],
            {},
            {},
            "framework: no framework is called 'onne', wanted one of gone, one, two, "
            "wrecked; did you mean 'one'?",
            id="misspelt",
        ),
        pytest.param(
            ["ONE"],
            {},
            {},
            "framework: no framework is called 'ONE', wanted one of gone, one, two, "
            "wrecked; did you mean 'one'?",
            id="capitals",
        ),
        pytest.param(
            ["zzz"],
            {},
            {},
            "framework: no framework is called 'zzz', wanted one of gone, one, two, wrecked",
            id="unknown",
        ),
        pytest.param(
            None,
            {"zzz": "clamp"},
            {},
            "formulation: no framework is called 'zzz', wanted one of gone, one, two, wrecked",
            id="formulation-of-unknown",
        ),
        pytest.param(
            ["one", "gone"],
            {},
            {},
            "framework 'gone' is not installed here: pip install nil_",
            id="absent",
        ),
        pytest.param(
            None,
            {},
            {"gone": "g"},
            "framework 'gone' is not installed here: pip install nil_",
            id="mode-of-absent",
        ),
        pytest.param(
            ["two"],
            {"one": "clamp"},
            {},
            "formulation one=clamp: one is not in use, only two; "
            "ask for one as well or leave the formulation out",
            id="formulation-not-in-use",
        ),
        pytest.param(
            ["two"],
            {},
            {"one": "g"},
            "mode one=g: one is not in use, only two; ask for one as well or leave the mode out",
            id="mode-not-in-use",
        ),
        pytest.param(
            ["two"],
            {"two": "clam"},
            {},
            "formulation='clam' for two: wanted one of relu, clamp; did you mean 'clamp'?",
            id="formulation-misspelt",
        ),
        pytest.param(
            None, {}, {"one": "h"}, "mode='h' for one: wanted one of e, g", id="mode-misspelt"
        ),
        pytest.param(
            [],
            {},
            {},
            "frameworks=[]: wanted a list with at least one of gone, one, two, wrecked",
            id="none",
        ),
        pytest.param(
            "one",
            {},
            {},
            "frameworks='one': wanted a list with at least one of gone, one, two, wrecked",
            id="a-string",
        ),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(
    names: list[str] | None,
    formulations: dict[str, str],
    modes: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(UsageError) as caught:
        open_frameworks(names, formulations, modes)
    assert str(caught.value) == message


@pytest.mark.usefixtures("mixed")
def test_the_state_of_an_unknown_framework_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'two'"):
        state_of("twoo")
    with pytest.raises(UsageError, match="formulation='clam' for one"):
        state_of("one", formulation="clam")


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_an_installed_framework_is_available_with_its_versions(name: str) -> None:
    state = state_of(name)
    if state.state == "absent":
        pytest.skip(f"{name} is not installed, so it has no version")
    assert (state.state, state.detail) == ("available", "")
    assert any(package.startswith(name) for package in state.versions)
    assert all(version[0].isdigit() for version in state.versions.values())
