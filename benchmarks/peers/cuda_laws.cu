/* The recursion of Davidson & Houlden (2025) and four growth laws by hand in CUDA C: one thread a trajectory, its whole loop in registers.

   Compiled twice, with REAL float and double. A compiler of plain C++ takes it too: threads are then taken one after the other, which tests
   the equations where there is no accelerator.

   recursion, windows: doubling n takes T0 2^L(n), L(n) the sum over j = 1..n of p (X/(r0 (X - j)) - 1), until month 48 or the ceiling X.
   dates: labour, or constant elasticity of substitution, and a linear ceiling by quadrature, the kernels' points in constant memory:
   log2 T = log2 T0 - lambda log2 I - b log2(1 - x/X), b = lambda*share/r X ln2.
   levels: constant elasticity of substitution and growing hardware, or labour and a reaction of policy, with a linear ceiling, by
   Tsitouras' (2011) Runge-Kutta steps of order 5 in the mixed clock ds = (1/D + ln2 du/dt) dt, u = -log2(1 - x/X). Each thread chooses its
   steps; those to a month that is asked are taken in time. */

#include <math.h>
#include <stddef.h>

#define THREADS 128
#define MOST_POINTS 2048
#define MOST_QUESTIONS 8
#define LN2 ((REAL)0.69314718055994530942)

#ifdef __CUDACC__
#define LANE ((long)blockIdx.x * blockDim.x + threadIdx.x)
#define LAUNCH(kernel, lanes, ...)                                                             \
    kernel<<<(unsigned)(((lanes) + THREADS - 1) / THREADS), THREADS>>>(lanes, __VA_ARGS__);    \
    cudaError_t launched = cudaGetLastError();                                                 \
    return launched ? launched : cudaDeviceSynchronize()
#define UNROLL _Pragma("unroll")
#else
#include <stdlib.h>
#include <string.h>
#define __constant__ static
#define __device__
#define __global__ static
#define __launch_bounds__(threads)
static long LANE;
#define LAUNCH(kernel, lanes, ...)                                          \
    for (LANE = 0; LANE < (lanes); LANE++) kernel(lanes, __VA_ARGS__);      \
    return 0
#define UNROLL
#endif

/* What is asked, and points with their weights, in doublings, of which begins[question] to begins[question + 1] lead from one to the next. */
struct Questions {
    int count, begins[MOST_QUESTIONS + 1];
    REAL asked[MOST_QUESTIONS];
};
__constant__ Questions questions;
__constant__ REAL point[MOST_POINTS], weight[MOST_POINTS];

__device__ inline REAL least(REAL a, REAL b) { return a < b ? a : b; }
__device__ inline REAL most(REAL a, REAL b) { return a > b ? a : b; }

/* A place in the recursion: after `made` doublings, `time` months and log2 of the months that the next one takes. */
struct Place {
    REAL made, time, next;
    __device__ Place(REAL next) : made(0), time(0), next(next) {}
    __device__ bool goes_on(REAL ceiling, REAL horizon) const { return time < horizon && made < ceiling; }
    __device__ void step(REAL ceiling, REAL rise, REAL exponent)
    {
        time += EXP2(next);
        made += 1;
        next += rise / (ceiling - made) - exponent;
    }
};

/* Rows of `drawn`: initial speed-up, initial returns, distance to the ceiling in years of progress, exponent. */
#define RECURSION                                                                                              \
    long lane = LANE;                                                                                          \
    if (lane >= lanes) return;                                                                                 \
    REAL ceiling = 8 * drawn[2 * lanes + lane], exponent = drawn[3 * lanes + lane];                            \
    REAL rise = exponent * ceiling / drawn[lanes + lane], first = LOG2(3 / drawn[lane])

/* Months of doublings `early` and `late`, out[2][lanes]. */
__global__ void __launch_bounds__(THREADS) dates_in_recursion(long lanes, const REAL *drawn, REAL horizon, int early, int late, REAL *out)
{
    RECURSION;
    Place place(first);
    REAL at_early = INFINITY;
    while (place.made < late && place.goes_on(ceiling, horizon)) {
        place.step(ceiling, rise, exponent);
        if (place.made == early) at_early = place.time;
    }
    out[lane] = at_early <= horizon ? at_early : (REAL)INFINITY;
    out[lanes + lane] = place.made == late && place.time <= horizon ? place.time : (REAL)INFINITY;
}

