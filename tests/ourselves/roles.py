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
        "forward pass": "harness.reference:forward",
        "loss and its cotangent": "harness.reference:loss_and_cotangent",
        "one layer backwards": "harness.reference:backward_layer",
        "parameters of a layer": "harness.reference:parameter_gradients",
        "forward mode": "harness.reference:forward_mode",
        "gradient in floats": "harness.reference:gradients",
        "layers with a ReLU": "harness.network:Network.has_relu",
        "rounding to a format": "harness.formats:Format.round",
        # bounds
        "unit roundoff": "harness.arithmetic.enclosure:Model.roundoff",
        "smallest safe number": "harness.arithmetic.enclosure:Model.least",
        "loss by underflow": "harness.arithmetic.enclosure:Model.underflow",
        "lowest bit": "harness.arithmetic.enclosure:_grain",
        "rounding of bounds": "harness.arithmetic.enclosure:_up",
        "roundings of a term": "harness.arithmetic.enclosure:OpenSum._factors",
        "additions of a sum": "harness.arithmetic.enclosure:OpenSum._additions",
        "certificate of exactness": "harness.arithmetic.enclosure:OpenSum._certain",
        "error of a sum": "harness.arithmetic.enclosure:OpenSum.e",
        "the reference's error in a sum": "harness.arithmetic.enclosure:OpenSum.r",
        "error of a ReLU": "harness.arithmetic.enclosure:Enclosure.relu",
        "error of a residual": "harness.arithmetic.enclosure:Enclosure.__sub__",
        "error of a gated cotangent": "harness.arithmetic.enclosure:Enclosure.__rmul__",
        "error of a quotient": "harness.arithmetic.enclosure:Enclosure.__truediv__",
        "what reading as zero loses": "harness.arithmetic.enclosure:Enclosure.lost_by_reading",
        "bound to compare with": "harness.arithmetic.enclosure:Enclosure.bound",
        "error of the loss": "harness.arithmetic.halved_sum:with_constants_anywhere",
        "error of a loss tangent": "harness.enclosed:loss_tangent",
        "comparison with a bound": "harness.enclosed:leaves_bound",
        # gates
        "margin of a sign": "harness.arithmetic.enclosure:Enclosure.margin",
        "class of an open gate": "harness.gates:open_gate",
        "gates that are open": "harness.enclosed:Enclosed.has_open_gates",
        # kinks
        "explained by slopes": "harness.kink:explain",
        "all entries contained": "harness.kink:_contains",
        "entries of a layer out of reach": "harness.kink:_Search._leaves",
        "slopes left by linear programs": "harness.exclusion:possible",
        "influence of slopes": "harness.influence:influences",
        "certificate of a program": "harness.exact_lp:_checks",
        "gradients of slopes": "harness.influence:gates_with",
        # generalised derivatives
        "adjacent cells": "harness.cells:_cells",
        "convex combination": "harness.clarke:_combines",
        "every pattern occurs": "harness.clarke:_by_own_parameters",
        "a direction into a cell": "harness.cells:_has_direction",
        # the verdict
        "verdict of a case": "harness.compare:Judge._verdict",
        "shapes of a gradient": "harness.compare:Judge._misshapen",
        "ratio of error and bound": "harness.compare:ratio_of",
        "verdict with open gates": "harness.compare:kind_of",
        "agreement of a stack": "harness.compare:StackJudge.agreements",
        "compiled agreement": "harness.fused.judge:FusedJudge.certified",
        "entries that a bound can tell from zero": "harness.vacuity:vacuous",
        "verdicts that fail a run": "harness.verdict:FAILING",
        "whether a verdict fails": "harness.verdict:fails",
        # what is let in
        "the gate": "harness.gatekeeper:admitted",
        "arrays that were lent": "harness.gatekeeper:_differs",
        # the run and its report
        "how a run ends": "harness.crosscheck:outcome",
        "failing verdicts of a case": "harness.report.tally:failing_verdicts",
        "cases seen before": "harness.crosscheck:_fingerprints",
        "smaller cases": "harness.shrink:shrink",
        # the sweep
        "parts of a sweep": "harness.sweep.settings:Settings.parts",
        "what has changed since": "harness.sweep.checkpoint:changed",
        "families of cases": "harness.sweep.families:Mix.families",
        "cases left to be judged": "harness.sweep.record:Record.take",
        "verdicts together": "harness.together:_explained",
    }
)
"""Role to ``module:name``, or ``module:class.name``."""
