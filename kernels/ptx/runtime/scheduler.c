// Runs the blocks of a launch, one after the other, on the calling thread.
//
// A region is the translated code between two stops (barriers, shuffles, votes, ...): it takes
// threads [first, end) from the stop where they wait to their next one, and says in row `state`
// which that is. Mostly all threads of a block wait at the same stop, and the next region is one
// call for all of them; `release_warps` is for the rest. Threads that have left count as arrived.
//
// Compiled to scheduler.ll, which is what ships: `python -m kernels.ptx.runtime` does that, with
// the package ziglang, and a test compares the two. Keep `Env`, `Stop` and the enumerations in
// step with runtime_layout.py and errors.py.

typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

enum { THREADS_MAX = 1024, LANES = 32, ROW = 4 * THREADS_MAX + 64, EXITED = 0xffffffffu };

typedef struct Env {
    u8 *arena, *frames, *shadow;
    struct Access *races, *words;
    struct Touch *touches;
    u32 *clocks;
    u64 arena_mask, statics, shared, local;
    i64 fuel;
    u32 threads, shared_mask, shared_size, local_stride;
    u32 block[3], index[3], grid[3];
    u32 stop, strict, epoch, first_block, block_serial, has_fence, has_acquired, acquired_epoch;
    u32 fault_thread, fault_other, fault_line, fault_size, fault_space, fault_write;
    u64 fault_address;
    u8 parameters[4096];
} Env;

typedef struct Stop {
    u32 kind, cost, line, constant, source, clamp, mask, unused;
} Stop;

typedef void (*Region)(Env *, u8 *frames, u8 *arena, u32 first, u32 end);

typedef struct Launch {
    Env *env;
    const Region *regions;
    const Stop *stops;
    u32 *state, *value, *source, *clamp, *mask, *out, *out_predicate, *saved;
    u32 limit;  // threads of the block from here on have left
} Launch;

enum Kind {
    START, BARRIER, BARRIER_AND, BARRIER_OR, BARRIER_POPC,
    SHFL_UP, SHFL_DOWN, SHFL_BFLY, SHFL_IDX,
    VOTE_ANY, VOTE_ALL, VOTE_UNI, VOTE_BALLOT,
    WARP_BARRIER, MATCH_ANY, MATCH_ALL,
    REDUX_ADD, REDUX_AND, REDUX_OR, REDUX_XOR,
    REDUX_MIN_U, REDUX_MAX_U, REDUX_MIN_S, REDUX_MAX_S,
    ACTIVE, STEP
};

enum Fault {
    DEADLOCK = 1, OUT_OF_FUEL, TRAP, OUT_OF_BOUNDS, MISALIGNED, UNINITIALISED_SHARED, DATA_RACE,
    DIVERGENT_BARRIER, EXITED_LANE, READ_ONLY, BLOCK_RACE
};

enum { CONSTANT_SOURCE = 1, CONSTANT_CLAMP = 2, CONSTANT_MASK = 4 };

// ---- strict mode: every access is looked at

enum Space { GENERIC, SHARED, LOCAL, CONSTANT };
enum { WRITE = 4, STRONG = 8, VALUE_KNOWN = 16, RESULT = 32, ACQUIRE = 64 };
enum { ADDRESSABLE = 1, INITIALISED = 2, CONSTANT_BYTE = 4 };
#define ORIGIN (1ull << 44)

enum { PLAIN_READ, STRONG_READ, PLAIN_WRITE, STRONG_WRITE, KINDS };  // strong: atomic or volatile

typedef struct Event { u32 thread, clock; } Event;  // thread + 1, 0: none; that thread's clock

// The accesses of a byte of shared memory, or of a word of global memory, since the last barrier of
// the block: for each kind two, of two warps if there are two, so that an access of any thread is
// unordered with one of them.
typedef struct Access {
    u32 epoch, unused;  // barriers passed when this was written
    Event seen[4][2];
} Access;

// The accesses of a byte of global memory in this launch.
typedef struct Touch {
    u32 block, other;  // the last block that used it, and one before; counted from 1 in the arena
    u8 own, earlier, unused[2];  // kinds, a bit each: of that block, and of those before
} Touch;

