/* SPDX-License-Identifier: Apache-2.0
 * Key files: the format is in key.h.  Everything that holds a secret is in guarded memory. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/key_secret.h"

#define FIRST_LINE "counterfoil-key 1"
#define BOX_PLAIN (1 + KEY_SEED_BYTES) /* u8 role || seed */
#define BOX_BYTES (BOX_PLAIN + crypto_secretbox_MACBYTES)
#define OPS_DEFAULT crypto_pwhash_OPSLIMIT_MODERATE
#define MEMORY_DEFAULT crypto_pwhash_MEMLIMIT_INTERACTIVE
/* What a file may ask of the machine that opens it. */
#define OPS_MAX 32
#define MEMORY_MAX ((uint64_t)1 << 30)

/* A key file taken apart.  Lives in guarded memory, since a plain file's seed is in it. */
struct key_file {
	struct key_file_info info;
	uint8_t seed[KEY_SEED_BYTES]; /* plain */
	uint64_t ops;		      /* the rest: encrypted */
	uint64_t memory_bytes;
	uint8_t salt[crypto_pwhash_SALTBYTES];
	uint8_t nonce[crypto_secretbox_NONCEBYTES];
	uint8_t box[BOX_BYTES];
};

static void *secret_alloc(size_t n)
{
	void *p;

	crypto_init();
	p = sodium_malloc(n);
	if (p == NULL)
		abort();
	return p;
}

static void secret_free(void *p)
{
	sodium_free(p);
}
DEFINE_CLEANUP(char *, secret_free)
static inline void key_file_free_at(struct key_file **p)
{
	sodium_free(*p);
}

/* Reads the whole file into text[KEY_FILE_MAX + 1], NUL-terminated. */
static bool read_text(const char *path, char *text, struct err *err)
{
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, ERR_KEY, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_KEY, "%s: not a file", path);
	}
	if ((st.st_mode & 077) != 0) {
		close(fd);
		return err_set(err, ERR_KEY,
			       "%s: mode %04o lets others at the key; run: chmod 600 %s", path,
			       st.st_mode & 07777, path);
	}
	n = read(fd, text, KEY_FILE_MAX + 1);
	close(fd);
	if (n < 0)
		return err_set(err, ERR_KEY, "%s: %s", path, strerror(errno));
	if (n > KEY_FILE_MAX || memchr(text, 0, (size_t)n) != NULL)
		return err_set(err, ERR_KEY, "%s: not a key file", path);
	text[n] = 0;
	return true;
}

/* The value of the line "name value\n" at *text, which moves on; NULL when it is another line. */
static char *take_line(char **text, const char *name)
{
	size_t n = strlen(name);
	char *line = *text, *end = strchr(line, '\n');

	if (end == NULL || strncmp(line, name, n) != 0 || line[n] != ' ')
		return NULL;
	*end = 0;
	*text = end + 1;
	return line + n + 1;
}

static bool base64_exact(const char *s, uint8_t *dst, size_t n)
{
	size_t got;

	return s != NULL && base64_decode(s, strlen(s), dst, n, &got) && got == n;
}

static bool parse_encrypted(char **text, struct key_file *ret)
{
	char *kdf = take_line(text, "kdf"), *box = take_line(text, "box");
	char *word = kdf ? strsep(&kdf, " ") : NULL, *ops = kdf ? strsep(&kdf, " ") : NULL;
	char *memory = kdf ? strsep(&kdf, " ") : NULL, *nonce = box ? strsep(&box, " ") : NULL;

	return word != NULL && strcmp(word, "argon2id13") == 0 && ops != NULL && memory != NULL &&
	       u64_parse(ops, strlen(ops), &ret->ops) &&
	       u64_parse(memory, strlen(memory), &ret->memory_bytes) &&
	       ret->ops >= crypto_pwhash_OPSLIMIT_MIN && ret->ops <= OPS_MAX &&
	       ret->memory_bytes >= crypto_pwhash_MEMLIMIT_MIN && ret->memory_bytes <= MEMORY_MAX &&
	       base64_exact(kdf, ret->salt, sizeof(ret->salt)) &&
	       base64_exact(nonce, ret->nonce, sizeof(ret->nonce)) &&
	       base64_exact(box, ret->box, sizeof(ret->box));
}

