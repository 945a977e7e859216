/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/bytes.h"
#include "relay/crypto/passphrase.h"
#include "relay/crypto/sign.h"

static char dir[64];
static char path[128];

static int make_folder(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/cf-key-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

/* RFC 8032, section 7.1, test 2 */
static const char *const rfc_seed =
	"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
static const char *const rfc_public =
	"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
static const char *const rfc_signature =
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static struct relay_key *rfc_key(enum key_role role)
{
	uint8_t seed[KEY_SEED_BYTES];

	assert_true(hex_decode(rfc_seed, 64, seed, sizeof(seed)));
	return relay_key_from_seed(role, seed);
}

static void signatures_match_rfc_8032(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	struct signature sig;
	char text[129];

	assert_string_equal(hex_encode(relay_key_public(key)->b, 32, text), rfc_public);
	sign_bytes(key, "\x72", 1, &sig);
	assert_string_equal(hex_encode(sig.b, 64, text), rfc_signature);
	assert_true(verify_bytes(relay_key_public(key), "\x72", 1, &sig));
	assert_false(verify_bytes(relay_key_public(key), "\x73", 1, &sig));
	for (size_t i = 0; i < sizeof(sig.b); i++) {
		sig.b[i] ^= 1;
		assert_false(verify_bytes(relay_key_public(key), "\x72", 1, &sig));
		sig.b[i] ^= 1;
	}
}

static void a_key_of_small_order_verifies_nothing(void **state)
{
	struct key_id zero = {{0}};
	struct signature sig = {{0}};

	assert_false(verify_bytes(&zero, "x", 1, &sig));
	zero.b[0] = 1;
	sig.b[0] = 1;
	assert_false(verify_bytes(&zero, "x", 1, &sig));
}

static void generated_keys_differ(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *a = relay_key_generate(KEY_ROLE_GATEWAY);
	CLEANUP(relay_key_destroy) struct relay_key *b = relay_key_generate(KEY_ROLE_GATEWAY);

	assert_false(ID_EQ(relay_key_public(a), relay_key_public(b)));
	assert_int_equal(relay_key_role(a), KEY_ROLE_GATEWAY);
}

static void a_plain_file_gives_the_key_back(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_APPLICATION);
	CLEANUP(relay_key_destroy) struct relay_key *back = NULL;
	struct key_file_info info;
	struct signature sig;
	struct stat st;
	struct err err;

	assert_ok(relay_key_save(key, path, NULL, &err), err);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(relay_key_peek(path, &info, &err), err);
	assert_int_equal(info.role, KEY_ROLE_APPLICATION);
	assert_false(info.encrypted);
	assert_ok(relay_key_load(path, NULL, &back, &err), err);
	sign_bytes(back, "m", 1, &sig);
	assert_true(verify_bytes(relay_key_public(key), "m", 1, &sig));
	assert_false(relay_key_load(path, "words", &back, &err));
	assert_err(err, ERR_KEY);
	assert_non_null(strstr(err.msg, "not encrypted"));
}

static void an_encrypted_file_needs_its_passphrase_and_hides_the_seed(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	CLEANUP(relay_key_destroy) struct relay_key *back = NULL;
	struct key_file_info info;
	char text[KEY_FILE_MAX + 1];
	struct err err;
	FILE *f;
	size_t n;

	assert_ok(relay_key_save(key, path, "horse battery", &err), err);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, KEY_FILE_MAX, f);
	fclose(f);
	text[n] = 0;
	assert_null(strstr(text, rfc_seed));
	assert_ok(relay_key_peek(path, &info, &err), err);
	assert_true(info.encrypted);
	assert_false(relay_key_load(path, NULL, &back, &err));
	assert_non_null(strstr(err.msg, "no passphrase"));
	assert_false(relay_key_load(path, "horse", &back, &err));
	assert_non_null(strstr(err.msg, "wrong passphrase"));
	assert_null(back);
	assert_ok(relay_key_load(path, "horse battery", &back, &err), err);
	assert_true(ID_EQ(relay_key_public(key), relay_key_public(back)));
	/* the role is under the seal */
	memcpy(strstr(text, "supplier"), "registry", 8);
	write_file(text, 0600);
	relay_key_destroy(back);
	back = NULL;
	assert_false(relay_key_load(path, "horse battery", &back, &err));
	assert_non_null(strstr(err.msg, "role was changed"));
}

static void a_key_is_never_overwritten(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	struct err err;

	write_file("precious", 0600);
	assert_false(relay_key_save(key, path, NULL, &err));
	assert_err(err, ERR_KEY);
	assert_non_null(strstr(err.msg, "never overwritten"));
}

static void a_file_that_others_can_read_is_refused(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	struct relay_key *back = NULL;
	struct err err;

	assert_ok(relay_key_save(key, path, NULL, &err), err);
	assert_int_equal(chmod(path, 0640), 0);
	assert_false(relay_key_load(path, NULL, &back, &err));
	assert_non_null(strstr(err.msg, "chmod 600"));
}

