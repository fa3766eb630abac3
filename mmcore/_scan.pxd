# The frame scanner: staged frames as event rows, and its Python face.
from libc.stdint cimport int64_t
from ._types cimport Event
from ._wire cimport CScan

cdef int64_t scan_rows_count(const CScan* s) noexcept nogil         # rows scan_rows() will write
cdef int64_t scan_rows(const CScan* s, int64_t ts_local_ns, Event* out) noexcept nogil
cdef int64_t message_rows(const Event* e) noexcept nogil            # rows of the message at e

cdef class Scanner:
    cdef CScan c
