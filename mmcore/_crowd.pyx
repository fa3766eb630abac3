"""The crowd of one synthetic instrument: takers, quoters, and the book they make.

One latent price; quoters who follow it only beyond a dead band and then step away at once; takers
who come in clusters, follow each other's side and move the latent price by what is unexpected of
them; touch queues that know where the latent price stands; levels behind them drawn anew.  What
each part reproduces of real markets, and from which tapes, is said in ``synthetic.py``.
"""

from libc.math cimport exp, fabs, floor, log, pow, sqrt
from libc.stdint cimport int64_t, uint64_t

from ._feed cimport DEPTH_STREAM, TOUCH_STREAM, TRADE_STREAM, Stream, feed_send, feed_stamp
from ._pit cimport (
    Pit, Side, pit_behind, pit_lots, pit_move, pit_print, pit_publish, pit_reachable, pit_rest,
    pit_touch,
)
from ._rng cimport (
    rng_exponential, rng_lognormal, rng_normal, rng_pareto, rng_poisson, rng_student3, rng_uniform,
)
from ._types cimport FLAG_SNAPSHOT

cdef int TAKERS_MAX = 8             # per step, and so on: what bounds the rows of one step
cdef int TOUCHES_MAX = 32
cdef int STRIDES_MAX = 4
cdef int EATEN_MAX = 256            # levels one taker goes through
cdef int PRINTS_MAX = 64            # pieces one taker adds to them
cdef double ACTIVITY_MIN = 0.2
cdef double ACTIVITY_MAX = 12.0
cdef double ACTIVITY_BUSY = 4.0     # lines are congested beyond it; diffusion grows no more
cdef double FAST_DECAY = 5.0        # per second: memories faster than this feel a burst
cdef double SWEEP_MAX = 4.0         # typical queues that a sweep takes
cdef double GIANT = 20.0            # mean sizes that a level grows to by being resized
cdef double SLOW_SHARE = 0.3        # prices with slow hands
cdef double SLOW_CHANCE = 0.06      # that those hands move


cdef inline double mid_of(const Crowd* c) noexcept nogil:
    return 0.5 * <double>(c.pit.sides[0].best + c.pit.sides[1].best)


cdef inline double leaning(const Crowd* c) noexcept nogil:
    # where the latent price stands in the dead band, [-1, 1]
    cdef double x = (c.base + c.own - mid_of(c)) / c.taste.band
    return -1.0 if x < -1.0 else (1.0 if x > 1.0 else x)


cdef int64_t drawn_lots(Crowd* c, int64_t d) noexcept nogil:
    # size of a level d steps behind, lognormal around that distance's mean
    cdef double width = c.taste.level_width
    cdef double mean = c.level_mean[d if d < c.taste.depth else c.taste.depth]
    cdef double lots = rng_lognormal(&c.pit.rng, mean * exp(-0.5 * width * width), width)
    return 1 + <int64_t>lots


cdef int64_t touch_lots(Crowd* c, int k, double scale) noexcept nogil:
    # size of a fresh touch queue: heavier on the side that the latent price leaves behind
    cdef double x = leaning(c)
    cdef double tilt = c.taste.queue_lean * sqrt(fabs(x)) * (1.0 if x > 0.0 else -1.0)
    cdef double noise = c.taste.queue_noise * rng_normal(&c.pit.rng)
    cdef double lots = scale * exp((tilt if k == 0 else -tilt) + noise)
    return 1 + <int64_t>lots


# ---------------------------------------------------------------------------------- takers

