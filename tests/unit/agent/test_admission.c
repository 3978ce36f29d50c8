/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: applications get what `allow:` and the quotas grant; one that stalls, lies or dies hurts itself only.
 * Method: the real listener, sockets, memfds and processes; the test plays the worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/control.h"
#include "agent/runtime_dir.h"
#include "dataplane/base/clock.h"

enum { RING_SLOTS = 256, NOTES_MAX = 128, RING_BYTES = 65536, SLOTS = 64 };

struct world {
	struct sl_config *config;
	struct sl_agent agent;
	struct sl_control *control;
	struct sl_runtime_dir dir;
	struct sl_msg_ring inbox, outbox;
	struct sl_msg notes[NOTES_MAX];
	uint32_t note_count;
	struct sl_worker_segment last; /* a copy of the last SEGMENT_ADD's object */
	void *objects[SL_SHM_TOPICS_MAX];
	bool full; /* the worker has no room for rings */
};

static char base[64];

static uint64_t now(void *ctx)
{
	return sl_clock_monotonic_ns();
}

static uint64_t number(void *ctx)
{
	return 4; /* nothing here depends on chance */
}

static void resolve_never(void *ctx, struct sl_resolve *request)
{
	free(request);
}

static void worker_hears(struct world *w, const struct sl_msg *msg)
{
	struct sl_msg back = {.a = msg->a};

	if (msg->kind <= SL_MSG_TOPIC_BIND) { /* of the cluster's side there is no end */
		assert_true(w->note_count < NOTES_MAX);
		w->notes[w->note_count++] = *msg;
	}
	if (msg->kind == SL_MSG_SEGMENT_ADD) {
		w->last = *(struct sl_worker_segment *)msg->object;
		w->objects[msg->a] = msg->object;
		back.kind = SL_MSG_SEGMENT_ADDED;
		back.b = !w->full;
	} else if (msg->kind == SL_MSG_SEGMENT_DRAIN && w->objects[msg->a]) {
		back.kind = SL_MSG_SEGMENT_GONE;
		back.object = w->objects[msg->a];
		w->objects[msg->a] = NULL;
	} else if (msg->kind == SL_MSG_SEGMENT_WAKE_FD) {
		close((int)msg->c);
	} else if (msg->kind == SL_MSG_CARRY) {
		((struct sl_carry *)msg->object)->error = -ENOTCONN;
		back.kind = SL_MSG_CARRIED;
		back.object = msg->object;
	} else if (msg->kind == SL_MSG_TOPIC_BIND || msg->kind == SL_MSG_BROKER_REMOVE) {
		back.kind = msg->kind == SL_MSG_TOPIC_BIND ? SL_MSG_TOPIC_BOUND : SL_MSG_BROKER_GONE;
	} else {
		sl_agent_msg_free(msg);
	}
	if (back.kind)
		assert_true(sl_msg_ring_push(&w->outbox, &back));
}

/* Some rounds of control thread and worker: enough for anything that needs no clock. */
static void pump(struct world *w)
{
	struct sl_msg msg;

	for (uint32_t i = 0; i < 8; i++) {
		sl_control_poll(w->control, 0);
		while (sl_msg_ring_pop(&w->inbox, &msg))
			worker_hears(w, &msg);
	}
}

static void pump_ms(struct world *w, uint64_t ms)
{
	uint64_t end_ns = sl_clock_monotonic_ns() + ms * SL_NS_PER_MS;

	while (sl_clock_monotonic_ns() < end_ns) {
		pump(w);
		usleep(1000);
	}
}

static uint32_t heard(const struct world *w, uint32_t kind)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w->note_count; i++)
		count += w->notes[i].kind == kind;
	return count;
}