static u32 fault(Env *env, u32 reason, u32 thread, u32 line) {
    if (!env->stop) {
        env->stop = reason;
        env->fault_thread = thread;
        env->fault_line = line;
    }
    return 1;
}

static u32 *clock_row(Env *env, u32 thread) { return env->clocks + (u64)thread * LANES; }

// Did `thread`, at `clock`, come before what `now` does? Barriers of the block were seen to
// before; what is left is the barriers of a warp, whose lanes have vector clocks.
static u32 came_before(Env *env, u32 thread, u32 clock, u32 now) {
    if (thread == now) return 1;
    if (thread / LANES != now / LANES) return 0;
    return clock <= clock_row(env, now)[thread % LANES];
}

static u32 kind_of(u32 flags) {
    u32 strong = (flags & STRONG) != 0;
    return flags & WRITE ? PLAIN_WRITE + strong : PLAIN_READ + strong;
}

// The kinds, a bit each, that an unordered access of `kind` races with. Two strong ones never do;
// a plain write of the value that is there anyway is let pass beside another.
static u32 rivals(u32 kind, u32 same_value) {
    u32 plain_write = 1u << PLAIN_WRITE, strong_write = 1u << STRONG_WRITE;
    if (kind == PLAIN_READ) return plain_write | strong_write;
    if (kind == STRONG_READ) return plain_write;
    if (kind == STRONG_WRITE) return plain_write | 1u << PLAIN_READ;
    return (1u << PLAIN_READ) | (1u << STRONG_READ) | strong_write | (same_value ? 0 : plain_write);
}

// Remember an access: in the place of one of the same thread, a free one, one that came before it,
// or one whose warp has another place.
static void remember(Env *env, Event *seen, u32 thread, u32 clock) {
    u32 place = 2;
    for (u32 i = 0; i < 2 && place == 2; ++i)
        if (seen[i].thread == thread + 1) place = i;
    for (u32 i = 0; i < 2 && place == 2; ++i)
        if (!seen[i].thread || came_before(env, seen[i].thread - 1, seen[i].clock, thread)) place = i;
    if (place == 2 && (seen[0].thread - 1) / LANES == (seen[1].thread - 1) / LANES) place = 1;
    if (place < 2) seen[place] = (Event){thread + 1, clock};
}

// A strong read after a fence may have told a thread that another is done: with a lock, or a flag.
static void note_acquired(Env *env, u32 flags) {
    if (!(flags & STRONG) || (flags & WRITE && !(flags & RESULT))) return;
    if (!(flags & ACQUIRE) && !env->has_fence) return;
    env->has_acquired = 1;
    env->acquired_epoch = env->epoch;
}

// Returns the thread, plus one, that the access races with, or 0. Up to the next barrier, all is
// let pass once a thread of the block may know that another is done.
static u32 race(Env *env, Access *a, u32 thread, u32 kind, u32 same_value) {
    if (a->epoch != env->epoch) *a = (Access){.epoch = env->epoch};
    u32 against = env->acquired_epoch == env->epoch ? 0 : rivals(kind, same_value);
    for (u32 other = 0; other < KINDS; ++other)
        for (u32 i = 0; i < 2 && against >> other & 1; ++i) {
            Event *e = &a->seen[other][i];
            if (e->thread && !came_before(env, e->thread - 1, e->clock, thread)) return e->thread;
        }
    remember(env, a->seen[kind], thread, clock_row(env, thread)[thread % LANES]);
    return 0;
}

// Blocks run one after the other here and at the same time on a card. Returns the block, plus one,
// of this launch that the access of another block races with, or 0. A block that has read
// something strongly, with a fence, may know that others are done, and is let pass from there on.
static u32 race_of_blocks(Env *env, Touch *t, u32 kind, u32 same_value) {
    if (t->block != env->block_serial) {
        u32 is_of_this_launch = t->block >= env->first_block;
        *t = (Touch){
            env->block_serial, is_of_this_launch ? t->block : 0, 0,
            is_of_this_launch ? t->earlier | t->own : 0, {0, 0},
        };
    }
    t->own |= 1u << kind;
    if (env->has_acquired || !(t->earlier & rivals(kind, same_value))) return 0;
    return t->other - env->first_block + 1;
}