cdef bint eat(Crowd* c, int sign, double size) noexcept nogil:
    # a taker of so many lots walks the book; whether the touch moved
    cdef int k = 1 if sign > 0 else 0
    cdef Pit* p = &c.pit
    cdef Stream* s = &p.streams[TRADE_STREAM]
    cdef int64_t left = 1 + <int64_t>size, total = left
    cdef int64_t step, have, take, behind, row = 0, venue_ns
    cdef int64_t local_ns = feed_stamp(s, p.feed, &p.delay, &p.rng, p.now_ns, p.busy, &venue_ns)
    cdef int _, pieces = min(PRINTS_MAX, <int>rng_poisson(&c.pit.rng, c.taste.prints - 1.0))
    cdef bint moved = False
    for _ in range(EATEN_MAX):
        step = c.pit.sides[k].best
        have = pit_lots(&c.pit, k, step)
        take = min(left, have)
        behind = 0
        if take == have:
            behind = pit_behind(&c.pit, k)
            if behind == 0 or behind != pit_reachable(&c.pit, k, behind):
                take = have - 1     # a side is never emptied: its last lot stays
                left = take
        if take <= 0:
            break
        row = pit_print(p, row, sign, step, take, 1 + <int>(pieces * take / total), venue_ns,
                        local_ns)
        pit_rest(&c.pit, k, step, have - take)
        left -= take
        if take == have:
            c.pit.sides[k].best = behind
            moved = True
        if left <= 0:
            break
    if row:
        feed_send(c.pit.feed, s, row, local_ns)
        pit_touch(&c.pit, c.pit.now_ns)
    return moved


cdef double expected_sign(const Crowd* c) noexcept nogil:
    # of the next taker, from the signs before it
    cdef double sum = 0.0
    cdef int lag
    for lag in range(SIGNS):
        sum += c.copy_weight[lag] * c.signs[(c.n_signs - 1 - lag) & (SIGN_RING - 1)]
    return c.taste.copy * sum + (1.0 - c.taste.copy) * c.taste.sign_lean * leaning(c)


cdef int taker_sign(Crowd* c) noexcept nogil:
    cdef double u
    cdef int lag = 0
    cdef int sign
    if rng_uniform(&c.pit.rng) < c.taste.copy:
        u = rng_uniform(&c.pit.rng)
        while lag < SIGNS - 1 and u > c.copy_weight[lag]:
            u -= c.copy_weight[lag]
            lag += 1
        sign = c.signs[(c.n_signs - 1 - lag) & (SIGN_RING - 1)]
        if sign:
            return sign
    u = 0.5 * (1.0 + c.taste.sign_lean * leaning(c))
    return 1 if rng_uniform(&c.pit.rng) < u else -1


cdef double taker_size(Crowd* c) noexcept nogil:
    cdef double lots
    if rng_uniform(&c.pit.rng) < c.taste.big_chance:
        lots = rng_pareto(&c.pit.rng, c.taste.big, c.taste.big_exponent)
    else:
        lots = rng_lognormal(&c.pit.rng, c.taste.size, c.taste.size_width)
    return min(lots, c.taste.size_max)


cdef void taker(Crowd* c) noexcept nogil:
    cdef double expected = expected_sign(c)
    cdef int sign = taker_sign(c)
    cdef double size = taker_size(c)
    cdef double weight = sqrt(size / c.taste.queue)
    cdef double short
    cdef int m
    cdef bint moved = eat(c, sign, size)
    # only the surprise moves the latent price: persistent signs would otherwise make a trend
    c.own += c.taste.impact * (sign - expected) * min(weight, c.taste.impact_cap)
    if moved:
        # a swept price does not come back for free
        short = c.taste.push * c.taste.band - sign * (c.base + c.own - mid_of(c))
        if short > 0.0:
            c.own += sign * short
    for m in range(MEMORIES):
        c.memory[m] += 1.0
    c.signs[c.n_signs & (SIGN_RING - 1)] = sign
    c.n_signs += 1


# --------------------------------------------------------------------------------- quoters

