"""What is installed here, what of it works, and what to do about the rest.

Nothing of a framework is trusted: each is examined in a process of its own
(`crosscheck.doctor.probe`), step by step, with a time limit for each step
(`crosscheck.doctor.runner`). So one that crashes or hangs costs its own answers and no others, and
nothing that a library does to its process, such as switching subnormal numbers off, reaches this
one.
"""

from crosscheck.doctor.diagnosis import Check, Diagnosis, FrameworkHealth, LibraryHealth, Problem
from crosscheck.doctor.examination import examine

__all__ = ["Check", "Diagnosis", "FrameworkHealth", "LibraryHealth", "Problem", "examine"]
