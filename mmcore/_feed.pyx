"""The wire of the synthetic market: receive times, and the merge of all streams into one order."""

from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memcpy

from ._rng cimport Rng, rng_exponential, rng_uniform
from ._types cimport Event


cdef int64_t feed_stamp(Stream* s, const Feed* f, const Delay* d, Rng* r, int64_t ts_ns,
                        bint congested, int64_t* venue_ns) noexcept nogil:
    # receive time of a message made at ts_ns; its exchange time goes to venue_ns
    cdef int64_t venue = ts_ns - ts_ns % d.grain_ns
    cdef int64_t local
    if venue < s.ts_venue_ns:
        venue = s.ts_venue_ns
    s.ts_venue_ns = venue
    venue_ns[0] = venue
    local = venue + d.least_ns
    if d.event_ns:
        local += <int64_t>(rng_uniform(r) * d.event_ns)
    if d.body_ns > 0.0:
        local += <int64_t>((rng_exponential(r) + rng_exponential(r)) * d.body_ns)
    if congested and d.congested_most_ns:
        local += d.congested_least_ns + <int64_t>(
            rng_uniform(r) * (d.congested_most_ns - d.congested_least_ns))
    # first in, first out within the stream, and never before what was already handed out
    if local < s.ts_local_ns:
        local = s.ts_local_ns
    if local < f.floor_ns:
        local = f.floor_ns
    return local


cdef Event* feed_row(Stream* s, int64_t k) noexcept nogil:
    return &s.rows[(s.row_tail + k) & s.row_mask]


cdef void feed_send(Feed* f, Stream* s, int64_t n_rows, int64_t ts_local_ns) noexcept nogil:
    cdef Mail* mail = &s.mails[s.mail_tail & s.mail_mask]
    mail.ts_local_ns = ts_local_ns
    mail.order = f.order
    mail.row = s.row_tail
    mail.n_rows = n_rows
    s.ts_local_ns = ts_local_ns
    s.row_tail += n_rows
    s.mail_tail += 1
    f.order += 1


cdef int64_t feed_room(const Stream* s) noexcept nogil:
    cdef int64_t rows = s.row_mask + 1 - (s.row_tail - s.row_head)
    cdef int64_t mails = s.mail_mask + 1 - (s.mail_tail - s.mail_head)
    return rows if rows < mails else mails


cdef Stream* feed_next(Feed* f, int64_t until_ns) noexcept nogil:
    cdef Stream* best = NULL
    cdef Stream* s
    cdef Mail* mail
    cdef int64_t ts = INT64_MAX, order = INT64_MAX
    cdef int i
    for i in range(f.n_streams):
        s = &f.streams[i]
        if s.mail_head == s.mail_tail:
            continue
        mail = &s.mails[s.mail_head & s.mail_mask]
        if mail.ts_local_ns < ts or (mail.ts_local_ns == ts and mail.order < order):
            ts = mail.ts_local_ns
            order = mail.order
            best = s
    return best if ts <= until_ns else NULL


cdef int64_t feed_take(Feed* f, Stream* s, Event* out, int64_t room) noexcept nogil:
    cdef Mail* mail = &s.mails[s.mail_head & s.mail_mask]
    cdef int64_t k, n = mail.n_rows
    if n > room:
        return 0
    for k in range(n):
        memcpy(&out[k], &s.rows[(mail.row + k) & s.row_mask], sizeof(Event))
    f.floor_ns = mail.ts_local_ns
    s.mail_head += 1
    s.row_head += n
    if s.mail_head == s.mail_tail:
        # an empty stream starts its rings over, so that a quick reader stays in few cache lines
        s.mail_head = s.mail_tail = s.row_head = s.row_tail = 0
    return n