/* The published windows, out[4][lanes]: 24 doublings in less than 12 months, 26 in 4, 80 in 12 and in 4. The far ends of a window walk again
   behind the near one, which is more arithmetic, and no memory. */
__global__ void __launch_bounds__(THREADS) windows_in_recursion(long lanes, const REAL *drawn, REAL horizon, unsigned char *out)
{
    RECURSION;
    Place near(first), behind(first), far(first);
    REAL before = -INFINITY, before_that = -INFINITY;
    bool holds[4] = {false, false, false, false};
    while (near.goes_on(ceiling, horizon)) {
        near.step(ceiling, rise, exponent);
        if (near.made > 24) {
            before_that = before;
            before = behind.time;
            behind.step(ceiling, rise, exponent);
        }
        if (near.made > 80) far.step(ceiling, rise, exponent);
        holds[0] |= near.made >= 24 && near.time - behind.time < 12;
        holds[1] |= near.time - before_that < 4;
        holds[2] |= near.made >= 80 && near.time - far.time < 12;
        holds[3] |= near.made >= 80 && near.time - far.time < 4;
    }
    UNROLL
    for (int window = 0; window < 4; window++) out[window * lanes + lane] = holds[window];
}

/* Rows of `drawn`: returns, initial doubling time, parallel exponent, distance to limits; then what the law has beside. */
#define LAW                                                                                                                    \
    long lane = LANE;                                                                                                          \
    if (lane >= lanes) return;                                                                                                 \
    REAL first = LOG2(drawn[lanes + lane]), lambda = drawn[2 * lanes + lane], ceiling = drawn[3 * lanes + lane];               \
    REAL steepness = lambda * share / drawn[lane] * ceiling * LN2

/* Dates out[questions][lanes], of labour alone or of labour and compute that stands still. */
template <bool CES>
__global__ void __launch_bounds__(THREADS) dates_of_law(long lanes, const REAL *drawn, REAL share, REAL horizon, REAL *out)
{
    LAW;
    REAL per = 1 / ceiling, rho = CES ? drawn[4 * lanes + lane] : 1, power = lambda / rho, time = 0;
    for (int question = 0; question < questions.count; question++) {
        UNROLL
        for (int k = questions.begins[question]; k < questions.begins[question + 1]; k++) {
            REAL x = point[k];
            REAL input = CES ? power * LOG2(share * EXP2(rho * x) + (1 - share)) : lambda * x;
            time += weight[k] * EXP2(first - input - steepness * LOG2(1 - x * per));
        }
        out[question * lanes + lane] = time <= horizon ? time : (REAL)INFINITY;
    }
}

/* A law in u and what it has beside; `rates` gives what a month changes, and log2 of doublings a month is without policy. */
struct GrowingHardware {
    enum { STATES = 1 };
    REAL first, power, ceiling, steepness, share, rho, lambda, growth;
    __device__ void rates(REAL time, const REAL *state, REAL *rate) const
    {
        REAL u = state[0], x = -ceiling * EXPM1(-u * LN2);
        REAL pace = power * LOG2(share * EXP2(rho * x) + (1 - share)) + lambda * growth * time - steepness * u - first;
        rate[0] = EXP2(pace + u) / (ceiling * LN2);
    }
};

struct Reaction {
    enum { STATES = 2 };
    REAL first, lambda, ceiling, steepness, gain, delay, threshold, recent;
    __device__ REAL pace(REAL u) const { return -lambda * ceiling * EXPM1(-u * LN2) - steepness * u - first; }
    __device__ void rates(REAL, const REAL *state, REAL *rate) const
    {
        REAL u = state[0], awareness = state[1], free = pace(u);
        rate[0] = EXP2(free - gain * most(awareness - threshold, 0) + u) / (ceiling * LN2);
        rate[1] = (free + recent - awareness) / delay;
    }
};

#define STAGES 7

