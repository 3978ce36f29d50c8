/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one agent a folder, modes as promised, a dead agent's socket is no obstacle, a living one's
 * is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtime_dir.h"

static char base[64];
static char path[128];

static int setup(void **state)
{
	snprintf(base, sizeof(base), "%s/sl-runtime-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/deep/run", base);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st.st_mode & 07777;
}

static int can_connect(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int rc;

	memcpy(to.sun_path, name, strlen(name) + 1);
	rc = connect(sock, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
	close(sock);
	return rc;
}

static void test_makes_everything(void **state)
{
	struct sl_runtime_dir dir;
	struct sl_error err = {0};

	umask(077);
	assert_int_equal(sl_runtime_dir_open(&dir, path, &err), 0);
	assert_int_equal(mode_of(dir.path), 0755);
	assert_int_equal(mode_of(dir.private_path), 0700);
	assert_int_equal(mode_of(dir.socket_path), 0666);
	assert_int_equal(can_connect(dir.socket_path), 0);
	sl_runtime_dir_close(&dir);
	assert_int_equal(access(dir.socket_path, F_OK), -1);
}

/* The socket of a dead agent is used on, unless its file is another one by now. */
static void test_goes_on_with_an_earlier_socket(void **state)
{
	struct sl_runtime_dir first, second;
	struct sl_keeper_listener listener, now;
	struct sl_error err = {0};
	int kept;

	assert_int_equal(sl_runtime_dir_open(&first, path, &err), 0);
	assert_int_equal(sl_runtime_dir_listener(&first, &listener), 0);
	kept = listener.fd = dup(listener.fd);
	close(first.listen_fd); /* it died: the file stays */
	close(first.lock_fd);
	assert_int_equal(sl_runtime_dir_take(&second, path, &err), 0);
	assert_int_equal(sl_runtime_dir_listen(&second, &listener, &err), 0);
	assert_int_equal(second.listen_fd, kept);
	assert_int_equal(can_connect(second.socket_path), 0);
	assert_int_equal(sl_runtime_dir_listener(&second, &now), 0);
	assert_true(now.ino == listener.ino && now.dev == listener.dev);

	listener.fd = dup(kept);
	listener.ino++;
	close(second.listen_fd);
	second.listen_fd = -1;
	assert_int_equal(sl_runtime_dir_listen(&second, &listener, &err), 0);
	assert_int_equal(can_connect(second.socket_path), 0);
	sl_runtime_dir_close(&second);
}

static void test_living_agent_is_respected(void **state)
{
	struct sl_runtime_dir first, second;
	struct sl_error err = {0};
	char pid[32];

	assert_int_equal(sl_runtime_dir_open(&first, path, &err), 0);
	assert_int_equal(sl_runtime_dir_open(&second, path, &err), -EADDRINUSE);
	snprintf(pid, sizeof(pid), "pid %d", getpid());
	assert_non_null(strstr(err.text, pid));
	assert_int_equal(can_connect(first.socket_path), 0);
	sl_runtime_dir_close(&second);
	assert_int_equal(can_connect(first.socket_path), 0);
	sl_runtime_dir_close(&first);
}

static void test_dead_agent_is_replaced(void **state)
{
	struct sl_runtime_dir dir;
	struct sl_error err = {0};
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(sl_runtime_dir_open(&dir, path, &err) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	snprintf(dir.path, sizeof(dir.path), "%s/agent.sock", path);
	assert_int_equal(can_connect(dir.path), -ECONNREFUSED);
	assert_int_equal(sl_runtime_dir_open(&dir, path, &err), 0);
	assert_int_equal(can_connect(dir.socket_path), 0);
	sl_runtime_dir_close(&dir);
}

static void test_refuses_what_is_not_its_own(void **state)
{
	struct sl_runtime_dir dir;
	struct sl_error err = {0};
	char file[160], longer[200];
	int fd;

	assert_int_equal(sl_runtime_dir_open(&dir, "relative", &err), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(sl_runtime_dir_open(&dir, longer, &err), -ENAMETOOLONG);
	assert_int_equal(sl_runtime_dir_open(&dir, path, &err), 0);
	sl_runtime_dir_close(&dir);
	snprintf(file, sizeof(file), "%s/agent.sock", path);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(sl_runtime_dir_open(&dir, path, &err), -EEXIST);
	assert_int_equal(access(file, F_OK), 0);
	if (geteuid() == 0) {
		unlink(file);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(sl_runtime_dir_open(&dir, path, &err), -EPERM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_makes_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on_with_an_earlier_socket, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_living_agent_is_respected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_agent_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_not_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
