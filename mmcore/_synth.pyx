"""The synthetic market, compiled: seeded, deterministic, memory fixed at the start.

``synthetic.py`` holds the presets and the Source that the rest of mmcore reads.
"""

import numpy as np

from .events import LEVEL

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint64_t

from ._crowd cimport Crowd, Taste, crowd_start, crowd_step
from ._feed cimport STREAMS, DEPTH_STREAM, Delay, Mail, Stream, feed_next, feed_take
from ._pit cimport ROWS_OF_A_STEP, Side, pit_publish, pit_room
from ._rng cimport rng_seed
from ._types cimport Event, Level

cdef int64_t HISTORY = 4096             # latent prices kept for followers, steps
cdef int64_t MESSAGE_ROWS_MAX = 16_384  # more than the largest depth message takes


cdef int64_t town_fill(Town* t, Event* out, int64_t room, int64_t steps_max) noexcept nogil:
    # rows in order of receive time until `out` cannot take the next message, so many steps were
    # taken, or the market ended
    cdef int64_t n = 0, taken, due
    cdef Stream* s
    cdef Crowd* c
    cdef Crowd* next
    cdef int i
    while True:
        next = NULL
        for i in range(t.n_crowds):
            c = &t.crowds[i]
            if next == NULL or c.pit.now_ns + c.step_ns < next.pit.now_ns + next.step_ns:
                next = c
        # nothing that is made later can be received before the slowest crowd's present
        due = INT64_MAX if t.ended else next.pit.now_ns
        while True:
            s = feed_next(&t.feed, due)
            if s == NULL:
                break
            taken = feed_take(&t.feed, s, out + n, room - n)
            if taken == 0:
                return n
            n += taken
        if t.ended or steps_max <= 0:
            return n
        if next.pit.now_ns + next.step_ns > t.end_ns:
            for i in range(t.n_crowds):
                pit_publish(&t.crowds[i].pit, 0)
            t.ended = True
            continue
        if not pit_room(&next.pit):
            # a line so congested that its buffer is full: its messages are handed out, and what
            # comes later is received later
            s = feed_next(&t.feed, INT64_MAX)
            taken = feed_take(&t.feed, s, out + n, room - n)
            if taken == 0:
                return n
            n += taken
            continue
        crowd_step(next)
        t.steps += 1
        steps_max -= 1


cdef int64_t power_of_two(int64_t least):
    cdef int64_t n = 1
    while n < least:
        n *= 2
    return n


cdef int64_t ns_of(object seconds):
    return round(float(seconds) * 1e9)


cdef void read_taste(Taste* t, object p):
    t.start = p.start
    t.step_s = p.step_s
    t.depth_s = p.depth_s
    t.depth_chance = p.depth_chance
    t.diffusion = p.diffusion
    t.band = p.band
    t.lean = p.lean
    t.jump_rate = p.jump_rate
    t.jump = p.jump
    t.heat_add = p.heat_add
    t.heat_decay = p.heat_decay
    t.impact = p.impact
    t.impact_cap = p.impact_cap
    t.push = p.push
    t.taker_rate = p.taker_rate
    for i, (weight, decay) in enumerate(zip(p.weights, p.decays, strict=True)):
        t.weight[i] = weight
        t.decay[i] = decay
    t.copy = p.copy
    t.copy_decay = p.copy_decay
    t.sign_lean = p.sign_lean
    t.size = p.size
    t.size_width = p.size_width
    t.big_chance = p.big_chance
    t.big = p.big
    t.big_exponent = p.big_exponent
    t.size_max = p.size_max
    t.sweep_chance = p.sweep_chance
    t.chase_chance = p.chase_chance
    t.burst = p.burst
    t.prints = p.prints


cdef void read_clocks(Delay* d, object p):
    d.grain_ns = ns_of(p.grain_s)
    d.event_ns = ns_of(p.event_delay_s)
    d.least_ns = ns_of(p.latency_least_s)
    d.body_ns = p.latency_body_s * 1e9
    d.congested_least_ns = ns_of(p.congestion_s[0])
    d.congested_most_ns = ns_of(p.congestion_s[1])


