# The synthetic market: crowds of several instruments, stepped in time order, as one stream of rows.
from libc.stdint cimport int32_t, int64_t

from ._crowd cimport Crowd
from ._feed cimport STREAMS, Feed, Stream
from ._types cimport Event

ctypedef struct Town:       # all crowds of one generator
    Crowd* crowds           # Crowd[n_crowds]; a leader stands before its followers
    int32_t n_crowds
    Feed feed
    int64_t end_ns          # INT64_MAX: endless
    int64_t steps           # taken, over all crowds
    bint ended              # what is on the wire is all there is

cdef int64_t town_fill(Town* t, Event* out, int64_t room, int64_t steps_max) noexcept nogil

cdef class Generator:
    cdef Town c
    cdef void* memory       # the crowds
    cdef void* rings        # everything they point to, in one piece
    cdef Stream measured[STREAMS]   # stands in for the streams while their size is measured
    cdef Crowd* crowd(self, int instrument) except NULL
