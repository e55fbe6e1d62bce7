"""The models by name: one published model a file."""

from functools import cache

from kernels.labels import Label
from kernels.models.davidson_houlden_2025 import DavidsonHoulden2025
from kernels.models.growth_law import GrowthLaw
from kernels.models.model import PATH, Bounds, Budget, Model, ModelError, Option, Options, Parameter
from kernels.models.returns_law import ReturnsLaw
from kernels.models.toy_model import ToyModel

__all__ = ["PATH", "Bounds", "Budget", "Label", "Model", "ModelError", "Option", "Options", "Parameter", "get", "names"]


@cache
def _models() -> dict[str, Model]:
    return {model.name: model for model in (ToyModel(), ReturnsLaw(), GrowthLaw(), DavidsonHoulden2025())}


def names() -> tuple[str, ...]:
    """The names of all models."""
    return tuple(_models())


def get(name: str) -> Model:
    """The model of that name. Raises KeyError if there is none."""
    return _models()[name]
