"""The continuous-time limit (q -> 1) of Davidson & Houlden (2025), by mpmath at 30 digits: an oracle that shares no code with `kernels`.

With r(x) = r0 (1 - x/X), x = log2 S, the doubling time is T(x) = T0 2^E(x), E(x) the integral of e(p(1/r - 1)) over x, where e is the
identity, y/(1 + |y|) (retraining as in the paper) or y/(1 + y) (as in the code), and time is the integral of T. A gradual boost only runs
the clock faster: d(theta) = (1 + f(t))/(1 + f(0)) dt, where theta(x) is the integral of T without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpmath import mp, mpf

mp.dps = 30


@dataclass(frozen=True)
class Continuous:
    """One trajectory; `initial_doubling_time` (T0, months) is at x = 0. A boost needs `boost_start`, `boost_max` and `boost_duration`."""

    initial_doubling_time: float
    initial_returns: float
    distance: float
    exponent: float
    software_share_of_progress: float = 0.5
    retraining: str = "none"
    boost: str = "none"
    constant_returns: bool = False
    boost_start: float = 0.1
    boost_max: float = 8.0
    boost_duration: float = 60.0

    @property
    def ceiling(self) -> mpf:
        """X, in doublings."""
        return 4 / mpf(self.software_share_of_progress) * mpf(self.distance)

    @property
    def singularity(self) -> mpf:
        """a = p X ln2 / r0: T grows as (1 - x/X)^-a, so the ceiling is reached in finite time only below 1 (without retraining)."""
        return mpf(self.exponent) * self.ceiling * mp.log(2) / mpf(self.initial_returns)

    def log2_ratio(self, doublings: float | mpf) -> mpf:
        """log2 T(x)/T0, in closed form."""
        p, r0, x = mpf(self.exponent), mpf(self.initial_returns), mpf(doublings)
        if self.constant_returns:
            y = p * (1 / r0 - 1)
            return x * {"none": y, "paper": y / (1 + abs(y)), "code": y / (1 + y)}[self.retraining]
        if self.retraining == "none":
            return -p * x - self.singularity * mp.log(1 - x / self.ceiling, 2)
        r = r0 * (1 - x / self.ceiling)

        def above_one(z: mpf) -> mpf:
            return p * (-z / (1 + p) + mp.log((1 + p) * z - p) / (1 + p) ** 2)

        def below_one(z: mpf) -> mpf:
            return p * (-z / (1 - p) + mp.log((1 - p) * z + p) / (1 - p) ** 2)

        if self.retraining == "code":
            integral = below_one(r0) - below_one(r)
        else:
            one = mpf(1)
            integral = above_one(max(r0, one)) - above_one(max(r, one)) + below_one(min(r0, one)) - below_one(min(r, one))
        return self.ceiling / r0 * integral

    def base_clock(self, doublings: float | mpf) -> mpf:
        """theta(x), months at a speed-up held at its initial value, by quadrature with a break where r = 1."""
        x, end = mpf(doublings), self.ceiling
        kink = end * (1 - 1 / mpf(self.initial_returns))
        breaks = sorted({mpf(0), x, *(point for point in (kink, end / 4, end / 2, 3 * end / 4) if 0 < point < x)})
        return mpf(self.initial_doubling_time) * mp.quad(lambda u: 2 ** self.log2_ratio(u), breaks)

    def base_clock_closed_form(self, doublings: float | mpf) -> mpf:
        """theta(x) by the confluent hypergeometric function, without retraining (a not a positive integer)."""
        a, end = self.singularity, self.ceiling
        c = mpf(self.exponent) * end * mp.log(2)

        def antiderivative(w: mpf) -> mpf:
            return w ** (1 - a) / (1 - a) * mp.hyp1f1(1 - a, 2 - a, c * w)

        return mpf(self.initial_doubling_time) * end * mp.exp(-c) * (antiderivative(mpf(1)) - antiderivative(1 - mpf(doublings) / end))

    def speedup(self, month: float | mpf) -> mpf:
        """f(t)."""
        start, top, passed = mpf(self.boost_start), mpf(self.boost_max), min(mpf(month) / mpf(self.boost_duration), mpf(1))
        return start + (top - start) * passed if self.boost == "paper_linear" else start * (top / start) ** passed

    def clock(self, month: float | mpf) -> mpf:
        """theta(t), the integral of (1 + f)/(1 + f(0))."""
        t, start, top, ramp = mpf(month), mpf(self.boost_start), mpf(self.boost_max), mpf(self.boost_duration)
        if self.boost == "none" or start == top:
            return t
        ramped = min(t, ramp)
        if self.boost == "paper_linear":
            area = start * ramped + (top - start) * ramped**2 / (2 * ramp)
        else:
            area = start * ramp / mp.log(top / start) * ((top / start) ** (ramped / ramp) - 1)
        return (t + area + top * (t - ramped)) / (1 + start)

    def time(self, doublings: float | mpf) -> mpf:
        """The month at which x doublings have been made, 0 <= x < X."""
        theta = self.base_clock(doublings)
        if self.boost == "none":
            return theta
        slowest = 2 * theta * max(1, (1 + mpf(self.boost_start)) / (1 + mpf(self.boost_max))) + 1
        return mp.findroot(lambda t: self.clock(t) - theta, (mpf(0), slowest), solver="anderson", tol=1e-40)

    def years_of_progress(self, month: float | mpf) -> mpf:
        """log2(S)/D at `month`; it must lie after the first 1e-9 and before the last 1e-6 of the doublings."""
        theta, ends = self.clock(month), (mpf(10) ** -9, self.ceiling * (1 - mpf(10) ** -6))
        x = mp.findroot(lambda u: mp.log(self.base_clock(u) / theta), ends, solver="ridder", tol=1e-30)
        return x * mpf(self.software_share_of_progress) / 4

    def peak(self) -> tuple[mpf, mpf]:
        """Doublings at which the pace T0/T is highest, and its value there (no retraining, no boost, r0 > 1)."""
        r0 = mpf(self.initial_returns)
        where = self.ceiling * (1 - 1 / r0)
        return where, 2 ** (mpf(self.exponent) * where) * r0**-self.singularity
