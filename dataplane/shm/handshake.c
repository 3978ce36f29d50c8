/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/shm/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/base/assert.h"

struct message_kind {
	const char *name;
	uint16_t bytes;
	uint8_t fds;
	uint8_t from; /* enum sl_hs_side */
};

#define KIND(type) [(type)-SL_HS_HELLO]

static const struct message_kind kinds[] = {
	KIND(SL_HS_HELLO) = {"HELLO", sizeof(struct sl_hs_hello), 0, SL_HS_FROM_APP},
	KIND(SL_HS_WELCOME) = {"WELCOME", sizeof(struct sl_hs_welcome), 0, SL_HS_FROM_AGENT},
	KIND(SL_HS_REFUSE) = {"REFUSE", sizeof(struct sl_hs_refuse), 0, SL_HS_FROM_AGENT},
	KIND(SL_HS_OPEN) = {"OPEN", sizeof(struct sl_hs_open), 1, SL_HS_FROM_APP},
	KIND(SL_HS_OPENED) = {"OPENED", sizeof(struct sl_hs_opened), 2, SL_HS_FROM_AGENT},
	KIND(SL_HS_REATTACH) = {"REATTACH", sizeof(struct sl_hs_open), 2, SL_HS_FROM_APP},
	KIND(SL_HS_TOPIC) = {"TOPIC", sizeof(struct sl_hs_topic), 0, SL_HS_FROM_APP},
	KIND(SL_HS_TOPIC_OK) = {"TOPIC_OK", sizeof(struct sl_hs_topic_ok), 0, SL_HS_FROM_AGENT},
	KIND(SL_HS_TOPIC_REFUSED) = {"TOPIC_REFUSED", sizeof(struct sl_hs_refuse), 0,
				     SL_HS_FROM_AGENT},
	KIND(SL_HS_WAKE) = {"WAKE", sizeof(struct sl_hs_ring), 1, SL_HS_FROM_APP},
	KIND(SL_HS_WAKE_OK) = {"WAKE_OK", sizeof(struct sl_hs_ring), 0, SL_HS_FROM_AGENT},
	KIND(SL_HS_STATUS) = {"STATUS", sizeof(struct sl_hs_status), 0, SL_HS_FROM_APP},
	KIND(SL_HS_STATUS_REPLY) = {"STATUS_REPLY", sizeof(struct sl_hs_status), 1,
				    SL_HS_FROM_AGENT},
	KIND(SL_HS_CLOSE) = {"CLOSE", sizeof(struct sl_hs_ring), 0, SL_HS_FROM_APP},
	KIND(SL_HS_CLOSED) = {"CLOSED", sizeof(struct sl_hs_ring), 0, SL_HS_FROM_AGENT},
};
static_assert(SL_ARRAY_COUNT(kinds) == SL_HS_TYPE_END - SL_HS_HELLO, "a row for each type");

static const struct message_kind *kind_find(uint32_t type)
{
	return type >= SL_HS_HELLO && type < SL_HS_TYPE_END ? &kinds[type - SL_HS_HELLO] : NULL;
}

uint32_t sl_handshake_bytes(uint32_t type)
{
	const struct message_kind *kind = kind_find(type);

	return kind ? kind->bytes : 0;
}

uint32_t sl_handshake_fds(uint32_t type)
{
	const struct message_kind *kind = kind_find(type);

	return kind ? kind->fds : 0;
}

const char *sl_handshake_name(uint32_t type)
{
	const struct message_kind *kind = kind_find(type);

	return kind ? kind->name : "?";
}

const char *sl_refuse_name(uint32_t code)
{
	static const char *const names[SL_REFUSE_COUNT] = {
		[SL_REFUSE_NONE] = "none",
		[SL_REFUSE_VERSION] = "no version in common",
		[SL_REFUSE_MALFORMED] = "malformed message",
		[SL_REFUSE_ACCESS] = "not allowed",
		[SL_REFUSE_LIMIT] = "over a limit",
		[SL_REFUSE_SEGMENT] = "unfit segment",
		[SL_REFUSE_UNKNOWN] = "unknown segment",
		[SL_REFUSE_STOPPING] = "agent is stopping",
		[SL_REFUSE_BUSY] = "agent is busy",
		[SL_REFUSE_TOPIC] = "no such topic",
		[SL_REFUSE_INTERNAL] = "internal error",
	};

	return code < SL_REFUSE_COUNT ? names[code] : "unknown reason";
}

void sl_handshake_init(union sl_hs_message *msg, enum sl_hs_type type)
{
	const struct message_kind *kind = kind_find(type);

	SL_ASSERT(kind);
	memset(msg, 0, sizeof(*msg));
	msg->head.type = type;
	msg->head.version = SL_HS_PROTO;
	msg->head.bytes = kind->bytes;
}