static struct world *world_new(const char *yaml)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sl_config_source source = {
		.text = yaml, .text_bytes = strlen(yaml), .text_name = "test"};
	struct sl_config_report report = {0};
	struct sl_agent_options options = {.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
	struct sl_error err = {0};
	int rc = sl_config_load(&source, &w->config, &report);

	sl_config_report_print(stderr, &report);
	sl_config_report_fini(&report);
	assert_int_equal(rc, 0);
	options.config = w->config;
	options.env = (struct sl_env){.now_ns = now, .random = number};
	options.hooks = (struct sl_agent_hooks){.ctx = w, .resolve = resolve_never};
	assert_int_equal(sl_agent_init(&w->agent, &options, &err), 0);
	assert_int_equal(sl_runtime_dir_open(&w->dir, base, &err), 0);
	assert_int_equal(sl_control_create(&w->agent, w->dir.listen_fd, &w->control, &err), 0);
	sl_msg_ring_init(&w->inbox, RING_SLOTS);
	sl_msg_ring_init(&w->outbox, RING_SLOTS);
	sl_agent_worker_add(&w->agent, NULL, &w->inbox, &w->outbox);
	assert_int_equal(sl_admission_create(&w->agent, w->control, w->dir.listen_fd, &err), 0);
	return w;
}

static void world_free(struct world *w)
{
	struct sl_msg msg;

	pump(w);
	sl_admission_destroy(&w->agent);
	while (sl_msg_ring_pop(&w->outbox, &msg))
		if (msg.kind == SL_MSG_CARRIED)
			w->agent.refresh.in_flight = false;
		else
			free(msg.object);
	while (sl_msg_ring_pop(&w->inbox, &msg))
		sl_agent_msg_free(&msg);
	sl_control_destroy(w->control);
	sl_runtime_dir_close(&w->dir);
	close(w->agent.log.fd);
	sl_agent_fini(&w->agent);
	sl_config_free(w->config);
	sl_msg_ring_fini(&w->inbox);
	sl_msg_ring_fini(&w->outbox);
	free(w);
}

/* ---- an application ---- */

struct app {
	int sock, data_fd;
	struct sl_segment_geometry geometry;
	struct sl_segment_ident ident;
	union sl_hs_message reply;
	int fds[SL_HS_FDS_MAX];
	uint64_t segment_id;
	int status_fd; /* as OPENED brought it */
};

static int dial(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/agent.sock", base);
	assert_int_equal(connect(sock, (const struct sockaddr *)&to, sizeof(to)), 0);
	return sock;
}

static void fds_close(struct app *app)
{
	for (uint32_t i = 0; i < SL_HS_FDS_MAX; i++)
		if (app->fds[i] >= 0)
			close(app->fds[i]);
	app->fds[0] = app->fds[1] = -1;
}

/* The agent's next message's type, or a negative errno: -EPIPE when it ended the connection. */
static int reply(struct world *w, struct app *app)
{
	struct sl_error err = {0};
	int rc;

	pump(w);
	fds_close(app);
	rc = sl_handshake_recv(app->sock, SL_HS_FROM_AGENT, &app->reply, app->fds, &err);
	return rc < 0 ? rc : (int)app->reply.head.type;
}

static int ask(struct world *w, struct app *app, const union sl_hs_message *msg, const int *fds)
{
	struct sl_error err = {0};
	int rc = sl_handshake_send(app->sock, msg, fds, &err);

	return rc < 0 ? rc : reply(w, app);
}

static int hello(struct world *w, struct app *app)
{
	union sl_hs_message msg;

	sl_handshake_init(&msg, SL_HS_HELLO);
	msg.hello.proto_min = msg.hello.proto_max = SL_HS_PROTO;
	msg.hello.layout_min = msg.hello.layout_max = SL_SHM_LAYOUT;
	memcpy(msg.hello.client_id, app->ident.client_id, sizeof(msg.hello.client_id));
	memcpy(msg.hello.name, "test", 5);
	return ask(w, app, &msg, NULL);
}

static void app_begin(struct world *w, struct app *app)
{
	struct sl_error err = {0};

	memset(app, 0, sizeof(*app));
	app->fds[0] = app->fds[1] = app->status_fd = -1;
	app->geometry = (struct sl_segment_geometry){RING_BYTES, 2, SLOTS};
	memset(app->ident.client_id, 7, sizeof(app->ident.client_id));
	app->data_fd = sl_segment_data_create(&app->geometry, &app->ident, &err);
	assert_true(app->data_fd >= 0);
	app->sock = dial();
	assert_int_equal(hello(w, app), SL_HS_WELCOME);
}

