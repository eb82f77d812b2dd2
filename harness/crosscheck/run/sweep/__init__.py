"""Sweeps: cases made by number, checked in batches, on any number of workers.

`crosscheck.cases.stream.generate` makes case number i of a stream; `crosscheck.run.sweep.check`
puts a range of numbers to the frameworks; `crosscheck.run.sweep.coordinate` hands ranges to workers
and brings the results into the order of the numbers; `crosscheck.run.sweep.engine` is the whole of
it. `crosscheck.run.sweep.dense` is what is handed out of a sweep of dense networks, and
`crosscheck.run.sweep.stacks` of one of a network of operators.
"""
