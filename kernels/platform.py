"""The platform that programs are made for: the one that JAX has here, unless another is named while they are traced and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import jax

Platform = Literal["cpu", "gpu", "tpu"]
_named: ContextVar[Platform | None] = ContextVar("platform", default=None)


def platform() -> str:
    """The platform as JAX names it: cpu, gpu or tpu."""
    return _named.get() or jax.default_backend()


@contextmanager
def made_for(other: Platform) -> Iterator[None]:
    """While this lasts, programs take the form that they have on another platform, which need not be here: to be looked at.

    A study's steps are counted before (`study.work`), since that is run here; what it is asked meanwhile it keeps, so it is of no use for
    this platform afterwards."""
    before = _named.set(other)
    try:
        yield
    finally:
        _named.reset(before)
