# Seeded random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64.
# The same seed gives the same numbers in every process on one machine.
from libc.stdint cimport int64_t, uint64_t

ctypedef struct Rng:
    uint64_t s[4]
    double spare            # second half of a pair of normal numbers
    int has_spare

cdef void rng_seed(Rng* r, uint64_t seed, uint64_t stream) noexcept nogil   # one of its streams
cdef uint64_t rng_next(Rng* r) noexcept nogil
cdef double rng_uniform(Rng* r) noexcept nogil                  # in (0, 1)
cdef double rng_normal(Rng* r) noexcept nogil                   # mean 0, variance 1
cdef double rng_exponential(Rng* r) noexcept nogil              # mean 1
cdef double rng_student3(Rng* r) noexcept nogil                 # 3 degrees of freedom, variance 3
cdef double rng_pareto(Rng* r, double least, double exponent) noexcept nogil
cdef double rng_lognormal(Rng* r, double median, double width) noexcept nogil
cdef int64_t rng_poisson(Rng* r, double mean) noexcept nogil    # exact below 60, normal above
