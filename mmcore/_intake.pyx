"""From frames to a stream of event rows: depth chains, raw lines, merging by receive time.

A depth stream and its snapshot arrive on different roads.  The chain of each instrument holds
deltas back until a snapshot has gone out, then lets them follow it with the snapshot's receive
time.  It never judges for the book: the delta that breaks a chain still goes out (the book counts
the gap), the ones after it wait for the next snapshot.
"""

import numpy as np

from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, memmove, memset

from ._json cimport SC_MALFORMED, SC_OK
from ._scan cimport Scanner, message_rows, scan_rows, scan_rows_count
from ._types cimport (EV_DEPTH, EV_LINK_DOWN, FLAG_EXCH, FLAG_LOCAL, FLAG_MORE, FLAG_SNAPSHOT,
                      LEVELS_MAX, Event)
from ._wire cimport BYBIT, wire_read

from .events import EVENT


# ---- chains ---------------------------------------------------------------------------------

cdef int64_t unit_rows(const Event* e, int64_t limit) noexcept nogil:
    # Rows of the message at `e` with its continuations; 0 when it does not end within `limit`.
    cdef int64_t rows = 0
    cdef bint more = True
    while more:
        if rows >= limit:
            return 0
        more = (e[rows].flags & FLAG_MORE) != 0 and e[rows].kind == EV_DEPTH
        rows += message_rows(&e[rows])
    return rows if rows <= limit else 0


cdef void hold(CIntake* f, Chain* chain, int64_t rows) noexcept nogil:
    cdef int64_t i = 0
    if chain.n_held + rows > f.held_rows:
        # What is thrown away stood before what is kept: a snapshot that is too old for the rest
        # shows as a gap, never as a wrong book.
        while i < chain.n_held:
            i += unit_rows(&chain.held[i], chain.n_held - i)
            chain.n_lost += 1
        chain.n_held = 0
    if rows > f.held_rows:
        chain.n_lost += 1
        return
    memcpy(&chain.held[chain.n_held], &f.out[f.n], rows * sizeof(Event))
    chain.n_held += rows


cdef void follow(CIntake* f, Chain* chain, int64_t rows) noexcept nogil:
    # A delta behind a snapshot: it goes out, and says how the chain stands.
    cdef Event* e = &f.out[f.n]
    f.n += rows
    if e.seq <= chain.last:
        return
    if e.aux == chain.last or (chain.state == CHAIN_FRESH and e.aux < chain.last):
        chain.state = CHAIN_RUNS
        chain.last = e.seq
        return
    chain.state = CHAIN_WAIT
    chain.n_breaks += 1


cdef void release(CIntake* f, Chain* chain, int64_t ts_local_ns) noexcept nogil:
    # What was held follows the snapshot at the snapshot's receive time.
    cdef int64_t i = 0
    cdef int64_t j, rows
    while i < chain.n_held and chain.state != CHAIN_WAIT:
        rows = unit_rows(&chain.held[i], chain.n_held - i)
        if chain.held[i].seq <= chain.last:
            chain.n_old += 1
        else:
            memcpy(&f.out[f.n], &chain.held[i], rows * sizeof(Event))
            j = 0
            while j < rows:
                f.out[f.n + j].ts_local_ns = ts_local_ns
                j += message_rows(&f.out[f.n + j])
            follow(f, chain, rows)
        i += rows
    chain.n_held -= i
    memmove(chain.held, &chain.held[i], chain.n_held * sizeof(Event))


cdef void snapshot(CIntake* f, Chain* chain, int64_t rows) noexcept nogil:
    cdef Event* e = &f.out[f.n]
    if e.seq == 0:
        # An image without update id: only its time says whether it is old.
        if e.ts_venue_ns < chain.ts_image_ns:
            chain.n_old += 1
            return
        chain.ts_image_ns = e.ts_venue_ns
    elif not f.in_stream and chain.state != CHAIN_WAIT and e.seq < chain.last:
        # A REST answer overtaken by the stream would set a sound book back.
        chain.n_old += 1
        return
    f.n += rows
    chain.n_snapshots += 1
    chain.last = e.seq
    chain.state = CHAIN_FRESH
    release(f, chain, e.ts_local_ns)