static bool parse(char *text, struct key_file *ret)
{
	size_t first = strlen(FIRST_LINE);
	char *role, *public, *secret;

	if (strncmp(text, FIRST_LINE "\n", first + 1) != 0)
		return false;
	text += first + 1;
	role = take_line(&text, "role");
	public = take_line(&text, "public");
	if (role == NULL || !key_role_parse(role, &ret->info.role) || public == NULL ||
	    !hex_decode(public, strlen(public), ret->info.public.b, sizeof(ret->info.public.b)))
		return false;
	secret = take_line(&text, "secret");
	ret->info.encrypted = secret == NULL;
	if (ret->info.encrypted ? !parse_encrypted(&text, ret)
				: !hex_decode(secret, strlen(secret), ret->seed, sizeof(ret->seed)))
		return false;
	return *text == 0;
}

static bool read_key_file(const char *path, struct key_file *ret, struct err *err)
{
	CLEANUP(secret_free) char *text = secret_alloc(KEY_FILE_MAX + 1);

	if (!read_text(path, text, err))
		return false;
	if (!parse(text, ret))
		return err_set(err, ERR_KEY, "%s: not a key file", path);
	return true;
}

bool relay_key_peek(const char *path, struct key_file_info *ret, struct err *err)
{
	CLEANUP(key_file_free) struct key_file *file = secret_alloc(sizeof(*file));

	if (!read_key_file(path, file, err))
		return false;
	*ret = file->info;
	return true;
}

static void derive(const char *passphrase, uint64_t ops, uint64_t memory_bytes, const uint8_t *salt,
		   uint8_t *ret_key)
{
	if (crypto_pwhash(ret_key, crypto_secretbox_KEYBYTES, passphrase, strlen(passphrase), salt,
			  ops, (size_t)memory_bytes, crypto_pwhash_ALG_ARGON2ID13) != 0)
		abort(); /* only when memory is gone: the numbers were checked */
}

/* Opens the box into file->seed. */
static bool decrypt(const char *path, const char *passphrase, struct key_file *file,
		    struct err *err)
{
	CLEANUP(secret_free) char *room = secret_alloc(crypto_secretbox_KEYBYTES + BOX_PLAIN);
	uint8_t *key = (uint8_t *)room, *plain = key + crypto_secretbox_KEYBYTES;

	derive(passphrase, file->ops, file->memory_bytes, file->salt, key);
	if (crypto_secretbox_open_easy(plain, file->box, sizeof(file->box), file->nonce, key) != 0)
		return err_set(err, ERR_KEY, "%s: wrong passphrase", path);
	if (plain[0] != file->info.role)
		return err_set(err, ERR_KEY, "%s: the role was changed after the key was made",
			       path);
	memcpy(file->seed, plain + 1, KEY_SEED_BYTES);
	return true;
}

bool relay_key_load(const char *path, const char *passphrase, struct relay_key **ret,
		    struct err *err)
{
	CLEANUP(key_file_free) struct key_file *file = secret_alloc(sizeof(*file));
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;

	if (!read_key_file(path, file, err))
		return false;
	if (file->info.encrypted && passphrase == NULL)
		return err_set(err, ERR_KEY, "%s: encrypted, and no passphrase is given", path);
	if (!file->info.encrypted && passphrase != NULL)
		return err_set(err, ERR_KEY, "%s: not encrypted, but a passphrase is given", path);
	if (file->info.encrypted && !decrypt(path, passphrase, file, err))
		return false;
	key = relay_key_from_seed(file->info.role, file->seed);
	if (!ID_EQ(&key->public, &file->info.public))
		return err_set(err, ERR_KEY, "%s: public key and secret do not belong together",
			       path);
	*ret = STEAL(key);
	return true;
}

