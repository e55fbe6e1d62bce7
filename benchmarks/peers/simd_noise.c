/* The noisy law by hand in C: steps of Euler and Maruyama.

   Compiled twice, with REAL float and double, as simd_laws.c is. Lanes are taken in blocks that stay in the first-level cache; the loop over
   lanes is innermost, and its exponential, logarithm and cosines become vector instructions.

   Bits: xoroshiro128+, Blackman and Vigna (2021), begun by splitmix64 of the trajectory's number. Normals: Box and Muller (1958), two at a
   time of the halves of one word. */

#include <math.h>
#include <stdint.h>

#define WIDTH 128
#define LANES for (int l = 0; l < WIDTH; l++)
typedef REAL row[WIDTH] __attribute__((aligned(64)));
typedef uint64_t words[WIDTH] __attribute__((aligned(64)));

static inline uint64_t mixed(uint64_t word)
{
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

/* x at the end, out[lanes]. */
void noise(long lanes, const REAL *returns, const REAL *first, const REAL *exponent, const REAL *number, int steps, REAL *out)
{
    const REAL half = (REAL)0.5, unit = (REAL)(1.0 / 4294967296.0), turn = (REAL)6.283185307179586, keep = (REAL)(1 - DECAY);
    for (long begin = 0; begin < lanes; begin += WIDTH) {
        row x, w, slope, log_pace;
        words a, b;
        LANES {
            long i = begin + l;
            uint64_t seed = (uint64_t)number[i];
            slope[l] = exponent[i] * (1 - 1 / returns[i]) * (REAL)0.69314718055994530942;
            log_pace[l] = LOG((REAL)STEP / first[i]);
            a[l] = mixed(seed * 0x9E3779B97F4A7C15u + 0x9E3779B97F4A7C15u); b[l] = mixed((seed + 0x100000000u) * 0x9E3779B97F4A7C15u);
            x[l] = 0; w[l] = 0;
        }
        for (int step = 0; step < steps; step += 2) {
            row size, angle;
            LANES {
                uint64_t bits = a[l] + b[l], other = a[l] ^ b[l];
                a[l] = ((a[l] << 24) | (a[l] >> 40)) ^ other ^ (other << 16);
                b[l] = (other << 37) | (other >> 27);
                /* Through 32 bits with a sign, which have a vector instruction. */
                int32_t high = (int32_t)(bits >> 32), low = (int32_t)bits;
                REAL share = (REAL)high * unit + half;
                size[l] = share < half * unit ? half * unit : share > NEAREST ? NEAREST : share;
                angle[l] = turn * ((REAL)low * unit);
            }
            LANES size[l] = (REAL)KICK * SQRT((REAL)-2 * LOG(size[l]));
            LANES {
                /* A cosine twice: of the sine and the cosine of one angle gcc makes a call that is no vector instruction. */
                REAL across = size[l] * COS(angle[l]), along = size[l] * COS(angle[l] - turn / 4);
                REAL at = x[l] + EXP(w[l] + log_pace[l] + slope[l] * x[l]), deviation = keep * w[l] + across;
                x[l] = at + EXP(deviation + log_pace[l] + slope[l] * at);
                w[l] = keep * deviation + along;
            }
        }
        LANES out[begin + l] = x[l];
    }
}