cdef void close_plan(Crowd* c) noexcept nogil:
    # an open spread with no move on: the quoters' two-speed clock
    cdef int64_t wide = c.pit.sides[1].best - c.pit.sides[0].best
    cdef double wait
    if c.close_ns or c.move or wide <= 1:
        return
    if rng_uniform(&c.pit.rng) < c.taste.close_fast_chance:
        wait = c.taste.close_fast_s
    else:
        wait = c.taste.close_slow_s
        if wide > 2:
            wait /= c.taste.hurry
    c.close_ns = c.pit.now_ns + 1 + <int64_t>(wait * rng_exponential(&c.pit.rng) * 1e9)


cdef void close_due(Crowd* c) noexcept nogil:
    # the side that the latent price leaves behind steps up to the other
    cdef int k = 0 if c.base + c.own > mid_of(c) else 1
    cdef int away = -1 if k == 0 else 1
    cdef int64_t old = c.pit.sides[k].best
    cdef int64_t step = pit_reachable(&c.pit, k, c.pit.sides[1 - k].best + away)
    cdef int64_t d = (old - step) * away
    cdef double scale = c.taste.queue * c.taste.fill
    cdef double stays
    cdef int64_t due = c.close_ns
    c.close_ns = 0
    if d <= 0:
        return
    pit_move(&c.pit, k, step)
    if rng_uniform(&c.pit.rng) < c.taste.dust_chance:
        scale = c.taste.size
    pit_rest(&c.pit, k, step, touch_lots(c, k, scale))
    stays = max(c.taste.keep, c.occupancy[min(d, c.taste.depth)])
    if d > c.pit.window or rng_uniform(&c.pit.rng) >= stays:
        pit_rest(&c.pit, k, old, 0)
    elif c.taste.keep <= 0.5:
        pit_rest(&c.pit, k, old, drawn_lots(c, d))
    c.pit.sides[k].relaxed_ns = due
    pit_touch(&c.pit, due)


cdef void move_begin(Crowd* c) noexcept nogil:
    cdef double gap = c.base + c.own - mid_of(c)
    cdef int sign = 1 if gap > 0.0 else -1
    cdef int k = 1 if sign > 0 else 0
    cdef int64_t room, queue
    cdef double size
    cdef int m
    if fabs(gap) <= c.taste.band:
        return
    c.goal = <int64_t>floor(c.base + c.own - sign * c.taste.lean * c.taste.band + 0.5 * sign + 0.5)
    c.goal = pit_reachable(&c.pit, k, c.goal)
    room = (c.goal - c.pit.sides[k].best) * sign
    if room < 1:
        return      # it has stepped back already; the other side is on its way
    c.heat += c.taste.heat_add
    for m in range(MEMORIES):
        if c.taste.decay[m] > FAST_DECAY:
            c.memory[m] += c.taste.burst
    c.stride = room / c.taste.strides
    c.move = sign
    c.close_ns = 0
    if rng_uniform(&c.pit.rng) < c.taste.sweep_chance:
        queue = pit_lots(&c.pit, k, c.pit.sides[k].best)
        size = (0.6 + 0.4 * rng_uniform(&c.pit.rng)) * queue
        eat(c, sign, min(size, SWEEP_MAX * c.taste.queue))


cdef void move_on(Crowd* c) noexcept nogil:
    # the side in the way steps back, a few strides within one time step
    cdef int k = 1 if c.move > 0 else 0
    cdef int _
    cdef int64_t room, stride, step
    cdef double size
    for _ in range(STRIDES_MAX):
        room = (c.goal - c.pit.sides[k].best) * c.move
        if room <= 0:
            c.move = 0
            return
        stride = 1 + <int64_t>(c.stride * rng_exponential(&c.pit.rng))
        step = c.pit.sides[k].best + c.move * min(stride, room)
        pit_move(&c.pit, k, step)
        if c.taste.keep <= 0.5 or pit_lots(&c.pit, k, step) == 0:
            size = c.taste.queue * c.taste.fill
            if rng_uniform(&c.pit.rng) < c.taste.dust_chance:
                size = c.taste.size
            pit_rest(&c.pit, k, step, touch_lots(c, k, size))
        c.pit.sides[k].relaxed_ns = c.pit.now_ns
        pit_touch(&c.pit, c.pit.now_ns)
        if rng_uniform(&c.pit.rng) < c.taste.chase_chance:
            size = rng_lognormal(&c.pit.rng, c.taste.size, c.taste.size_width)
            if size + 1.0 < pit_lots(&c.pit, k, step):
                eat(c, c.move, size)


