"""Calculators: short pieces of arithmetic of the sources, each a function that returns numbers with units. They use `math` alone."""

from __future__ import annotations

from sweep.calculators.calculator import Calculator, InputError, calculate, get, names, quantities
from sweep.calculators.davidson_houlden import AutomationSpeedup, automation_speedup
from sweep.calculators.fleet import Fleet, research_fleet
from sweep.calculators.interviews import Implied, implied_by_pace
from sweep.calculators.start import Copies, InitialSpeedup, RemainingEffort, copies, initial_speedup, remaining_effort
from sweep.calculators.workflow import Workflow, workflow_automation

__all__ = [
    "AutomationSpeedup",
    "Calculator",
    "Copies",
    "Fleet",
    "Implied",
    "InitialSpeedup",
    "InputError",
    "RemainingEffort",
    "Workflow",
    "automation_speedup",
    "calculate",
    "copies",
    "get",
    "implied_by_pace",
    "initial_speedup",
    "names",
    "quantities",
    "remaining_effort",
    "research_fleet",
    "workflow_automation",
]
