# JSON tokens for the frame scanner.  The one .pxd with code in it: these functions are the inner
# loop of every reader of frames, and only what stands in a .pxd can be inlined across modules.
# Each moves the cursor behind what it read and returns True, or sets the status and returns False.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    DIGITS_MAX = 18         # digits of a number, kept decimals included
    NESTING_MAX = 16        # nesting that skip() follows; deeper frames are left to JSON

cdef enum ScanStatus:
    SC_OK = 0               # staged: scan_rows() writes it
    SC_UNSURE = 1           # not a shape of the fast path: the JSON decoder decides
    SC_MALFORMED = 2        # not JSON, or not the shape its kind has
    SC_MISSING = 3          # a key that this kind of message must have is not there
    SC_SYMBOL = 4           # an instrument that is not in the table
    SC_OFF_GRID = 5         # price or quantity with a remainder: nothing is rounded
    SC_NEGATIVE = 6
    SC_EXPONENT = 7
    SC_DIGITS = 8           # more than DIGITS_MAX digits
    SC_ZERO = 9             # a level or a trade at price 0
    SC_FULL = 10            # more than SIDE_MAX levels on one side

# A place in a frame.
ctypedef struct Cursor:
    const uint8_t* p
    const uint8_t* end
    int32_t status          # ScanStatus

# Text between two quotes, or the place of a value that is read later.
ctypedef struct Span:
    const uint8_t* p
    int32_t n

cdef extern from *:
    """
    static const long long MM_POW10[19] = {
        1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL,
        1000000000LL, 10000000000LL, 100000000000LL, 1000000000000LL, 10000000000000LL,
        100000000000000LL, 1000000000000000LL, 10000000000000000LL, 100000000000000000LL,
        1000000000000000000LL};
    """
    const int64_t MM_POW10[19]


cdef inline bint fail(Cursor* c, int status) noexcept nogil:
    c.status = status
    return False


cdef inline int peek(Cursor* c) noexcept nogil:
    # The next character that is not white space, 0 at the end (a NUL is no JSON token either).
    while c.p < c.end:
        if c.p[0] > 32:
            return c.p[0]
        if c.p[0] != 32 and c.p[0] != 10 and c.p[0] != 13 and c.p[0] != 9:
            return 0
        c.p += 1
    return 0


cdef inline bint take(Cursor* c, int character) noexcept nogil:
    if peek(c) != character:
        return fail(c, SC_MALFORMED)
    c.p += 1
    return True


cdef inline bint at_end(Cursor* c) noexcept nogil:
    return True if peek(c) == 0 and c.p == c.end else fail(c, SC_MALFORMED)


cdef inline bint string(Cursor* c, Span* out) noexcept nogil:
    # A string of plain ASCII without escapes; anything richer is left to JSON.
    cdef const uint8_t* p
    if not take(c, c'"'):
        return False
    p = c.p
    out.p = p
    while p < c.end and p[0] != c'"':
        if p[0] < 32:
            return fail(c, SC_MALFORMED)
        if p[0] == c'\\' or p[0] >= 127:
            return fail(c, SC_UNSURE)
        p += 1
    if p >= c.end:
        return fail(c, SC_MALFORMED)
    out.n = <int32_t>(p - out.p)
    c.p = p + 1
    return True


cdef inline bint integer(Cursor* c, int64_t* out) noexcept nogil:
    # A JSON integer without sign, at most DIGITS_MAX digits.
    cdef const uint8_t* p
    cdef const uint8_t* start
    cdef int64_t value = 0
    if peek(c) == c'-':
        return fail(c, SC_NEGATIVE)
    start = p = c.p
    while p < c.end and p[0] >= c'0' and p[0] <= c'9' and p - start <= DIGITS_MAX:
        value = value * 10 + (p[0] - c'0') if p - start < DIGITS_MAX else value
        p += 1
    if p == start or (start[0] == c'0' and p - start > 1):
        return fail(c, SC_MALFORMED)
    if p - start > DIGITS_MAX:
        return fail(c, SC_DIGITS)
    if p < c.end and (p[0] == c'.' or p[0] == c'e' or p[0] == c'E'):
        return fail(c, SC_UNSURE)
    out[0] = value
    c.p = p
    return True


