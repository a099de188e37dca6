/* A pool of threads that work on one call together.
 *
 * Waits spin for a moment, then give the processor away: on a machine that others use,
 * threads that only spin starve each other.
 */
#include "cocoon.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ __volatile__("yield")
#else
#define RELAX() ((void)0)
#endif

enum { SPINS_IN_CALL = 2000, SPINS_BETWEEN_CALLS = 4000 };

struct co_pool {
    int threads;
    void (*work)(void *, int, int);
    void *argument;
    atomic_int call;      /* rises with each call; negative: end */
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
    if (pool->threads == 1)
        return;
    int meeting = atomic_load_explicit(&pool->meeting, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->threads) {
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
        begun.pool->work(begun.pool->argument, begun.thread, begun.pool->threads);
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

void co_pool_run(struct co_pool *pool, void (*work)(void *, int, int), void *argument) {
    if (pool->threads > 1) {
        pool->work = work;
        pool->argument = argument;
        announce(pool, (atomic_load(&pool->call) + 1) & 0x3fffffff);
    }
    work(argument, 0, pool->threads);
    co_pool_meet(pool);
}

int co_pool_threads(const struct co_pool *pool) { return pool->threads; }

struct co_pool *co_pool_open(int threads) {
    struct co_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->called, NULL);
    pool->threads = 1;
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
