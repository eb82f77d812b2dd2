"""What a process that works keeps to: its threads, and its name."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

__all__ = ["ONE_THREAD", "added_for_one_thread", "one_thread", "this_worker"]

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
}
"""What keeps a worker to one thread. The libraries read it when they are imported."""


def added_for_one_thread(environment: Mapping[str, str]) -> dict[str, str]:
    """`ONE_THREAD`, where the user has not said otherwise in an environment."""
    return {name: value for name, value in ONE_THREAD.items() if name not in environment}


@contextmanager
def one_thread(environment: MutableMapping[str, str]) -> Iterator[None]:
    """`ONE_THREAD` in an environment, where the user has not said otherwise."""
    added = added_for_one_thread(environment)
    environment.update(added)
    try:
        yield
    finally:
        for name in added:
            del environment[name]


def this_worker() -> str:
    """Who works here, for a person."""
    return f"process {os.getpid()} on {socket.gethostname()}"