static u32 bits_equal(const u8 *bytes, u64 value, u32 size) {
    for (u32 i = 0; i < size; ++i)
        if (bytes[i] != (u8)(value >> (8 * i))) return 0;
    return 1;
}

static u32 check_shared(Env *env, u32 thread, u64 offset, u32 size, u32 flags, u64 value) {
    if (offset > env->shared_size || env->shared_size - offset < size) return OUT_OF_BOUNDS;
    if (offset % size) return MISALIGNED;
    const u8 *bytes = env->arena + env->shared + offset;
    u8 *shadow = env->shadow + env->shared + offset;
    u32 same = (flags & WRITE) && (flags & VALUE_KNOWN) && size <= 8 && bits_equal(bytes, value, size);
    note_acquired(env, flags);
    for (u32 i = 0; i < size; ++i) {
        if (!(flags & WRITE) || (flags & STRONG && !(flags & VALUE_KNOWN)))
            if (!(shadow[i] & INITIALISED)) return UNINITIALISED_SHARED;
        u32 other = race(env, env->races + offset + i, thread, kind_of(flags), same);
        if (other) {
            env->fault_other = other - 1;
            return DATA_RACE;
        }
        if (flags & WRITE) shadow[i] |= INITIALISED;
    }
    return 0;
}

static u32 check_global(Env *env, u32 thread, u64 offset, u32 size, u32 flags, u64 value) {
    if (offset > env->arena_mask || env->arena_mask - offset < size) return OUT_OF_BOUNDS;
    if (offset % size) return MISALIGNED;
    u32 same = (flags & WRITE) && (flags & VALUE_KNOWN) && size <= 8
               && bits_equal(env->arena + offset, value, size);
    for (u32 i = 0; i < size; ++i) {
        if (!(env->shadow[offset + i] & ADDRESSABLE)) return OUT_OF_BOUNDS;
        if (flags & WRITE && env->shadow[offset + i] & CONSTANT_BYTE) return READ_ONLY;
    }
    note_acquired(env, flags);
    for (u32 i = 0; i < size; ++i) {
        u32 other = race_of_blocks(env, env->touches + offset + i, kind_of(flags), same);
        if (other) {
            env->fault_other = other - 1;
            return BLOCK_RACE;
        }
    }
    for (u32 i = 0; i + 4 <= size; i += 4) {  // whole words: two smaller accesses may be apart
        u32 other = race(env, env->words + (offset + i) / 4, thread, kind_of(flags), same);
        if (other) {
            env->fault_other = other - 1;
            return DATA_RACE;
        }
    }
    return 0;
}

// Called before each access in strict mode; not 0 when it must not happen.
u32 ptx_check(Env *env, u32 thread, u64 place, u32 size, u32 flags, u64 value, u32 line) {
    u32 space = flags & 3, reason;
    u64 offset = place - ORIGIN, window = (u64)thread * env->local_stride;
    if (space == GENERIC || space == CONSTANT) {
        if (offset - env->shared < env->shared_size) {
            space = SHARED;
            place = offset - env->shared;
        } else if (env->local_stride && offset - env->local - window < env->local_stride) {
            space = LOCAL;
            place = offset - env->local - window;
        }
    }
    if (space == SHARED)
        reason = check_shared(env, thread, place, size, flags, value);
    else if (space == LOCAL)
        reason = place > env->local_stride || env->local_stride - place < size ? OUT_OF_BOUNDS
                 : place % size                                               ? MISALIGNED
                                                                              : 0;
    else
        reason = check_global(env, thread, offset, size, flags, value);
    if (!reason) return 0;
    if (!env->stop) {
        env->fault_address = place;
        env->fault_size = size;
        env->fault_space = space;
        env->fault_write = (flags & WRITE) != 0;
    }
    return fault(env, reason, thread, line);
}

// A barrier of the block: nothing before it races with anything after it.
static void next_epoch(Env *env) {
    if (env->strict) env->epoch += 1;
}