cdef void intake_settle(CIntake* f, int64_t rows) noexcept nogil:
    # One message (with its continuations) lies at out[n]: it goes out, is held, or is dropped.
    cdef Event* e = &f.out[f.n]
    cdef Chain* chain
    if e.kind != EV_DEPTH or e.instrument >= f.n_chains:
        f.n += rows
        return
    chain = &f.chains[e.instrument]
    if e.ts_venue_ns and (f.in_stream or not e.flags & FLAG_SNAPSHOT):
        chain.lag_ns = e.ts_local_ns - e.ts_venue_ns
    if e.flags & FLAG_SNAPSHOT:
        snapshot(f, chain, rows)
        return
    chain.n_deltas += 1
    if e.seq == 0:
        f.n += rows
    elif chain.state == CHAIN_WAIT:
        hold(f, chain, rows)
    else:
        follow(f, chain, rows)


cdef void intake_link_down(CIntake* f, int instrument, int64_t ts_local_ns) noexcept nogil:
    # Something was lost: one row says so, and the chain waits for the next snapshot.
    cdef Event* e = &f.out[f.n]
    memset(e, 0, sizeof(Event))
    e.kind = EV_LINK_DOWN
    e.flags = FLAG_EXCH | FLAG_LOCAL
    e.instrument = <unsigned short>instrument
    e.ts_local_ns = ts_local_ns
    f.n += 1
    if instrument < f.n_chains:
        f.chains[instrument].state = CHAIN_WAIT
        f.chains[instrument].n_held = 0
        f.chains[instrument].ts_image_ns = 0


# ---- lines ----------------------------------------------------------------------------------

cdef int64_t receive_time(const uint8_t* p, int64_t n, int64_t* width) noexcept nogil:
    # Leading digits of a line as ns: 19 digits are ns, 16 microseconds, 13 milliseconds; else -1.
    cdef int64_t value = 0
    cdef int64_t i = 0
    while i < n and i < 20 and p[i] >= c'0' and p[i] <= c'9':
        if i < 19:
            value = value * 10 + (p[i] - c'0')
        i += 1
    width[0] = i
    if i >= n or p[i] != c' ' or value < 0:
        return -1
    if i == 19:
        return value
    if i == 16:
        return value * 1_000
    return value * 1_000_000 if i == 13 else -1


