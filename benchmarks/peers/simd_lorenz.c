/* Lorenz's equations by hand in C: steps of a fixed length of Tsitouras' (2011) Runge-Kutta method of order 5.

   Compiled twice, with REAL float and double, as simd_laws.c is. Lanes are taken in blocks that stay in registers and the first-level cache;
   the loop over lanes is innermost, and all stages of a step are written out in it. */

#define WIDTH 128
typedef REAL row[WIDTH] __attribute__((aligned(64)));

#define W(weight) ((REAL)((STEP) * (weight))) /* with the step in it */
#define SLOPE(s)                                                                                                                        \
    REAL kx##s = (REAL)SIGMA * (y##s - x##s), ky##s = x##s * (rho - z##s) - y##s, kz##s = x##s * y##s - (REAL)BETA * z##s;
#define STAGE(s, SUM)                                                                                                                   \
    REAL x##s = x1 + SUM(kx), y##s = y1 + SUM(ky), z##s = z1 + SUM(kz);                                                                 \
    SLOPE(s)
#define SUM2(k) W(0.161) * k##1
#define SUM3(k) W(-0.008480655492356989) * k##1 + W(0.335480655492357) * k##2
#define SUM4(k) W(2.8971530571054935) * k##1 + W(-6.359448489975075) * k##2 + W(4.3622954328695815) * k##3
#define SUM5(k)                                                                                                                         \
    W(5.325864828439257) * k##1 + W(-11.748883564062828) * k##2                                                                         \
    + W(7.4955393428898365) * k##3 + W(-0.09249506636175525) * k##4
#define SUM6(k)                                                                                                                         \
    W(5.86145544294642) * k##1 + W(-12.92096931784711) * k##2                                                                           \
    + W(8.159367898576159) * k##3 + W(-0.071584973281401) * k##4 + W(-0.028269050394068383) * k##5
#define END(k)                                                                                                                          \
    W(0.09646076681806523) * k##1 + W(0.01) * k##2 + W(0.4798896504144996) * k##3                                                       \
    + W(1.379008574103742) * k##4 + W(-3.290069515436081) * k##5 + W(2.324710524099774) * k##6

/* The states at the end, out[3][lanes], for `given`, the rho of each lane. */
void lorenz(long lanes, const REAL *given, int steps, REAL *out)
{
    for (long begin = 0; begin < lanes; begin += WIDTH) {
        row x, y, z, rhos;
        for (int l = 0; l < WIDTH; l++) { x[l] = 1; y[l] = 0; z[l] = 0; rhos[l] = given[begin + l]; }
        for (int step = 0; step < steps; step++)
            for (int l = 0; l < WIDTH; l++) {
                REAL x1 = x[l], y1 = y[l], z1 = z[l], rho = rhos[l];
                SLOPE(1)
                STAGE(2, SUM2)
                STAGE(3, SUM3)
                STAGE(4, SUM4)
                STAGE(5, SUM5)
                STAGE(6, SUM6)
                x[l] = x1 + END(kx); y[l] = y1 + END(ky); z[l] = z1 + END(kz);
            }
        for (int l = 0; l < WIDTH; l++) {
            out[begin + l] = x[l]; out[lanes + begin + l] = y[l]; out[2 * lanes + begin + l] = z[l];
        }
    }
}
