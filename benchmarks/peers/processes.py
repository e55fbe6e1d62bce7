"""A NumPy peer shared out among processes that stay up, through memory that all of them map: nothing is pickled but two numbers a call."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from multiprocessing import get_context
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Windows = Callable[..., NDArray[np.bool_]]


class Processes:
    """`windows(*parameters, dtype)` of parameters (rows, lanes), giving flags (windows, lanes), in so many processes at once.

    `function` is a module's own, so that the processes can import it. Use as a context manager.
    """

    def __init__(self, function: Windows, parameters: NDArray[Any], windows: int, dtype: DTypeLike, processes: int) -> None:
        kind, context, lanes = np.dtype(dtype), get_context("spawn"), parameters.shape[1]
        shared = context.RawArray("b", parameters.size * kind.itemsize)
        flags = context.RawArray("b", windows * lanes)
        self._views = _viewed(shared, flags, kind, lanes)
        self._views[0][:] = parameters
        edges = [lanes * index // processes for index in range(processes + 1)]
        self._shares = list(pairwise(edges))
        self._pool = context.Pool(processes, _attach, (function, shared, flags, kind, lanes))

    def __call__(self) -> NDArray[np.bool_]:
        """The flags: a view that the next call overwrites."""
        self._pool.starmap(_share, self._shares, chunksize=1)
        return self._views[1]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._pool.close()
        self._pool.join()


_attached: tuple[Windows, NDArray[Any], NDArray[np.bool_]]


def _viewed(shared: Any, flags: Any, kind: np.dtype[Any], lanes: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return np.frombuffer(shared, kind).reshape(-1, lanes), np.frombuffer(flags, np.bool_).reshape(-1, lanes)


def _attach(function: Windows, shared: Any, flags: Any, kind: np.dtype[Any], lanes: int) -> None:
    global _attached
    _attached = (function, *_viewed(shared, flags, kind, lanes))


def _share(start: int, stop: int) -> None:
    function, parameters, flags = _attached
    flags[:, start:stop] = function(*parameters[:, start:stop], dtype=parameters.dtype)
