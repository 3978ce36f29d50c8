/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/devbroker/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/clock.h"

enum { ARGUMENTS_MAX = 4, SPEC_BYTES_MAX = 320 };

struct fault_args {
	const char *text[ARGUMENTS_MAX];
	int count;
};

typedef bool (*fault_parse_fn)(struct sl_db_faults *faults, const struct fault_args *args);

static bool number(const char *text, double min, double max, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == 0 && *out >= min && *out <= max;
}

static bool whole(const char *text, int64_t min, int64_t max, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == 0 && *out >= min && *out <= max;
}

static bool milliseconds(const char *text, uint64_t *ns)
{
	int64_t ms;

	if (!whole(text, 1, INT32_MAX, &ms))
		return false;
	*ns = (uint64_t)ms * SL_NS_PER_MS;
	return true;
}

static bool parse_delay(struct sl_db_faults *f, const struct fault_args *a)
{
	f->delay_probability = 1;
	return milliseconds(a->text[0], &f->delay_ns) &&
	       (a->count < 2 || number(a->text[1], 0, 1, &f->delay_probability));
}

static bool parse_error(struct sl_db_faults *f, const struct fault_args *a)
{
	struct sl_db_fault_error *e = &f->errors[f->error_count];
	int64_t code;

	if (f->error_count == SL_DB_FAULT_ERRORS_MAX)
		return false;
	e->left = -1;
	if (!whole(a->text[0], -1, INT16_MAX, &code) || code == 0 ||
	    !number(a->text[1], 0, 1, &e->probability) ||
	    (a->count > 2 && !whole(a->text[2], 0, INT64_MAX, &e->left)))
		return false;
	e->code = (int16_t)code;
	f->error_count++;
	return true;
}

static bool parse_close(struct sl_db_faults *f, const struct fault_args *a)
{
	return number(a->text[0], 0, 1, &f->close_probability);
}

static bool parse_close_after(struct sl_db_faults *f, const struct fault_args *a)
{
	return number(a->text[0], 0, 1, &f->close_after_append_probability);
}

static bool parse_garbage(struct sl_db_faults *f, const struct fault_args *a)
{
	return number(a->text[0], 0, 1, &f->garbage_probability);
}

static bool parse_lie(struct sl_db_faults *f, const struct fault_args *a)
{
	static const char *const names[SL_DB_LIE_COUNT] = {"lose", "double", "swap"};
	uint32_t i;

	for (i = 0; i < SL_DB_LIE_COUNT; i++) {
		if (strcmp(a->text[0], names[i]) != 0)
			continue;
		f->lies[i].left = -1;
		return number(a->text[1], 0, 1, &f->lies[i].probability) &&
		       (a->count < 3 || whole(a->text[2], 0, INT64_MAX, &f->lies[i].left));
	}
	return false;
}

static bool parse_slow(struct sl_db_faults *f, const struct fault_args *a)
{
	int64_t bytes;

	if (!whole(a->text[0], 1, INT64_C(1) << 40, &bytes))
		return false;
	f->slow_bytes_per_s = (uint64_t)bytes;
	return true;
}

static bool parse_leader_move(struct sl_db_faults *f, const struct fault_args *a)
{
	return milliseconds(a->text[0], &f->leader_move_every_ns);
}

static bool parse_stall(struct sl_db_faults *f, const struct fault_args *a)
{
	return milliseconds(a->text[0], &f->stall_ns) &&
	       milliseconds(a->text[1], &f->stall_every_ns);
}

static bool parse_no_leader(struct sl_db_faults *f, const struct fault_args *a)
{
	struct sl_db_fault_no_leader *n = &f->no_leaders[f->no_leader_count];
	int64_t partition;

	if (f->no_leader_count == SL_DB_FAULT_NO_LEADER_MAX ||
	    strlen(a->text[0]) >= sizeof(n->topic) ||
	    !whole(a->text[1], 0, INT32_MAX, &partition) || !milliseconds(a->text[2], &n->until_ns))
		return false;
	memcpy(n->topic, a->text[0], strlen(a->text[0]) + 1);
	n->partition = (int32_t)partition;
	f->no_leader_count++;
	return true;
}

static bool parse_throttle(struct sl_db_faults *f, const struct fault_args *a)
{
	int64_t ms;

	if (!whole(a->text[0], 1, INT32_MAX, &ms))
		return false;
	f->throttle_ms = (uint32_t)ms;
	return true;
}

static bool parse_versions(struct sl_db_faults *f, const struct fault_args *a)
{
	static const char *const names[SL_DB_RELEASE_NEWEST] = {"2.1", "2.4", "2.8", "3.7", "4.0"};
	uint32_t i;

	for (i = 0; i < SL_ARRAY_COUNT(names); i++)
		if (strcmp(a->text[0], names[i]) == 0) {
			f->release = (enum sl_db_release)i;
			return true;
		}
	return false;
}

static bool parse_forget(struct sl_db_faults *f, const struct fault_args *a)
{
	return milliseconds(a->text[0], &f->forget_producers_every_ns);
}

