/* Four growth laws by hand in C, with the steps that the kernels take: what a compiler makes of loops over lanes that are written for it.

   Compiled twice, with REAL float and double, at -O3 -march=native -ffast-math, where exp and log become vector instructions. Lanes are
   taken in blocks that stay in the first-level cache; every loop over lanes is innermost. A block ends with its slowest lane, as the
   kernels' blocks do.

   dates: labour, or constant elasticity of substitution, and a linear ceiling by quadrature: ln T = ln T0 - lambda ln I - b ln(1 - x/X),
   b = lambda*share/r X ln2; or labour and no ceiling: ln T = ln T0 - lambda ln I + lambda/r ln2 x, which is told X = 1.
   levels: constant elasticity of substitution, a linear ceiling and growing hardware by Tsitouras' (2011) Runge-Kutta steps of order 5
   in the mixed clock ds = (1/D + dw/dt) dt. Each lane chooses its steps; those to a month that is asked are taken in time. */

#include <math.h>
#include <string.h>

#define WIDTH 128
#define LANES for (int l = 0; l < WIDTH; l++)
#define LN2 ((REAL)0.69314718055994530942)
typedef REAL row[WIDTH] __attribute__((aligned(64)));

static inline REAL least(REAL a, REAL b) { return a < b ? a : b; }
static inline REAL most(REAL a, REAL b) { return a > b ? a : b; }
static inline REAL way(REAL w) { /* 1 - e^-w without losing the digits of a small w */
    REAL z = -w, series = 1;
    for (int term = SERIES; term > 1; term--) series = 1 + series * (z * ((REAL)1 / term));
    return fabs(z) < (REAL)0.5 ? -z * series : 1 - EXP(z);
}

/* Research input, ln: labour, or labour and compute that stands still at a constant elasticity of substitution (rho != 0). */
static inline REAL input_of(REAL x, REAL share, REAL rho)
{
    return LOG(share * EXP(rho * LN2 * x) + 1 - share) / rho;
}

/* Dates: out[questions][lanes]; one that is not reached is NEVER, a large number: fast mathematics has no infinity.
   Points and their weights, in doublings, from begins[question] to begins[question + 1] lead from one question to the next. */
#define DATES(NAME, INPUT, LIMITS)                                                                                                      \
    void NAME(long lanes, const REAL *returns, const REAL *first, const REAL *lambda, const REAL *ceiling, const REAL *rho, REAL share,  \
              REAL horizon, int questions, const int *begins, const REAL *point, const REAL *weight, REAL *out)                          \
    {                                                                                                                                    \
        for (long begin = 0; begin < lanes; begin += WIDTH) {                                                                            \
            row lt0, lam, b, per, r, time;                                                                                               \
            LANES {                                                                                                                      \
                long i = begin + l;                                                                                                      \
                lam[l] = lambda[i]; per[l] = 1 / ceiling[i]; lt0[l] = LOG(first[i]); r[l] = rho[i];                                      \
                b[l] = lambda[i] * share / returns[i] * ceiling[i] * LN2; time[l] = 0;                                                   \
            }                                                                                                                            \
            for (int question = 0; question < questions; question++) {                                                                   \
                for (int k = begins[question]; k < begins[question + 1]; k++) {                                                          \
                    REAL x = point[k];                                                                                                   \
                    LANES time[l] += weight[k] * EXP(lt0[l] - lam[l] * INPUT - b[l] * LIMITS);                                          \
                }                                                                                                                        \
                LANES out[question * lanes + begin + l] = time[l] > horizon ? NEVER : time[l];                                           \
            }                                                                                                                            \
        }                                                                                                                                \
    }

DATES(dates_of_labour, (LN2 * x), LOG(1 - x * per[l]))
DATES(dates_of_ces, input_of(x, share, r[l]), LOG(1 - x * per[l]))
DATES(dates_without_ceiling, (LN2 * x), (-x))

#define STAGES 7
static const double A[STAGES][6] = {
    {0},
    {0.161},
    {-0.008480655492356989, 0.335480655492357},
    {2.8971530571054935, -6.359448489975075, 4.3622954328695815},
    {5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525},
    {5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383},
    {0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774},
};
static const double E[STAGES] = {-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
                                 0.5823571654525552, -0.45808210592918697, 1.0 / 66};