cdef class Intake:
    """Rows of one connection; see the stub for the contract."""

    def __cinit__(self, Scanner scanner, int n_instruments, int64_t block_rows=32768,
                  int64_t held_rows=32768):
        cdef int i
        memset(&self.c, 0, sizeof(CIntake))
        self.c.chains = <Chain*>calloc(max(n_instruments, 1), sizeof(Chain))
        if self.c.chains == NULL:
            raise MemoryError("no memory for depth chains")
        for i in range(n_instruments):
            self.c.chains[i].held = <Event*>malloc(max(held_rows, 1) * sizeof(Event))
            if self.c.chains[i].held == NULL:
                raise MemoryError("no memory for held updates")
            self.c.n_chains = i + 1
        self.block = np.zeros(block_rows + held_rows + 2 * FRAME_ROWS_MAX, EVENT)
        self.c.out = <Event*><size_t>self.block.ctypes.data

    def __init__(self, Scanner scanner, int n_instruments, int64_t block_rows=32768,
                 int64_t held_rows=32768):
        if n_instruments < 1 or block_rows < 1 or held_rows < 1:
            raise ValueError("instruments, block rows and held rows must be positive")
        self.scanner = scanner
        self.c.block_rows = block_rows
        self.c.held_rows = held_rows
        self.c.in_stream = scanner.c.dialect == BYBIT

    def __dealloc__(self):
        cdef int i
        for i in range(self.c.n_chains):
            free(self.c.chains[i].held)
        free(self.c.chains)

    @property
    def full(self):
        """True when the block must be taken before more is fed."""
        return self.c.n >= self.c.block_rows

    def take(self):
        """Rows fed since the last take: a view, valid until the intake is fed again."""
        n = self.c.n
        self.c.n = 0
        return self.block[:n]

    def frame(self, const uint8_t[::1] frame not None, int64_t ts_local_ns, int hint=-1):
        """Scan one frame; its rows go through the chains.  Returns the scanner's status."""
        if self.c.n >= self.c.block_rows:
            raise ValueError("the block is full: take it first")
        if frame.shape[0] == 0:
            self.status = SC_MALFORMED
        else:
            self.status = self.read_frame(&frame[0], frame.shape[0], ts_local_ns, hint)
        return self.status

    cdef int read_frame(self, const uint8_t* p, int64_t n, int64_t ts_local_ns,
                        int hint) noexcept nogil:
        cdef int status = wire_read(&self.scanner.c, p, n, hint)
        if status == SC_OK:
            scan_rows(&self.scanner.c, ts_local_ns, &self.c.out[self.c.n])
            intake_settle(&self.c, scan_rows_count(&self.scanner.c))
        return status

    def put(self, rows):
        """Rows of one frame decoded elsewhere; whole messages, at most FRAME_ROWS_MAX rows."""
        cdef const uint8_t[::1] raw = np.ascontiguousarray(rows, EVENT).view(np.uint8)
        cdef int64_t total = raw.shape[0] // <int64_t>sizeof(Event)
        cdef int64_t done = 0
        cdef int64_t n
        if self.c.n >= self.c.block_rows:
            raise ValueError("the block is full: take it first")
        if total > FRAME_ROWS_MAX:
            raise ValueError(f"{total} rows: at most {FRAME_ROWS_MAX} in one frame")
        while done < total:
            n = unit_rows(<const Event*>&raw[0] + done, total - done)
            if n == 0:
                raise ValueError("the rows end inside a message")
            memcpy(&self.c.out[self.c.n], <const Event*>&raw[0] + done, n * sizeof(Event))
            intake_settle(&self.c, n)
            done += n

    def link_down(self, int instrument, int64_t ts_local_ns):
        """Something of this instrument's stream was lost: its book is stale from here."""
        if not 0 <= instrument <= 65535:
            raise ValueError(f"instrument {instrument}: expected 0 to 65535")
        intake_link_down(&self.c, instrument, ts_local_ns)

    def lines(self, const uint8_t[::1] text not None, int64_t pos, bint final, int hint=-1):
        """Read raw lines from ``pos``: "<receive time> <frame>".  Returns a line status."""
        if not 0 <= pos <= text.shape[0]:
            raise ValueError(f"position {pos} outside a text of {text.shape[0]} bytes")
        if pos == text.shape[0]:
            self.pos = pos
            return LN_MORE
        return self.read_lines(&text[0], pos, text.shape[0], final, hint)

    cdef int read_lines(self, const uint8_t* text, int64_t pos, int64_t size, bint final,
                        int hint) noexcept nogil:
        cdef const uint8_t* stop
        cdef int64_t end, ts, width
        self.pos = pos
        while pos < size:
            if self.c.n >= self.c.block_rows:
                return LN_FULL
            stop = <const uint8_t*>memchr(text + pos, 10, size - pos)
            if stop == NULL and not final:
                return LN_MORE
            end = size if stop == NULL else stop - text
            self.pos = end if stop == NULL else end + 1
            self.line += 1
            while end > pos and text[end - 1] <= 32:
                end -= 1
            if end == pos:
                pos = self.pos
                continue
            ts = receive_time(text + pos, end - pos, &width)
            if ts < 0:
                self.frame_start, self.frame_end = pos, end
                return LN_TIME
            self.frame_start, self.frame_end = pos + width + 1, end
            if ts < self.ts_local_ns:
                return LN_BACK
            self.ts_local_ns = ts
            self.status = self.read_frame(text + self.frame_start, end - self.frame_start, ts,
                                          hint)
            if self.status != SC_OK:
                return LN_FRAME
            pos = self.pos
        return LN_MORE

    def chain(self, int instrument):
        """How the depth chain of one instrument stands, as a dict of counters."""
        if not 0 <= instrument < self.c.n_chains:
            raise ValueError(f"instrument {instrument}: this intake has {self.c.n_chains}")
        cdef Chain* chain = &self.c.chains[instrument]
        return {
            "waiting": chain.state == CHAIN_WAIT, "last": chain.last,
            "snapshots": chain.n_snapshots, "deltas": chain.n_deltas, "old": chain.n_old,
            "breaks": chain.n_breaks, "lost": chain.n_lost, "held_rows": chain.n_held,
            "lag_ns": chain.lag_ns,
        }


# ---- merging --------------------------------------------------------------------------------

