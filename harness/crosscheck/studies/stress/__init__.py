"""The local certificate under stress: records of every eager framework on numbers out of the way.

regimes     six ways of drawing the numbers of a network
networks    dense networks and networks of all operators with residual sums, as stacks
measure     records judged and counted, round by round, so that it can be taken up again
page        reports/stress.md
"""
