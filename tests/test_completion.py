"""A shell completes the command: subcommands, options, frameworks and their formulations."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import processes
import pytest

from crosscheck.cli import main

ROOT = Path(__file__).parents[1]


def complete(*words: str) -> list[str]:
    """What bash offers for the last of ``words``, as it would put it in place of that word."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    script = processes.run(
        [sys.executable, "-m", "crosscheck", "completion", "bash"],
        capture_output=True,
        check=True,
        cwd=ROOT,
    ).stdout
    typed = " ".join(f'"{word}"' for word in words)
    # The script calls its first argument, which bash takes from the line.
    program = (
        f'crosscheck() {{ "{sys.executable}" -m crosscheck "$@"; }}\n'
        f"export -f crosscheck\n"
        f"{script.replace('env ', '').replace('$1', 'crosscheck')}\n"
        f"COMP_WORDS=(crosscheck {typed}); COMP_CWORD={len(words)}\n"
        f"_crosscheck_completion crosscheck\n"
        f'printf "%s\\n" "${{COMPREPLY[@]}}"\n'
    )
    done = processes.run(["bash", "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("do",), ["doctor"]),
        (("run", "--fram"), ["--frameworks"]),
        (("run", "--frameworks", "to"), ["torch"]),
        (("explain", "--frameworks", "torch,"), ["torch,tensorflow", "torch,jax"]),
        (("run", "--formulation", "to"), ["torch="]),
        # bash takes the equals sign for a word of its own.
        (("run", "--formulation", "torch", "=", "cla"), ["clamp", "clamp_min"]),
        (("run", "--mode", "jax", "="), ["jit", "eager"]),
        (("run", "--frameworks", "=", "te"), ["tensorflow"]),
        (("explain", "--format", "l"), ["latex"]),
        (("run", "--allow", "tf32,t"), ["tf32,truncated"]),
        (("accuracy", "--function", "tanh,ge"), ["tanh,gelu", "tanh,gelu_tanh"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bash_completes(words: tuple[str, ...], offered: list[str]) -> None:
    found = complete(*words)
    assert found[: len(offered)] == offered
    assert "--mode" in words or len(found) == len(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_command(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert f"_CROSSCHECK_COMPLETE={shell}_complete" in out


def test_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 4
    assert "tcsh" in capsys.readouterr().err


def test_completing_a_formulation_imports_no_framework() -> None:
    program = (
        "import sys\n"
        "from crosscheck.cli import cli\n"
        "from crosscheck.cli.completion import _Bash\n"
        "found = _Bash(cli, {}, 'crosscheck', '_CROSSCHECK_COMPLETE').complete()\n"
        "assert 'clamp' in found, found\n"
        "heavy = {'torch', 'tensorflow', 'jax', 'sympy', 'hypothesis'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    words = "crosscheck run --formulation torch = cla"
    environment = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": "5"}
    done = processes.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_names_are_listed_without_loading_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    from crosscheck.frameworks import registry
    from crosscheck.tools.errors import UsageError

    def refuse(name: str, values: object) -> None:
        raise AssertionError(f"{name} was loaded")

    listed = list(registry.known())
    one = registry.adapter_of("jax")
    assert registry.known()["jax"] is one
    monkeypatch.setattr(registry, "_load", refuse)
    assert registry.names() == listed
    with pytest.raises(UsageError, match="did you mean 'jax'"):
        registry.adapter_of("jaxx")
