/* SPDX-License-Identifier: Apache-2.0
 * uthash for analysers alone, which find it first (see tests/support/runner.py).  They lose track
 * of an element's neighbours, take what a loop has freed before for one of them, and report its
 * use: here an element only leaves the head of its table. */
#pragma GCC system_header /* or #include_next is a warning */
#include_next <uthash.h>

#undef HASH_DELETE
#define HASH_DELETE(hh, head, el)                                                                  \
	((head) = (head) == (el) ? (__typeof__(head))(el)->hh.next : (head))
