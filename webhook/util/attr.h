/* Compiler attributes, and what it builds for, behind names, so that the code reads the
 * same with gcc and clang. No state; any thread. */
#ifndef NRW_UTIL_ATTR_H
#define NRW_UTIL_ATTR_H

#define NRW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NRW_MUST_CHECK        __attribute__((warn_unused_result))
#define NRW_CLEANUP(fn)       __attribute__((cleanup(fn)))
#define NRW_UNUSED            __attribute__((unused))
#define NRW_NORETURN          __attribute__((noreturn))

#define NRW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The address and the thread sanitizer have a heap of their own, and know no other stacks
 * than the threads'. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NRW_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NRW_SANITIZED 1
#endif
#endif
#ifndef NRW_SANITIZED
#define NRW_SANITIZED 0
#endif

/* For the few lines in a loop over every byte of a request. */
#define NRW_ALWAYS_INLINE inline __attribute__((always_inline))

#endif