static const struct {
	const char *name;
	int args_min, args_max;
	fault_parse_fn parse;
} fault_rows[] = {
	{"delay", 1, 2, parse_delay},
	{"error", 2, 3, parse_error},
	{"close", 1, 1, parse_close},
	{"close-after-append", 1, 1, parse_close_after},
	{"garbage", 1, 1, parse_garbage},
	{"lie", 2, 3, parse_lie},
	{"slow", 1, 1, parse_slow},
	{"leader-move", 1, 1, parse_leader_move},
	{"stall", 2, 2, parse_stall},
	{"no-leader", 3, 3, parse_no_leader},
	{"throttle", 1, 1, parse_throttle},
	{"versions", 1, 1, parse_versions},
	{"forget-producers", 1, 1, parse_forget},
};

const char *sl_db_fault_help(void)
{
	return "  delay:MS[:PROB]             a Produce request waits MS before it is served\n"
	       "  error:CODE:PROB[:COUNT]     a partition of a Produce request is answered CODE, "
	       "COUNT\n"
	       "                              times at most; 7 and 20 append first, as brokers do\n"
	       "  close:PROB                  the connection closes instead of serving Produce\n"
	       "  close-after-append:PROB     ... after appending: the response is lost\n"
	       "  garbage:PROB                a response is cut, oversized, random or of another "
	       "request\n"
	       "  lie:KIND:PROB[:COUNT]       a batch is acknowledged, but: lose it, double it, "
	       "or\n"
	       "                              swap it with the partition's next one\n"
	       "  slow:BYTES_PER_S            each connection is read no faster\n"
	       "  leader-move:EVERY_MS        one partition's leader moves to the next broker\n"
	       "  stall:MS:EVERY_MS           everything stands still for MS\n"
	       "  no-leader:TOPIC:PART:MS     the partition has no leader for the first MS\n"
	       "  throttle:MS                 Produce is answered with a throttle time, and muted\n"
	       "  versions:2.1|2.4|2.8|3.7|4.0  offers that release's API versions only\n"
	       "  forget-producers:EVERY_MS   all producer ids are forgotten\n";
}

void sl_db_faults_init(struct sl_db_faults *faults, uint64_t seed)
{
	*faults = (struct sl_db_faults){
		.random_state = seed ? seed : 1,
		.release = SL_DB_RELEASE_NEWEST,
	};
}

/* Cuts text at its colons. Returns the count of parts, -1 when there are too many. */
static int cut(char *text, const char *parts[ARGUMENTS_MAX + 1])
{
	int count = 0;

	for (;;) {
		if (count > ARGUMENTS_MAX)
			return -1;
		parts[count++] = text;
		text = strchr(text, ':');
		if (!text)
			return count;
		*text++ = 0;
	}
}

int sl_db_fault_parse(struct sl_db_faults *faults, const char *spec, struct sl_error *err)
{
	char text[SPEC_BYTES_MAX];
	const char *parts[ARGUMENTS_MAX + 1];
	struct fault_args args;
	uint32_t i;

	if (strlen(spec) >= sizeof(text))
		return sl_error_set(err, -EINVAL, "fault is too long");
	memcpy(text, spec, strlen(spec) + 1);
	args.count = cut(text, parts) - 1;
	if (args.count < 0)
		return sl_error_set(err, -EINVAL, "fault '%s': too many parts", spec);
	memcpy(args.text, parts + 1, sizeof(args.text[0]) * (size_t)args.count);
	for (i = 0; i < SL_ARRAY_COUNT(fault_rows); i++) {
		if (strcmp(fault_rows[i].name, text) != 0)
			continue;
		if (args.count < fault_rows[i].args_min || args.count > fault_rows[i].args_max ||
		    !fault_rows[i].parse(faults, &args))
			return sl_error_set(err, -EINVAL, "fault '%s': see --help for its form",
					    spec);
		return 0;
	}
	return sl_error_set(err, -EINVAL, "fault '%s' is not known: see --help", spec);
}

bool sl_db_fault_strikes(struct sl_db_faults *faults, double probability)
{
	if (probability <= 0)
		return false;
	return (double)(sl_random_next(&faults->random_state) >> 11) * 0x1p-53 < probability;
}

int16_t sl_db_fault_error(struct sl_db_faults *faults)
{
	uint32_t i;

	for (i = 0; i < faults->error_count; i++) {
		struct sl_db_fault_error *e = &faults->errors[i];

		if (e->left == 0 || !sl_db_fault_strikes(faults, e->probability))
			continue;
		if (e->left > 0)
			e->left--;
		return e->code;
	}
	return 0;
}

bool sl_db_fault_no_leader(const struct sl_db_faults *faults, struct sl_slice topic,
			   int32_t partition, uint64_t since_start_ns)
{
	uint32_t i;

	for (i = 0; i < faults->no_leader_count; i++) {
		const struct sl_db_fault_no_leader *n = &faults->no_leaders[i];

		if (n->partition == partition && since_start_ns < n->until_ns &&
		    sl_slice_equal(sl_slice_of(n->topic), topic))
			return true;
	}
	return false;
}
