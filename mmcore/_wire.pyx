"""What a venue's frames say, read key by key: the three wire dialects of the scanner.

Every key is read properly: no search for a piece of text that a symbol or a new field could
contain, and no reliance on the order of keys where a venue does not promise one.  What a reader is
not sure of (a repeated key, another kind of message) it leaves to the JSON decoders.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from ._json cimport (SC_DIGITS, SC_FULL, SC_MALFORMED, SC_MISSING, SC_OFF_GRID, SC_OK, SC_SYMBOL,
                     SC_UNSURE, SC_ZERO, Cursor, Span, at_end, decimal, fail, integer, next_key,
                     peek, skip, skip_word, string, take)
from ._types cimport ASK, BID, EV_BEST, EV_DEPTH, EV_TRADE, Level

cdef enum:                  # indices into CScan.number; their bits in `seen`
    N_EVENT_TIME = 0
    N_TIME = 1
    N_FIRST = 2
    N_LAST = 3
    N_PREVIOUS = 4
    N_ID = 5
    N_SNAPSHOT = 6
    N_MAKER = 7

cdef enum:                  # indices into CScan.text; their bits follow those of `number`
    T_PRICE = 0
    T_QTY = 1
    T_BID = 2
    T_BID_QTY = 3
    T_ASK = 4
    T_ASK_QTY = 5

cdef enum:                  # bits of `seen`
    SEEN_TEXT = 8           # first of six
    SEEN_BIDS = 1 << 14
    SEEN_ASKS = 1 << 15
    SEEN_NAME = 1 << 16
    SEEN_FORM = 1 << 17
    SEEN_SYMBOL = 1 << 18
    SEEN_DATA = 1 << 19
    SEEN_STREAM = 1 << 20
    SEEN_LEVELS = 1 << 21
    SEEN_ORIGIN = 1 << 22
    SEEN_B = 1 << 24        # keys "b" and "a", whatever their value
    SEEN_A = 1 << 26
    SEEN_GROUP = 1 << 25    # "a" as a number: the id of an aggTrade
    SEEN_LONG = 1 << 23     # "bids" and "asks" in full: only REST spells them so

cdef extern from *:
    """
    #define MS_MAX 9200000000000LL      /* milliseconds that still fit 64 bits of ns */
    #define US_MIN 100000000000000LL    /* 1973 in microseconds */
    #define US_MAX 9200000000000000LL
    """
    const int64_t MS_MAX
    const int64_t US_MIN
    const int64_t US_MAX

# ---- values with a scale --------------------------------------------------------------------

cdef inline bint price(Cursor* c, const Scale* scale, int64_t* out) noexcept nogil:
    cdef int64_t value
    if not decimal(c, scale.price_decimals, &value):
        return False
    if scale.tick_mul != 1:
        if value % scale.tick_mul:
            return fail(c, SC_OFF_GRID)
        value = value // scale.tick_mul
    out[0] = value
    return True


cdef inline bint pair_level(Cursor* c, const Scale* scale, Level* out) noexcept nogil:
    # ["price", "quantity"]
    return (take(c, c'[') and price(c, scale, &out.tick) and take(c, c',')
            and decimal(c, scale.qty_decimals, &out.qty) and take(c, c']'))


cdef bint named_level(Cursor* c, const Scale* scale, Level* out) noexcept nogil:
    # {"px": "price", "sz": "quantity", ...} in any order
    cdef Span key
    cdef bint first = True
    cdef int have = 0
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            break
        if key.n == 2 and key.p[0] == c'p' and key.p[1] == c'x':
            if have & 1:
                return fail(c, SC_UNSURE)
            have |= 1
            if not price(c, scale, &out.tick):
                return False
        elif key.n == 2 and key.p[0] == c's' and key.p[1] == c'z':
            if have & 2:
                return fail(c, SC_UNSURE)
            have |= 2
            if not decimal(c, scale.qty_decimals, &out.qty):
                return False
        elif not skip(c, 4):
            return False
    if have != 3:
        return fail(c, SC_MISSING)
    return True


cdef bint levels(Cursor* c, const Scale* scale, bint named, Level* out,
                 int32_t* count) noexcept nogil:
    cdef int n = 0
    if not take(c, c'['):
        return False
    if peek(c) == c']':
        c.p += 1
        count[0] = 0
        return True
    while True:
        if n == SIDE_MAX:
            return fail(c, SC_FULL)
        if not (named_level(c, scale, &out[n]) if named else pair_level(c, scale, &out[n])):
            return False
        if out[n].tick == 0:
            return fail(c, SC_ZERO)
        n += 1
        if peek(c) == c',':
            c.p += 1
            continue
        count[0] = n
        return take(c, c']')


# ---- keys -----------------------------------------------------------------------------------

cdef inline bint mark(CScan* s, Cursor* c, uint64_t bit) noexcept nogil:
    # JSON lets a key stand twice and the last one wins; that is not worth a fast path.
    if s.seen & bit:
        return fail(c, SC_UNSURE)
    s.seen |= bit
    return True


cdef inline bint spelled(const Span* span, const char* word, int n) noexcept nogil:
    return span.n == n and memcmp(span.p, word, n) == 0


cdef inline bint number_at(CScan* s, Cursor* c, int index) noexcept nogil:
    cdef int ch = peek(c)
    if ch != c'-' and (ch < c'0' or ch > c'9'):
        return fail(c, SC_UNSURE)       # perhaps a kind of message that is not ours
    return mark(s, c, 1 << index) and integer(c, &s.number[index])


cdef inline bint word_at(CScan* s, Cursor* c, uint64_t bit, Span* out) noexcept nogil:
    if peek(c) != c'"':
        return fail(c, SC_UNSURE)
    return mark(s, c, bit) and string(c, out)


cdef inline bint text_at(CScan* s, Cursor* c, int index) noexcept nogil:
    # Decimals are read after the walk, when the symbol is known; here only their place is kept.
    cdef Span span
    peek(c)
    s.text[index].p = c.p
    return word_at(s, c, 1 << (SEEN_TEXT + index), &span)


cdef int find_scale(const CScan* s, const uint8_t* p, int n) noexcept nogil:
    cdef int i
    if s.scale >= 0 and s.scales[s.scale].symbol_len == n:
        if memcmp(s.scales[s.scale].symbol, p, n) == 0:
            return s.scale
    for i in range(s.n_scales):
        if s.scales[i].symbol_len == n and memcmp(s.scales[i].symbol, p, n) == 0:
            return i
    return -1


cdef bint symbol_at(CScan* s, Cursor* c) noexcept nogil:
    cdef Span span
    cdef int found
    if not word_at(s, c, SEEN_SYMBOL, &span):
        return False
    found = find_scale(s, span.p, span.n)
    if found < 0:
        return fail(c, SC_SYMBOL)
    s.scale = found
    return True


cdef bint side_at(CScan* s, Cursor* c, int side, bint named) noexcept nogil:
    # An array of levels: read at once when the symbol is known, else when the walk is over.
    cdef bint bids = side == BID
    if not mark(s, c, SEEN_BIDS if bids else SEEN_ASKS):
        return False
    if not (s.seen & SEEN_SYMBOL):
        peek(c)
        s.late[0 if bids else 1].p = c.p
        return skip(c, 4)
    s.late[0 if bids else 1].p = NULL
    return levels(c, &s.scales[s.scale], named, s.bids if bids else s.asks,
                  &s.n_bids if bids else &s.n_asks)


cdef bint late_sides(CScan* s, Cursor* c, bint named) noexcept nogil:
    cdef Cursor again
    cdef int i
    for i in range(2):
        if s.late[i].p == NULL or not (s.seen & (SEEN_BIDS if i == 0 else SEEN_ASKS)):
            continue
        again.p, again.end, again.status = s.late[i].p, c.end, SC_OK
        if not levels(&again, &s.scales[s.scale], named, s.bids if i == 0 else s.asks,
                      &s.n_bids if i == 0 else &s.n_asks):
            return fail(c, again.status)
    return True


cdef inline bint late_price(CScan* s, Cursor* c, int index, int64_t* out) noexcept nogil:
    cdef Cursor again
    again.p, again.end, again.status = s.text[index].p, c.end, SC_OK
    return True if price(&again, &s.scales[s.scale], out) else fail(c, again.status)


cdef inline bint late_qty(CScan* s, Cursor* c, int index, int64_t* out) noexcept nogil:
    cdef Cursor again
    again.p, again.end, again.status = s.text[index].p, c.end, SC_OK
    return (True if decimal(&again, s.scales[s.scale].qty_decimals, out)
            else fail(c, again.status))


cdef inline bint venue_time(Cursor* c, int64_t stamp, int64_t* out) noexcept nogil:
    # Milliseconds, or microseconds where the venue was asked for them, told apart by size.
    if stamp <= MS_MAX:
        out[0] = stamp * 1_000_000
    elif US_MIN <= stamp <= US_MAX:
        out[0] = stamp * 1_000
    else:
        return fail(c, SC_DIGITS)
    return True


# ---- Binance --------------------------------------------------------------------------------

cdef inline bint maker_at(CScan* s, Cursor* c) noexcept nogil:
    if not mark(s, c, 1 << N_MAKER):
        return False
    s.number[N_MAKER] = peek(c) == c't'
    if not s.number[N_MAKER] and peek(c) != c'f':
        return fail(c, SC_UNSURE)
    return skip_word(c, b"true", 4) if s.number[N_MAKER] else skip_word(c, b"false", 5)


cdef inline bint polymorph_at(CScan* s, Cursor* c, int side) noexcept nogil:
    # "b" and "a" are levels in depth, a price in bookTicker; "a" is the id of an aggTrade.
    cdef int ch = peek(c)
    if not mark(s, c, SEEN_B if side == BID else SEEN_A):
        return False
    if ch == c'[':
        return side_at(s, c, side, False)
    if ch == c'"':
        return text_at(s, c, T_BID if side == BID else T_ASK)
    if side == BID:
        return skip(c, 4)
    s.seen |= SEEN_GROUP
    return number_at(s, c, N_ID)


cdef bint binance_letter(CScan* s, Cursor* c, int letter) noexcept nogil:
    if letter == c'e':
        return word_at(s, c, SEEN_NAME, &s.name)
    if letter == c'E':
        return number_at(s, c, N_EVENT_TIME)
    if letter == c's':
        return symbol_at(s, c)
    if letter == c'b':
        return polymorph_at(s, c, BID)
    if letter == c'a':
        return polymorph_at(s, c, ASK)
    if letter == c'u':
        return number_at(s, c, N_LAST)
    if letter == c'T':
        return number_at(s, c, N_TIME)
    if letter == c'B':
        return text_at(s, c, T_BID_QTY)
    if letter == c'A':
        return text_at(s, c, T_ASK_QTY)
    if letter == c'U':
        return number_at(s, c, N_FIRST)
    if letter == c't':
        return number_at(s, c, N_ID)
    if letter == c'p':
        return text_at(s, c, T_PRICE)
    if letter == c'q':
        return text_at(s, c, T_QTY)
    if letter == c'm':
        return maker_at(s, c)
    if letter == c'X':
        return word_at(s, c, SEEN_ORIGIN, &s.form)
    return skip(c, 4)


cdef bint binance_word(CScan* s, Cursor* c, const Span* key) noexcept nogil:
    if spelled(key, b"pu", 2):
        return number_at(s, c, N_PREVIOUS)
    if spelled(key, b"lastUpdateId", 12):
        return number_at(s, c, N_SNAPSHOT)
    if spelled(key, b"bids", 4) or spelled(key, b"asks", 4):
        s.seen |= SEEN_LONG
        return side_at(s, c, BID if key.p[0] == c'b' else ASK, False)
    if spelled(key, b"symbol", 6):
        return symbol_at(s, c)
    return skip(c, 4)


cdef bint binance_object(CScan* s, Cursor* c, bint top) noexcept nogil:
    cdef Span key
    cdef Span stream
    cdef bint first = True
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            return True
        if s.seen & SEEN_DATA and top and not spelled(&key, b"stream", 6):
            return fail(c, SC_UNSURE)
        if key.n == 1:
            if not binance_letter(s, c, key.p[0]):
                return False
        elif top and spelled(&key, b"stream", 6):
            if not word_at(s, c, SEEN_STREAM, &stream):
                return False
        elif top and spelled(&key, b"data", 4):
            if s.seen & ~(<int>SEEN_STREAM):
                return fail(c, SC_UNSURE)
            if not (mark(s, c, SEEN_DATA) and binance_object(s, c, False)):
                return False
        elif not binance_word(s, c, &key):
            return False


cdef bint binance_depth(CScan* s, Cursor* c) noexcept nogil:
    cdef uint64_t need = SEEN_SYMBOL | SEEN_BIDS | SEEN_ASKS | 1 << N_FIRST | 1 << N_LAST
    need |= 1 << N_PREVIOUS if s.dialect == BINANCE_FUTURES else 0
    if (s.seen & need) != need:
        return fail(c, SC_MISSING)
    if s.seen & SEEN_LONG:
        return fail(c, SC_UNSURE)
    if s.number[N_FIRST] > s.number[N_LAST]:
        return fail(c, SC_MALFORMED)
    s.kind = EV_DEPTH
    s.seq = s.number[N_LAST]
    s.aux = s.number[N_PREVIOUS] if s.dialect == BINANCE_FUTURES else s.number[N_FIRST] - 1
    return late_sides(s, c, False)


cdef bint binance_snapshot(CScan* s, Cursor* c, int hint) noexcept nogil:
    # The REST answer does not always say whose book it is: the caller knows.
    if (s.seen & (SEEN_BIDS | SEEN_ASKS)) != (SEEN_BIDS | SEEN_ASKS):
        return fail(c, SC_MISSING)
    if s.seen & (SEEN_DATA | SEEN_NAME | SEEN_A | SEEN_B):
        return fail(c, SC_UNSURE)
    if not (s.seen & SEEN_SYMBOL):
        if hint < 0:
            return fail(c, SC_SYMBOL)
        s.scale = hint
    elif hint >= 0 and hint != s.scale:
        return fail(c, SC_SYMBOL)
    s.kind = EV_DEPTH
    s.snapshot = 1
    s.seq = s.number[N_SNAPSHOT]
    s.aux = 0
    return late_sides(s, c, False)


cdef bint binance_trade(CScan* s, Cursor* c) noexcept nogil:
    cdef uint64_t need = (SEEN_SYMBOL | 1 << N_ID | 1 << N_MAKER | 1 << (SEEN_TEXT + T_PRICE)
                          | 1 << (SEEN_TEXT + T_QTY))
    if (s.seen & need) != need:
        return fail(c, SC_MISSING)
    if s.seen & SEEN_ORIGIN and not spelled(&s.form, b"MARKET", 6):
        return fail(c, SC_UNSURE)
    if (s.name.n == 8) != (s.seen & SEEN_GROUP != 0):
        return fail(c, SC_UNSURE)       # the id stands under the other kind's key
    s.kind = EV_TRADE
    s.seq = s.number[N_ID]
    s.side = ASK if s.number[N_MAKER] else BID
    if not (late_price(s, c, T_PRICE, &s.tick) and late_qty(s, c, T_QTY, &s.qty)):
        return False
    return True if s.tick > 0 else fail(c, SC_ZERO)


cdef bint binance_best(CScan* s, Cursor* c) noexcept nogil:
    # Price 0 with quantity 0 is how an empty side is written.
    cdef uint64_t need = SEEN_SYMBOL | 1 << N_LAST | 15 << (SEEN_TEXT + T_BID)
    if (s.seen & need) != need:
        return fail(c, SC_MISSING)
    s.kind = EV_BEST
    s.seq = s.number[N_LAST]
    return (late_price(s, c, T_BID, &s.tick) and late_qty(s, c, T_BID_QTY, &s.qty)
            and late_price(s, c, T_ASK, &s.ask_tick) and late_qty(s, c, T_ASK_QTY, &s.ask_qty))


cdef bint binance(CScan* s, Cursor* c, int hint) noexcept nogil:
    cdef int stamp
    cdef bint good
    if not (binance_object(s, c, True) and at_end(c)):
        return False
    if s.seen & (1 << N_SNAPSHOT):
        good = binance_snapshot(s, c, hint)
    elif not (s.seen & SEEN_NAME):
        # Only spot's best quote carries no event name.
        if not (s.seen & (1 << (SEEN_TEXT + T_BID_QTY))):
            return fail(c, SC_UNSURE)
        good = binance_best(s, c)
    elif spelled(&s.name, b"depthUpdate", 11):
        good = binance_depth(s, c)
    elif spelled(&s.name, b"trade", 5) or spelled(&s.name, b"aggTrade", 8):
        good = binance_trade(s, c)
    elif spelled(&s.name, b"bookTicker", 10):
        good = binance_best(s, c)
    else:
        return fail(c, SC_UNSURE)
    stamp = N_TIME if s.seen & (1 << N_TIME) else N_EVENT_TIME
    if not good:
        return False
    if s.seen & (1 << stamp):
        return venue_time(c, s.number[stamp], &s.ts_venue_ns)
    return True if s.snapshot or s.kind == EV_BEST else fail(c, SC_MISSING)


# ---- Bybit ----------------------------------------------------------------------------------

cdef bint bybit_data(CScan* s, Cursor* c) noexcept nogil:
    cdef Span key
    cdef bint first = True
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            return True
        if spelled(&key, b"s", 1):
            if not symbol_at(s, c):
                return False
        elif spelled(&key, b"b", 1):
            if not side_at(s, c, BID, False):
                return False
        elif spelled(&key, b"a", 1):
            if not side_at(s, c, ASK, False):
                return False
        elif spelled(&key, b"u", 1):
            if not number_at(s, c, N_LAST):
                return False
        elif not skip(c, 4):
            return False


cdef bint bybit_walk(CScan* s, Cursor* c) noexcept nogil:
    cdef Span key
    cdef bint first = True
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            return True
        if spelled(&key, b"topic", 5):
            if not word_at(s, c, SEEN_NAME, &s.name):
                return False
        elif spelled(&key, b"type", 4):
            if not word_at(s, c, SEEN_FORM, &s.form):
                return False
        elif spelled(&key, b"ts", 2):
            if not number_at(s, c, N_EVENT_TIME):
                return False
        elif spelled(&key, b"cts", 3):
            if not number_at(s, c, N_TIME):
                return False
        elif spelled(&key, b"data", 4):
            # The topic stands first in every frame seen; where it does not, JSON decides.
            if not s.seen & SEEN_NAME or s.name.n < 10 or memcmp(s.name.p, b"orderbook.", 10) != 0:
                return fail(c, SC_UNSURE)
            if not (mark(s, c, SEEN_DATA) and bybit_data(s, c)):
                return False
        elif not skip(c, 4):
            return False


cdef bint bybit(CScan* s, Cursor* c) noexcept nogil:
    cdef uint64_t need = (SEEN_NAME | SEEN_FORM | SEEN_SYMBOL | SEEN_BIDS | SEEN_ASKS
                          | 1 << N_LAST | 1 << N_EVENT_TIME)
    cdef int stamp
    if not (bybit_walk(s, c) and at_end(c)):
        return False
    if not (s.seen & SEEN_DATA):
        return fail(c, SC_UNSURE)
    if (s.seen & need) != need:
        return fail(c, SC_MISSING)
    if spelled(&s.form, b"snapshot", 8):
        s.snapshot = 1
    elif not spelled(&s.form, b"delta", 5):
        return fail(c, SC_MALFORMED)
    s.kind = EV_DEPTH
    s.seq = s.number[N_LAST]
    s.aux = 0 if s.snapshot else s.seq - 1
    stamp = N_TIME if s.seen & (1 << N_TIME) else N_EVENT_TIME
    return late_sides(s, c, False) and venue_time(c, s.number[stamp], &s.ts_venue_ns)


# ---- Hyperliquid ----------------------------------------------------------------------------

cdef bint image_sides(CScan* s, Cursor* c) noexcept nogil:
    return (take(c, c'[') and side_at(s, c, BID, True) and take(c, c',')
            and side_at(s, c, ASK, True) and take(c, c']'))


cdef bint hyperliquid_data(CScan* s, Cursor* c) noexcept nogil:
    cdef Span key
    cdef bint first = True
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            return True
        if spelled(&key, b"coin", 4):
            if not symbol_at(s, c):
                return False
        elif spelled(&key, b"time", 4):
            if not number_at(s, c, N_TIME):
                return False
        elif spelled(&key, b"levels", 6):
            if not (mark(s, c, SEEN_LEVELS) and image_sides(s, c)):
                return False
        elif not skip(c, 4):
            return False


cdef bint hyperliquid_walk(CScan* s, Cursor* c) noexcept nogil:
    cdef Span key
    cdef bint first = True
    if not take(c, c'{'):
        return False
    while True:
        if not next_key(c, &key, &first):
            return False
        if key.n < 0:
            return True
        if spelled(&key, b"channel", 7):
            if not word_at(s, c, SEEN_NAME, &s.name):
                return False
        elif spelled(&key, b"data", 4):
            if not (s.seen & SEEN_NAME) or not spelled(&s.name, b"l2Book", 6):
                return fail(c, SC_UNSURE)
            if not (mark(s, c, SEEN_DATA) and hyperliquid_data(s, c)):
                return False
        elif not skip(c, 4):
            return False


cdef bint hyperliquid(CScan* s, Cursor* c) noexcept nogil:
    cdef uint64_t need = SEEN_SYMBOL | SEEN_LEVELS | 1 << N_TIME
    if not (hyperliquid_walk(s, c) and at_end(c)):
        return False
    if not (s.seen & SEEN_DATA):
        return fail(c, SC_UNSURE)
    if (s.seen & need) != need:
        return fail(c, SC_MISSING)
    s.kind = EV_DEPTH
    s.snapshot = 1
    return late_sides(s, c, True) and venue_time(c, s.number[N_TIME], &s.ts_venue_ns)


# ---- frames ---------------------------------------------------------------------------------

cdef int wire_read(CScan* s, const uint8_t* frame, int64_t n, int hint) noexcept nogil:
    # Reads one frame; `hint` is the scale of a frame that does not name its instrument, or -1.
    # Nothing of `s` but its table may be used unless SC_OK comes back.
    cdef Cursor c
    c.p, c.end, c.status = frame, frame + n, SC_OK
    s.kind = s.n_bids = s.n_asks = s.snapshot = s.side = 0
    s.seen = 0
    s.seq = s.aux = s.ts_venue_ns = 0
    if s.dialect == BYBIT:
        bybit(s, &c)
    elif s.dialect == HYPERLIQUID:
        hyperliquid(s, &c)
    else:
        binance(s, &c, hint)
    return c.status