cdef void read_book_taste(Taste* t, object p):
    t.queue = p.queue
    t.queue_noise = p.queue_noise
    t.queue_lean = p.queue_lean
    t.queue_s = p.queue_s
    t.fill = p.fill
    t.dust_chance = p.dust_chance
    t.touch_rate = p.touch_rate
    t.close_fast_chance = p.close_fast_chance
    t.close_fast_s = p.close_fast_s
    t.close_slow_s = p.close_slow_s
    t.hurry = p.hurry
    t.strides = p.strides
    t.draws = p.draws
    t.draws_width = p.draws_width
    t.reach = p.reach
    t.reach_width = p.reach_width
    t.depth = p.depth
    t.level = p.level
    t.level_slope = p.level_slope
    t.level_peak = p.level_peak
    t.level_width = p.level_width
    t.occupied = p.occupied
    t.occupied_far = p.occupied_far
    t.occupied_peak = p.occupied_peak
    t.keep = p.keep
    t.beta = p.beta
    t.lag_s = p.lag_s
    t.pull = p.pull
    t.drift = p.drift
    t.leg_s = p.leg_s
    t.home = p.home
    t.flash = p.flash
    t.flash_every_s = p.flash_every_s
    t.flash_s = p.flash_s
    t.rally_s = p.rally_s
    t.scar = p.scar
    t.flash_rate = p.flash_rate


cdef char* carve(char** at, int64_t size):
    # the next `size` bytes of one piece of memory, on cache lines (from NULL: measures only)
    cdef char* start = at[0]
    at[0] = start + (size + 63) // 64 * 64
    return start


