/* SPDX-License-Identifier: Apache-2.0
 * Attributes that carry a contract: results that must be looked at, printf formats, scope cleanup.
 * Not a portability layer: gcc >= 12 and clang >= 14 are what we build with. */
#ifndef RELAY_BASE_COMPILER_H
#define RELAY_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

/* CLEANUP(thing_destroy) struct thing *t = NULL;  destroys *t when the scope ends.  The destroyer
 * takes a pointer, accepts NULL, and is announced once with DEFINE_CLEANUP(struct thing *, ...). */
#define CLEANUP(destroyer) __attribute__((cleanup(destroyer##_at)))
#define DEFINE_CLEANUP(type, destroyer)                                                            \
	static inline void destroyer##_at(type *p)                                                 \
	{                                                                                          \
		destroyer(*p);                                                                     \
	}

/* Hands ownership out of a CLEANUP variable: return STEAL(thing); */
#define STEAL(p)                                                                                   \
	__extension__({                                                                            \
		__typeof__(p) stolen_ = (p);                                                       \
		(p) = NULL;                                                                        \
		stolen_;                                                                           \
	})

/* A fact that holds for a reason which an analyser cannot see; the reason stands beside it.  It is
 * no check: what could be false is asserted instead. */
#ifdef __clang_analyzer__
#define ANALYZER_FACT(fact) ((fact) ? (void)0 : __builtin_unreachable())
#else
#define ANALYZER_FACT(fact) ((void)0)
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Amounts of tokens.  Pedantic C has no name for it. */
__extension__ typedef unsigned __int128 u128;

#endif
