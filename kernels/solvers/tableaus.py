"""Explicit Runge–Kutta tableaus: how the rates at a few trial points make one step, and an estimate of its error.

Equation: k_i = f(y + h Σ_j a_ij k_j), y(s + h) ≈ y + h Σ_i b_i k_i; the error is estimated by h Σ_i e_i k_i.

Source: order 5, Tsitouras (2011), "Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption", table 1;
order 8, Hairer, Nørsett and Wanner (1993), "Solving Ordinary Differential Equations I", section II.10, DOP853, with its two error
estimates of orders 5 and 3 combined as printed there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tableau:
    """`a[i]` makes the trial point of stage i + 1, `b` the step. `errors` holds one or two weightings of the stages, with one more where
    the rates at the end of the step take part.

    `order` is that of the step, `error_order` the power of h that its estimated error falls by.
    """

    order: int
    error_order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    errors: tuple[tuple[float, ...], ...]

    @property
    def slots(self) -> tuple[int, ...]:
        """Where each stage can be kept: in the place of an earlier one that takes part in nothing any more, if there is one."""
        uses = (*self.a, self.b, *self.errors)
        last = [
            max(row for row, weights in enumerate(uses) if weights[stage : stage + 1] not in ((), (0.0,))) for stage in range(len(self.b))
        ]
        holders: list[int] = []
        slots = []
        for stage in range(len(self.b)):
            # A stage is put away before the trial point of the next one is made.
            free = [slot for slot, holder in enumerate(holders) if last[holder] < stage]
            slot = free[0] if free else len(holders)
            holders[slot : slot + 1] = [stage]
            slots.append(slot)
        return tuple(slots)


RUNGE_KUTTA_5 = Tableau(
    order=5,
    error_order=5,
    a=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
    ),
    b=(0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    # The last weight is that of a stage at the end of the step.
    errors=(
        (
            -0.00178001105222577714,
            -0.0008164344596567469,
            0.007880878010261995,
            -0.1447110071732629,
            0.5823571654525552,
            -0.45808210592918697,
            1 / 66,
        ),
    ),
)

RUNGE_KUTTA_8 = Tableau(
    order=8,
    error_order=8,
    a=(
        (0.05260015195876773,),
        (0.0197250569845379, 0.0591751709536137),
        (0.02958758547680685, 0.0, 0.08876275643042054),
        (0.2413651341592667, 0.0, -0.8845494793282861, 0.924834003261792),
        (0.037037037037037035, 0.0, 0.0, 0.17082860872947386, 0.12546768756682242),
        (0.037109375, 0.0, 0.0, 0.17025221101954405, 0.06021653898045596, -0.017578125),
        (0.03709200011850479, 0.0, 0.0, 0.17038392571223998, 0.10726203044637328, -0.015319437748624402, 0.008273789163814023),
        (0.6241109587160757, 0.0, 0.0, -3.3608926294469414, -0.868219346841726, 27.59209969944671, 20.154067550477894, -43.48988418106996),
        (
            0.47766253643826434,
            0.0,
            0.0,
            -2.4881146199716677,
            -0.590290826836843,
            21.230051448181193,
            15.279233632882423,
            -33.28821096898486,
            -0.020331201708508627,
        ),
        (
            -0.9371424300859873,
            0.0,
            0.0,
            5.186372428844064,
            1.0914373489967295,
            -8.149787010746927,
            -18.52006565999696,
            22.739487099350505,
            2.4936055526796523,
            -3.0467644718982196,
        ),
        (
            2.273310147516538,
            0.0,
            0.0,
            -10.53449546673725,
            -2.0008720582248625,
            -17.9589318631188,
            27.94888452941996,
            -2.8589982771350235,
            -8.87285693353063,
            12.360567175794303,
            0.6433927460157636,
        ),
    ),
    b=(
        0.054293734116568765,
        0.0,
        0.0,
        0.0,
        0.0,
        4.450312892752409,
        1.8915178993145003,
        -5.801203960010585,
        0.3111643669578199,
        -0.1521609496625161,
        0.20136540080403034,
        0.04471061572777259,
    ),
    errors=(
        (
            0.01312004499419488,
            0.0,
            0.0,
            0.0,
            0.0,
            -1.2251564463762044,
            -0.4957589496572502,
            1.6643771824549864,
            -0.35032884874997366,
            0.3341791187130175,
            0.08192320648511571,
            -0.022355307863886294,
        ),
        (
            -0.18980075407240762,
            0.0,
            0.0,
            0.0,
            0.0,
            4.450312892752409,
            1.8915178993145003,
            -5.801203960010585,
            -0.4226823213237919,
            -0.1521609496625161,
            0.20136540080403034,
            0.02265179219836082,
        ),
    ),
)
