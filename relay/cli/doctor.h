/* SPDX-License-Identifier: Apache-2.0
 * The examinations of `counterfoil doctor`: each prints `pass` or `fix` lines and counts the
 * latter. */
#ifndef RELAY_CLI_DOCTOR_H
#define RELAY_CLI_DOCTOR_H

#include "relay/config/config.h"

#define DOCTOR_TIMEOUT_US 5000000 /* for each thing on the network */
#define DOCTOR_SKEW_HEIGHTS 1	  /* [S10]: how far clocks may differ */
#define DOCTOR_DISK_MIN                                                                            \
	((uint64_t)256 << 20) /* bytes that must be free whatever the limits say                   \
			       */

struct doctor {
	enum config_role role; /* gateway or node */
	const struct config *config;
	struct key_id self; /* set by doctor_key() */
	bool has_self;
	int fixes; /* lines that say what to do */
};

/* "pass  SUBJECT: TEXT" */
void doctor_pass(const char *subject, const char *fmt, ...) PRINTF(2, 3);
/* "fix   SUBJECT: TEXT", and one more in doctor->fixes. */
void doctor_fix(struct doctor *doctor, const char *subject, const char *fmt, ...) PRINTF(3, 4);

/* The key file opens, with its passphrase, and has the right role. */
void doctor_key(struct doctor *doctor);
/* Each backend answers eth_chainId, all of a service with the same number. */
void doctor_backends(struct doctor *doctor);
/* The registry can be read, its clock and ours agree, and this identity is in it: staked (node), or
 * granted (gateway). */
void doctor_registry(struct doctor *doctor);
/* There is room and permission for ledger.dir. */
void doctor_disk(struct doctor *doctor);
/* The process may open as many files as its limits on connections ask for. */
void doctor_files(struct doctor *doctor);

#endif
