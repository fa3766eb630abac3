# Orders told by their ids, summed to price levels; of interest to _tally alone.
from libc.stdint cimport int32_t, int64_t

from ._depth cimport CBook
from ._types cimport Event, Level

cdef enum:
    CHANGED_MAX = 256       # levels of one message; an instant that changes more becomes several
    NOTED_MAX = 100         # rows that could not be true, noted one by one; the rest only count

ctypedef struct Noted:
    int64_t row             # counted over all blocks
    int64_t what            # IdsReturn

ctypedef struct Changed:
    int64_t tick
    int64_t side

cdef struct Clock:          # what one side of a tape of two clocks has been told
    CBook* book
    bint whole              # an instant in which the whole book is told is under way
    int64_t ns              # that of the last order
    Event last              # the last order, or a clear of the whole book; kind 0: none yet
    int32_t n_changed       # levels that no row has told yet
    Changed changed[CHANGED_MAX]
    Level* levels           # a message being made
    int32_t n_bids
    int32_t n_asks

cdef struct CTally:
    Clock clocks[2]         # the venue's, ours
    bint together           # the levels of an instant are one message
    bint twin               # both clocks were told the same rows of a whole book
    int64_t n_rows          # rows taken in so far
    int64_t bad_row         # a level among orders; -1: none
    int64_t n_out
    Event* out
    int64_t n_noted
    Noted noted[NOTED_MAX]