cdef class Merge:
    """Streams of rows into one, by receive time; see the stub for the contract."""

    def __cinit__(self, int n_streams, int64_t block_rows=32768):
        self.heads = <Event**>calloc(max(n_streams, 1), sizeof(Event*))
        self.left = <int64_t*>calloc(max(n_streams, 1), sizeof(int64_t))
        if self.heads == NULL or self.left == NULL:
            raise MemoryError("no memory for a merge")
        self.block = np.zeros(block_rows + FRAME_ROWS_MAX, EVENT)
        self.out = <Event*><size_t>self.block.ctypes.data

    def __init__(self, int n_streams, int64_t block_rows=32768):
        if not 1 <= n_streams <= STREAMS_MAX or block_rows < 1:
            raise ValueError(f"{n_streams} streams, {block_rows} rows: expected 1 to "
                             f"{STREAMS_MAX} streams and a positive number of rows")
        self.n_streams = n_streams
        self.block_rows = block_rows
        self.blocks = [None] * n_streams

    def __dealloc__(self):
        free(self.heads)
        free(self.left)

    def feed(self, int stream, rows):
        """Give one stream its next block (kept until it is used up), or None at its end."""
        if not 0 <= stream < self.n_streams:
            raise ValueError(f"stream {stream}: this merge has {self.n_streams}")
        if rows is None:
            self.left[stream] = -1
            self.blocks[stream] = None
            return
        rows = np.ascontiguousarray(rows, EVENT)
        self.blocks[stream] = rows
        self.heads[stream] = <Event*><size_t>rows.ctypes.data
        self.left[stream] = len(rows)

    def run(self):
        """Merge until the block is full or a stream runs out (``wanted`` names it, else -1)."""
        cdef int64_t n = 0
        cdef int64_t rows
        cdef int i
        self.wanted = -1
        while n < self.block_rows:
            i = self.earliest()
            if i < 0:
                break
            rows = unit_rows(self.heads[i], self.left[i])
            if rows == 0 or rows > FRAME_ROWS_MAX:
                raise ValueError("a block ends inside a message, or the message is too long")
            memcpy(&self.out[n], self.heads[i], rows * sizeof(Event))
            self.heads[i] += rows
            self.left[i] -= rows
            n += rows
        return self.block[:n]

    cdef int earliest(self) noexcept nogil:
        # The stream whose head comes first; of equal times the stream of the lower number.
        cdef int64_t best = INT64_MAX
        cdef int found = -1
        cdef int i
        for i in range(self.n_streams):
            if self.left[i] == 0:
                self.wanted = i
                return -1
            if self.left[i] > 0 and (found < 0 or self.heads[i].ts_local_ns < best):
                best = self.heads[i].ts_local_ns
                found = i
        return found


def whole_rows(const uint8_t[::1] raw not None, int64_t limit):
    """Rows, at most ``limit``, up to the last message that is complete within them."""
    cdef int64_t total = raw.shape[0] // <int64_t>sizeof(Event)
    cdef int64_t done = 0
    cdef int64_t n
    total = total if total < limit else limit
    while done < total:
        n = unit_rows(<const Event*>&raw[0] + done, total - done)
        if n == 0:
            break
        done += n
    return done


cdef int64_t fault_of(const Event* e, int64_t n_kinds, int64_t n_instruments, bint two,
                      int64_t* clocks) noexcept nogil:
    # What cannot be true of a message of a tape, a RowFault; else the clocks are moved on.
    if e.kind == 0 or e.kind >= n_kinds:
        return ROW_KIND
    if e.instrument >= n_instruments:
        return ROW_INSTRUMENT
    if e.kind == EV_DEPTH and <int64_t>e.n_bids + e.n_asks > LEVELS_MAX:
        return ROW_LEVELS
    if (not two or e.flags & FLAG_LOCAL) and e.ts_local_ns < clocks[0]:
        return ROW_LOCAL
    if two and e.flags & FLAG_EXCH and e.ts_venue_ns < clocks[1]:
        return ROW_VENUE
    if not two or e.flags & FLAG_LOCAL:
        clocks[0] = e.ts_local_ns
    if two and e.flags & FLAG_EXCH:
        clocks[1] = e.ts_venue_ns
    return ROW_SOUND