cdef void lay_out(Crowd* c, Stream* streams, char** at):
    # where everything of one crowd lies
    cdef int64_t ring = c.pit.mask + 1
    cdef int64_t rows, i
    cdef Side* side
    for i in range(2):
        side = &c.pit.sides[i]
        side.lots = <int64_t*>carve(at, ring * sizeof(int64_t))
        side.shown = <int64_t*>carve(at, ring * sizeof(int64_t))
        side.changed = <int64_t*>carve(at, ring * sizeof(int64_t))
        side.marked = <uint8_t*>carve(at, ring)
    c.pit.scratch = <Level*>carve(at, 2 * ring * sizeof(Level))
    c.level_mean = <double*>carve(at, (c.taste.depth + 1) * sizeof(double))
    c.occupancy = <double*>carve(at, (c.taste.depth + 1) * sizeof(double))
    c.history = <double*>carve(at, HISTORY * sizeof(double))
    c.history_mask = HISTORY - 1
    c.pit.streams = streams
    for i in range(STREAMS):
        rows = 2 * ROWS_OF_A_STEP
        if i == DEPTH_STREAM:
            rows = power_of_two(2 * (ring // 2 + 64))
        streams[i].row_mask = streams[i].mail_mask = rows - 1
        streams[i].rows = <Event*>carve(at, rows * sizeof(Event))
        streams[i].mails = <Mail*>carve(at, rows * sizeof(Mail))


cdef class Generator:
    """Seeded rows of a market of several instruments; the manual is ``_synth.pyi``."""

    def __cinit__(self, presets, leaders, *, uint64_t seed, int64_t start_ns, int64_t end_ns):
        cdef char* at = NULL
        cdef char* whole
        cdef Crowd* c
        cdef Stream* streams
        cdef int32_t n = len(presets), i
        cdef int64_t size
        if n == 0 or n > 65_535 or len(leaders) != n:
            raise ValueError(f"{n} presets, {len(leaders)} leaders: expected 1 to 65,535 of each")
        self.memory = PyMem_Calloc(n, sizeof(Crowd))
        if self.memory == NULL:
            raise MemoryError("no memory for a synthetic market")
        self.c.crowds = c = <Crowd*>self.memory
        for i in range(n):
            read_taste(&c[i].taste, presets[i])
            read_book_taste(&c[i].taste, presets[i])
            read_clocks(&c[i].pit.delay, presets[i])
            c[i].pit.tick_step = presets[i].tick_step
            c[i].pit.lot = presets[i].lot
            c[i].pit.window = c[i].taste.depth + c[i].taste.depth // 2
            c[i].pit.mask = power_of_two(4 * c[i].pit.window + 4) - 1
            if c[i].taste.start <= 4 * c[i].pit.window:
                raise ValueError(
                    f"preset {i} starts at {c[i].taste.start} steps above zero: "
                    f"expected more than four times 1.5 times its depth of {c[i].taste.depth}"
                )
            if leaders[i] >= i:
                raise ValueError(f"preset {i} follows {leaders[i]}: a leader stands before it")
        # first measured from NULL, then laid out in one piece
        carve(&at, n * STREAMS * sizeof(Stream))
        for i in range(n):
            lay_out(&c[i], <Stream*>&self.measured, &at)
        size = <int64_t>at
        whole = at = <char*>PyMem_Calloc(size, 1)
        if whole == NULL:
            raise MemoryError(f"no {size} bytes for a synthetic market of {n} instruments")
        self.rings = whole
        streams = <Stream*>carve(&at, n * STREAMS * sizeof(Stream))
        for i in range(n):
            lay_out(&c[i], streams + i * STREAMS, &at)
            c[i].leader = &c[<int32_t>leaders[i]] if leaders[i] >= 0 else NULL
            c[i].pit.instrument = i
            c[i].pit.feed = &self.c.feed
            c[i].step_ns = ns_of(presets[i].step_s)
            c[i].depth_ns = ns_of(presets[i].depth_s)
            rng_seed(&c[i].pit.rng, seed, i)
        self.c.n_crowds = n
        self.c.feed.streams = streams
        self.c.feed.n_streams = n * STREAMS
        self.c.end_ns = end_ns if end_ns else INT64_MAX
        for i in range(n):
            crowd_start(&c[i], start_ns)

    def __init__(self, presets, leaders, *, uint64_t seed, int64_t start_ns, int64_t end_ns):
        pass

    def __dealloc__(self):
        PyMem_Free(self.rings)
        PyMem_Free(self.memory)

    def fill(self, uint8_t[::1] rows not None, int64_t steps):
        """Write the next rows; returns how many."""
        cdef int64_t n, room = rows.shape[0] // sizeof(Event)
        if room < MESSAGE_ROWS_MAX:
            raise ValueError(f"room for {room} rows: expected at least {MESSAGE_ROWS_MAX}")
        with nogil:
            n = town_fill(&self.c, <Event*>&rows[0], room, steps)
        return n

    @property
    def ended(self):
        """Whether the market has ended and every row was handed out."""
        return self.c.ended and feed_next(&self.c.feed, INT64_MAX) == NULL

    @property
    def now_ns(self):
        """Present of the slowest instrument."""
        cdef int i
        cdef int64_t now = INT64_MAX
        for i in range(self.c.n_crowds):
            now = min(now, self.c.crowds[i].pit.now_ns)
        return now

    def levels(self, int instrument, int side):
        """The generator's own book: LEVEL array, best first, in ticks and units."""
        cdef Crowd* c = self.crowd(instrument)
        cdef int k = 0 if side > 0 else 1
        cdef int away = -1 if k == 0 else 1
        cdef int64_t d, step, lots
        found = []
        for d in range(c.pit.window + 1):
            step = c.pit.sides[k].best + away * d
            lots = c.pit.sides[k].lots[step & c.pit.mask]
            if lots:
                found.append((step * c.pit.tick_step, lots * c.pit.lot))
        return np.array(found, dtype=LEVEL)

    def latent(self, int instrument):
        """Latent price, in grid steps: what the quoters follow."""
        cdef Crowd* c = self.crowd(instrument)
        return c.base + c.own

    cdef Crowd* crowd(self, int instrument) except NULL:
        if not 0 <= instrument < self.c.n_crowds:
            raise IndexError(f"instrument {instrument}: expected 0 to {self.c.n_crowds - 1}")
        return &self.c.crowds[instrument]