// A barrier of a warp: its lanes know of all that happened before in each of them.
static void join_clocks(Env *env, u32 base, u32 lanes) {
    u32 joined[LANES];
    for (u32 i = 0; i < LANES; ++i) joined[i] = 0;
    for (u32 left = lanes; left; left &= left - 1) {
        u32 *row = clock_row(env, base + __builtin_ctz(left));
        for (u32 i = 0; i < LANES; ++i)
            if (row[i] > joined[i]) joined[i] = row[i];
    }
    for (u32 left = lanes; left; left &= left - 1) {
        u32 lane = __builtin_ctz(left), *row = clock_row(env, base + lane);
        for (u32 i = 0; i < LANES; ++i) row[i] = joined[i];
        row[lane] += 1;
    }
}

static void forget_block(Env *env) {
    next_epoch(env);
    env->block_serial += 1;
    env->has_fence = env->has_acquired = 0;
    for (u32 i = 0; i < env->shared_size; ++i) env->shadow[env->shared + i] &= ~INITIALISED;
    for (u32 i = 0; i < env->threads * LANES; ++i) env->clocks[i] = 0;
    for (u32 t = 0; t < env->threads; ++t) clock_row(env, t)[t % LANES] = 1;
}

// ---- warp operations: `lanes` of the warp that starts at thread `base` take part

static u32 is_barrier(u32 kind) { return kind >= BARRIER && kind <= BARRIER_POPC; }

static u32 bit(u32 lane) { return 1u << lane; }

// The lane that a shuffle reads (PTX ISA, shfl.sync: `clamp` holds a segment mask and a clamp).
static u32 shuffle_source(u32 kind, u32 lane, u32 source, u32 clamp, u32 *in_range) {
    u32 segment = clamp >> 8 & 31, limit = clamp & 31;
    u32 highest = (lane & segment) | (limit & ~segment), lowest = lane & segment;
    i32 from;
    source &= 31;
    if (kind == SHFL_UP) {
        from = (i32)lane - (i32)source;
        *in_range = from >= (i32)highest;
    } else {
        from = kind == SHFL_DOWN ? (i32)(lane + source)
               : kind == SHFL_BFLY ? (i32)(lane ^ source)
                                   : (i32)(lowest | (source & ~segment));
        *in_range = from <= (i32)highest;
    }
    return *in_range ? (u32)from : lane;
}

static void shuffle(Launch *l, const Stop *stop, u32 base, u32 lanes) {
    for (u32 left = lanes; left; left &= left - 1) {
        u32 lane = __builtin_ctz(left), t = base + lane, in_range;
        u32 source = stop->constant & CONSTANT_SOURCE ? stop->source : l->source[t];
        u32 clamp = stop->constant & CONSTANT_CLAMP ? stop->clamp : l->clamp[t];
        u32 from = shuffle_source(stop->kind, lane, source, clamp, &in_range);
        if (!(lanes & bit(from))) {
            if (l->env->strict) fault(l->env, EXITED_LANE, t, stop->line);
            from = lane;
        }
        l->out[t] = l->value[base + from];
        l->out_predicate[t] = in_range;
    }
}

// All lanes are there and shuffle by the same constant: loops that LLVM can do at once.
static void shuffle_whole(Launch *l, const Stop *stop, u32 base) {
    const u32 *value = l->value + base;
    u32 *out = l->out + base, *in = l->out_predicate + base, kind = stop->kind;
    u32 by = stop->source & 31;
    if (kind == SHFL_BFLY && stop->clamp == 31) {
        for (u32 lane = 0; lane < LANES; ++lane) {
            out[lane] = value[lane ^ by];
            in[lane] = 1;
        }
        return;
    }
    if (kind == SHFL_DOWN && stop->clamp == 31) {
        for (u32 lane = 0; lane < LANES; ++lane) {
            u32 ok = lane + by < LANES;
            out[lane] = value[ok ? lane + by : lane];
            in[lane] = ok;
        }
        return;
    }
    shuffle(l, stop, base, 0xffffffffu);
}

