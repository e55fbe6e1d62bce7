/* Multiply-adds as fast as a core can do them: vectors as wide as the machine's, enough of them that none waits for the one before, and
   all of them in registers. REAL is float or double. */

#if defined(__AVX512F__)
#define BYTES 64
#define VECTORS 24
#elif defined(__AVX__)
#define BYTES 32
#define VECTORS 12
#else
#define BYTES 16
#define VECTORS 12
#endif
#define LANES ((long)(BYTES / sizeof(REAL)))

typedef REAL vector __attribute__((vector_size(BYTES)));

/* The multiply-adds of one pass. */
long multiply_adds_a_pass(void) { return VECTORS * LANES; }

/* So many passes of x ← x·factor + addend; the sum of all x, so that none is left out. */
REAL multiply_adds(long passes, REAL factor, REAL addend) {
    vector x[VECTORS], factors = (vector){0} + factor, addends = (vector){0} + addend, sum = {0};
    for (int i = 0; i < VECTORS; i++) x[i] = addends + (REAL)i;
    for (long pass = 0; pass < passes; pass++) {
#pragma GCC unroll 24
        for (int i = 0; i < VECTORS; i++) x[i] = x[i] * factors + addends;
    }
    REAL total = 0;
    for (int i = 0; i < VECTORS; i++) sum += x[i];
    for (long lane = 0; lane < LANES; lane++) total += sum[lane];
    return total;
}
