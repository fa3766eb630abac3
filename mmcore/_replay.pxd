# The research interface: the owner of a playback.
from ._book cimport Book
from ._channel cimport Channels, Latency
from ._playback cimport CReplay
from ._venue cimport Venue

cdef class Replay:
    cdef CReplay c
    cdef readonly Venue venue
    cdef readonly Latency latency
    cdef readonly Book book
    cdef Channels channels
    cdef object rows