static void open_message(const struct app *app, union sl_hs_message *msg)
{
	sl_handshake_init(msg, SL_HS_OPEN);
	msg->open.ring_bytes = app->geometry.ring_bytes;
	msg->open.ring_count = app->geometry.ring_count;
	msg->open.report_slots = app->geometry.report_slots;
	memcpy(msg->open.client_id, app->ident.client_id, sizeof(msg->open.client_id));
	for (uint32_t i = 0; i < app->geometry.ring_count && i < SL_SHM_RINGS_MAX; i++)
		msg->open.report_mode[i] = SL_REPORT_ALL;
}

static int app_open(struct world *w, struct app *app, int data_fd)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX] = {data_fd, -1};
	int type;

	open_message(app, &msg);
	type = ask(w, app, &msg, fds);
	if (type == SL_HS_OPENED) {
		app->segment_id = app->reply.opened.segment_id;
		memcpy(app->ident.token, app->reply.opened.token, sizeof(app->ident.token));
		app->status_fd = dup(app->fds[0]);
	}
	return type;
}

static int app_reattach(struct world *w, struct app *app)
{
	union sl_hs_message msg;
	int fds[SL_HS_FDS_MAX] = {app->data_fd, app->status_fd};

	open_message(app, &msg);
	msg.head.type = SL_HS_REATTACH;
	msg.open.segment_id = app->segment_id;
	memcpy(msg.open.token, app->ident.token, sizeof(msg.open.token));
	return ask(w, app, &msg, fds);
}

static void app_end(struct app *app)
{
	fds_close(app);
	close(app->sock);
	close(app->data_fd);
	if (app->status_fd >= 0)
		close(app->status_fd);
}

static int topic(struct world *w, struct app *app, uint32_t slot, const char *name)
{
	union sl_hs_message msg;

	sl_handshake_init(&msg, SL_HS_TOPIC);
	msg.topic.slot = slot;
	snprintf(msg.topic.name, sizeof(msg.topic.name), "%s", name);
	return ask(w, app, &msg, NULL);
}

static const char plain[] = "bootstrap.servers: [\"192.0.2.1:9092\"]\n";

static int setup(void **state)
{
	snprintf(base, sizeof(base), "%s/sl-admission-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
	assert_non_null(mkdtemp(base));
	chmod(base, 0755);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

/* ---- tests ---- */

static void test_open_and_close(void **state)
{
	struct world *w = world_new(plain);
	union sl_hs_message msg;
	struct app app;

	w->full = true;
	app_begin(w, &app);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_REFUSE);
	app_end(&app);
	w->full = false;
	w->note_count = 0;
	app_begin(w, &app);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
	assert_int_equal(app.reply.opened.ring_count, 2);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_ADD), 1);
	assert_true(w->last.mine[0] && w->last.mine[1]);
	assert_int_equal(w->agent.workers[0].ring_count, 2);
	assert_int_equal(topic(w, &app, 0, "t"), SL_HS_TOPIC_OK);
	assert_int_equal(app.reply.topic_ok.partitions, -1);
	/* The worker knows the topic before a slot means it. */
	assert_int_equal(w->notes[w->note_count - 2].kind, SL_MSG_TOPIC_ADD);
	assert_int_equal(w->notes[w->note_count - 1].kind, SL_MSG_TOPIC_BIND);
	assert_int_equal(topic(w, &app, 0, "other"), SL_HS_TOPIC_REFUSED);
	sl_handshake_init(&msg, SL_HS_CLOSE);
	assert_int_equal(ask(w, &app, &msg, NULL), SL_HS_CLOSED);
	assert_int_equal(w->agent.admission->mapped_bytes + w->agent.workers[0].ring_count, 0);
	app_end(&app);
	world_free(w);
}

