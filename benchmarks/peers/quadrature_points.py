"""The points at which the kernels sum T over software far from every ceiling, in one row, for peers that sum over the same."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.solvers.budget import Budget
from kernels.solvers.panels import direct_panels, gauss_legendre


def direct_points(levels: tuple[float, ...], budget: Budget, kind: np.dtype[Any]) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[Any]]:
    """`begins` (levels + 1,), points and weights in doublings: those from begins[n] to begins[n + 1] lead from one level to the next."""
    assert max(levels) <= budget.direct, "there are no panels close to a ceiling here"
    begins, points, weights = [0], [], []
    for start, end in itertools.pairwise((0.0, *levels)):
        edges, nodes = direct_panels(start, end, budget)
        shares, parts = gauss_legendre(nodes, np.dtype(np.float64))
        for low, high in itertools.pairwise(edges):
            points.append((low + (high - low) * shares).astype(kind))
            weights.append(((high - low) * parts).astype(kind))
        begins.append(begins[-1] + nodes * (len(edges) - 1))
    return np.asarray(begins, np.int32), np.concatenate(points), np.concatenate(weights)
