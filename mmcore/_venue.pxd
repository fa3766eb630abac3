# A simulated venue: the owner of one account's matching in one instrument.
from ._book cimport Book
from ._resting cimport CVenue

cdef class Venue:
    cdef CVenue c
    cdef readonly Book book
