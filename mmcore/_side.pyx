"""One side of an order book: a window of slots around the touch, sorted far levels behind it.

No level is dropped: what leaves the window goes to the far array, and a far array that is full is
reported.  Memory is allocated by ``side_alloc`` only.
"""

from libc.math cimport exp
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove, memset

from ._types cimport Level

cdef extern from *:
    int highest_zeros "__builtin_clzll"(unsigned long long) noexcept nogil
    int lowest_zeros "__builtin_ctzll"(unsigned long long) noexcept nogil
    bint likely "__builtin_expect"(bint, bint) noexcept nogil

cdef enum:
    MISSES_MAX = 512        # changes behind the window after which its size is looked at
    MISSES_SHARE = 8       # it grows where more than one change in so many is one of them

cdef double DECAY = exp(-0.5)       # weight of a level against the one before it


# -- memory --------------------------------------------------------------------------------------

cdef bint side_alloc(BookSide* s, int64_t sign, int64_t width, int64_t width_max,
                     int64_t far_max) noexcept nogil:
    # calloc of large blocks maps pages that cost nothing until a level is put on them.
    memset(s, 0, sizeof(BookSide))
    s.sign = sign
    s.width = width
    s.best = -1
    s.width_max = width_max
    s.far_max = far_max
    s.sums = <uint64_t*>calloc(WIDTH_MAX // 4096, sizeof(uint64_t))
    s.words = <uint64_t*>calloc(width_max // 64, sizeof(uint64_t))
    s.slots = <int64_t*>calloc(width_max, sizeof(int64_t))
    s.far = <FarLevel*>calloc(far_max, sizeof(FarLevel))
    if s.sums == NULL or s.words == NULL or s.slots == NULL or s.far == NULL:
        side_free(s)
        return False
    return True


cdef void side_free(BookSide* s) noexcept nogil:
    free(s.sums)
    free(s.words)
    free(s.slots)
    free(s.far)
    s.sums = NULL
    s.words = NULL
    s.slots = NULL
    s.far = NULL


# -- the window ----------------------------------------------------------------------------------

cdef inline int64_t _below(const BookSide* s, int64_t slot) noexcept nogil:
    # The highest occupied slot below `slot`, -1: none.
    cdef int64_t word = slot >> 6
    cdef int64_t group
    cdef uint64_t bits = s.words[word] & ((<uint64_t>1 << (slot & 63)) - 1)
    if bits == 0:
        group = word >> 6
        bits = s.sums[group] & ((<uint64_t>1 << (word & 63)) - 1)
        if bits == 0:
            bits = s.root & ((<uint64_t>1 << group) - 1)
            if bits == 0:
                return -1
            group = 63 - highest_zeros(bits)
            bits = s.sums[group]
        word = (group << 6) + 63 - highest_zeros(bits)
        bits = s.words[word]
    return (word << 6) + 63 - highest_zeros(bits)


cdef inline void _occupy(BookSide* s, int64_t slot) noexcept nogil:
    cdef int64_t word = slot >> 6
    cdef uint64_t bits = s.words[word]
    s.words[word] = bits | (<uint64_t>1 << (slot & 63))
    if bits == 0:
        s.sums[word >> 6] |= <uint64_t>1 << (word & 63)
        s.root |= <uint64_t>1 << (word >> 6)


cdef inline void _vacate(BookSide* s, int64_t slot) noexcept nogil:
    cdef int64_t word = slot >> 6
    cdef int64_t group = word >> 6
    cdef uint64_t bits = s.words[word] & ~(<uint64_t>1 << (slot & 63))
    s.words[word] = bits
    if bits == 0:
        s.sums[group] &= ~(<uint64_t>1 << (word & 63))
        if s.sums[group] == 0:
            s.root &= ~(<uint64_t>1 << group)


cdef int64_t _occupied_below(const BookSide* s, int64_t slot) noexcept nogil:
    # Occupied slots below `slot`.
    cdef int64_t n = 0
    if slot >= s.width:
        return s.count - s.n_far
    slot = _below(s, slot)
    while slot >= 0:
        n += 1
        slot = _below(s, slot)
    return n


cdef bint _move(BookSide* s, int64_t base) noexcept nogil:
    # Puts slot 0 at the key `base`: levels that fall below it become far levels, far levels above
    # it come into the window.  0: the far array has no room, nothing moved.
    cdef int64_t shift = base - s.base
    cdef int64_t word, slot, below
    cdef uint64_t bits
    if s.best < 0:
        s.base = base
    elif shift > 0:
        if s.count > s.far_max and s.n_far + _occupied_below(s, shift) > s.far_max:
            return False
        s.base = base
        for word in range(s.width >> 6):
            bits = s.words[word]
            while bits:
                slot = (word << 6) + lowest_zeros(bits)
                bits &= bits - 1
                if slot < shift:
                    s.far[s.n_far].key = base - shift + slot
                    s.far[s.n_far].qty = s.slots[slot]
                    s.n_far += 1
                else:
                    s.slots[slot - shift] = s.slots[slot]
                    _occupy(s, slot - shift)
                s.slots[slot] = 0
                _vacate(s, slot)
        s.best = s.best - shift if s.best >= shift else -1
    else:
        s.base = base
        slot = s.best
        s.best -= shift
        while slot >= 0:
            below = _below(s, slot)
            s.slots[slot - shift] = s.slots[slot]
            s.slots[slot] = 0
            _vacate(s, slot)
            _occupy(s, slot - shift)
            slot = below
    while s.n_far > 0 and s.far[s.n_far - 1].key >= base:
        s.n_far -= 1
        slot = s.far[s.n_far].key - base
        s.slots[slot] = s.far[s.n_far].qty
        _occupy(s, slot)
        if slot > s.best:
            s.best = slot
    return True


cdef void _settle(BookSide* s) noexcept nogil:
    # Keeps the touch out of the lowest quarter of the window, so that levels near it have slots.
    cdef int64_t key
    if s.best >= s.width >> 2 or s.n_far == 0:
        return
    key = s.base + s.best if s.best >= 0 else s.far[s.n_far - 1].key
    _move(s, key - 3 * (s.width >> 2))


# -- the far levels ------------------------------------------------------------------------------

cdef inline int64_t _far_place(const BookSide* s, int64_t key) noexcept nogil:
    # Index of the first far level whose key is not below `key`.
    cdef int64_t low = 0
    cdef int64_t high = s.n_far
    cdef int64_t middle
    if high > 0 and s.far[high - 1].key < key:      # a snapshot arrives in this order
        return high
    while low < high:
        middle = (low + high) >> 1
        if s.far[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef bint _far_set(BookSide* s, int64_t key, int64_t qty) noexcept nogil:
    # 0: no room.
    cdef int64_t place = _far_place(s, key)
    cdef bint known = place < s.n_far and s.far[place].key == key
    if qty == 0:
        if known:
            s.n_far -= 1
            s.count -= 1
            memmove(&s.far[place], &s.far[place + 1], (s.n_far - place) * sizeof(FarLevel))
        return True
    if not known:
        if s.n_far == s.far_max:
            return False
        memmove(&s.far[place + 1], &s.far[place], (s.n_far - place) * sizeof(FarLevel))
        s.n_far += 1
        s.count += 1
        s.far[place].key = key
    s.far[place].qty = qty
    return True


# -- changes -------------------------------------------------------------------------------------

cdef bint _below_window(BookSide* s, int64_t key, int64_t qty) noexcept nogil:
    # Where a good part of the changes comes behind the window, it is too small for this market: it
    # doubles, in memory that is there already.  0: no room.
    cdef bint small
    s.n_misses += 1
    if s.n_misses >= MISSES_MAX:
        small = MISSES_SHARE * s.n_misses > s.n_changes
        s.n_misses = 0
        s.n_changes = 0
        if not small or s.width == s.width_max or s.best < 0:
            return _far_set(s, key, qty)
        s.width *= 2
        if not _move(s, s.base + s.best - 3 * (s.width >> 2)):
            return False
        if key >= s.base:
            return side_set(s, s.sign * key, qty)
    return _far_set(s, key, qty)


cdef bint _outside(BookSide* s, int64_t key, int64_t qty) noexcept nogil:
    # A level that has no slot.  0: no room.
    if key < s.base:
        return _below_window(s, key, qty)
    if qty == 0:
        return True
    if not _move(s, key - 3 * (s.width >> 2)):
        return False
    s.best = key - s.base
    s.slots[s.best] = qty
    s.count += 1
    _occupy(s, s.best)
    return True


cdef bint _set_levels(BookSide* s, const Level* levels, int64_t n, int64_t stride) noexcept nogil:
    # Sets n levels, stride 1 or -1 through memory.  0: no room, the rest is not applied.
    cdef int64_t sign = s.sign
    cdef int64_t base = s.base
    cdef uint64_t width = s.width
    cdef int64_t best = s.best
    cdef int64_t* slots = s.slots
    cdef int64_t slot, qty, old
    cdef bint room = True
    for _ in range(n):
        slot = sign * levels.tick - base
        qty = levels.qty
        levels += stride
        if likely(<uint64_t>slot < width, True):
            old = slots[slot]
            slots[slot] = qty
            if (old == 0) == (qty == 0):
                continue
            if qty != 0:
                s.count += 1
                _occupy(s, slot)
                if slot > best:
                    best = slot
            else:
                s.count -= 1
                if slot == best:
                    best = _below(s, slot)
                _vacate(s, slot)
        else:
            s.best = best
            room = _outside(s, slot + base, qty)
            best = s.best
            base = s.base
            width = s.width
            if not room:
                break
    s.best = best
    _settle(s)
    return room


cdef bint side_run(BookSide* s, const Level* levels, int64_t n) noexcept nogil:
    s.n_changes += n
    return _set_levels(s, levels, n, 1)


cdef bint side_set(BookSide* s, int64_t tick, int64_t qty) noexcept nogil:
    # The one level of most messages of a research tape: no loop, no copies of the window.
    cdef int64_t slot = s.sign * tick - s.base
    cdef int64_t old
    s.n_changes += 1
    if <uint64_t>slot >= <uint64_t>s.width:
        if not _outside(s, slot + s.base, qty):
            return False
        _settle(s)
        return True
    old = s.slots[slot]
    s.slots[slot] = qty
    if (old == 0) == (qty == 0):
        return True
    if qty != 0:
        s.count += 1
        _occupy(s, slot)
        if slot > s.best:
            s.best = slot
        return True
    s.count -= 1
    if slot == s.best:
        s.best = _below(s, slot)
        _vacate(s, slot)
        _settle(s)
    else:
        _vacate(s, slot)
    return True


cdef bint _best_first(const BookSide* s, const Level* levels, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(1, n):
        if s.sign * levels[i].tick >= s.sign * levels[i - 1].tick:
            return False
    return True


cdef int64_t side_span(const BookSide* s, const Level* levels, int64_t n) noexcept nogil:
    cdef int64_t i
    cdef int64_t low = INT64_MAX
    cdef int64_t high = 0
    if n == 0:
        return 0
    if _best_first(s, levels, n):
        return s.sign * (levels[0].tick - levels[n - 1 - n // 10].tick)
    for i in range(n):
        low = min(low, levels[i].tick)
        high = max(high, levels[i].tick)
    return high - low


cdef void _empty(BookSide* s) noexcept nogil:
    # Word by word: a snapshot every half second must not pay for each level that it replaces.
    cdef int64_t group, word
    while s.root != 0:
        group = lowest_zeros(s.root)
        while s.sums[group] != 0:
            word = (group << 6) + lowest_zeros(s.sums[group])
            s.sums[group] &= s.sums[group] - 1
            s.words[word] = 0
            memset(&s.slots[word << 6], 0, 64 * sizeof(int64_t))
        s.root &= s.root - 1
    s.best = -1
    s.n_far = 0
    s.count = 0


cdef void side_clear(BookSide* s, int64_t tick) noexcept nogil:
    cdef int64_t key = s.sign * tick
    if tick <= 0:
        _empty(s)
        return
    while s.best >= 0 and s.base + s.best >= key:
        s.slots[s.best] = 0
        _vacate(s, s.best)
        s.best = _below(s, s.best)
        s.count -= 1
    while s.n_far > 0 and s.far[s.n_far - 1].key >= key:
        s.n_far -= 1
        s.count -= 1
    _settle(s)


cdef bint side_load(BookSide* s, const Level* levels, int64_t n, int64_t width) noexcept nogil:
    # Levels that come best first are taken from the far end, so that each far level is appended; in
    # any other order the last of several equal prices counts.
    cdef int64_t i
    cdef int64_t key = INT64_MIN
    _empty(s)
    s.width = width
    s.n_changes = 0
    s.n_misses = 0
    for i in range(n):
        if levels[i].qty != 0:
            key = max(key, s.sign * levels[i].tick)
    if key == INT64_MIN:
        return True
    s.base = key - 3 * (width >> 2)
    if _best_first(s, levels, n):
        return _set_levels(s, levels + (n - 1), n, -1)
    return _set_levels(s, levels, n, 1)


# -- reading -------------------------------------------------------------------------------------

cdef struct Cursor:
    uint64_t bits           # levels of the word that are still to come
    int64_t word
    int64_t far             # far levels still to come
    int64_t key
    int64_t qty


cdef inline Cursor _touch(const BookSide* s) noexcept nogil:
    cdef Cursor k
    k.bits = 0
    k.word = s.best >> 6 if s.best >= 0 else 0
    k.far = s.n_far
    k.key = 0
    k.qty = 0
    if s.best >= 0:
        k.bits = s.words[k.word]
    return k


cdef inline bint _next(const BookSide* s, Cursor* k) noexcept nogil:
    # The next level away from the touch; 0: no more.
    cdef int64_t slot
    if k.bits == 0:
        slot = _below(s, k.word << 6)
        if slot < 0:
            if k.far == 0:
                return False
            k.far -= 1
            k.key = s.far[k.far].key
            k.qty = s.far[k.far].qty
            return True
        k.word = slot >> 6
        k.bits = s.words[k.word]
    slot = 63 - highest_zeros(k.bits)
    k.bits ^= <uint64_t>1 << slot
    slot += k.word << 6
    k.key = s.base + slot
    k.qty = s.slots[slot]
    return True


cdef int64_t side_qty(const BookSide* s, int64_t tick) noexcept nogil:
    cdef int64_t key = s.sign * tick
    cdef int64_t place
    if s.count == 0:
        return 0
    if key >= s.base:
        return s.slots[key - s.base] if key - s.base < s.width else 0
    place = _far_place(s, key)
    return s.far[place].qty if place < s.n_far and s.far[place].key == key else 0


cdef int side_top(const BookSide* s, int n, Level* out) noexcept nogil:
    cdef Cursor k = _touch(s)
    cdef int i = 0
    while i < n and _next(s, &k):
        out[i].tick = s.sign * k.key
        out[i].qty = k.qty
        i += 1
    return i


cdef double side_units(const BookSide* s, int n) noexcept nogil:
    cdef Cursor k = _touch(s)
    cdef double total = 0.0
    while n > 0 and _next(s, &k):
        total += <double>k.qty
        n -= 1
    return total


cdef double side_weighted_units(const BookSide* s, int n) noexcept nogil:
    cdef Cursor k = _touch(s)
    cdef double total = 0.0
    cdef double weight = 1.0
    while n > 0 and _next(s, &k):
        total += weight * <double>k.qty
        weight *= DECAY
        n -= 1
    return total


cdef double side_tick_units(const BookSide* s, int n) noexcept nogil:
    cdef Cursor k = _touch(s)
    cdef double total = 0.0
    while n > 0 and _next(s, &k):
        total += <double>(s.sign * k.key) * <double>k.qty
        n -= 1
    return total


cdef bint side_sound(const BookSide* s) noexcept nogil:
    cdef int64_t slot
    cdef int64_t count = 0
    cdef int64_t best = -1
    cdef uint64_t bit
    for slot in range(s.width_max):
        bit = (s.words[slot >> 6] >> (slot & 63)) & 1
        if s.slots[slot] < 0 or (s.slots[slot] != 0) != bit or (bit and slot >= s.width):
            return False
        if bit:
            count += 1
            best = slot
    for slot in range(s.width_max >> 6):
        bit = (s.sums[slot >> 6] >> (slot & 63)) & 1
        if (s.words[slot] != 0) != bit:
            return False
    for slot in range(WIDTH_MAX // 4096):
        if (s.sums[slot] != 0) != ((s.root >> slot) & 1):
            return False
    for slot in range(s.n_far):
        if (s.far[slot].qty <= 0 or s.far[slot].key >= s.base
                or (slot > 0 and s.far[slot].key <= s.far[slot - 1].key)):
            return False
    return best == s.best and count + s.n_far == s.count and (count > 0 or s.n_far == 0)