static void test_stalled_handshake_ends(void **state)
{
	struct world *w =
		world_new("bootstrap.servers: [\"192.0.2.1:9092\"]\nhandshake.timeout.ms: 100\n");
	struct app silent = {.sock = dial(), .data_fd = -1, .fds = {-1, -1}, .status_fd = -1};
	struct app half;

	app_begin(w, &half);
	assert_int_equal(reply(w, &silent), -EAGAIN);
	pump_ms(w, 150);
	assert_int_equal(reply(w, &silent), -EPIPE);
	assert_int_equal(reply(w, &half), -EPIPE);
	assert_int_equal(w->agent.admission->clients_open, 0);
	app_end(&half);
	close(silent.sock);
	world_free(w);
}

static void test_nonsense_is_refused(void **state)
{
	static const uint8_t junk[][16] = {
		{0}, {0xff, 0xff}, {1, 0, 0x4c, 0x53, 1, 0, 104, 0}, {2, 0, 0x4c, 0x53}};
	struct world *w = world_new(plain);

	for (uint32_t i = 0; i < SL_ARRAY_COUNT(junk); i++)
		for (size_t bytes = 1; bytes <= sizeof(junk[i]); bytes += 5) {
			struct app app = {
				.sock = dial(), .data_fd = -1, .fds = {-1, -1}, .status_fd = -1};

			assert_true(send(app.sock, junk[i], bytes, 0) > 0);
			assert_int_equal(reply(w, &app), SL_HS_REFUSE);
			assert_int_equal(app.reply.refuse.code, SL_REFUSE_MALFORMED);
			assert_int_equal(reply(w, &app), -EPIPE);
			close(app.sock);
		}
	assert_int_equal(w->agent.admission->clients_open, 0);
	world_free(w);
}

static void test_order_of_messages(void **state)
{
	struct world *w = world_new(plain);
	struct app app;

	app_begin(w, &app);
	assert_int_equal(hello(w, &app), SL_HS_REFUSE);
	assert_int_equal(reply(w, &app), -EPIPE);
	app_end(&app);
	app_begin(w, &app);
	assert_int_equal(topic(w, &app, 0, "t"), SL_HS_REFUSE);
	app_end(&app);
	world_free(w);
}

static int memfd_of(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_wrong_descriptors(void **state)
{
	struct world *w = world_new(plain);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct app app;
	uint64_t bytes;
	int bad[6], pair[2];

	app_begin(w, &app);
	bytes = sl_segment_data_bytes(&app.geometry);
	app_end(&app);
	assert_int_equal(pipe(pair), 0);
	bad[0] = pair[0];
	bad[1] = memfd_of(bytes, 0);
	bad[2] = memfd_of(bytes - 4096, seals);
	bad[3] = memfd_of(bytes + 4096, seals);
	bad[4] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	bad[5] = memfd_of(bytes, F_SEAL_SHRINK);
	for (uint32_t i = 0; i < SL_ARRAY_COUNT(bad); i++) {
		app_begin(w, &app);
		assert_int_equal(app_open(w, &app, bad[i]), SL_HS_REFUSE);
		assert_int_equal(app.reply.refuse.code, SL_REFUSE_SEGMENT);
		app_end(&app);
		close(bad[i]);
	}
	close(pair[1]);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_ADD), 0);
	assert_int_equal(w->agent.admission->mapped_bytes, 0);
	assert_int_equal(w->agent.workers[0].ring_count, 0);
	world_free(w);
}

