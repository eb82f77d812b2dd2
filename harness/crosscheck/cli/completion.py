"""``crosscheck completion``, and what completes the values of options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
)

__all__ = [
    "arithmetic_names",
    "choices",
    "completion",
    "framework_names",
    "function_names",
    "operator_names",
]

VARIABLE = "_CROSSCHECK_COMPLETE"
"""What click looks for in the environment; the name follows from that of the command."""

_SHELLS = ("bash", "zsh", "fish")


class _Bash(BashComplete):
    """bash takes ``torch=cl`` for three words, and puts a completion in place of the last."""

    name: ClassVar[str] = "bash"

    def get_completion_args(self) -> tuple[list[str], str]:
        """Click's words, with those around an equals sign joined again."""
        arguments, incomplete = super().get_completion_args()
        self._before = ""
        words = [*arguments, incomplete]
        if len(words) >= 2 and words[-1] == "=":
            self._before, words = f"{words[-2]}=", [*words[:-2], f"{words[-2]}="]
        elif len(words) >= 3 and words[-2] == "=":
            self._before = f"{words[-3]}="
            words = [*words[:-3], self._before + words[-1]]
        if self._before.startswith("--"):  # --option=value: click wants two words
            option, _, value = words[-1].partition("=")
            words = [*words[:-1], option, value]
            self._before = ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """A completion, without the part before the equals sign, which stays."""
        value = str(item.value).removeprefix(self._before)
        return super().format_completion(CompletionItem(value, type=item.type))


add_completion_class(_Bash)


def framework_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of frameworks, separated by commas; no framework is imported."""
    from crosscheck.frameworks.registry import names

    return _one_more(names(), incomplete)


def arithmetic_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of coarser arithmetics, separated by commas."""
    from crosscheck.numbers.named import ARITHMETICS

    return _one_more(ARITHMETICS, incomplete)


def function_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of elementary functions, separated by commas."""
    from crosscheck.numbers.elementary import ELEMENTARY

    return _one_more(ELEMENTARY, incomplete)


def operator_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of operators, separated by commas."""
    from crosscheck.operators.registry import known

    return _one_more(known(), incomplete)


def _one_more(names: Iterable[str], incomplete: str) -> list[str]:
    """What a list of names, separated by commas, can become by the next name."""
    before, comma, last = incomplete.rpartition(",")
    taken = set(before.split(","))
    return [
        f"{before}{comma}{name}" for name in names if name.startswith(last) and name not in taken
    ]


def choices(field: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes FRAMEWORK=NAME with what an adapter has; its library is not imported.

    Args:
        field: ``"formulations"`` or ``"modes"``.
    """

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from crosscheck.frameworks.registry import adapter_of, names

        framework, equals, start = incomplete.partition("=")
        if not equals:
            return [f"{name}=" for name in names() if name.startswith(framework)]
        adapter = adapter_of(framework) if framework in names() else None
        known: Iterable[str] = getattr(adapter, field, ())
        return [f"{framework}={name}" for name in known if name.startswith(start)]

    return complete


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes this command in a shell.

    \b
    Examples (for now; put the line into the shell's own start-up file to keep it):
      eval "$(crosscheck completion bash)"
      eval "$(crosscheck completion zsh)"
      crosscheck completion fish | source
    """  # noqa: D301  (click wants the control character)
    root = context.find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(root, {}, "crosscheck", VARIABLE).source())
    return 0
