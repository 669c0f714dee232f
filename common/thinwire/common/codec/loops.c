/* The codec's loops that numpy cannot do in one pass. native.py calls them.

   scan.py, positions.py and scatter.py have the same in numpy, which says what comes out, bit for bit. Nothing outside
   the lengths that are passed is read or written, whatever the values and bytes are. C11 with GNU's builtins, and no
   instructions beyond the platform's least, since wheels travel. The compiler must not contract a * b + c
   (-ffp-contract=off).

   P parameters, H hits, U units of gaps, K kept. */

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* native.py refuses a library of another version: a source tree may be newer than what was compiled from it. */
#define VERSION 1

#define STRIP 1024 /* floats: two vectors of them stay in any first-level cache */
#define GROUP 16   /* floats */
#define AHEAD 4096 /* bytes: processors fetch ahead by themselves, but not beyond a page */

struct group {
    int64_t at; /* in its strip */
    uint32_t bits; /* a bit for each float, set if it is a hit */
};

int32_t thinwire_loops_version(void) { return VERSION; }

/* The bits of |value|, which ascend as |value| does, with infinity and NaN on top. */
static int32_t magnitude(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffff;
}

/* There may be nothing that far ahead; fetching it does no harm. */
static void fetch(const float *address) { __builtin_prefetch((const void *)((uintptr_t)address + AHEAD)); }

static void move(float *restrict vector, float *restrict increment, int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        vector[i] += increment[i];
        increment[i] = 0;
    }
}

/* Which floats of a group have a magnitude above `below`, which is at least -1. */
#if defined(__SSE2__)
static __m128i above_of_4(const float *group, __m128i below) {
    const __m128i bits = _mm_loadu_si128((const __m128i *)group);
    return _mm_cmpgt_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7fffffff)), below);
}

static uint32_t above(const float *group, int32_t below) {
    const __m128i below_4 = _mm_set1_epi32(below);
    const __m128i low = _mm_packs_epi32(above_of_4(group, below_4), above_of_4(group + 4, below_4));
    const __m128i high = _mm_packs_epi32(above_of_4(group + 8, below_4), above_of_4(group + 12, below_4));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
}
#else
static uint32_t above(const float *group, int32_t below) {
    /* Most groups have no hit, and compilers turn this loop into vector instructions. The sign is set by any
       magnitude above `below`; the difference of two numbers from -1 up does not overflow. */
    int32_t any = 0;
    for (int i = 0; i < GROUP; i++) any |= below - magnitude(group[i]);
    if (any >= 0) return 0;
    uint32_t bits = 0;
    for (int i = 0; i < GROUP; i++) bits |= (uint32_t)(magnitude(group[i]) > below) << i;
    return bits;
}
#endif

/* Adds a strip's groups with a hit to the list; returns how many there are. */
static int list(const float *vector, int64_t size, int32_t below, struct group *hit) {
    int hits = 0;
    int64_t at = 0;
    for (; at + GROUP <= size; at += GROUP) {
        fetch(vector + at);
        hit[hits].at = at;
        hit[hits].bits = above(vector + at, below);
        hits += hit[hits].bits != 0; /* a branch would often be mispredicted */
    }
    if (at < size) {
        float rest[GROUP] = {0};
        memcpy(rest, vector + at, (size_t)(size - at) * sizeof *rest);
        hit[hits].at = at;
        hit[hits].bits = above(rest, below) & ((1u << (size - at)) - 1);
        hits += hit[hits].bits != 0;
    }
    return hits;
}

/* Finds all magnitudes that reach the floor, NaN included, in a vector into which the increment, if any, is moved
   first, leaving zeros. Returns how many there are; the first `room` of them are stored. */
int64_t thinwire_hits(float *vector_P, float *increment_P, int64_t size, float floor, int64_t *index_H,
                      float *value_H, int64_t room) {
    const int32_t below = magnitude(floor) - 1;
    int64_t found = 0;
    for (int64_t start = 0; start < size; start += STRIP) {
        const int64_t length = size - start < STRIP ? size - start : STRIP;
        if (increment_P) move(vector_P + start, increment_P + start, length);
        struct group hit[STRIP / GROUP];
        const int hits = list(vector_P + start, length, below, hit);
        for (int i = 0; i < hits; i++) {
            for (uint32_t bits = hit[i].bits; bits; bits &= bits - 1) {
                const int64_t at = start + hit[i].at + __builtin_ctz(bits);
                if (found < room) {
                    index_H[found] = at;
                    value_H[found] = vector_P[at];
                }
                found++;
            }
        }
    }
    return found;
}

/* Reads gaps of one byte, 255 being an escape. Returns how many positions they are; the first `kept` are stored.
   `end` is the position that a further gap of 0 would have. */
int64_t thinwire_positions(const uint8_t *unit_U, int64_t units, int64_t *index_K, int64_t kept, int64_t *end) {
    int64_t next = 0, found = 0;
    for (int64_t i = 0; i < units; i++) {
        next += unit_U[i];
        if (unit_U[i] == 255) continue;
        if (found < kept) index_K[found] = next;
        found++;
        next++;
    }
    *end = next;
    return found;
}

/* Adds weight * value at each position, or nothing if a position is outside. Returns how many are. */
int64_t thinwire_add_at(float *sum_P, int64_t size, const int64_t *index_K, const float *value_K, int64_t kept,
                        float weight) {
    int64_t outside = 0;
    for (int64_t i = 0; i < kept; i++) outside += (uint64_t)index_K[i] >= (uint64_t)size;
    if (outside) return outside;
    for (int64_t i = 0; i < kept; i++) {
        if (i + 64 < kept) __builtin_prefetch(sum_P + index_K[i + 64], 1);
        sum_P[index_K[i]] += weight * value_K[i];
    }
    return 0;
}
