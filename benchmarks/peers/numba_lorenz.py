"""Lorenz's equations in numba: blocks of trajectories in one thread a core, with the loop over a block's trajectories innermost, so that it
becomes vector instructions."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import cores
from benchmarks.lorenz import BETA, SIGMA, START, STEP, STEPS
from benchmarks.peers.numba_compiled import in_threads, inner
from kernels.solvers.tableaus import RUNGE_KUTTA_5

_WIDTH = 128
# Weights of the slopes of the stages, times the step.
_A = tuple(tuple(STEP * weight for weight in row) for row in (*RUNGE_KUTTA_5.a, RUNGE_KUTTA_5.b))


def solved(rho: NDArray[Any]) -> NDArray[Any]:
    """The state at the end, (3, lanes), for ρ, (lanes,), in its type; lanes beyond a whole number of blocks are left out."""
    out = np.empty((3, len(rho) // _WIDTH * _WIDTH), rho.dtype)
    _ends(rho, cores(), out)
    return out


@inner
def _slope(x: Any, y: Any, z: Any, rho: Any, sigma: Any, beta: Any) -> Any:
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


@in_threads
def _ends(given: Any, shares: int, out: Any) -> None:
    kind, blocks = given.dtype.type, out.shape[1] // _WIDTH
    sigma, beta = kind(SIGMA), kind(BETA)
    a21 = kind(_A[0][0])
    a31, a32 = kind(_A[1][0]), kind(_A[1][1])
    a41, a42, a43 = kind(_A[2][0]), kind(_A[2][1]), kind(_A[2][2])
    a51, a52, a53, a54 = kind(_A[3][0]), kind(_A[3][1]), kind(_A[3][2]), kind(_A[3][3])
    a61, a62, a63, a64, a65 = kind(_A[4][0]), kind(_A[4][1]), kind(_A[4][2]), kind(_A[4][3]), kind(_A[4][4])
    a71, a72, a73, a74, a75, a76 = kind(_A[5][0]), kind(_A[5][1]), kind(_A[5][2]), kind(_A[5][3]), kind(_A[5][4]), kind(_A[5][5])
    for share in numba.prange(shares):
        x, y, z = np.empty(_WIDTH, given.dtype), np.empty(_WIDTH, given.dtype), np.empty(_WIDTH, given.dtype)
        for block in range(blocks * share // shares, blocks * (share + 1) // shares):
            rho = given[block * _WIDTH : (block + 1) * _WIDTH]
            x[:], y[:], z[:] = START
            for _ in range(STEPS):
                for lane in range(_WIDTH):
                    x1, y1, z1, r = x[lane], y[lane], z[lane], rho[lane]
                    kx1, ky1, kz1 = _slope(x1, y1, z1, r, sigma, beta)
                    x2 = x1 + a21 * kx1
                    y2 = y1 + a21 * ky1
                    z2 = z1 + a21 * kz1
                    kx2, ky2, kz2 = _slope(x2, y2, z2, r, sigma, beta)
                    x3 = x1 + a31 * kx1 + a32 * kx2
                    y3 = y1 + a31 * ky1 + a32 * ky2
                    z3 = z1 + a31 * kz1 + a32 * kz2
                    kx3, ky3, kz3 = _slope(x3, y3, z3, r, sigma, beta)
                    x4 = x1 + a41 * kx1 + a42 * kx2 + a43 * kx3
                    y4 = y1 + a41 * ky1 + a42 * ky2 + a43 * ky3
                    z4 = z1 + a41 * kz1 + a42 * kz2 + a43 * kz3
                    kx4, ky4, kz4 = _slope(x4, y4, z4, r, sigma, beta)
                    x5 = x1 + a51 * kx1 + a52 * kx2 + a53 * kx3 + a54 * kx4
                    y5 = y1 + a51 * ky1 + a52 * ky2 + a53 * ky3 + a54 * ky4
                    z5 = z1 + a51 * kz1 + a52 * kz2 + a53 * kz3 + a54 * kz4
                    kx5, ky5, kz5 = _slope(x5, y5, z5, r, sigma, beta)
                    x6 = x1 + a61 * kx1 + a62 * kx2 + a63 * kx3 + a64 * kx4 + a65 * kx5
                    y6 = y1 + a61 * ky1 + a62 * ky2 + a63 * ky3 + a64 * ky4 + a65 * ky5
                    z6 = z1 + a61 * kz1 + a62 * kz2 + a63 * kz3 + a64 * kz4 + a65 * kz5
                    kx6, ky6, kz6 = _slope(x6, y6, z6, r, sigma, beta)
                    x[lane] = x1 + a71 * kx1 + a72 * kx2 + a73 * kx3 + a74 * kx4 + a75 * kx5 + a76 * kx6
                    y[lane] = y1 + a71 * ky1 + a72 * ky2 + a73 * ky3 + a74 * ky4 + a75 * ky5 + a76 * ky6
                    z[lane] = z1 + a71 * kz1 + a72 * kz2 + a73 * kz3 + a74 * kz4 + a75 * kz5 + a76 * kz6
            lanes = slice(block * _WIDTH, (block + 1) * _WIDTH)
            out[0, lanes], out[1, lanes], out[2, lanes] = x, y, z