static void a_key_of_another_role_is_refused_by_name(void **state) /* [K1] */
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	struct relay_key *back = NULL;
	struct err err;

	assert_ok(relay_key_save(key, path, NULL, &err), err);
	assert_false(relay_key_load_role(path, NULL, KEY_ROLE_GATEWAY, &back, &err));
	assert_non_null(strstr(err.msg, "supplier"));
	assert_non_null(strstr(err.msg, "gateway is needed"));
}

static void what_is_not_a_key_file_is_refused_without_quoting_it(void **state)
{
	static const char *const heads[] = {
		"",
		"\n",
		"counterfoil-key 2\n",
		"counterfoil-key 1\n",
		"counterfoil-key 1\nrole owner\n",
		"counterfoil-key 1\nrole supplier\npublic 00\n",
	};
	struct relay_key *back = NULL;
	char text[512];
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		write_file(heads[i], 0600);
		assert_false(relay_key_load(path, NULL, &back, &err));
		assert_err(err, ERR_KEY);
	}
	/* the public key of another secret */
	snprintf(text, sizeof(text), "counterfoil-key 1\nrole supplier\npublic %s\nsecret %s\n",
		 rfc_seed, rfc_seed);
	write_file(text, 0600);
	assert_false(relay_key_load(path, NULL, &back, &err));
	assert_non_null(strstr(err.msg, "do not belong together"));
	assert_null(strstr(err.msg, rfc_seed));
	/* something after the end */
	snprintf(text, sizeof(text), "counterfoil-key 1\nrole supplier\npublic %s\nsecret %s\nx\n",
		 rfc_public, rfc_seed);
	write_file(text, 0600);
	assert_false(relay_key_load(path, NULL, &back, &err));
	unlink(path);
	assert_false(relay_key_load(path, NULL, &back, &err));
	assert_non_null(strstr(err.msg, "No such file"));
	assert_null(back);
}

static void a_program_opens_its_key_with_a_file_or_the_environment(void **state)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = rfc_key(KEY_ROLE_SUPPLIER);
	CLEANUP(relay_key_destroy) struct relay_key *back = NULL;
	char file[160];
	struct err err;
	FILE *f;

	unsetenv(PASSPHRASE_VARIABLE);
	snprintf(file, sizeof(file), "%s/passphrase", dir);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs("horse battery\r\nsecond line\n", f);
	fclose(f);
	assert_ok(relay_key_save(key, path, "horse battery", &err), err);
	assert_ok(relay_key_open(path, file, KEY_ROLE_SUPPLIER, &back, &err), err);
	assert_true(ID_EQ(relay_key_public(key), relay_key_public(back)));
	relay_key_destroy(back);
	back = NULL;
	assert_false(relay_key_open(path, NULL, KEY_ROLE_SUPPLIER, &back, &err));
	assert_non_null(strstr(err.msg, "no passphrase is given"));
	setenv(PASSPHRASE_VARIABLE, "horse battery", 1);
	assert_ok(relay_key_open(path, NULL, KEY_ROLE_SUPPLIER, &back, &err), err);
	unsetenv(PASSPHRASE_VARIABLE);
	unlink(file);
	assert_false(relay_key_open(path, file, KEY_ROLE_SUPPLIER, &back, &err));
	assert_err(err, ERR_KEY);
}

static void files_over_their_limits_are_refused(void **state)
{
	struct relay_key *back = NULL;
	char text[PASSPHRASE_MAX + 3];
	char *passphrase = NULL;
	struct err err;

	memset(text, 'x', sizeof(text));
	text[KEY_FILE_MAX + 1] = 0;
	write_file(text, 0600);
	assert_false(relay_key_load(path, NULL, &back, &err));
	assert_non_null(strstr(err.msg, "not a key file"));
	text[PASSPHRASE_MAX] = 0;
	write_file(text, 0600);
	assert_ok(passphrase_read(path, &passphrase, &err), err);
	assert_int_equal(strlen(passphrase), PASSPHRASE_MAX);
	passphrase_free(passphrase);
	passphrase = NULL;
	text[PASSPHRASE_MAX] = 'x';
	text[PASSPHRASE_MAX + 1] = 0;
	write_file(text, 0600);
	assert_false(passphrase_read(path, &passphrase, &err));
	assert_null(passphrase);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_match_rfc_8032),
		cmocka_unit_test(a_key_of_small_order_verifies_nothing),
		cmocka_unit_test(generated_keys_differ),
		FILE_TEST(a_plain_file_gives_the_key_back),
		FILE_TEST(an_encrypted_file_needs_its_passphrase_and_hides_the_seed),
		FILE_TEST(a_key_is_never_overwritten),
		FILE_TEST(a_file_that_others_can_read_is_refused),
		FILE_TEST(a_key_of_another_role_is_refused_by_name),
		FILE_TEST(what_is_not_a_key_file_is_refused_without_quoting_it),
		FILE_TEST(files_over_their_limits_are_refused),
		FILE_TEST(a_program_opens_its_key_with_a_file_or_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
