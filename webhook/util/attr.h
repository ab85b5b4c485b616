/* Compiler attributes behind names, so that the code reads the same with gcc and clang.
 * No state; any thread. */
#ifndef NRW_UTIL_ATTR_H
#define NRW_UTIL_ATTR_H

#define NRW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NRW_MUST_CHECK        __attribute__((warn_unused_result))
#define NRW_CLEANUP(fn)       __attribute__((cleanup(fn)))
#define NRW_UNUSED            __attribute__((unused))
#define NRW_NORETURN          __attribute__((noreturn))

#define NRW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* For the few lines in a loop over every byte of a request. */
#define NRW_ALWAYS_INLINE inline __attribute__((always_inline))

#endif
