"""Parameters of the growth law that its options do not use: refused where they vary, of no effect where they are a number."""

from __future__ import annotations

from typing import Any

import pytest

from kernels import models
from kernels.models import ModelError

NAME = "growth_law"

UNUSED: list[Any] = [
    ({}, "experiment_compute_multiplier", 'use research_input = "ces" or "cobb_douglas"'),
    ({"research_input": "cobb_douglas"}, "elasticity_of_substitution", 'use research_input = "ces"'),
    ({}, "distance_to_limits", 'use ceiling = "linear" or "log_distance" or "level"'),
    ({"training": "exponent"}, "first_training_time", 'use training = "lag" or "generations"'),
    ({}, "pace_cap", 'use governance = "cap"'),
    ({"governance": "cap"}, "pace_threshold", 'use governance = "pause" or "reaction"'),
    ({"governance": "reaction"}, "pause_length", 'use governance = "pause"'),
    ({"governance": "pause"}, "reaction_gain", 'use governance = "reaction"'),
    ({"hardware": "loop"}, "hardware_doublings_per_year", 'use hardware = "exponential"'),
    ({"hardware": "exponential"}, "hardware_delay", 'use hardware = "loop"'),
    ({}, "initial_ai_labour", 'use automation = "ramp" or "logistic"'),
    ({"automation": "logistic"}, "automation_end_time", 'use automation = "ramp"'),
    ({"automation": "ramp"}, "automation_end_compute", 'use automation_clock = "effective_compute"'),
    ({"automation": "ramp"}, "automation_width", 'use automation = "logistic"'),
    ({"noise": "breakthroughs"}, "noise_sd", 'use noise = "pace" or "both"'),
    ({"noise": "pace"}, "breakthrough_size", 'use noise = "breakthroughs" or "both"'),
]


@pytest.mark.parametrize(("options", "name", "fix"), UNUSED, ids=[name for _, name, _ in UNUSED])
def test_a_parameter_that_varies_and_that_the_options_do_not_use_is_refused(options: Any, name: Any, fix: Any) -> None:
    model = models.get(NAME)
    (default,) = (parameter.default for parameter in model.parameters if parameter.name == name)
    with pytest.raises(ModelError) as fault:
        model.check_given(model.resolve_options(options), {name: (float(default), float(default) + 1)})
    assert fault.value.key == name
    assert fault.value.fix == f"remove it, or {fix}"


def test_a_number_that_the_options_do_not_use_does_no_harm() -> None:
    model = models.get(NAME)
    model.check_given(model.resolve_options({}), {"pace_cap": (2.0, 2.0), "distance_to_limits": (9.0, 9.0)})
