"""Hostile files: the readers of this package are put to files that have been tampered with.

``python -m hostile`` in this folder mutates case files, checkpoints of sweeps, reports and
baselines, reads each, and does with it what the command does. A file is read or refused in one
line; a traceback, a line with characters that are not to be shown, more than two seconds or a GiB,
and a result that says other than what the file was made of, are findings.
"""
