"""Sweeps: cases made by number, checked in batches, on any number of workers.

`harness.sweep.generate` makes case number i of a stream; `harness.sweep.check` puts a range of
numbers to the frameworks; `harness.sweep.coordinate` hands ranges to workers and brings the
results into the order of the numbers; `harness.sweep.engine` is the whole of it.
"""
