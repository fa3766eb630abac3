/* Counts the calls that take memory, for a process that preloads this library. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>

/* glibc's own names: going through dlsym would itself allocate. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static long taken;

long counter_taken(void) { return __atomic_load_n(&taken, __ATOMIC_RELAXED); }

static void count(void) { __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED); }

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    count();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = memalign(alignment, size);
    return *out == NULL && size != 0 ? ENOMEM : 0;
}