void sl_handshake_refuse(union sl_hs_message *msg, enum sl_hs_type type, enum sl_refuse code,
			 uint32_t slot, const char *text)
{
	SL_ASSERT(type == SL_HS_REFUSE || type == SL_HS_TOPIC_REFUSED);
	sl_handshake_init(msg, type);
	msg->refuse.code = code;
	msg->refuse.slot = slot;
	snprintf(msg->refuse.text, sizeof(msg->refuse.text), "%s", text);
}

bool sl_topic_name_ok(const char *name)
{
	static const char legal[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t chars = strnlen(name, SL_HS_TOPIC_CHARS_MAX + 1);

	if (chars == 0 || chars > SL_HS_TOPIC_CHARS_MAX || strspn(name, legal) != chars)
		return false;
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A text field: NUL-terminated, zero behind it, printable (it ends up in logs and on terminals). */
static bool text_ok(const char *text, size_t bytes)
{
	size_t chars = strnlen(text, bytes);
	size_t i;

	if (chars == bytes)
		return false;
	for (i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (i < chars ? c < 0x20 || c == 0x7f : c != 0)
			return false;
	}
	return true;
}

static bool zero_ok(const void *field, size_t bytes)
{
	const uint8_t *p = field;
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i < bytes; i++)
		sum |= p[i];
	return sum == 0;
}

#define REFUSE_UNLESS(condition)                                                                   \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return sl_error_set(err, -EPROTO, "%s refused: not %s",                    \
					    sl_handshake_name(msg->head.type), #condition);        \
	} while (0)

static int hello_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_hello *hello = &msg->hello;

	REFUSE_UNLESS(hello->proto_min > 0 && hello->proto_min <= hello->proto_max);
	REFUSE_UNLESS(hello->layout_min > 0 && hello->layout_min <= hello->layout_max);
	REFUSE_UNLESS(hello->flags == 0);
	REFUSE_UNLESS(text_ok(hello->name, sizeof(hello->name)));
	REFUSE_UNLESS(!zero_ok(hello->client_id, sizeof(hello->client_id)));
	return 0;
}

static int welcome_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_welcome *welcome = &msg->welcome;

	REFUSE_UNLESS(welcome->proto > 0 && welcome->layout > 0);
	REFUSE_UNLESS((welcome->flags & ~(uint32_t)SL_HS_WELCOME_FENCE) == 0);
	REFUSE_UNLESS(welcome->rings_max >= 1 && welcome->rings_max <= SL_SHM_RINGS_MAX);
	REFUSE_UNLESS(welcome->ring_bytes_max >= SL_RING_BYTES_MIN);
	REFUSE_UNLESS(welcome->ring_bytes_max <= SL_RING_BYTES_MAX);
	REFUSE_UNLESS(welcome->report_slots_max >= SL_REPORT_SLOTS_MIN_ABI);
	REFUSE_UNLESS(welcome->report_slots_max <= SL_REPORT_SLOTS_MAX);
	REFUSE_UNLESS(welcome->record_bytes_max > SL_RECORD_HEADER_BYTES);
	REFUSE_UNLESS(welcome->topics_max >= 1 && welcome->topics_max <= SL_SHM_TOPICS_MAX);
	REFUSE_UNLESS(welcome->zero == 0);
	return 0;
}

static int refuse_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_refuse *refuse = &msg->refuse;

	REFUSE_UNLESS(refuse->code > SL_REFUSE_NONE);
	REFUSE_UNLESS(refuse->slot < SL_SHM_TOPICS_MAX);
	REFUSE_UNLESS(msg->head.type == SL_HS_TOPIC_REFUSED || refuse->slot == 0);
	REFUSE_UNLESS(text_ok(refuse->text, sizeof(refuse->text)));
	return 0;
}

static bool power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static bool modes_ok(const struct sl_hs_open *open)
{
	uint32_t i;

	for (i = 0; i < SL_SHM_RINGS_MAX; i++) {
		uint8_t mode = open->report_mode[i];

		if (i < open->ring_count ? mode < SL_REPORT_ALL || mode > SL_REPORT_NONE
					 : mode != 0)
			return false;
	}
	return true;
}

static int open_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_open *open = &msg->open;
	bool again = msg->head.type == SL_HS_REATTACH;

	REFUSE_UNLESS(power_of_two(open->ring_bytes));
	REFUSE_UNLESS(open->ring_bytes >= SL_RING_BYTES_MIN &&
		      open->ring_bytes <= SL_RING_BYTES_MAX);
	REFUSE_UNLESS(open->ring_count >= 1 && open->ring_count <= SL_SHM_RINGS_MAX);
	REFUSE_UNLESS(power_of_two(open->report_slots));
	REFUSE_UNLESS(open->report_slots >= SL_REPORT_SLOTS_MIN_ABI);
	REFUSE_UNLESS(open->report_slots <= SL_REPORT_SLOTS_MAX);
	REFUSE_UNLESS(modes_ok(open));
	REFUSE_UNLESS(again || open->segment_id == 0);
	REFUSE_UNLESS(again || zero_ok(open->token, sizeof(open->token)));
	REFUSE_UNLESS(!zero_ok(open->client_id, sizeof(open->client_id)));
	REFUSE_UNLESS(open->flags == 0 && open->zero == 0);
	return 0;
}

