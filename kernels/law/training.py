"""Training time: new software works for research only when a model has been trained with it.

Equations: `generations` and `lag`: training runs end at τ0·(1 − k^n)/(1 − k) months, n = 1, 2, … (n·τ0 for k = 1), each k times as long as
the one before; within the n-th, labour is that of the software at its start (`generations`), or deployed software follows,
dx_d/dt = (x − x_d)/(τ0·k^n) (`lag`). For k < 1 they end in all at τ0/(1 − k), and from there on x_d = x.
`exponent`: with e = d log2(I^λ R)/dx, log2(T(0)/T) = ∫ e/(1 + |e|) dx.

Source: Eth & Davidson (2025), "bottlenecked by the time required to train", footnotes 42–43; Forethought (2025) on retraining.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def end_of_run(first: jax.Array, ratio: jax.Array, runs: jax.Array) -> jax.Array:
    """Months at which so many training runs have ended, shapes broadcast; `runs` whole numbers."""
    # (1 − k^n)/(1 − k) = expm1(n ln k)/expm1(ln k), whose limit at k = 1 is n.
    log_ratio = jnp.log(ratio)
    close = log_ratio == 0
    safe = jnp.where(close, 1, log_ratio)
    return first * jnp.where(close, runs, jnp.expm1(runs * safe) / jnp.expm1(safe))


def length_of_run(first: jax.Array, ratio: jax.Array, runs: jax.Array) -> jax.Array:
    """Months that the training run after so many others takes, shapes broadcast."""
    return first * ratio**runs


def damped(exponent: jax.Array) -> jax.Array:
    """e/(1 + |e|): the exponent of the pace when every training run takes its share of each doubling."""
    return exponent / (1 + jnp.abs(exponent))
