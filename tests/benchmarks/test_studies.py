"""The studies that the kernels suite times are those of the configs."""

from __future__ import annotations

import pytest

import sweep
from benchmarks import studies
from sweep.plan import study_of
from sweep.shipped import configs_directory


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("config", "time", "outcomes"),
    [
        ("davidson_houlden_2025", "recursion", studies.BASE),
        ("davidson_houlden_2025_continuous", "continuous", studies.CONTINUOUS),
    ],
)
def test_studies_are_those_of_the_configs(config, time, outcomes, precision):
    spec = sweep.load(configs_directory() / f"{config}.toml").replace(precision=precision)
    assert studies.study(precision, time, outcomes) == study_of(spec)
