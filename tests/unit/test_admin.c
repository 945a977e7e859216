/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/admin/admin.h"
#include "relay/base/metrics.h"

static bool backend_is_up;
static int refreshed;

static bool check_backend(void *arg, struct err *ret_why)
{
	return backend_is_up || err_set(ret_why, ERR_UPSTREAM, "nobody answers");
}

static bool check_ledger(void *arg, struct err *ret_why)
{
	return true;
}

static void refresh(void *arg)
{
	refreshed++;
	metric_set(METRIC_LEDGER_QUEUE, 42);
}

static const struct admin_check checks[] = {{"backend", check_backend, NULL},
					    {"ledger", check_ledger, NULL}};

static void write_page(void *arg, struct buf *out)
{
	buf_putf(out, "{\"is\":\"%s\"}\n", (const char *)arg);
}

static const struct admin_page pages[] = {
	{"/admin/one", "application/json", write_page, (char[]){"one"}},
	{"/admin/two", "application/json", write_page, (char[]){"two"}}};

static struct admin *start(const struct config_address *address)
{
	const struct admin_params params = {.listen = address,
					    .pages = pages,
					    .pages_n = ARRAY_SIZE(pages),
					    .checks = checks,
					    .checks_n = ARRAY_SIZE(checks),
					    .refresh = refresh};
	struct admin *admin = NULL;
	struct err err;

	assert_ok(admin_start(&params, &admin, &err), err);
	return admin;
}

static const struct config_address loopback = {
	.text = "127.0.0.1:0", .host = "127.0.0.1", .port = 0};

/* Sends the request on fd and gives all that comes back, NUL-terminated. */
static const char *talk(int fd, const char *request)
{
	static char answer[1 << 20];
	size_t n = 0;
	ssize_t got;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	while ((got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	answer[n] = 0;
	return answer;
}

static int dial(const struct admin *admin)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(admin_port(admin))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static const char *ask(const struct admin *admin, const char *method, const char *path)
{
	int fd = dial(admin);
	char request[256];

	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		 method, path);
	return talk(fd, request);
}

static void assert_status(const char *answer, const char *status)
{
	if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, 3) != 0)
		fail_msg("not %s: %.200s", status, answer);
}

static void health_is_ok_whatever_the_checks_say(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);

	backend_is_up = false;
	assert_status(ask(admin, "GET", "/healthz"), "200");
	assert_status(ask(admin, "HEAD", "/healthz"), "200");
}

static void readiness_names_each_check_and_why_it_does_not_pass(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);
	const char *answer;

	backend_is_up = false;
	answer = ask(admin, "GET", "/readyz");
	assert_status(answer, "503");
	assert_non_null(strstr(answer, "\r\n\r\nbackend: upstream: nobody answers\nledger: ok\n"));
	backend_is_up = true;
	answer = ask(admin, "GET", "/readyz");
	assert_status(answer, "200");
	assert_non_null(strstr(answer, "\r\n\r\nbackend: ok\nledger: ok\n"));
}

static void metrics_are_refreshed_and_in_prometheus_form(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);
	const char *answer;
	int before = refreshed;

	answer = ask(admin, "GET", "/metrics");
	assert_status(answer, "200");
	assert_int_equal(refreshed, before + 1);
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(answer, "\ncounterfoil_ledger_queue 42\n"));
	assert_non_null(strstr(answer, "# TYPE counterfoil_process_cpu_seconds gauge\n"));
	assert_null(strstr(answer, "\ncounterfoil_process_resident_bytes 0\n"));
}

static void of_too_many_connections_the_oldest_ends(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);
	int fd[ADMIN_CONNECTIONS_MAX + 2];
	uint8_t byte;

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = dial(admin);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(read(fd[i], &byte, 1), 0);
	assert_status(ask(admin, "GET", "/healthz"), "200");
	assert_null(strstr(ask(admin, "GET", "/metrics"), "\ncounterfoil_admin_crowded_total 0\n"));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
}

static void other_paths_and_methods_are_refused(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);

	assert_status(ask(admin, "GET", "/"), "404");
	assert_status(ask(admin, "GET", "/healthz/x"), "404");
	assert_status(ask(admin, "DELETE", "/healthz"), "501");
}

static void pages_of_the_program_are_served_and_named(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);
	const char *answer = ask(admin, "GET", "/admin/two");

	assert_status(answer, "200");
	assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\n{\"is\":\"two\"}\n"));
	answer = ask(admin, "GET", "/admin");
	assert_status(answer, "404");
	assert_non_null(strstr(answer, "/metrics, /admin/one, /admin/two\n"));
}

static void a_head_over_the_limit_is_refused_and_the_next_request_works(void **state)
{
	CLEANUP(admin_stop) struct admin *admin = start(&loopback);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(admin_port(admin))};
	char request[2 * ADMIN_HEADER_MAX];
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(request, 'x', sizeof(request));
	memcpy(request, "GET /healthz HTTP/1.1\r\nA: ", 26);
	memcpy(request + sizeof(request) - 5, "\r\n\r\n", 5);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_null(strstr(talk(fd, request), "200 OK"));
	assert_status(ask(admin, "GET", "/healthz"), "200");
}

static void a_busy_address_is_named(void **state)
{
	CLEANUP(admin_stop) struct admin *first = start(&loopback);
	struct admin *second = NULL;
	struct config_address taken = loopback;
	const struct admin_params params = {.listen = &taken};
	struct err err;

	taken.port = admin_port(first);
	taken.text = "127.0.0.1:taken";
	assert_false(admin_start(&params, &second, &err));
	assert_err(err, ERR_IO);
	assert_non_null(strstr(err.msg, "admin: 127.0.0.1:taken: Address already in use"));
	assert_null(second);
}

static void a_unix_socket_serves_too(void **state)
{
	char dir[] = "/tmp/cf-admin-XXXXXX";
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct config_address address = {.text = "unix"};
	struct admin *admin;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	address.unix_path = sa.sun_path;
	admin = start(&address);
	assert_int_equal(admin_port(admin), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_status(talk(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		      "200");
	admin_stop(admin);
	unlink(sa.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health_is_ok_whatever_the_checks_say),
		cmocka_unit_test(readiness_names_each_check_and_why_it_does_not_pass),
		cmocka_unit_test(metrics_are_refreshed_and_in_prometheus_form),
		cmocka_unit_test(of_too_many_connections_the_oldest_ends),
		cmocka_unit_test(other_paths_and_methods_are_refused),
		cmocka_unit_test(pages_of_the_program_are_served_and_named),
		cmocka_unit_test(a_head_over_the_limit_is_refused_and_the_next_request_works),
		cmocka_unit_test(a_busy_address_is_named),
		cmocka_unit_test(a_unix_socket_serves_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