cdef inline bint skip_number(Cursor* c) noexcept nogil:
    # JSON's grammar: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
    cdef const uint8_t* p = c.p
    cdef const uint8_t* start
    cdef const uint8_t* end = c.end
    if p < end and p[0] == c'-':
        p += 1
    start = p
    while p < end and p[0] >= c'0' and p[0] <= c'9':
        p += 1
    if p == start or (start[0] == c'0' and p - start > 1):
        return fail(c, SC_MALFORMED)
    if p < end and p[0] == c'.':
        p += 1
        start = p
        while p < end and p[0] >= c'0' and p[0] <= c'9':
            p += 1
        if p == start:
            return fail(c, SC_MALFORMED)
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        # Whether its value fits a double is not ours to say.
        return fail(c, SC_UNSURE)
    c.p = p
    return True


cdef inline bint skip_word(Cursor* c, const char* word, int n) noexcept nogil:
    if c.end - c.p < n or memcmp(c.p, word, n) != 0:
        return fail(c, SC_MALFORMED)
    c.p += n
    return True


cdef inline bint skip(Cursor* c, int depth) noexcept nogil:
    # Steps over any value, by JSON's full grammar.
    cdef Span ignored
    cdef int ch = peek(c)
    cdef int closing
    if ch == c'"':
        return string(c, &ignored)
    if ch == c't':
        return skip_word(c, b"true", 4)
    if ch == c'f':
        return skip_word(c, b"false", 5)
    if ch == c'n':
        return skip_word(c, b"null", 4)
    if ch != c'{' and ch != c'[':
        return skip_number(c)
    if depth >= NESTING_MAX:
        return fail(c, SC_UNSURE)
    closing = c'}' if ch == c'{' else c']'
    c.p += 1
    if peek(c) == closing:
        c.p += 1
        return True
    while True:
        if closing == c'}' and not (string(c, &ignored) and take(c, c':')):
            return False
        if not skip(c, depth + 1):
            return False
        if peek(c) == c',':
            c.p += 1
            continue
        return take(c, closing)


cdef inline bint next_key(Cursor* c, Span* key, bint* first) noexcept nogil:
    # Moves to the next key of an object whose opening brace is behind us; key.n is -1 at its end.
    if peek(c) == c'}':
        if not first[0] or c.p[0] == c'}':
            c.p += 1
            key.n = -1
            return True
    if not first[0]:
        if not take(c, c','):
            return False
    first[0] = False
    return string(c, key) and take(c, c':')


cdef inline int no_digit(const uint8_t* p, const uint8_t* end) noexcept nogil:
    if p < end and p[0] == c'-':
        return SC_NEGATIVE
    return SC_UNSURE if p < end and (p[0] == c'\\' or p[0] >= 127) else SC_MALFORMED


cdef inline int after_digits(const uint8_t* p, const uint8_t* end) noexcept nogil:
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        return SC_EXPONENT
    return SC_UNSURE if p < end and (p[0] == c'\\' or p[0] >= 127) else SC_MALFORMED


cdef inline bint decimal(Cursor* c, int decimals, int64_t* out) noexcept nogil:
    # A quoted plain decimal as a whole number of 10^-decimals.
    cdef const uint8_t* p
    cdef const uint8_t* end = c.end
    cdef const uint8_t* start
    cdef uint64_t value = 0
    cdef int kept = 0
    cdef int64_t whole
    cdef bint rest = False
    if not take(c, c'"'):
        return False
    start = p = c.p
    while p < end and <uint8_t>(p[0] - c'0') <= 9:
        value = value * 10 + <uint8_t>(p[0] - c'0')
        p += 1
    whole = p - start
    if whole == 0:
        return fail(c, no_digit(p, end))
    if p < end and p[0] == c'.':
        p += 1
        start = p
        while p < end and <uint8_t>(p[0] - c'0') <= 9:
            if kept < decimals:
                value = value * 10 + <uint8_t>(p[0] - c'0')
                kept += 1
            elif p[0] != c'0':
                rest = True
            p += 1
        if p == start:
            return fail(c, SC_MALFORMED)
    if p >= end or p[0] != c'"':
        return fail(c, after_digits(p, end))
    if whole + decimals > DIGITS_MAX:
        return fail(c, SC_DIGITS)
    if rest:
        return fail(c, SC_OFF_GRID)
    out[0] = <int64_t>value * MM_POW10[decimals - kept]
    c.p = p + 1
    return True
