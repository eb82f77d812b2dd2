"""A newcomer's hour: the README's commands, in order, in one shell that has nothing else.

Addresses that the README leaves to the reader are put in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["commands", "prepared", "script"]

_ADDRESSES = {
    "/path/to/crosscheck": "$COPY",
    "git+https://host/owner/crosscheck": "git+file://localhost$COPY",
}
"""What a reader puts in the place of what the README has."""

_KEPT = ("HOME", "LANG", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")


def commands(readme: str) -> list[str]:
    """The commands of the README, in its order."""
    blocks = re.findall(r"```sh\n(.*?)```", readme, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def script(readme: str) -> str:
    """The commands as a script, which ends at the first that does not do what it should.

    What the first command says about the program is done; what is said of a project of one's own is
    done in an environment of its own each; the test that the README shows has to fail.
    """
    (test,) = re.findall(r"```python\n(.*?def test_affine.*?)```", readme, flags=re.DOTALL)
    lines = ["set -euo pipefail", 'cd "$COPY"', f"cat > test_affine.py <<'END'\n{test}END"]
    for number, command in enumerate(commands(readme)):
        typed = command
        for shown, meant in _ADDRESSES.items():
            typed = typed.replace(shown, meant)
        # Within single quotes the shell would leave the name of the copy as it is.
        typed = re.sub(r"'([^']*\$COPY[^']*)'", r'"\1"', typed)
        lines.append(f"echo; echo '$' {_quoted(command)}")
        if command.startswith("pip "):
            own = f'"$PLACE/own-{number}"'
            lines.append(f"python3 -m venv {own}")
            lines.append(f"( . {own}/bin/activate; cd {own}; {typed}; crosscheck --version )")
        elif command.endswith("nox -s crosscheck"):
            lines.append(f'{typed} | tee "$PLACE/first.txt"')
            lines.append("""eval "$(grep -E '^ +\\. .*/activate$' "$PLACE/first.txt")\"""")
            lines.append("if pytest -q test_affine.py; then exit 1; fi")
            lines.append("rm test_affine.py")
        else:
            lines.append(typed)
    return "\n".join([*lines, "echo; echo 'every command did what it should'", ""])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def prepared(root: Path, place: Path) -> tuple[Path, dict[str, str]]:
    """A fresh copy of the last commit, and the script beside it.

    Args:
        root: Of the repository.
        place: An empty folder.

    Returns:
        The script, and the variables that it is to run with, and no others.
    """
    copy, programs = place / "copy", place / "programs"
    for each in (copy, programs, *place.glob("own-*")):
        shutil.rmtree(each, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(root), str(copy)], check=True)
    programs.mkdir(parents=True)
    base = getattr(sys, "_base_executable", sys.executable)
    (programs / "python3").symlink_to(base)
    shell = place / "newcomer.sh"
    shell.write_text(script((copy / "README.md").read_text("utf-8")), "utf-8")
    kept = {name: os.environ[name] for name in os.environ if name in _KEPT or name[:4] == "PIP_"}
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    return shell, {**kept, "PATH": path, "COPY": str(copy), "PLACE": str(place)}