static void match(Launch *l, const Stop *stop, u32 base, u32 lanes) {
    u32 first = l->value[base + __builtin_ctz(lanes)], all = 1;
    for (u32 left = lanes; left; left &= left - 1) {
        u32 t = base + __builtin_ctz(left), same = 0;
        for (u32 other = lanes; other; other &= other - 1) {
            u32 lane = __builtin_ctz(other);
            if (l->value[base + lane] == l->value[t]) same |= bit(lane);
        }
        l->out[t] = same;
        all &= l->value[t] == first;
    }
    if (stop->kind != MATCH_ALL) return;
    for (u32 left = lanes; left; left &= left - 1) {
        u32 t = base + __builtin_ctz(left);
        l->out[t] = all ? lanes : 0;
        l->out_predicate[t] = all;
    }
}

static u32 combined(u32 kind, u32 a, u32 b) {
    switch (kind) {
    case REDUX_ADD: return a + b;
    case REDUX_AND: return a & b;
    case REDUX_OR: return a | b;
    case REDUX_XOR: return a ^ b;
    case REDUX_MIN_U: return a < b ? a : b;
    case REDUX_MAX_U: return a > b ? a : b;
    case REDUX_MIN_S: return (i32)a < (i32)b ? a : b;
    case REDUX_MAX_S: return (i32)a > (i32)b ? a : b;
    }
    return b;
}

static void vote_or_reduce(Launch *l, const Stop *stop, u32 base, u32 lanes) {
    u32 ballot = 0, total = l->value[base + __builtin_ctz(lanes)], kind = stop->kind;
    for (u32 left = lanes; left; left &= left - 1) {
        u32 lane = __builtin_ctz(left), value = l->value[base + lane];
        ballot |= (value & 1) << lane;
        if (left != lanes) total = combined(kind, total, value);
    }
    u32 result = kind == VOTE_BALLOT  ? ballot
                 : kind == VOTE_ANY   ? ballot != 0
                 : kind == VOTE_ALL   ? ballot == lanes
                 : kind == VOTE_UNI   ? ballot == 0 || ballot == lanes
                                      : total;
    for (u32 left = lanes; left; left &= left - 1) {
        u32 t = base + __builtin_ctz(left);
        l->out[t] = result;
        l->out_predicate[t] = result & 1;
    }
}

static void warp_operation(Launch *l, const Stop *stop, u32 base, u32 lanes) {
    u32 kind = stop->kind;
    if (kind == STEP) return;
    if (kind >= SHFL_UP && kind <= SHFL_IDX) {
        u32 constant = CONSTANT_SOURCE | CONSTANT_CLAMP;
        if (lanes == 0xffffffffu && (stop->constant & constant) == constant)
            shuffle_whole(l, stop, base);
        else
            shuffle(l, stop, base, lanes);
    } else if (kind == MATCH_ANY || kind == MATCH_ALL) {
        match(l, stop, base, lanes);
    } else if (kind == WARP_BARRIER) {
        if (l->env->strict) join_clocks(l->env, base, lanes);
    } else if (kind == ACTIVE) {
        for (u32 left = lanes; left; left &= left - 1) l->out[base + __builtin_ctz(left)] = lanes;
    } else {
        vote_or_reduce(l, stop, base, lanes);
    }
}

// ---- whether a kept register is the same in all threads of [first, end)

u32 ptx_same_32(const u32 *row, u32 first, u32 end) {
    u32 differ = 0;
    for (u32 t = first; t < end; ++t) differ |= row[t] ^ row[first];
    return !differ;
}

u32 ptx_same_64(const u64 *row, u32 first, u32 end) {
    u64 differ = 0;
    for (u32 t = first; t < end; ++t) differ |= row[t] ^ row[first];
    return !differ;
}

// ---- scheduling

static void run(Launch *l, u32 state, u32 first, u32 end) {
    l->env->fuel -= (i64)l->stops[state].cost * (end - first);
    l->regions[state](l->env, l->env->frames, l->env->arena, first, end);
}

static u32 stopped(Launch *l) {
    Env *env = l->env;
    if (!env->stop && env->fuel < 0) env->stop = OUT_OF_FUEL;
    return env->stop;
}

