"""``python -m harness`` is the command ``crosscheck``."""

import sys

from harness.cli import main

sys.exit(main())
