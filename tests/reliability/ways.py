"""The ways in which a framework misbehaves, and what is to come of each in every command.

What is to come of it was written before it was tried. The words are, for ``run`` and ``sweep``, the
verdict on the one case at which it happens; every other case, and the framework beside it, is
checked as if nothing were the matter. With AGREES the command ends with 0, with others with 1.

For ``conventions --check``, which measures one framework in two spellings, one of which misbehaves:

    SAME        it ends with 0: nothing has changed
    CHANGED     it ends with 1, and names the convention; where subnormal numbers are replaced by
                zero, both, which are measured in one process
    CRASHED     it ends with 1, and names the convention, which has no row; the other is measured
    TIMED_OUT   likewise

For pytest, where a function of the user's misbehaves in the second of three tests:

    PASSED        all three tests pass
    FAILED        that test fails and says why, the others pass
    DIED          the process ends; the next session names the test and the case
    HUNG          whoever waits has to end it; the next session names the test and the case, unless
                  all tests had passed
    INTERRUPTED   pytest ends as by Ctrl-C
    ERROR         pytest itself, which needs what was broken, ends with an error, and not with 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import flushing

__all__ = ["CHANGES", "COMMANDS", "DIES", "HANGS", "RAISES", "RETURNS", "WAYS", "Way"]

COMMANDS = ("run", "sweep", "sweep --jobs", "conventions", "pytest")


@dataclass(frozen=True)
class Way:
    """How a framework misbehaves.

    Attributes:
        source: What is run before it computes; ``case`` is the case.
        wanted: For each of `COMMANDS` what is to come of it.
        detail: What is said of it, from its beginning.
        then: What is run when it has computed: ``found`` is what it returns, ``hit`` says of which
            cases of a stack that is not right, and ``changed(function)`` is ``found`` with the
            function done to the arrays of these.
        once: Whether it does it once in a process, where nothing depends on the case.
    """

    source: str
    wanted: Mapping[str, str]
    detail: str = ""
    then: str = ""
    once: bool = False


def _wanted(verdict: str, conventions: str, pytest: str) -> dict[str, str]:
    checked = dict.fromkeys(("run", "sweep", "sweep --jobs"), verdict)
    return {**checked, "conventions": conventions, "pytest": pytest}


def _dies(source: str, detail: str = "", **others: str) -> Way:
    """What ends the process."""
    wanted = {**_wanted("CRASHED", "CRASHED", "DIED"), **others}
    return Way(source, wanted, f"the process {detail}" if detail else "")


def _hangs(source: str, **others: str) -> Way:
    """What never answers."""
    wanted = {**_wanted("TIMED_OUT", "TIMED_OUT", "HUNG"), **others}
    return Way(source, wanted, "the process no answer in")


def _raises(source: str, detail: str, **others: str) -> Way:
    """What is raised; where conventions are measured that is what a library says it cannot do."""
    return Way(source, {**_wanted("CRASHED", "CHANGED", "FAILED"), **others}, detail)


def _returns(then: str, detail: str = "", verdict: str = "CRASHED", **others: str) -> Way:
    """What is returned and is no gradient, or not the right one."""
    return Way("", {**_wanted(verdict, "CHANGED", "FAILED"), **others}, detail, then)


def _harmless(then: str) -> Way:
    """What is returned in an unusual form, and is the right gradient."""
    return Way("", _wanted("AGREES", "SAME", "PASSED"), "", then)


def _changes(source: str, **others: str) -> Way:
    """What is done to the process, and then the right gradient is returned."""
    return Way(source, {**_wanted("AGREES", "SAME", "PASSED"), **others}, once=True)


DIES: Mapping[str, Way] = {
    "leaves with 0": _dies("os._exit(0)", "ended with 0"),
    "leaves from a thread": _dies(
        "threading.Thread(target=os._exit, args=(5,)).start()\ntime.sleep(60)", "ended with 5"
    ),
    "aborts": _dies("os.abort()", "ended by SIGABRT"),
    "segfaults": _dies("ctypes.string_at(0)", "ended by SIGSEGV"),
    "kills itself": _dies("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
    "frees memory twice": _dies(
        "libc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\n"
        "libc.free.argtypes = [ctypes.c_void_p]\nplace = libc.malloc(64)\n"
        "libc.free(place)\nlibc.free(place)",
        "ended by SIGABRT",
    ),
    "overflows the stack in C": _dies(
        "import pickle\nclass Deep: pass\nsys.setrecursionlimit(10**9)\n"
        "def down(): return repr(down2())\ndef down2():\n    a = []\n"
        "    for _ in range(10**6): a = [a]\n    return a\ndown()",
    ),
    "closes all files": _dies("os.closerange(0, 256)", pytest="DIED"),
    "becomes another program": _dies(
        "os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(4)'])", "ended with 4"
    ),
    "has used up its processor time": _dies(
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 100))\n"
        "signal.signal(signal.SIGXCPU, signal.SIG_DFL)\nwhile True: pass",
        "ended by SIGXCPU",
    ),
    "returns what is in a file that has become shorter": Way(
        "import mmap, tempfile\n"
        "file = tempfile.TemporaryFile()\nfile.truncate(4096)\nheld = mmap.mmap(file.fileno(), 0)",
        _wanted("CRASHED", "CRASHED", "DIED"),
        "the process ended by SIGBUS",
        "def moved(array):\n    array = np.asarray(array)\n"
        "    return np.frombuffer(held, array.dtype, array.size).reshape(array.shape)\n"
        "found = moved(found) if isinstance(found, np.ndarray) else found.map(moved)\n"
        "file.truncate(0)",
    ),
}
"""What ends the process."""

HANGS: Mapping[str, Way] = {
    "sleeps": _hangs("time.sleep(3600)"),
    "hangs in C with the interpreter's lock": _hangs("ctypes.PyDLL(None).sleep(3600)"),
    "stops itself": _hangs("os.kill(os.getpid(), signal.SIGSTOP)"),
    "ignores every signal and spins": _hangs(
        "for each in range(1, 32):\n    if each not in (9, 19):\n"
        "        signal.signal(each, signal.SIG_IGN)\nwhile True: pass",
    ),
    "waits for a pipe that nobody writes to": _hangs("ends = os.pipe()\nos.read(ends[0], 1)"),
    "matches an expression that takes for ever": _hangs(
        "import re\nre.match('(a+)+$', 'a' * 64 + 'b')"
    ),
    "writes into every open file": _hangs(
        "for each in range(3, 64):\n    try: os.write(each, b'x' * 9)\n    except OSError: pass",
        conventions="TIMED_OUT",
        pytest="PASSED",
    ),
}
"""What never answers."""

_ESCAPES = r"'\x1b[2J\x1b[31m'"

RAISES: Mapping[str, Way] = {
    "exits as Python does": _raises("sys.exit(0)", "SystemExit: 0", conventions="CRASHED"),
    "exits with words": _raises(
        "sys.exit('so there')", "SystemExit: so there", conventions="CRASHED"
    ),
    "exits, and leaves at the exit": _raises(
        "atexit.register(os._exit, 0)\nsys.exit(0)", "SystemExit: 0", conventions="CRASHED"
    ),
    "interrupts": _raises(
        "raise KeyboardInterrupt", "KeyboardInterrupt", conventions="CRASHED", pytest="INTERRUPTED"
    ),
    "raises what is no Exception": _raises(
        "raise BaseException('so there')", "BaseException: so there", conventions="CRASHED"
    ),
    "ends a generator": _raises("raise GeneratorExit", "GeneratorExit", conventions="CRASHED"),
    "is cancelled": _raises(
        "import asyncio\nraise asyncio.CancelledError('so there')",
        "CancelledError: so there",
        conventions="CRASHED",
    ),
    "stops an iteration": _raises("raise StopIteration(3)", "StopIteration: 3"),
    "raises several at once": _raises(
        "raise ExceptionGroup('both', [ValueError('a'), KeyError('b')])", "ExceptionGroup: both"
    ),
    "raises what cannot be sent": _raises(
        "class Odd(Exception):\n    def __reduce__(self): raise TypeError('no')\nraise Odd('x')",
        "Odd: x",
    ),
    "raises what cannot be told": _raises(
        "class Odd(Exception):\n    def __str__(self): raise TypeError('no')\nraise Odd", "Odd"
    ),
    "raises what ends the process when it is told": _raises(
        "class Odd(Exception):\n    def __str__(self): raise SystemExit(0)\nraise Odd", "Odd"
    ),
    "raises MemoryError": _raises("raise MemoryError", "MemoryError"),
    "asks for more memory than there is": _raises(
        "import resource\n"
        "before = resource.getrlimit(resource.RLIMIT_AS)\n"
        "try:\n    np.ones(2**50)\nfinally:\n    resource.setrlimit(resource.RLIMIT_AS, before)",
        "",
    ),
    "recurses": _raises("def down(): return down()\ndown()", "RecursionError: maximum"),
    "says that the disk is full": _raises(
        "raise OSError(28, 'No space left on device')",
        "OSError: [Errno 28] No space left on device",
    ),
    "says that a pipe is broken": _raises(
        "raise BrokenPipeError(32, 'Broken pipe')", "BrokenPipeError: [Errno 32] Broken pipe"
    ),
    "says that a file has ended": _raises("raise EOFError('so there')", "EOFError: so there"),
    "says 50 MB": _raises("raise ValueError('x' * 50_000_000)", "ValueError: xxx"),
    "says halves of characters": _raises(r"raise ValueError('\ud800\udfff')", "ValueError: "),
    "says what moves the cursor": _raises(f"raise ValueError({_ESCAPES} + 'red')", "ValueError: "),
    "says Markdown": _raises(
        "raise ValueError('| a | b |\\n|---|---|\\n<script>alert(1)</script>')", "ValueError: "
    ),
    "has a name that moves the cursor": _raises(
        f"raise type('Odd' + {_ESCAPES}, (Exception,), {{}})('x')", "Odd"
    ),
    "raises in a circle of causes": _raises(
        "one, other = ValueError('one'), ValueError('other')\n"
        "one.__cause__, other.__cause__ = other, one\nraise one",
        "ValueError: one",
    ),
    "raises an error of this package": _raises(
        "from crosscheck.tools.errors import UsageError\nraise UsageError('so there')",
        "UsageError: so there",
    ),
    "raises what ends a command": _raises(
        "import click\nraise click.exceptions.Exit(0)", "Exit: 0"
    ),
    "says that a worker has died": _raises(
        "from crosscheck.workers.process import WorkerDied\nraise WorkerDied('a worker', 'x')",
        "WorkerDied: a worker: x",
    ),
}
"""What is raised."""

RETURNS: Mapping[str, Way] = {
    "nothing": _returns("found = None", "None returned"),
    "a number": _returns("found = 0.0", "float returned"),
    "a list": _returns("found = [found]", "list returned"),
    "a generator": _returns("found = (each for each in (found,))", "generator returned"),
    "what says that it is everything": _returns(
        "class All:\n    def __getattr__(self, name): return All()\n"
        "    def __call__(self, *_): return All()\nfound = All()"
    ),
    "complex numbers": _returns("found = whole(lambda a: np.asarray(a) + 0.5j)"),
    "masked arrays": _returns("found = whole(lambda a: np.ma.masked_all_like(np.asarray(a)))"),
    "objects": _returns(
        "found = whole(lambda a: np.asarray(a).astype(object))", conventions="SAME"
    ),
    "numbers of half the bits": _returns("found = whole(lambda a: np.asarray(a, np.float16))"),
    "words": _returns("found = whole(lambda a: np.asarray(a).astype(str))"),
    "one axis more": _returns("found = whole(lambda a: np.asarray(a)[None])"),
    "one entry more": _returns("found = whole(lambda a: np.append(a, 1.0))"),
    "no entries": _returns("found = whole(lambda a: np.asarray(a).ravel()[:0])"),
    "arrays that say they are equal": _returns(
        "class Equal(np.ndarray):\n    def __eq__(self, other): return np.True_\n"
        "found = whole(lambda a: np.array(a, ndmin=1).view(Equal))",
        conventions="SAME",
    ),
    "twice of it": _returns("found = changed(lambda a: 2 * a)", verdict="DISAGREES"),
    "half of it": _returns("found = changed(lambda a: a / 2)", verdict="DISAGREES"),
    "minus it": _returns("found = changed(lambda a: -a)", verdict="DISAGREES"),
    "zeros": _returns("found = changed(lambda a: 0 * a)", verdict="DISAGREES"),
    "NaN": _returns("found = changed(lambda a: a + np.nan)", verdict="DISAGREES"),
    "infinity": _returns("found = changed(lambda a: a + np.inf)", verdict="DISAGREES"),
    "noise": _returns(
        "found = changed(lambda a: a + np.random.default_rng().random(a.shape) + 1)",
        verdict="DISAGREES",
    ),
    "what is wrong, with all that it says suppressed": _returns(
        "import warnings\nwarnings.simplefilter('ignore')\nnp.seterr(all='ignore')\n"
        "found = changed(lambda a: a * 1.5)",
        verdict="DISAGREES",
    ),
    "what is wrong, and replaces subnormal numbers by zero": _returns(
        f"{flushing.FLUSH}\nfound = changed(lambda a: a * 1.5)", verdict="DISAGREES"
    ),
    "what is right, read-only": _harmless(
        "def locked(a):\n    a = np.array(a)\n    a.setflags(write=False)\n    return a\n"
        "found = whole(locked)"
    ),
    "what is right, with gaps": _harmless(
        "found = whole(lambda a: np.repeat(np.array(a, ndmin=1), 2, axis=-1)[..., ::2]"
        ".reshape(np.shape(a)))"
    ),
    "what is right, in its own memory, twice": _harmless(
        "held = whole(lambda a: np.array(a))\nfound = held"
    ),
}
"""What is returned."""

CHANGES: Mapping[str, Way] = {
    "prints": _changes("print('{' * 100_000)\nsys.stdout.flush()"),
    "prints in C": _changes("os.write(1, b'{' * 1000)"),
    "closes the standard output": _changes("sys.stdout.close()\nos.close(1)", pytest="ERROR"),
    "closes the standard error output": _changes("sys.stderr.close()\nos.close(2)", pytest="ERROR"),
    "reads the standard input": _changes("sys.stdin.read()", pytest="FAILED"),
    "sets NumPy's error state": _changes("np.seterr(all='raise')"),
    "lowers the recursion limit": _changes("sys.setrecursionlimit(len(inspect.stack()) + 60)"),
    "handles signals": _changes(
        "for each in (2, 15, 14): signal.signal(each, lambda *_: os._exit(9))"
    ),
    "blocks all signals": _changes("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))"),
    "ignores the end of its children": _changes("signal.signal(signal.SIGCHLD, signal.SIG_IGN)"),
    "leaves a thread behind": _changes(
        "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()"
    ),
    "forks, and both come back": _changes("os.fork()"),
    "leaves the folder": _changes("os.chdir('/')"),
    "changes the environment": _changes("os.environ.clear()"),
    "lets nobody read what it writes": _changes("os.umask(0o777)"),
    "makes warnings errors": _changes("warnings.simplefilter('error')"),
    "breaks json": _changes("import json\njson.dumps = None", pytest="ERROR"),
    "breaks print": _changes("import builtins\nbuiltins.print = None"),
    "stops the clock": _changes("time.monotonic = time.time = lambda: 0.0"),
    "empties the module path": _changes("sys.path.clear()"),
    "forgets modules": _changes(
        "for each in ('json', 'random', 'pickle', 'hashlib'): sys.modules.pop(each, None)"
    ),
    "seeds every generator": _changes("import random\nrandom.seed(0)\nnp.random.seed(0)"),
    "computes with one digit": _changes("import decimal\ndecimal.getcontext().prec = 1"),
    "answers for errors that nobody handles": _changes("sys.excepthook = lambda *_: os._exit(0)"),
    "raises when it is forgotten": _changes(
        "class Odd:\n    def __del__(self): raise ValueError('so there')\nOdd()"
    ),
    "keeps 200 files open": _changes("held = [open(os.devnull) for _ in range(200)]"),
    "logs to the standard output": _changes(
        "import logging\nlogging.basicConfig(stream=sys.stdout, level=0, force=True)\n"
        "logging.getLogger().error('{{{')"
    ),
    "runs something at the end": _changes("atexit.register(time.sleep, 3600)", pytest="HUNG"),
    "starts a process": _changes("import subprocess\nsubprocess.Popen(['sleep', '3600'])"),
    "leaves a process of another session behind": _changes(
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)"
    ),
    "moves to one processor": _changes("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"),
    "answers late": _changes("time.sleep(0.5)"),
    "replaces subnormal numbers by zero": _changes(flushing.FLUSH, conventions="CHANGED"),
}
"""What changes the process, and returns the right gradient."""

WAYS: Mapping[str, Way] = {
    **DIES,
    **HANGS,
    **RAISES,
    **{f"returns {name}": way for name, way in RETURNS.items()},
    **CHANGES,
}
