/* SPDX-License-Identifier: Apache-2.0
 * What the digest, a signature and its check cost on this machine. */
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"

static void report(const char *what, usec_t began_us, int rounds)
{
	printf("%-20s %8.3f us\n", what, (double)(clock_now_us() - began_us) / rounds);
}

static void bench_digest(size_t n, const char *what)
{
	static uint8_t data[4096];
	const int rounds = 200000;
	usec_t began_us = clock_now_us();
	struct hash h;

	for (int i = 0; i < rounds; i++) {
		sha256(data, n, &h);
		data[0] ^= h.b[0];
	}
	report(what, began_us, rounds);
}

int main(void)
{
	const int rounds = 5000;
	struct relay_key *key = relay_key_generate(KEY_ROLE_SUPPLIER);
	struct signature sig;
	usec_t began_us;
	int valid = 0;

	bench_digest(64, "sha256 64 B");
	bench_digest(192, "sha256 192 B");
	bench_digest(4096, "sha256 4096 B");
	began_us = clock_now_us();
	for (int i = 0; i < rounds; i++)
		sign_bytes(key, &i, sizeof(i), &sig);
	report("ed25519 sign", began_us, rounds);
	began_us = clock_now_us();
	for (int i = rounds - 1; i < 2 * rounds - 1; i++)
		valid += verify_bytes(relay_key_public(key), &(int){rounds - 1}, sizeof(int), &sig);
	report("ed25519 verify", began_us, rounds);
	relay_key_destroy(key);
	return valid == rounds ? 0 : 1;
}
