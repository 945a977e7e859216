/* SPDX-License-Identifier: Apache-2.0
 * Raw connections to servers of the test's own loop. */
#ifndef TESTS_UNIT_DIAL_H
#define TESTS_UNIT_DIAL_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

/* A connection to a port of the loopback that never blocks. */
static inline int dial_port(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

#endif
