/*
 * compiler.h - the few things that only the compiler can do for us.
 *
 * AUTO(drop) runs drop(&variable) when the variable leaves its scope; TAKE
 * moves a pointer out of such a variable, so that nothing is dropped.
 */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#define MUST_CHECK           __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, va) __attribute__((format(printf, fmt, va)))
#define AUTO(drop)           __attribute__((cleanup(drop)))
#define LIKELY(x)            __builtin_expect(!!(x), 1)
#define UNLIKELY(x)          __builtin_expect(!!(x), 0)
#define COUNT_OF(array)      (sizeof(array) / sizeof((array)[0]))

/* The value of pointer `p`, which is NULL afterwards: ownership moves out. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#endif
