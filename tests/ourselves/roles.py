"""Where things are at present: the only file of these that knows modules by name.

A role is what a piece is for; faults are attached to roles (`ourselves.catalogue`). When pieces
move, the right-hand sides move with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ROLES"]

ROLES: Mapping[str, str] = MappingProxyType(
    {
        # the reference
        "forward pass": "crosscheck.network.reference:forward",
        "loss and its cotangent": "crosscheck.network.reference:loss_and_cotangent",
        "one layer backwards": "crosscheck.network.reference:backward_layer",
        "parameters of a layer": "crosscheck.network.reference:parameter_gradients",
        "forward mode": "crosscheck.network.forward_mode:forward_mode",
        "gradient in floats": "crosscheck.network.reference:gradients",
        "layers with a ReLU": "crosscheck.network.dense:Network.has_relu",
        "rounding to a format": "crosscheck.numbers.formats:Format.round",
        # bounds
        "unit roundoff": "crosscheck.numbers.model:Model.roundoff",
        "smallest safe number": "crosscheck.numbers.model:Model.least",
        "loss by underflow": "crosscheck.numbers.model:Model.underflow",
        "lowest bit": "crosscheck.numbers.rounding:lowest_bit",
        "rounding of bounds": "crosscheck.numbers.rounding:up",
        "roundings of a term": "crosscheck.numbers.terms:Terms.factors",
        "additions of a sum": "crosscheck.numbers.terms:Terms.additions",
        "certificate of exactness": "crosscheck.numbers.terms:Terms.certain",
        "error of a sum": "crosscheck.numbers.enclosure:OpenSum.e",
        "the reference's error in a sum": "crosscheck.numbers.enclosure:OpenSum.r",
        "error of a ReLU": "crosscheck.numbers.enclosure:Enclosure.relu",
        "error of a residual": "crosscheck.network.loss_bounds:residual_of",
        "error of a gated cotangent": "crosscheck.numbers.enclosure:Enclosure.__rmul__",
        "error of a quotient": "crosscheck.network.loss_bounds:divided",
        "what reading as zero loses": "crosscheck.numbers.bounded:Bounded.lost_by_reading",
        "bound to compare with": "crosscheck.numbers.bounded:Bounded.bound",
        "error of the loss": "crosscheck.network.loss_bounds:with_constants_anywhere",
        "error of a loss tangent": "crosscheck.judge.enclosed:loss_tangent",
        "comparison with a bound": "crosscheck.judge.enclosed:leaves_bound",
        # gates
        "margin of a sign": "crosscheck.numbers.bounded:Bounded.margin",
        "class of an open gate": "crosscheck.judge.gates:open_decision",
        "gates that are open": "crosscheck.judge.enclosed:Enclosed.has_open_gates",
        # kinks
        "explained by slopes": "crosscheck.judge.kinks.explanation:explain",
        "all entries contained": "crosscheck.judge.kinks.explanation:_contains",
        "entries of a layer out of reach": "crosscheck.judge.kinks.explanation:_Search._leaves",
        "slopes left by linear programs": "crosscheck.judge.kinks.exclusion:possible",
        "influence of slopes": "crosscheck.judge.kinks.influence:influences",
        "certificate of a program": "crosscheck.numbers.linear_programs:_checks",
        "gradients of slopes": "crosscheck.judge.kinks.influence:gates_with",
        # generalised derivatives
        "adjacent cells": "crosscheck.judge.kinks.cells:_cells",
        "convex combination": "crosscheck.judge.kinks.clarke:combines",
        "every pattern occurs": "crosscheck.judge.kinks.clarke:by_own_parameters",
        "a direction into a cell": "crosscheck.judge.kinks.cells:_has_direction",
        # the verdict
        "verdict of a case": "crosscheck.judge.compare:Judge._verdict",
        "shapes of a gradient": "crosscheck.judge.compare:misshapen_of",
        "ratio of error and bound": "crosscheck.judge.stacks:ratio_of",
        "verdict with open gates": "crosscheck.judge.compare:kind_of",
        "agreement of a stack": "crosscheck.judge.stacks:StackJudge.agreements",
        "compiled agreement": "crosscheck.judge.compiled.judge:FusedJudge.certified",
        "entries that a bound can tell from zero": "crosscheck.judge.vacuity:vacuous",
        "verdicts that fail a run": "crosscheck.judge.verdict:FAILING",
        "whether a verdict fails": "crosscheck.judge.verdict:fails",
        # what is let in
        "the gate": "crosscheck.frameworks.admission:admitted",
        "arrays that were lent": "crosscheck.frameworks.lent:_differs",
        # the run and its report
        "how a run ends": "crosscheck.run.crosscheck:outcome",
        "failing verdicts of a case": "crosscheck.run.tally:failing_verdicts",
        "cases seen before": "crosscheck.run.counting:fingerprints",
        "smaller cases": "crosscheck.cases.shrink:shrink",
        # the sweep
        "parts of a sweep": "crosscheck.cases.stream.settings:Settings.parts",
        "what has changed since": "crosscheck.run.sweep.checkpoint:changed",
        "families of cases": "crosscheck.cases.stream.families:Mix.families",
        "cases left to be judged": "crosscheck.run.sweep.record:Record.take",
        "verdicts together": "crosscheck.judge.together:_explained",
    }
)
"""Role to ``module:name``, or ``module:class.name``."""