// Run every thread of [first, end) that waits at `state`, neighbours together.
static void run_all(Launch *l, u32 state, u32 first, u32 end) {
    for (u32 t = first; t < end && !stopped(l);) {
        if (l->state[t] != state) {
            ++t;
            continue;
        }
        u32 last = t + 1;
        while (last < end && l->state[last] == state) ++last;
        run(l, state, t, last);
        t = last;
    }
}

static void barrier_result(Launch *l, u32 state) {
    u32 kind = l->stops[state].kind, all = 1, any = 0, count = 0, n = l->env->threads;
    if (kind == BARRIER) return;
    for (u32 t = 0; t < n; ++t)
        if (l->state[t] != EXITED) {
            u32 value = l->value[t] & 1;
            all &= value;
            any |= value;
            count += value;
        }
    u32 result = kind == BARRIER_AND ? all : kind == BARRIER_OR ? any : count;
    for (u32 t = 0; t < n; ++t) {
        l->out[t] = result;
        l->out_predicate[t] = result & 1;
    }
}

static u32 operation_mask(Launch *l, u32 state, u32 t) {
    const Stop *stop = l->stops + state;
    return stop->constant & CONSTANT_MASK ? stop->mask : l->mask[t];
}

// All threads [0, live) wait at one warp operation: do it in all warps if it is whole in each.
static u32 whole_warps(Launch *l, u32 state, u32 live) {
    const Stop *stop = l->stops + state;
    for (u32 base = 0; base < live; base += LANES) {
        u32 there = live - base >= LANES ? 0xffffffffu : bit(live - base) - 1;
        if (stop->kind != ACTIVE) {
            u32 named = 0xffffffffu;
            if (stop->constant & CONSTANT_MASK)
                named = stop->mask;
            else
                for (u32 t = base; t < live && t < base + LANES; ++t) named &= l->mask[t];
            if ((named & there) != there) return 0;
        }
    }
    for (u32 base = 0; base < live; base += LANES)
        warp_operation(l, stop, base, live - base >= LANES ? 0xffffffffu : bit(live - base) - 1);
    return 1;
}

// One step of a warp whose lanes wait at different places: an operation goes on when all lanes
// that it names wait at one of its kind with the same mask (PTX ISA, vote.sync and its like).
// Returns whether the warp moved.
static u32 release_lanes(Launch *l, u32 base, u32 end) {
    u32 alive = 0, waiting = 0;
    for (u32 t = base; t < end; ++t)
        if (l->state[t] != EXITED) {
            alive |= bit(t - base);
            if (!is_barrier(l->stops[l->state[t]].kind)) waiting |= bit(t - base);
        }
    for (u32 left = waiting; left;) {
        u32 lane = __builtin_ctz(left), state = l->state[base + lane];
        u32 kind = l->stops[state].kind, here = 0, together = 0;
        u32 is_alone = kind == ACTIVE || kind == STEP, mask = operation_mask(l, state, base + lane);
        for (u32 other = waiting; other; other &= other - 1) {
            u32 x = __builtin_ctz(other), at = l->state[base + x];
            if (!is_alone && operation_mask(l, at, base + x) != mask) continue;
            if (at == state) here |= bit(x);
            if (l->stops[at].kind == kind) together |= bit(x);
        }
        u32 named = is_alone ? here : mask & alive;
        left &= ~here;
        if ((together & named) != named || !named) continue;
        warp_operation(l, l->stops + state, base, named);
        for (u32 t = base; t < end; ++t) l->saved[t] = l->state[t];
        for (u32 rest = named; rest && !stopped(l); rest &= rest - 1) {
            u32 t = base + __builtin_ctz(rest), last = t + 1;
            while (last < end && rest & bit(last - base) && l->saved[last] == l->saved[t]) {
                rest &= ~bit(last - base - 1);
                ++last;
            }
            run(l, l->saved[t], t, last);
        }
        return 1;
    }
    return 0;
}

static u32 release_warps(Launch *l) {
    u32 n = l->env->threads, moved = 0;
    for (u32 base = 0; base < n; base += LANES) {
        u32 end = base + LANES < n ? base + LANES : n;
        while (!stopped(l) && release_lanes(l, base, end)) moved = 1;
    }
    return moved;
}

