# The quoting pipeline for Python.
from libc.stdint cimport int64_t

from ._quotes cimport Strategy
from ._spec cimport SpecBox
from ._types cimport Grid, View

cdef class Quoter:
    cdef readonly Strategy strategy
    cdef readonly SpecBox spec
    cdef View view
    cdef Grid grid
    cdef int _look(self, int64_t bid_tick, int64_t ask_tick, int64_t position_qty) except -1