/* Doublings by the months asked, out[months][lanes]; NaN where so many steps do not lead there. */
template <class System>
__device__ inline void march(const System &law, REAL *state, REAL scale, REAL tolerance, int steps, long lanes, long lane, REAL *out)
{
    constexpr REAL A[STAGES][STAGES - 1] = {
        {0},
        {(REAL)0.161},
        {(REAL)-0.008480655492356989, (REAL)0.335480655492357},
        {(REAL)2.8971530571054935, (REAL)-6.359448489975075, (REAL)4.3622954328695815},
        {(REAL)5.325864828439257, (REAL)-11.748883564062828, (REAL)7.4955393428898365, (REAL)-0.09249506636175525},
        {(REAL)5.86145544294642, (REAL)-12.92096931784711, (REAL)8.159367898576159, (REAL)-0.071584973281401, (REAL)-0.028269050394068383},
        {(REAL)0.09646076681806523, (REAL)0.01, (REAL)0.4798896504144996, (REAL)1.379008574103742, (REAL)-3.290069515436081,
         (REAL)2.324710524099774},
    };
    constexpr REAL E[STAGES] = {(REAL)-0.00178001105222577714, (REAL)-0.0008164344596567469, (REAL)0.007880878010261995,
                                (REAL)-0.1447110071732629, (REAL)0.5823571654525552, (REAL)-0.45808210592918697, (REAL)(1.0 / 66)};
    constexpr int N = System::STATES;
    REAL time = 0, length = (REAL)0.08, rate[N];
    int next = 0;
    law.rates(time, state, rate);
    for (int step = 0; step < steps && next < questions.count; step++) {
        REAL ending = questions.asked[next], clock = 1 / scale + LN2 * rate[0], left = (ending - time) * clock;
        bool in_time = left <= length;
        REAL h = in_time ? left : length;
        REAL after = time, place[N], now[N], slope_time[STAGES], slope[STAGES][N];
        UNROLL
        for (int i = 0; i < N; i++) {
            place[i] = state[i];
            now[i] = rate[i];
        }
        UNROLL
        for (int s = 0; s < STAGES; s++) {
            if (s) {
                REAL sum = 0;
                UNROLL
                for (int k = 0; k < s; k++) sum += A[s][k] * slope_time[k];
                after = time + h * sum;
                UNROLL
                for (int i = 0; i < N; i++) {
                    sum = 0;
                    UNROLL
                    for (int k = 0; k < s; k++) sum += A[s][k] * slope[k][i];
                    place[i] = state[i] + h * sum;
                }
                law.rates(after, place, now);
            }
            REAL per = 1 / (in_time ? clock : 1 / scale + LN2 * now[0]);
            slope_time[s] = per;
            UNROLL
            for (int i = 0; i < N; i++) slope[s][i] = now[i] * per;
        }
        /* Relative in time and in few doublings; absolute in u close to the ceiling, and in the logarithm that is all else. */
        REAL sum = 0;
        UNROLL
        for (int k = 0; k < STAGES; k++) sum += E[k] * slope_time[k];
        REAL part = h * sum / most(after, (REAL)1e-30), error = part * part;
        UNROLL
        for (int i = 0; i < N; i++) {
            sum = 0;
            UNROLL
            for (int k = 0; k < STAGES; k++) sum += E[k] * slope[k][i];
            part = h * sum / (i ? 1 : least(most(place[0], (REAL)1e-30), 1));
            error += part * part;
        }
        error = SQRT(error) / tolerance;
        REAL factor = least(most((REAL)0.9 * EXP2((REAL)-0.2 * LOG2(most(error, (REAL)1e-12))), (REAL)0.2), 6);
        bool good = error <= 1, late = good && !in_time && after > ending, accepted = good && !late;
        if (accepted) {
            length = most(h * factor, h < length ? length : 0);
            time = in_time ? ending : after;
            UNROLL
            for (int i = 0; i < N; i++) {
                state[i] = place[i];
                rate[i] = now[i];
            }
            if (in_time) out[next++ * lanes + lane] = -law.ceiling * EXPM1(-state[0] * LN2);
        } else {
            REAL shorter = late ? most((ending - time) / (after - time), (REAL)0.05) : factor;
            length = h * least(shorter, late ? (REAL)0.95 : (REAL)0.9);
        }
    }
    for (; next < questions.count; next++) out[next * lanes + lane] = (REAL)NAN;
}