def sound_rows(const uint8_t[::1] raw not None, int64_t limit, int64_t n_kinds,
               int64_t n_instruments, bint two, int64_t[::1] clocks not None):
    """Rows up to the first message that cannot be true, and why; see the stub."""
    cdef int64_t total = raw.shape[0] // <int64_t>sizeof(Event)
    cdef int64_t done = 0
    cdef int64_t whole = 0  # up to here no message goes on
    cdef int64_t n, fault
    cdef int64_t[2] seen    # the clocks at `done`; what is not whole yet is gone through again
    cdef const Event* e = NULL
    if clocks.shape[0] != 2:
        raise ValueError(f"{clocks.shape[0]} clocks, expected ours and the venue's")
    seen[0], seen[1] = clocks[0], clocks[1]
    while done < total:
        e = <const Event*>&raw[0] + done
        fault = fault_of(e, n_kinds, n_instruments, two, seen)
        if fault != ROW_SOUND:
            if whole == 0:
                clocks[0], clocks[1] = seen[0], seen[1]
            return whole, fault, done
        n = message_rows(e)
        if done + n > total:
            return whole, ROW_CUT, done
        if whole and done + n > limit:
            break
        done += n
        if e.kind != EV_DEPTH or not e.flags & FLAG_MORE:
            whole = done
            clocks[0], clocks[1] = seen[0], seen[1]
    return whole, ROW_SOUND if whole else ROW_CUT, whole


def survey(const uint8_t[::1] raw not None, int64_t[:, ::1] counts not None,
           int64_t[:, ::1] sides not None, int64_t[:, ::1] first not None,
           int64_t[:, ::1] last not None, int64_t[::1] late not None):
    """Add whole messages to the counts of their instruments; see the stub."""
    cdef int64_t total = raw.shape[0] // <int64_t>sizeof(Event)
    cdef int64_t done = 0
    cdef Py_ssize_t n = counts.shape[0]
    cdef Py_ssize_t n_kinds = counts.shape[1]
    cdef const Event* e = NULL
    if sides.shape[0] != n or sides.shape[1] != 2 or first.shape[0] != n or last.shape[0] != n \
            or first.shape[1] != n_kinds or last.shape[1] != n_kinds or late.shape[0] != n:
        raise ValueError("the arrays are not of one market")
    while done < total:
        e = <const Event*>&raw[0] + done
        if e.instrument >= n or e.kind >= n_kinds:
            raise ValueError(f"row {done}: instrument {e.instrument}, kind {e.kind}")
        counts[e.instrument, e.kind] += 1
        if e.ts_local_ns < first[e.instrument, e.kind]:
            first[e.instrument, e.kind] = e.ts_local_ns
        if e.ts_local_ns > last[e.instrument, e.kind]:
            last[e.instrument, e.kind] = e.ts_local_ns
        if e.flags & FLAG_LOCAL and e.ts_venue_ns > 0 and \
                e.ts_local_ns - e.ts_venue_ns < late[e.instrument]:
            late[e.instrument] = e.ts_local_ns - e.ts_venue_ns
        if e.kind == EV_DEPTH:
            sides[e.instrument, 0] += e.n_bids
            sides[e.instrument, 1] += e.n_asks
            if e.n_bids == 0 and e.n_asks == 0 and e.side != 0 and e.qty > 0:
                sides[e.instrument, e.side < 0] += 1
        done += message_rows(e)


def select(rows, numbers):
    """The messages of some instruments, under other numbers; see the stub."""
    cdef const uint8_t[::1] raw = np.ascontiguousarray(rows, EVENT).view(np.uint8)
    cdef int64_t[::1] table = np.array(numbers, np.int64)
    cdef int64_t total = raw.shape[0] // <int64_t>sizeof(Event)
    cdef const Event* head = NULL
    out = np.zeros(total, EVENT)
    cdef Event* to = <Event*><size_t>out.ctypes.data
    cdef int64_t done = 0
    cdef int64_t kept = 0
    cdef int64_t n
    while done < total:
        head = <const Event*>&raw[0] + done
        n = message_rows(head)
        if done + n > total or head.instrument >= table.shape[0]:
            raise ValueError("the rows end inside a message, or name an instrument too many")
        if table[head.instrument] >= 0:
            memcpy(to + kept, head, n * sizeof(Event))
            to[kept].instrument = <unsigned short>table[head.instrument]
            kept += n
        done += n
    return out[:kept]