static void test_limits(void **state)
{
	struct world *w =
		world_new("bootstrap.servers: [\"192.0.2.1:9092\"]\n"
			  "segment.rings.max: 4\nring.bytes.max: 1MiB\nmax.request.size: 65536\n"
			  "ring.bytes: 1MiB\nquota.uid.bytes: 2MiB\nrings.bytes.total: 4MiB\n");
	static const struct sl_segment_geometry rows[] = {
		{65536, 5, 64},
		{2 << 20, 1, 64},
		{65536, 1, 1 << 19},
		{1 << 20, 2, 64},
	};
	struct app app, second;

	for (uint32_t i = 0; i < SL_ARRAY_COUNT(rows); i++) {
		app_begin(w, &app);
		app.geometry = rows[i];
		assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_REFUSE);
		assert_int_equal(app.reply.refuse.code, SL_REFUSE_LIMIT);
		app_end(&app);
	}
	app_begin(w, &app);
	close(app.data_fd);
	app.geometry = (struct sl_segment_geometry){1 << 20, 1, 64};
	app.data_fd = sl_segment_data_create(&app.geometry, &app.ident, NULL);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
	app_begin(w, &second);
	close(second.data_fd);
	second.geometry = app.geometry;
	second.data_fd = sl_segment_data_create(&second.geometry, &second.ident, NULL);
	assert_int_equal(app_open(w, &second, second.data_fd), SL_HS_REFUSE);
	assert_int_equal(second.reply.refuse.code, SL_REFUSE_LIMIT);
	app_end(&second);
	assert_int_equal(w->agent.admission->mapped_bytes, sl_segment_bytes(&app.geometry));
	app_end(&app);
	pump(w);
	assert_int_equal(w->agent.admission->mapped_bytes, 0);
	world_free(w);
}

static void test_allow(void **state)
{
	char yaml[256];
	struct world *w;
	struct app app;

	snprintf(yaml, sizeof(yaml),
		 "bootstrap.servers: [\"192.0.2.1:9092\"]\nallow:\n  \"user:%u\": [\"ok.*\"]\n",
		 getuid());
	w = world_new(yaml);
	app_begin(w, &app);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
	assert_int_equal(topic(w, &app, 0, "ok.this"), SL_HS_TOPIC_OK);
	assert_int_equal(topic(w, &app, 1, "secret"), SL_HS_TOPIC_REFUSED);
	assert_int_equal(app.reply.refuse.code, SL_REFUSE_ACCESS);
	assert_int_equal(app.reply.refuse.slot, 1);
	/* A topic that was refused is not asked for in our name. */
	assert_int_equal(w->agent.topics.count, 1);
	app_end(&app);
	world_free(w);
}

static void test_foreign_user(void **state)
{
	struct world *w;
	int status = 0;
	pid_t child;

	if (geteuid() != 0)
		skip();
	w = world_new(plain);
	child = fork();
	if (child == 0) {
		uint8_t buffer[256];
		int sock;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		sock = dial();
		fcntl(sock, F_SETFL, 0);
		if (recv(sock, buffer, sizeof(buffer), 0) != (ssize_t)sizeof(struct sl_hs_refuse))
			_exit(3);
		_exit(((struct sl_hs_refuse *)(void *)buffer)->code == SL_REFUSE_ACCESS ? 0 : 4);
	}
	pump_ms(w, 100);
	while (waitpid(child, &status, WNOHANG) == 0)
		pump_ms(w, 10);
	assert_int_equal(status, 0);
	assert_int_equal(w->agent.admission->clients_open, 0);
	world_free(w);
}

static void test_wake(void **state)
{
	struct world *w = world_new(plain);
	int stream[2], pair[2], *rows[] = {NULL, stream, pair};
	struct app app;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	for (uint32_t i = 0; i < 3; i++) {
		int fds[SL_HS_FDS_MAX] = {-1, -1};
		union sl_hs_message msg;

		app_begin(w, &app);
		assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
		fds[0] = rows[i] ? rows[i][0] : app.data_fd;
		sl_handshake_init(&msg, SL_HS_WAKE);
		msg.ring.ring = 1;
		assert_int_equal(ask(w, &app, &msg, fds), i == 2 ? SL_HS_WAKE_OK : SL_HS_REFUSE);
		assert_int_equal(heard(w, SL_MSG_SEGMENT_WAKE_FD), i == 2);
		app_end(&app);
		pump(w);
	}
	close(stream[0]);
	close(stream[1]);
	close(pair[0]);
	close(pair[1]);
	world_free(w);
}

static void child_recv(struct app *app, union sl_hs_message *msg)
{
	struct pollfd ready = {.fd = app->sock, .events = POLLIN};

	if (poll(&ready, 1, 5000) != 1 ||
	    sl_handshake_recv(app->sock, SL_HS_FROM_AGENT, msg, app->fds, NULL) < 0)
		_exit(9);
}