/* Doublings by `asked` months, out[months][lanes]. */
void levels(long lanes, const REAL *returns, const REAL *first, const REAL *lambda, const REAL *ceiling, const REAL *rho, const REAL *growth,
            REAL share, int count, const REAL *asked, REAL tolerance, int steps, REAL *out)
{
    for (long begin = 0; begin < lanes; begin += WIDTH) {
        row lt0, lam, b, X, r, g, scale, t, w, length, kt[STAGES], kw[STAGES];
        int next[WIDTH];
        LANES {
            long i = begin + l;
            lam[l] = lambda[i]; X[l] = ceiling[i]; r[l] = rho[i]; g[l] = growth[i] / 12; lt0[l] = LOG(first[i]);
            b[l] = lambda[i] * share / returns[i] * X[l] * LN2; scale[l] = least(asked[count - 1], 1 / g[l]);
            t[l] = 0; w[l] = 0; length[l] = (REAL)0.08; next[l] = 0;
        }
        for (int step = 0; step < steps; step++) {
            int going = 0;
            row stride, unit, ending; int in_time[WIDTH];
            LANES { going |= next[l] < count; ending[l] = asked[next[l] < count ? next[l] : count - 1]; }
            if (!going) break;
            for (int s = 0; s < STAGES; s++) {
                row dt, dw;
                LANES { dt[l] = 0; dw[l] = 0; }
                for (int k = 0; k < s; k++) LANES { dt[l] += (REAL)A[s][k] * kt[k][l]; dw[l] += (REAL)A[s][k] * kw[k][l]; }
                LANES {
                    REAL h = s ? stride[l] : 0, at = t[l] + h * dt[l], place = w[l] + h * dw[l];
                    REAL x = X[l] * way(place);
                    REAL input = LOG(share * EXP(r[l] * LN2 * x) + 1 - share) / r[l] + LN2 * g[l] * at;
                    REAL rate = EXP(lam[l] * input - b[l] * place - lt0[l] + place) / X[l], clock = 1 / scale[l] + rate;
                    if (!s) {
                        REAL left = (ending[l] - t[l]) * clock;
                        in_time[l] = left <= length[l]; stride[l] = in_time[l] ? left : length[l]; unit[l] = clock;
                    }
                    REAL per = 1 / (in_time[l] ? unit[l] : clock);
                    kt[s][l] = per; kw[s][l] = rate * per;
                }
            }
            row dt, dw, et, ew;
            LANES { dt[l] = 0; dw[l] = 0; et[l] = 0; ew[l] = 0; }
            for (int k = 0; k < STAGES; k++) LANES {
                if (k < 6) { dt[l] += (REAL)A[6][k] * kt[k][l]; dw[l] += (REAL)A[6][k] * kw[k][l]; }
                et[l] += (REAL)E[k] * kt[k][l]; ew[l] += (REAL)E[k] * kw[k][l];
            }
            LANES {
                REAL h = stride[l], after = t[l] + h * dt[l], place = w[l] + h * dw[l];
                REAL a = h * et[l] / most(after, (REAL)1e-30), c = h * ew[l] / least(most(place, (REAL)1e-30), 1);
                REAL error = sqrt(a * a + c * c) / tolerance;
                REAL factor = least(most((REAL)0.9 * EXP((REAL)-0.2 * LOG(most(error, (REAL)1e-12))), (REAL)0.2), 6);
                int good = error <= 1, late = good & !in_time[l] & (after > ending[l]), active = next[l] < count;
                int accepted = good & !late & active;
                REAL shorter = late ? h * least(most((ending[l] - t[l]) / (h * dt[l]), (REAL)0.05), (REAL)0.95) : h * least(factor, (REAL)0.9);
                length[l] = accepted ? most(h * factor, h < length[l] ? length[l] : 0) : shorter;
                t[l] = accepted ? (in_time[l] ? ending[l] : after) : t[l];
                w[l] = accepted ? place : w[l];
                in_time[l] &= accepted;
            }
            LANES if (in_time[l]) { out[next[l] * lanes + begin + l] = X[l] * way(w[l]); next[l]++; }
        }
    }
}
