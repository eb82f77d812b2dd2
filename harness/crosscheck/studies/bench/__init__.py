"""The speed of a check beside the speed of what it checks, measured in one run.

    the floor     the three frameworks' own batched gradients, one after the other, no checking
    the sweep     new cases, the same gradients, and the verdict on each
    the loop      what a user would write: eager gradients, case by case, compared with a tolerance
    the checkers  the frameworks' own, case by case

Each is a rate in cases per second; ratios of two of them are what means something, since they
were taken in turns in the same process.
"""