/* A process that opens a segment and then waits; it hangs up on SIGUSR1 and lives on. */
static pid_t process_open(struct world *w)
{
	struct sl_segment_geometry geometry = {RING_BYTES, 2, SLOTS};
	uint32_t before = heard(w, SL_MSG_SEGMENT_ADD);
	pid_t child = fork();

	if (child == 0) {
		struct app app = {.sock = dial(), .fds = {-1, -1}, .geometry = geometry};
		union sl_hs_message msg;
		sigset_t set;
		int got;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		fcntl(app.sock, F_SETFL, 0);
		memset(app.ident.client_id, 9, sizeof(app.ident.client_id));
		app.data_fd = sl_segment_data_create(&geometry, &app.ident, NULL);
		sl_segment_alive_lock(app.data_fd, NULL);
		sl_handshake_init(&msg, SL_HS_HELLO);
		msg.hello.proto_min = msg.hello.proto_max = msg.hello.layout_min =
			msg.hello.layout_max = 1;
		memcpy(msg.hello.client_id, app.ident.client_id, sizeof(app.ident.client_id));
		sl_handshake_send(app.sock, &msg, NULL, NULL);
		child_recv(&app, &msg);
		open_message(&app, &msg);
		sl_handshake_send(app.sock, &msg, (int[]){app.data_fd, -1}, NULL);
		child_recv(&app, &msg);
		sigwait(&set, &got);
		close(app.sock);
		sigwait(&set, &got);
		_exit(0);
	}
	for (uint32_t i = 0; i < 1000 && heard(w, SL_MSG_SEGMENT_ADD) == before; i++)
		pump_ms(w, 5);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_ADD), before + 1);
	pump_ms(w, 20);
	return child;
}

static void test_death_drains(void **state)
{
	struct world *w = world_new(plain);
	pid_t child = process_open(w);

	assert_int_equal(w->agent.admission->segments[0].state, SL_SEGMENT_LIVE);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	pump_ms(w, 50);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_DRAIN), 1);
	assert_int_equal(w->notes[w->note_count - 1].b, 1);
	assert_int_equal(w->agent.admission->segments[0].state, SL_SEGMENT_FREE);
	assert_int_equal(w->agent.admission->clients_open, 0);
	world_free(w);
}

static void test_hang_up_is_not_death(void **state)
{
	struct world *w = world_new(plain);
	pid_t child = process_open(w);

	kill(child, SIGUSR1);
	pump_ms(w, 300);
	assert_int_equal(w->agent.admission->clients_open, 0);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_DRAIN), 0);
	assert_int_equal(w->agent.admission->segments[0].state, SL_SEGMENT_LIVE);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	pump_ms(w, 50);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_DRAIN), 1);
	world_free(w);
}

static void test_reattach_same_agent(void **state)
{
	struct world *w = world_new(plain);
	struct app app;

	app_begin(w, &app);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
	/* The old connection is still there: the new one takes its place. */
	int old = app.sock;
	app.sock = dial();
	assert_int_equal(hello(w, &app), SL_HS_WELCOME);
	assert_int_equal(app_reattach(w, &app), SL_HS_OPENED);
	assert_int_equal(app.reply.opened.flags, SL_HS_OPENED_AGAIN);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_ADD), 1);
	assert_int_equal(heard(w, SL_MSG_SEGMENT_DRAIN), 0);
	close(old);
	app_end(&app);
	world_free(w);
}

/* A record's header at pos of ring 0, as an application writes it. */
static void header_write(const struct app *app, uint64_t pos, uint8_t type, uint32_t length,
			 uint32_t seq)
{
	uint64_t bytes = sl_segment_data_bytes(&app->geometry);
	struct sl_record_header header = {
		.length = length, .type = type, .seq_lo = seq, .partition = -1};
	void *data = NULL;

	assert_int_equal(sl_segment_map(app->data_fd, bytes, true, &data, NULL), 0);
	memcpy(sl_segment_ring(data, &app->geometry, 0) + pos, &header, sizeof(header));
	atomic_store(&sl_segment_app_page(data, 0)->committed_pos, pos + sl_record_span(length));
	sl_segment_unmap(data, bytes);
}