cdef void relax(Crowd* c, int k) noexcept nogil:
    # one touch queue on its way to where the latent price wants it
    cdef Side* s = &c.pit.sides[k]
    cdef double x = leaning(c)
    cdef double tilt = c.taste.queue_lean * sqrt(fabs(x)) * (1.0 if x > 0.0 else -1.0)
    cdef double want = log(c.taste.queue) + (tilt if k == 0 else -tilt)
    cdef int64_t have = pit_lots(&c.pit, k, s.best)
    cdef double fade = exp(-(c.pit.now_ns - s.relaxed_ns) * 1e-9 / c.taste.queue_s)
    cdef double noise = c.taste.queue_noise * sqrt(1.0 - fade * fade) * rng_normal(&c.pit.rng)
    cdef double lots = exp(want + (log(<double>have) - want) * fade + noise)
    if c.taste.keep > 0.5:
        lots = max(have - 0.5 * c.taste.queue, min(have + 0.5 * c.taste.queue, lots))
    s.relaxed_ns = c.pit.now_ns
    pit_rest(&c.pit, k, s.best, max(<int64_t>1, <int64_t>lots))


# ----------------------------------------------------------------------------- behind the touch

cdef inline bint slow_hands(const Crowd* c, int k, int64_t step) noexcept nogil:
    # some prices change rarely: that makes the long lives of levels
    cdef uint64_t z = (<uint64_t>step * 2 + <uint64_t>k) * <uint64_t>0x9E3779B97F4A7C15ULL
    return <double>((z ^ (z >> 29)) >> 11 & 0xFFFFF) < SLOW_SHARE * 1048576.0


cdef void redraw(Crowd* c) noexcept nogil:
    cdef Pit* p = &c.pit
    cdef int64_t n, _, d, step, have
    cdef int k
    cdef double u = rng_lognormal(&p.rng, c.taste.draws, c.taste.draws_width)
    n = rng_poisson(&p.rng, u * sqrt(c.activity))
    for _ in range(n):
        k = 0 if rng_uniform(&c.pit.rng) < 0.5 else 1
        u = rng_lognormal(&c.pit.rng, c.taste.reach, c.taste.reach_width)
        if u >= c.taste.depth:
            continue
        d = 1 + <int64_t>u
        step = c.pit.sides[k].best + (-d if k == 0 else d)
        if slow_hands(c, k, step) and rng_uniform(&c.pit.rng) >= SLOW_CHANCE:
            continue
        have = pit_lots(&c.pit, k, step)
        if have and rng_uniform(&c.pit.rng) < 0.5 * c.occupancy[d]:
            # resized in proportion, but a giant does not grow for ever
            u = min(have * (0.5 + rng_uniform(&p.rng)), GIANT * c.level_mean[d])
            pit_rest(p, k, step, max(<int64_t>1, <int64_t>u))
        elif rng_uniform(&c.pit.rng) < c.occupancy[d]:
            pit_rest(&c.pit, k, step, drawn_lots(c, d))
        else:
            pit_rest(&c.pit, k, step, 0)


# -------------------------------------------------------------------------------------- steps

