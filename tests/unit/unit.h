/* SPDX-License-Identifier: Apache-2.0
 * What every unit test includes: cmocka after the headers it wants to find. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The error must be of this code; prints its message when it is not. */
#define assert_err(err, want)                                                                      \
	do {                                                                                       \
		if ((err).code != (want))                                                          \
			print_message("# error: %s\n", (err).msg);                                 \
		assert_int_equal((err).code, (want));                                              \
	} while (0)
/* The call must succeed; prints why it did not. */
#define assert_ok(call, err)                                                                       \
	do {                                                                                       \
		if (!(call)) {                                                                     \
			print_message("# %s: %s\n", #call, (err).msg);                             \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

#endif
