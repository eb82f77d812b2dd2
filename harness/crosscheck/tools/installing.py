"""What to type to install something that is optional.

Messages name the library itself, with the bound of ``pyproject.toml``: that can be installed
anywhere, wherever this package came from, a checkout, a wheel or a git address.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["REQUIREMENTS", "installation"]

REQUIREMENTS: Mapping[str, str] = MappingProxyType(
    {
        "torch": "torch>=2.4",
        "tensorflow": "tensorflow>=2.18",
        "jax": "jax>=0.4.34",
        "exact": "python-flint>=0.7",
        "files": "safetensors>=0.4.4",
        "digits": "scikit-learn>=1.5",
        "plots": "matplotlib>=3.9",
        "distributed": "distributed>=2025.1",
        "sweep": "numba>=0.61",
    }
)
"""Extra of this package to the one library that it brings; a test holds it to pyproject.toml."""


def installation(extra: str) -> str:
    """The command that installs what an extra brings.

    Args:
        extra: A key of `REQUIREMENTS`.
    """
    return f"pip install '{REQUIREMENTS[extra]}'"