cdef void regime(Crowd* c, double dt) noexcept nogil:
    # what a regime adds to the latent price; a market without one draws no number here
    cdef double under_way
    if c.taste.drift > 0.0:
        c.leg_clock -= dt
        if c.taste.leg_s > 0.0 and c.leg_clock <= 0.0:
            c.leg_clock += c.taste.leg_s * rng_exponential(&c.pit.rng)
            c.leg = -c.leg
        c.own += c.leg * c.taste.drift * dt
    if c.taste.home > 0.0:
        c.own += (c.home - c.own) * c.taste.home * dt
    if c.taste.flash <= 0.0:
        return
    c.flash_clock -= dt
    if c.flash_clock > 0.0:
        return
    under_way = -c.flash_clock
    c.rate *= c.taste.flash_rate
    if under_way <= c.taste.flash_s:
        c.own -= c.taste.flash / c.taste.flash_s * dt
    elif under_way <= c.taste.flash_s + c.taste.rally_s:
        c.own += c.taste.flash * (1.0 - c.taste.scar) / c.taste.rally_s * dt
    else:
        c.flash_clock = c.taste.flash_every_s * rng_exponential(&c.pit.rng)


cdef void breathe(Crowd* c) noexcept nogil:
    # activity, heat, and the latent price
    cdef double dt = c.taste.step_s
    cdef double lit, jump
    cdef int64_t behind
    cdef int m
    c.rate = c.taste.taker_rate
    for m in range(MEMORIES):
        c.memory[m] *= c.fade[m]
        c.rate += c.taste.weight[m] * c.taste.decay[m] * c.memory[m]
    regime(c, dt)
    c.activity = max(ACTIVITY_MIN, min(ACTIVITY_MAX, c.rate / c.rate_mean))
    c.pit.busy = c.activity > ACTIVITY_BUSY
    c.heat *= c.heat_fade
    c.own *= c.own_fade
    lit = min(c.activity, ACTIVITY_BUSY) + c.heat
    c.own += c.taste.diffusion * sqrt(dt * lit) * rng_normal(&c.pit.rng)
    c.jump_clock -= c.taste.jump_rate * c.activity * dt
    if c.jump_clock <= 0.0:
        c.jump_clock += rng_exponential(&c.pit.rng)
        jump = c.taste.jump * rng_student3(&c.pit.rng)
        c.own += max(-0.5 * c.pit.window, min(0.5 * c.pit.window, jump))
    if c.leader != NULL:
        behind = c.leader.pit.now_ns - c.pit.now_ns + <int64_t>(c.taste.lag_s * 1e9)
        behind = behind // c.leader.step_ns
        behind = max(<int64_t>0, min(c.leader.history_mask, min(c.leader.steps, behind)))
        c.base = (c.taste.start + 0.5) * exp(
            c.taste.beta * c.leader.history[(c.leader.steps - behind) & c.leader.history_mask])
    if c.base + c.own < 2.0 * c.pit.window:
        c.own = 2.0 * c.pit.window - c.base     # far below any real price: the grid ends at zero
    c.steps += 1
    c.history[c.steps & c.history_mask] = log((c.base + c.own) / (c.taste.start + 0.5))


cdef void crowd_step(Crowd* c) noexcept nogil:
    cdef int n
    cdef bint due
    c.pit.now_ns += c.step_ns
    if c.close_ns and c.close_ns <= c.pit.now_ns:
        close_due(c)
    breathe(c)
    c.taker_clock -= c.rate * c.taste.step_s
    n = 0
    while c.taker_clock <= 0.0 and n < TAKERS_MAX:
        c.taker_clock += rng_exponential(&c.pit.rng)
        taker(c)
        n += 1
    if not c.move:
        move_begin(c)
    if c.move:
        move_on(c)
    close_plan(c)
    due = c.pit.now_ns >= c.depth_due_ns
    if due:
        c.depth_due_ns += c.depth_ns
        due = rng_uniform(&c.pit.rng) < c.taste.depth_chance
        if due:
            redraw(c)
    c.touch_clock -= c.taste.touch_rate * c.activity * c.taste.step_s
    n = 0
    while c.touch_clock <= 0.0 and n < TOUCHES_MAX:
        c.touch_clock += rng_exponential(&c.pit.rng)
        relax(c, 0 if rng_uniform(&c.pit.rng) < 0.5 else 1)
        pit_touch(&c.pit, c.pit.now_ns)
        n += 1
    if due:
        pit_publish(&c.pit, 0)


