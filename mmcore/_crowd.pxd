# The crowd of one synthetic instrument: takers and quoters.
# Model: a latent price, quoters with a dead band, clustered takers, a resampled book.
# Prices are steps of the legal grid, quantities lots.
from libc.stdint cimport int8_t, int64_t

from ._pit cimport Pit

cdef enum:
    MEMORIES = 4            # exponential memories of taker clustering
    SIGNS = 100             # taker signs remembered
    SIGN_RING = 128

ctypedef struct Taste:      # what mmcore.synthetic.Preset says, in grid steps, lots and seconds
    int64_t start           # best bid at the start, steps
    double step_s
    double depth_s          # between chances of a depth message
    double depth_chance
    double diffusion        # of the latent price, steps per sqrt second at normal activity
    double band             # dead band of the quoters, steps
    double lean             # share of the band that the price keeps leaning on after a move
    double jump_rate        # per second at normal activity
    double jump             # scale, steps
    double heat_add         # variance added by a move, as a multiple of the diffusion's
    double heat_decay       # per second
    double impact           # steps per unit of surprise and of sqrt(size / queue)
    double impact_cap
    double push             # share of the band by which a swept price stays away
    double taker_rate       # exogenous, per second
    double weight[MEMORIES]     # takers begotten by one taker
    double decay[MEMORIES]      # per second; 0: memory unused
    double copy             # probability that a taker copies an earlier sign
    double copy_decay       # exponent over lags
    double sign_lean        # how far other takers follow the latent price
    double size             # median taker, lots
    double size_width
    double big_chance
    double big              # lots
    double big_exponent
    double size_max         # lots
    double sweep_chance     # a move starts with a sweep
    double chase_chance     # a small taker at each further step of a move
    double burst            # added to the fast memories by a move
    double prints           # mean prints per taker
    double queue            # typical touch, lots
    double queue_noise      # of its logarithm
    double queue_lean
    double queue_s          # memory of the touch queues
    double fill             # size of a new touch against queue
    double dust_chance      # a new touch is a crumb
    double touch_rate       # size changes per second at normal activity
    double close_fast_chance
    double close_fast_s     # an open spread is closed after about so long
    double close_slow_s
    double hurry            # a spread wider than two steps closes so much sooner
    double strides          # of the retreating side in a move
    double draws            # levels looked at per depth message
    double draws_width
    double reach            # median distance of a drawn level, steps
    double reach_width
    int64_t depth           # levels are drawn up to here, steps behind the touch
    double level            # mean lots one step behind the touch
    double level_slope
    double level_peak       # steps
    double level_width
    double occupied         # share one step behind
    double occupied_far     # share at occupied_peak
    double occupied_peak    # steps
    double keep             # chance that a level left behind stays; above 0.5 the book is thick
    double beta             # on the leader's log price; 0: no leader
    double lag_s            # behind the leader
    double pull             # own part decays so fast, per second; 0: it does not
    double drift            # of a regime: steps per second; 0: none
    double leg_s            # mean time until the drift turns; 0: it does not
    double home             # pull of the price back to its start, per second
    double flash            # depth of a crash, steps; 0: none
    double flash_every_s    # mean time between the end of one and the next
    double flash_s          # how long it falls
    double rally_s          # and how long it rises again
    double scar             # share of the fall that stays
    double flash_rate       # takers in a crash and its rally, as a multiple

ctypedef struct Crowd:
    Taste taste
    Pit pit
    double* level_mean      # by distance
    double* occupancy
    double* history         # ring of log latent price against the start, for followers
    Crowd* leader
    int64_t history_mask
    int64_t steps           # taken
    int64_t step_ns
    int64_t depth_ns
    int64_t depth_due_ns
    double base             # latent price = base + own, steps
    double own
    double heat
    double memory[MEMORIES]
    double fade[MEMORIES]   # of one step
    double heat_fade
    double own_fade
    double rate_mean        # takers per second
    double rate
    double activity
    double taker_clock      # exponential budgets until the next one
    double jump_clock
    double touch_clock
    double leg              # direction of the drift, +1 or -1
    double leg_clock        # seconds until it turns
    double flash_clock      # seconds until the next crash; negative: so long under way
    double home             # where the own part started
    double copy_weight[SIGNS]
    int8_t signs[SIGN_RING]
    int64_t n_signs
    int move                # direction of the move going on, 0 for none
    int64_t goal            # of the retreating side
    double stride           # mean, steps
    int64_t close_ns        # when the open spread will be closed; 0: not planned

cdef void crowd_start(Crowd* c, int64_t start_ns) noexcept nogil    # first book, snapshot, touch
cdef void crowd_step(Crowd* c) noexcept nogil                       # one time step