// Every live thread waits at a barrier, at different ones: let each of them go on once.
static void release_barriers(Launch *l) {
    u32 n = l->env->threads;
    for (u32 t = 0; t < n; ++t) l->saved[t] = l->state[t];
    for (u32 t = 0; t < n && !stopped(l); ++t)
        if (l->saved[t] != EXITED) run(l, l->saved[t], t, t + 1);
}

// What the threads of a block wait for: how many live, whether at one stop, and in front of all
// that have left. Loops without branches, which LLVM does for many threads at once.
typedef struct Survey { u32 live, state, uniform, prefix; } Survey;

static Survey survey(const u32 *state, u32 n) {
    u32 live = 0, least = EXITED, most = 0, gaps = 0;
    for (u32 t = 0; t < n; ++t) {
        least = state[t] < least ? state[t] : least;
        most = state[t] > most ? state[t] : most;
    }
    if (least == EXITED) return (Survey){0};
    if (least == most) return (Survey){n, most, 1, 1};
    most = 0;
    for (u32 t = 0; t < n; ++t) {
        u32 at = state[t], alive = at != EXITED;
        live += alive;
        most = alive && at > most ? at : most;
    }
    if (live != n)
        for (u32 t = 0; t < live; ++t) gaps |= state[t] == EXITED;
    return (Survey){live, most, least == most, !gaps};
}

static u32 all_at_barriers(Launch *l) {
    for (u32 t = 0; t < l->env->threads; ++t)
        if (l->state[t] != EXITED && !is_barrier(l->stops[l->state[t]].kind)) return 0;
    return 1;
}

// Threads that take turns of a loop go on first. Returns whether there is one.
static u32 run_steps(Launch *l) {
    u32 n = l->env->threads;
    for (u32 t = 0; t < n; ++t)
        if (l->state[t] != EXITED && l->stops[l->state[t]].kind == STEP) {
            run_all(l, l->state[t], t, n);
            return 1;
        }
    return 0;
}

// Let the block go on by one stop. Returns whether a thread lives.
static u32 step(Launch *l) {
    u32 n = l->env->threads;
    Survey now = survey(l->state, l->limit);
    if (!now.live) return 0;
    if (now.prefix) l->limit = now.live;
    if (now.uniform && is_barrier(l->stops[now.state].kind)) {
        barrier_result(l, now.state);
        next_epoch(l->env);
        if (now.prefix) run(l, now.state, 0, now.live);
        else run_all(l, now.state, 0, n);
        return 1;
    }
    if (now.uniform && now.prefix
        && (l->stops[now.state].kind == STEP || whole_warps(l, now.state, now.live))) {
        run(l, now.state, 0, now.live);
        return 1;
    }
    if (run_steps(l)) return 1;
    if (all_at_barriers(l)) {
        if (l->env->strict) return fault(l->env, DIVERGENT_BARRIER, 0, l->stops[now.state].line);
        next_epoch(l->env);
        release_barriers(l);
        return 1;
    }
    if (!release_warps(l)) fault(l->env, DEADLOCK, 0, l->stops[now.state].line);
    return 1;
}

// Run all blocks. Returns 0, or a `Fault`.
u32 ptx_run_grid(Env *env, const Region *regions, const Stop *stops) {
    u8 *rows = env->frames;
    Launch launch = {
        env, regions, stops,
        (u32 *)rows, (u32 *)(rows + ROW), (u32 *)(rows + 2 * ROW), (u32 *)(rows + 3 * ROW),
        (u32 *)(rows + 4 * ROW), (u32 *)(rows + 5 * ROW), (u32 *)(rows + 6 * ROW),
        (u32 *)(rows + 7 * ROW), 0,
    };
    for (u32 z = 0; z < env->grid[2]; ++z)
        for (u32 y = 0; y < env->grid[1]; ++y)
            for (u32 x = 0; x < env->grid[0]; ++x) {
                env->index[0] = x;
                env->index[1] = y;
                env->index[2] = z;
                if (env->strict) forget_block(env);
                launch.limit = env->threads;
                run(&launch, 0, 0, env->threads);
                while (!stopped(&launch) && step(&launch)) {}
                if (env->stop) return env->stop;
            }
    return 0;
}