cdef void prepare(Crowd* c) noexcept nogil:
    # what follows from the taste alone
    cdef Taste* t = &c.taste
    cdef double sum = 0.0, far
    cdef int64_t d
    cdef int m
    for d in range(t.depth + 1):
        far = t.level * pow(min(<double>max(d, <int64_t>1), t.level_peak), t.level_slope)
        if d > 4.0 * t.level_peak:
            far *= pow(d / (4.0 * t.level_peak), -0.8)
        c.level_mean[d] = far
        far = t.occupied_far
        if d < t.occupied_peak:
            far = t.occupied + (far - t.occupied) * (d - 1) / max(1.0, t.occupied_peak - 1.0)
        elif d > 4.0 * t.occupied_peak:
            far *= pow(d / (4.0 * t.occupied_peak), -0.5)
        c.occupancy[d] = far
    for m in range(SIGNS):
        c.copy_weight[m] = pow(m + 1.0, -t.copy_decay)
        sum += c.copy_weight[m]
    for m in range(SIGNS):
        c.copy_weight[m] /= sum
    sum = 0.0
    for m in range(MEMORIES):
        c.fade[m] = exp(-t.decay[m] * t.step_s)
        sum += t.weight[m] if t.decay[m] > 0.0 else 0.0
    c.rate_mean = t.taker_rate / (1.0 - sum)
    c.heat_fade = exp(-t.heat_decay * t.step_s)
    c.own_fade = exp(-t.pull * t.step_s)


cdef void crowd_start(Crowd* c, int64_t start_ns) noexcept nogil:
    cdef int64_t d
    cdef int k, m
    prepare(c)
    c.pit.now_ns = start_ns
    c.depth_due_ns = start_ns + c.depth_ns
    c.base = c.taste.start + 0.5
    if c.leader == NULL:
        c.own, c.base = c.base, 0.0
    c.home = c.own
    if c.taste.drift > 0.0:
        c.leg = 1.0 if rng_uniform(&c.pit.rng) < 0.5 else -1.0
        c.leg_clock = c.taste.leg_s * rng_exponential(&c.pit.rng)
    if c.taste.flash > 0.0:
        c.flash_clock = c.taste.flash_every_s * rng_exponential(&c.pit.rng)
    for m in range(MEMORIES):
        if c.taste.decay[m] > 0.0:
            c.memory[m] = c.rate_mean / c.taste.decay[m]    # its mean
    c.activity = 1.0
    c.taker_clock = rng_exponential(&c.pit.rng)
    c.jump_clock = rng_exponential(&c.pit.rng)
    c.touch_clock = rng_exponential(&c.pit.rng)
    for k in range(2):
        c.pit.sides[k].best = c.taste.start + k
        c.pit.sides[k].best_shown = c.pit.sides[k].best
        c.pit.sides[k].relaxed_ns = start_ns
        pit_rest(&c.pit, k, c.pit.sides[k].best, touch_lots(c, k, c.taste.queue))
        for d in range(1, c.taste.depth + 1):
            if rng_uniform(&c.pit.rng) < c.occupancy[d]:
                pit_rest(&c.pit, k, c.pit.sides[k].best + (-d if k == 0 else d), drawn_lots(c, d))
    pit_publish(&c.pit, FLAG_SNAPSHOT)
    # nothing is received before the snapshot
    c.pit.streams[TOUCH_STREAM].ts_local_ns = c.pit.streams[DEPTH_STREAM].ts_local_ns
    c.pit.streams[TRADE_STREAM].ts_local_ns = c.pit.streams[DEPTH_STREAM].ts_local_ns
    pit_touch(&c.pit, start_ns)
