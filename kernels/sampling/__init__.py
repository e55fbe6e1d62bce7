"""Draws addressed by index: counter-based bits, scrambled Sobol points, Latin hypercubes, distributions as quantile functions, a copula."""

from kernels.sampling.beta import Beta
from kernels.sampling.composed import Mixture, Shifted, Truncated
from kernels.sampling.copula import cholesky, correlate, latent_from_rank
from kernels.sampling.design import SAMPLERS, Design
from kernels.sampling.discrete import Constant, Discrete
from kernels.sampling.distribution import Distribution
from kernels.sampling.indexed import path_words, random_bits, seed_key
from kernels.sampling.latin_hypercube import latin_hypercube_bits
from kernels.sampling.quantiles import LogNormal, LogUniform, Normal, Triangular, Uniform
from kernels.sampling.sobol import DIMENSIONS, sobol_bits, unscrambled
from kernels.sampling.tails import Tail, nearer_tail

__all__ = [
    "DIMENSIONS",
    "SAMPLERS",
    "Beta",
    "Constant",
    "Design",
    "Discrete",
    "Distribution",
    "LogNormal",
    "LogUniform",
    "Mixture",
    "Normal",
    "Shifted",
    "Tail",
    "Triangular",
    "Truncated",
    "Uniform",
    "cholesky",
    "correlate",
    "latent_from_rank",
    "latin_hypercube_bits",
    "nearer_tail",
    "path_words",
    "random_bits",
    "seed_key",
    "sobol_bits",
    "unscrambled",
]