/* Beside: substitution parameter, doublings of hardware a year. */
__global__ void __launch_bounds__(THREADS)
levels_of_hardware(long lanes, const REAL *drawn, REAL share, REAL tolerance, int steps, REAL *out)
{
    LAW;
    REAL rho = drawn[4 * lanes + lane], growth = drawn[5 * lanes + lane] / 12, state[1] = {0};
    GrowingHardware law = {first, lambda / rho, ceiling, steepness, share, rho, lambda, growth};
    march(law, state, least(questions.asked[questions.count - 1], 1 / growth), tolerance, steps, lanes, lane, out);
}

/* Beside: gain and delay of the reaction. */
__global__ void __launch_bounds__(THREADS)
levels_of_reaction(long lanes, const REAL *drawn, REAL threshold, REAL recent, REAL tolerance, int steps, REAL *out)
{
    const REAL share = 1;
    LAW;
    REAL delay = drawn[5 * lanes + lane];
    Reaction law = {first, lambda, ceiling, steepness, drawn[4 * lanes + lane], delay, LOG2(threshold), LOG2(recent)};
    REAL state[2] = {0, law.pace(0) + law.recent};
    march(law, state, delay, tolerance, steps, lanes, lane, out);
}

/* What the host calls. All return 0 or the number of an error; arrays but those of `ask` and the first of `copy` lie on the device. */
extern "C" {

#ifdef __CUDACC__
const char *name_of_error(int error) { return cudaGetErrorString((cudaError_t)error); }
int count_devices(int *count) { return cudaGetDeviceCount(count); }
int allocate(void **array, size_t bytes) { return cudaMalloc(array, bytes); }
int release(void *array) { return cudaFree(array); }
int copy_in(void *array, const void *host, size_t bytes) { return cudaMemcpy(array, host, bytes, cudaMemcpyHostToDevice); }
int copy_out(void *host, const void *array, size_t bytes) { return cudaMemcpy(host, array, bytes, cudaMemcpyDeviceToHost); }
#define FILL(symbol, from, bytes) cudaMemcpyToSymbol(symbol, from, bytes)
#else
const char *name_of_error(int) { return "out of memory"; }
int count_devices(int *count) { *count = 1; return 0; }
int allocate(void **array, size_t bytes) { *array = malloc(bytes); return *array == NULL; }
int release(void *array) { free(array); return 0; }
int copy_in(void *array, const void *host, size_t bytes) { memcpy(array, host, bytes); return 0; }
int copy_out(void *host, const void *array, size_t bytes) { memcpy(host, array, bytes); return 0; }
#define FILL(symbol, from, bytes) (memcpy((void *)&symbol, from, bytes), 0)
#endif

/* What is asked, and the points and weights that lead there, if any. */
int ask(int count, const REAL *asked, const int *begins, const REAL *points, const REAL *weights)
{
    Questions given = {};
    given.count = count;
    for (int question = 0; question < count; question++) given.asked[question] = asked[question];
    for (int question = 0; question <= count; question++) given.begins[question] = begins[question];
    int error = FILL(questions, &given, sizeof given);
    if (!error && begins[count]) error = FILL(point, points, begins[count] * sizeof(REAL));
    if (!error && begins[count]) error = FILL(weight, weights, begins[count] * sizeof(REAL));
    return error;
}

int recursion_dates(long lanes, const REAL *drawn, REAL horizon, int early, int late, REAL *out)
{
    LAUNCH(dates_in_recursion, lanes, drawn, horizon, early, late, out);
}

int recursion_windows(long lanes, const REAL *drawn, REAL horizon, unsigned char *out)
{
    LAUNCH(windows_in_recursion, lanes, drawn, horizon, out);
}

int labour(long lanes, const REAL *drawn, REAL share, REAL horizon, REAL *out)
{
    LAUNCH(dates_of_law<false>, lanes, drawn, share, horizon, out);
}

int ces(long lanes, const REAL *drawn, REAL share, REAL horizon, REAL *out)
{
    LAUNCH(dates_of_law<true>, lanes, drawn, share, horizon, out);
}

int hardware(long lanes, const REAL *drawn, REAL share, REAL tolerance, int steps, REAL *out)
{
    LAUNCH(levels_of_hardware, lanes, drawn, share, tolerance, steps, out);
}

int reaction(long lanes, const REAL *drawn, REAL threshold, REAL recent, REAL tolerance, int steps, REAL *out)
{
    LAUNCH(levels_of_reaction, lanes, drawn, threshold, recent, tolerance, steps, out);
}
}
