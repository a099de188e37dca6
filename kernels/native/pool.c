/* A pool of threads that work on one call together.
 *
 * Waits spin for a moment, then give the processor away: on a machine that others use,
 * threads that only spin starve each other. Short calls, which meet often, are tried with
 * one thread now and then: where others keep a processor busy, that is faster.
 */
#include "cocoon.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ __volatile__("yield")
#else
#define RELAX() ((void)0)
#endif

enum { SPINS_IN_CALL = 2000, SPINS_BETWEEN_CALLS = 4000, TRY_EVERY = 24 };

struct co_pool {
    int threads, active; /* active: in the call that is running */
    void (*work)(void *, int, int);
    void *argument;
    double seconds[2]; /* a short call's: with one thread, with all; 0: not known yet */
    int short_calls;
    atomic_int call;      /* 128 * number + active threads, a new one each time; negative: end */
    atomic_int arrived;   /* threads at the meeting point */
    atomic_int meeting;   /* rises with each meeting */
    pthread_mutex_t lock;
    pthread_cond_t called;
    pthread_t handles[CO_THREADS_MAX];
};

typedef struct {
    struct co_pool *pool;
    int thread;
} start;

void co_pool_meet(struct co_pool *pool) {
    if (pool->active == 1)
        return;
    int meeting = atomic_load_explicit(&pool->meeting, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->active) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->meeting, meeting + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&pool->meeting, memory_order_acquire) == meeting;) {
        if (++spins < SPINS_IN_CALL)
            RELAX();
        else
            sched_yield();
    }
}

static int next_call(struct co_pool *pool, int last) {
    for (int spins = 0; spins < SPINS_BETWEEN_CALLS; spins++) {
        if (atomic_load_explicit(&pool->call, memory_order_acquire) != last)
            return atomic_load_explicit(&pool->call, memory_order_acquire);
        RELAX();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->call, memory_order_acquire) == last)
        pthread_cond_wait(&pool->called, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return atomic_load_explicit(&pool->call, memory_order_acquire);
}

static void *serve(void *argument) {
    start begun = *(start *)argument;
    free(argument);
    for (int call = 0; (call = next_call(begun.pool, call)) >= 0;) {
        if (begun.thread >= call % 128)
            continue;
        begun.pool->work(begun.pool->argument, begun.thread, call % 128);
        co_pool_meet(begun.pool);
    }
    return NULL;
}

static void announce(struct co_pool *pool, int call) {
    pthread_mutex_lock(&pool->lock);
    atomic_store_explicit(&pool->call, call, memory_order_release);
    pthread_cond_broadcast(&pool->called);
    pthread_mutex_unlock(&pool->lock);
}

static void run(struct co_pool *pool, void (*work)(void *, int, int), void *argument, int active) {
    pool->active = active;
    if (active > 1) {
        pool->work = work;
        pool->argument = argument;
        int number = (atomic_load(&pool->call) / 128 + 1) & 0xffffff;
        announce(pool, 128 * number + active);
    }
    work(argument, 0, active);
    co_pool_meet(pool);
}

void co_pool_run(struct co_pool *pool, void (*work)(void *, int, int), void *argument) {
    run(pool, work, argument, pool->threads);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void co_pool_run_short(struct co_pool *pool, void (*work)(void *, int, int), void *argument) {
    if (pool->threads == 1) {
        run(pool, work, argument, 1);
        return;
    }
    int all = pool->seconds[0] == 0 ? 0 : pool->seconds[1] <= pool->seconds[0];
    if (++pool->short_calls % TRY_EVERY == 0)
        all = !all;
    double begun = now();
    run(pool, work, argument, all ? pool->threads : 1);
    double took = now() - begun, before = pool->seconds[all];
    pool->seconds[all] = before == 0 ? took : 0.75 * before + 0.25 * took;
}

int co_pool_threads(const struct co_pool *pool) { return pool->threads; }

struct co_pool *co_pool_open(int threads) {
    struct co_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->called, NULL);
    pool->threads = pool->active = 1;
    for (int thread = 1; thread < threads; thread++) {
        start *begun = malloc(sizeof *begun);
        if (begun == NULL)
            break;
        *begun = (start){pool, thread};
        if (pthread_create(&pool->handles[thread], NULL, serve, begun) != 0) {
            free(begun);
            break; /* fewer threads than asked for: slower, not wrong */
        }
        pool->threads = thread + 1;
    }
    return pool;
}

void co_pool_close(struct co_pool *pool) {
    if (pool == NULL)
        return;
    announce(pool, -1);
    for (int thread = 1; thread < pool->threads; thread++)
        pthread_join(pool->handles[thread], NULL);
    pthread_cond_destroy(&pool->called);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