static int opened_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_opened *opened = &msg->opened;

	REFUSE_UNLESS(opened->ring_count >= 1 && opened->ring_count <= SL_SHM_RINGS_MAX);
	REFUSE_UNLESS((opened->flags & ~(uint32_t)SL_HS_OPENED_AGAIN) == 0);
	REFUSE_UNLESS(opened->zero == 0);
	return 0;
}

static int topic_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_topic *topic = &msg->topic;

	REFUSE_UNLESS(topic->slot < SL_SHM_TOPICS_MAX);
	REFUSE_UNLESS(topic->zero == 0);
	REFUSE_UNLESS(text_ok(topic->name, sizeof(topic->name)));
	REFUSE_UNLESS(sl_topic_name_ok(topic->name));
	return 0;
}

static int topic_ok_check(const union sl_hs_message *msg, struct sl_error *err)
{
	REFUSE_UNLESS(msg->topic_ok.slot < SL_SHM_TOPICS_MAX);
	REFUSE_UNLESS(msg->topic_ok.partitions >= -1);
	return 0;
}

static int ring_check(const union sl_hs_message *msg, struct sl_error *err)
{
	bool names_ring = msg->head.type == SL_HS_WAKE || msg->head.type == SL_HS_WAKE_OK;

	REFUSE_UNLESS(msg->ring.ring < (names_ring ? SL_SHM_RINGS_MAX : 1));
	REFUSE_UNLESS(msg->ring.zero == 0);
	return 0;
}

static int status_check(const union sl_hs_message *msg, struct sl_error *err)
{
	const struct sl_hs_status *status = &msg->status;

	REFUSE_UNLESS(status->format == SL_STATUS_JSON);
	REFUSE_UNLESS(status->zero == 0);
	REFUSE_UNLESS(msg->head.type == SL_HS_STATUS_REPLY || status->text_bytes == 0);
	return 0;
}

static int body_check(const union sl_hs_message *msg, struct sl_error *err)
{
	switch ((enum sl_hs_type)msg->head.type) {
	case SL_HS_HELLO:
		return hello_check(msg, err);
	case SL_HS_WELCOME:
		return welcome_check(msg, err);
	case SL_HS_REFUSE:
	case SL_HS_TOPIC_REFUSED:
		return refuse_check(msg, err);
	case SL_HS_OPEN:
	case SL_HS_REATTACH:
		return open_check(msg, err);
	case SL_HS_OPENED:
		return opened_check(msg, err);
	case SL_HS_TOPIC:
		return topic_check(msg, err);
	case SL_HS_TOPIC_OK:
		return topic_ok_check(msg, err);
	case SL_HS_WAKE:
	case SL_HS_WAKE_OK:
	case SL_HS_CLOSE:
	case SL_HS_CLOSED:
		return ring_check(msg, err);
	case SL_HS_STATUS:
	case SL_HS_STATUS_REPLY:
		return status_check(msg, err);
	case SL_HS_TYPE_END:
		break;
	}
	SL_ASSERT(false); /* kind_find() was asked first */
	return -EPROTO;
}

int sl_handshake_check(const void *buf, size_t bytes, uint32_t fd_count, enum sl_hs_side from,
		       struct sl_error *err)
{
	const struct message_kind *kind;
	union sl_hs_message msg;

	if (bytes < sizeof(msg.head) || bytes > sizeof(msg))
		return sl_error_set(err, -EPROTO, "message of %zu bytes", bytes);
	memset(&msg, 0, sizeof(msg));
	memcpy(&msg, buf, bytes);
	kind = kind_find(msg.head.type);
	if (!kind)
		return sl_error_set(err, -EPROTO, "message of unknown type 0x%08x", msg.head.type);
	if (kind->from != from)
		return sl_error_set(err, -EPROTO, "%s is not for that side to say", kind->name);
	if (bytes != kind->bytes || msg.head.bytes != kind->bytes)
		return sl_error_set(err, -EPROTO, "%s of %zu bytes, not %u", kind->name, bytes,
				    kind->bytes);
	/* HELLO names the versions it speaks in its body, which stays readable in all of them. */
	if (msg.head.version != SL_HS_PROTO && msg.head.type != SL_HS_HELLO)
		return sl_error_set(err, -EPROTO, "%s of protocol %u, not %d", kind->name,
				    msg.head.version, SL_HS_PROTO);
	if (fd_count != kind->fds)
		return sl_error_set(err, -EPROTO, "%s with %u descriptors, not %u", kind->name,
				    fd_count, kind->fds);
	return body_check(&msg, err);
}