bool relay_key_load_role(const char *path, const char *passphrase, enum key_role role,
			 struct relay_key **ret, struct err *err)
{
	struct key_file_info info;

	if (!relay_key_peek(path, &info, err))
		return false;
	if (info.role != role)
		return err_set(err, ERR_KEY,
			       "%s: this is the key of role %s, one of role %s is needed", path,
			       key_role_name(info.role), key_role_name(role));
	return relay_key_load(path, passphrase, ret, err);
}

static void put_plain(const struct relay_key *key, char *text, size_t cap, size_t n)
{
	n += (size_t)snprintf(text + n, cap - n, "secret ");
	sodium_bin2hex(text + n, cap - n, key->secret, KEY_SEED_BYTES);
	n += 2 * KEY_SEED_BYTES;
	snprintf(text + n, cap - n, "\n");
}

static void put_encrypted(const struct relay_key *key, const char *passphrase, char *text,
			  size_t cap, size_t n)
{
	CLEANUP(secret_free) char *room = secret_alloc(crypto_secretbox_KEYBYTES + BOX_PLAIN);
	uint8_t *box_key = (uint8_t *)room, *plain = box_key + crypto_secretbox_KEYBYTES;
	uint8_t salt[crypto_pwhash_SALTBYTES], nonce[crypto_secretbox_NONCEBYTES], box[BOX_BYTES];
	char salt64[64], nonce64[64], box64[128];

	randombytes_buf(salt, sizeof(salt));
	randombytes_buf(nonce, sizeof(nonce));
	derive(passphrase, OPS_DEFAULT, MEMORY_DEFAULT, salt, box_key);
	plain[0] = (uint8_t)key->role;
	memcpy(plain + 1, key->secret, KEY_SEED_BYTES);
	crypto_secretbox_easy(box, plain, BOX_PLAIN, nonce, box_key);
	snprintf(text + n, cap - n, "kdf argon2id13 %llu %llu %s\nbox %s %s\n",
		 (unsigned long long)OPS_DEFAULT, (unsigned long long)MEMORY_DEFAULT,
		 base64_encode(salt, sizeof(salt), salt64),
		 base64_encode(nonce, sizeof(nonce), nonce64),
		 base64_encode(box, sizeof(box), box64));
}

/* A new name in a folder is on disk only when the folder is. */
static bool sync_folder_of(const char *path)
{
	CLEANUP(xfree) char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

static bool write_new_file(const char *path, const char *text, struct err *err)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return err_set(err, ERR_KEY, "%s: %s", path,
			       errno == EEXIST ? "exists already; a key is never overwritten"
					       : strerror(errno));
	ok = fchmod(fd, 0600) == 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
	ok = close(fd) == 0 && ok && sync_folder_of(path);
	if (!ok) {
		err_set(err, ERR_KEY, "%s: %s", path, strerror(errno));
		unlink(path);
	}
	return ok;
}

bool relay_key_save(const struct relay_key *key, const char *path, const char *passphrase,
		    struct err *err)
{
	CLEANUP(secret_free) char *text = secret_alloc(KEY_FILE_MAX);
	char public[2 * sizeof(key->public.b) + 1];
	size_t n;

	n = (size_t)snprintf(text, KEY_FILE_MAX, FIRST_LINE "\nrole %s\npublic %s\n",
			     key_role_name(key->role),
			     hex_encode(key->public.b, sizeof(key->public.b), public));
	if (passphrase == NULL)
		put_plain(key, text, KEY_FILE_MAX, n);
	else
		put_encrypted(key, passphrase, text, KEY_FILE_MAX, n);
	return write_new_file(path, text, err);
}
