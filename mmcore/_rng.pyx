"""Seeded random numbers for the synthetic market: nothing else in it is random."""

from libc.math cimport cos, exp, log, pow, sin, sqrt
from libc.stdint cimport int64_t, uint64_t

cdef double TWO_PI = 6.283185307179586
cdef double POISSON_EXACT_MAX = 60.0    # beyond it a product of uniforms costs more than it tells


cdef inline uint64_t splitmix(uint64_t* state) noexcept nogil:
    cdef uint64_t z
    state[0] += <uint64_t>0x9E3779B97F4A7C15ULL
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef inline uint64_t rotated(uint64_t x, int k) noexcept nogil:
    return (x << k) | (x >> (64 - k))


cdef void rng_seed(Rng* r, uint64_t seed, uint64_t stream) noexcept nogil:
    cdef uint64_t state = seed
    cdef int i
    # two rounds, so that neighbouring seeds and neighbouring streams have nothing in common
    state = splitmix(&state) ^ (stream * <uint64_t>0xD1342543DE82EF95ULL)
    for i in range(4):
        r.s[i] = splitmix(&state)
    r.has_spare = 0
    r.spare = 0.0


cdef uint64_t rng_next(Rng* r) noexcept nogil:
    cdef uint64_t result = rotated(r.s[1] * 5, 7) * 9
    cdef uint64_t t = r.s[1] << 17
    r.s[2] ^= r.s[0]
    r.s[3] ^= r.s[1]
    r.s[1] ^= r.s[2]
    r.s[0] ^= r.s[3]
    r.s[2] ^= t
    r.s[3] = rotated(r.s[3], 45)
    return result


cdef double rng_uniform(Rng* r) noexcept nogil:
    # 53 bits, moved half a step off zero so that a logarithm of it is finite
    return (<double>(rng_next(r) >> 11) + 0.5) * (1.0 / 9007199254740992.0)


cdef double rng_normal(Rng* r) noexcept nogil:
    # Box and Muller (1958): two numbers a pair of uniforms, the second kept for the next call
    cdef double radius, angle
    if r.has_spare:
        r.has_spare = 0
        return r.spare
    radius = sqrt(-2.0 * log(rng_uniform(r)))
    angle = TWO_PI * rng_uniform(r)
    r.spare = radius * sin(angle)
    r.has_spare = 1
    return radius * cos(angle)


cdef double rng_exponential(Rng* r) noexcept nogil:
    return -log(rng_uniform(r))


cdef double rng_student3(Rng* r) noexcept nogil:
    cdef double a = rng_normal(r)
    cdef double b = rng_normal(r)
    cdef double c = rng_normal(r)
    return rng_normal(r) / sqrt((a * a + b * b + c * c) / 3.0)


cdef double rng_pareto(Rng* r, double least, double exponent) noexcept nogil:
    return least * pow(rng_uniform(r), -1.0 / exponent)


cdef double rng_lognormal(Rng* r, double median, double width) noexcept nogil:
    return median * exp(width * rng_normal(r))


cdef int64_t rng_poisson(Rng* r, double mean) noexcept nogil:
    cdef double product, limit
    cdef int64_t n
    if mean <= 0.0:
        return 0
    if mean > POISSON_EXACT_MAX:
        product = mean + sqrt(mean) * rng_normal(r) + 0.5
        return <int64_t>product if product > 0.0 else 0
    limit = exp(-mean)
    product = rng_uniform(r)
    n = 0
    while product > limit:
        n += 1
        product *= rng_uniform(r)
    return n
