"""Every rule of a primitive and every operator's step, put to the worst evaluation that is found.

A framework is simulated that rounds to a format of few bits, or to float32 or float64, adds in any
order, with or without fused multiply-add, and flushes where that is allowed. Operands and all dice
are numbers that a population climbs with, towards the largest error / bound.

genes       the numbers of a population, and how it climbs
machine     operations that round as a format says
arithmetic  the verbs of programs on such a machine
pieces      the ways in which frameworks evaluate functions in pieces, and their slopes
rules       a program for each rule, with operands that are known or held with an error
steps       each operator's step, judged as the local certificate judges it
"""
