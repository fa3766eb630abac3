# From frames to a stream of event rows: depth chains, raw lines, and merging by receive time.
from libc.stdint cimport int32_t, int64_t, uint8_t
from ._scan cimport Scanner
from ._types cimport Event

cdef enum:
    FRAME_ROWS_MAX = 8192   # rows of one frame
    STREAMS_MAX = 256       # streams of one merge

cdef enum ChainState:
    CHAIN_WAIT = 0          # no snapshot yet, or the chain is broken: deltas are held
    CHAIN_FRESH = 1         # a snapshot went out, the first delta has not
    CHAIN_RUNS = 2

cdef enum LineStatus:
    LN_MORE = 0             # every whole line is read: bring more text
    LN_FULL = 1             # the block is full: take it
    LN_FRAME = 2            # the line's frame is for the JSON decoder
    LN_BACK = 3             # receive time runs backwards
    LN_TIME = 4             # the line does not start with a receive time

cdef enum RowFault:          # what cannot be true of a message of a tape
    ROW_SOUND = 0
    ROW_KIND = 1            # a kind that does not exist
    ROW_INSTRUMENT = 2      # an instrument that the tape does not name
    ROW_LEVELS = 3          # more levels than a message holds
    ROW_LOCAL = 4           # our clock runs backwards
    ROW_VENUE = 5           # the venue's clock runs backwards where it is an order of its own
    ROW_CUT = 6             # the message ends behind the rows

# The depth chain of one instrument.
ctypedef struct Chain:
    int32_t state           # ChainState
    int64_t last            # last update id that went out
    int64_t ts_image_ns     # venue time of the last image of a stream without update ids
    int64_t lag_ns          # of the stream's newest depth: receive time less the venue's
    Event* held             # deltas that wait for a snapshot
    int64_t n_held          # rows
    int64_t n_snapshots
    int64_t n_deltas
    int64_t n_old           # updates dropped: older than the snapshot, images going back in time
    int64_t n_breaks
    int64_t n_lost          # held messages thrown away for want of room

ctypedef struct CIntake:
    Event* out
    Chain* chains           # [n_chains], by Event.instrument
    int64_t n               # rows in out
    int64_t block_rows      # a block is full from here
    int64_t held_rows       # room of one chain
    int32_t n_chains
    int32_t in_stream       # snapshots come in the stream itself and always replace (Bybit)

cdef void intake_settle(CIntake* f, int64_t rows) noexcept nogil
cdef void intake_link_down(CIntake* f, int instrument, int64_t ts_local_ns) noexcept nogil

cdef class Intake:
    cdef CIntake c
    cdef Scanner scanner
    cdef object block
    cdef readonly int64_t line          # number of the last line read, from 1
    cdef readonly int64_t pos           # offset behind the last line read
    cdef readonly int64_t ts_local_ns   # receive time of the last line
    cdef readonly int64_t frame_start   # the frame of the last line
    cdef readonly int64_t frame_end
    cdef readonly int status            # ScanStatus of the last frame
    cdef int read_frame(self, const uint8_t* p, int64_t n, int64_t ts_local_ns,
                        int hint) noexcept nogil
    cdef int read_lines(self, const uint8_t* text, int64_t pos, int64_t size, bint final,
                        int hint) noexcept nogil

cdef class Merge:
    cdef Event** heads
    cdef int64_t* left                  # rows left, -1: the stream has ended
    cdef Event* out
    cdef int n_streams
    cdef int64_t block_rows
    cdef list blocks
    cdef object block
    cdef readonly int wanted            # stream whose block ran out
    cdef int earliest(self) noexcept nogil
