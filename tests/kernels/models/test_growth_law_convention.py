"""The geometric convention for laws that bend sharply within the first doubling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kernels.asking import ask

NAME = "growth_law"

SHARP: list[Any] = [
    ({"automation": "logistic"}, {"automation_midpoint": 0.45, "automation_width": [0.05, 0.01, 0.003], "initial_ai_labour": 5.0}, 1e-11),
    (
        {"automation": "ramp", "automation_clock": "effective_compute"},
        {"automated_share_low": 0.0, "task_substitution_parameter": [-0.5, 0.5, 0.9], "automation_end_compute": [0.01, 1.0, 13.0]},
        1e-6,
    ),
    (
        {"training": "exponent", "research_input": "ces"},
        {"returns": [3.0, 1.27, 2.2], "labour_share": [0.5, 0.94, 0.92], "substitution_parameter": [-6.5, -33.0, -500.0]},
        1e-8,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "parameters", "within"), SHARP, ids=["logistic", "ramp", "damped exponent"])
def test_the_first_doubling_of_a_sharp_law_takes_what_the_geometric_convention_says(options: Any, parameters: Any, within: float) -> None:
    first = ask(NAME, {"convention": "geometric", **options}, lambda solution, _: solution.dates((1.0,))[0], **parameters)
    np.testing.assert_allclose(first, 1, rtol=within)