static void status_write(struct world *w, uint64_t consumed, uint64_t settled)
{
	struct sl_agent_page *page =
		sl_segment_agent_page(w->agent.admission->segments[0].status, 0);

	atomic_store(&page->consumed_pos, consumed);
	atomic_store(&page->settled_count, settled);
}

static void test_reattach_to_a_later_agent(void **state)
{
	struct world *w = world_new(plain);
	struct app app;

	app_begin(w, &app);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_OPENED);
	status_write(w, 4096, (UINT64_C(1) << 32) + 3);
	header_write(&app, 4096, SL_RECORD_FLUSH, SL_RECORD_HEADER_BYTES, 0);
	header_write(&app, 4096 + 24, SL_RECORD_DATA, 40, 9);
	world_free(w);
	close(app.sock);

	w = world_new(plain);
	app.sock = dial();
	assert_int_equal(hello(w, &app), SL_HS_WELCOME);
	/* Somebody with a wrong token is a new client, and may go on as one. */
	app.ident.token[0] ^= 1;
	assert_int_equal(app_reattach(w, &app), SL_HS_REFUSE);
	assert_int_equal(app.reply.refuse.code, SL_REFUSE_UNKNOWN);
	assert_int_equal(w->agent.admission->mapped_bytes, 0);
	app.ident.token[0] ^= 1;
	assert_int_equal(app_reattach(w, &app), SL_HS_OPENED);
	assert_int_equal(app.reply.opened.flags, SL_HS_OPENED_AGAIN);
	assert_int_equal(app.reply.opened.segment_id, app.segment_id);
	assert_int_equal(w->last.start_pos[0], 4096);
	assert_int_equal(w->last.start_seq[0], (UINT64_C(1) << 32) + 9);
	assert_true(w->last.reset[0]);
	app_end(&app);
	world_free(w);
}

static void test_flood_is_bounded(void **state)
{
	struct world *w = world_new(plain);
	struct app loud, quiet;
	union sl_hs_message msg;
	uint32_t sent = 0;

	app_begin(w, &loud);
	app_begin(w, &quiet);
	assert_int_equal(app_open(w, &loud, loud.data_fd), SL_HS_OPENED);
	/* Never reads an answer: it is ended when they do not fit any more. */
	for (uint32_t i = 0; i < 2000; i++) {
		sl_handshake_init(&msg, SL_HS_TOPIC);
		msg.topic.slot = 0;
		memcpy(msg.topic.name, "t", 2);
		if (sl_handshake_send(loud.sock, &msg, NULL, NULL) == -EPIPE)
			break;
		sent++;
		pump(w);
	}
	assert_in_range(sent, 2, 1999);
	assert_int_equal(app_open(w, &quiet, quiet.data_fd), SL_HS_OPENED);
	app_end(&loud);
	app_end(&quiet);
	world_free(w);
}

static void test_stopping_refuses(void **state)
{
	struct world *w = world_new(plain);
	struct app app;

	app_begin(w, &app);
	sl_admission_stop(&w->agent);
	assert_int_equal(app_open(w, &app, app.data_fd), SL_HS_REFUSE);
	assert_int_equal(app.reply.refuse.code, SL_REFUSE_STOPPING);
	app_end(&app);
	world_free(w);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_open_and_close),
		ROW(test_stalled_handshake_ends),
		ROW(test_nonsense_is_refused),
		ROW(test_order_of_messages),
		ROW(test_wrong_descriptors),
		ROW(test_limits),
		ROW(test_allow),
		ROW(test_foreign_user),
		ROW(test_wake),
		ROW(test_death_drains),
		ROW(test_hang_up_is_not_death),
		ROW(test_reattach_same_agent),
		ROW(test_reattach_to_a_later_agent),
		ROW(test_flood_is_bounded),
		ROW(test_stopping_refuses),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
