/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer, so that every build has a short bounded run of it:
 *
 *	TARGET [-n COUNT] [-s SEED] [SEED_FILE...]
 *
 * Each file is fed as it is, then each of its prefixes, and each with one byte replaced by a
 * telling one; then COUNT inputs that are mutations of the files or random bytes. The same seed
 * gives the same inputs. Inputs lie in memory of their exact size, for the sanitizers.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "tests/fuzz/fuzz.h"

enum { FILES_MAX = 64, INPUT_BYTES_MAX = 4096, MUTATIONS_MAX = 6 };

struct input {
	uint8_t at[INPUT_BYTES_MAX];
	size_t count;
};

struct driver {
	struct input files[FILES_MAX];
	uint32_t file_count;
	uint64_t random;
};

/* xorshift64*: good enough, and the same everywhere. */
static uint32_t random_below(struct driver *d, uint32_t bound)
{
	d->random ^= d->random >> 12;
	d->random ^= d->random << 25;
	d->random ^= d->random >> 27;
	return (uint32_t)((d->random * 0x2545f4914f6cdd1dULL) >> 33) % bound;
}

static void feed(const struct input *in)
{
	uint8_t *copy = malloc(in->count ? in->count : 1);

	SL_ASSERT(copy);
	memcpy(copy, in->at, in->count);
	LLVMFuzzerTestOneInput(copy, in->count);
	free(copy);
}

/* Zero, one, and the bytes at which lengths, signs and varints turn. */
static const uint8_t telling[] = {0x00, 0x01, 0x02, 0x7e, 0x7f, 0x80, 0x81, 0xff};

/* What a single mistake makes of a seed: cut anywhere, or one byte wrong anywhere. */
static unsigned long sweep(const struct input *seed)
{
	static struct input in;
	unsigned long fed = 0;
	size_t at, i;

	in = *seed;
	for (in.count = 0; in.count < seed->count; in.count++, fed++)
		feed(&in);
	for (at = 0; at < seed->count; at++) {
		for (i = 0; i < sizeof(telling); i++, fed++) {
			in.at[at] = telling[i];
			feed(&in);
		}
		in.at[at] = seed->at[at];
	}
	return fed;
}

static void insert(struct input *in, size_t at, uint8_t byte)
{
	if (in->count == INPUT_BYTES_MAX)
		return;
	memmove(in->at + at + 1, in->at + at, in->count - at);
	in->at[at] = byte;
	in->count++;
}

static void erase(struct input *in, size_t at)
{
	memmove(in->at + at, in->at + at + 1, in->count - at - 1);
	in->count--;
}

static void mutate(struct driver *d, struct input *in)
{
	uint8_t byte = telling[random_below(d, sizeof(telling))];
	size_t at = in->count ? random_below(d, (uint32_t)in->count) : 0;

	if (in->count == 0) {
		insert(in, 0, byte);
		return;
	}
	switch (random_below(d, 6)) {
	case 0:
		in->at[at] ^= (uint8_t)(1u << random_below(d, 8));
		break;
	case 1:
		in->at[at] = byte;
		break;
	case 2:
		in->at[at] = (uint8_t)random_below(d, 256);
		break;
	case 3:
		insert(in, at, byte);
		break;
	case 4:
		erase(in, at);
		break;
	default:
		in->count = random_below(d, 4) ? in->count : at;
		break;
	}
}

static void input_make(struct driver *d, struct input *in)
{
	uint32_t i, mutations = 1 + random_below(d, MUTATIONS_MAX);

	if (d->file_count > 0 && random_below(d, 8) != 0) {
		*in = d->files[random_below(d, d->file_count)];
		for (i = 0; i < mutations; i++)
			mutate(d, in);
		return;
	}
	in->count = random_below(d, 64);
	for (i = 0; i < in->count; i++)
		in->at[i] = (uint8_t)random_below(d, random_below(d, 2) ? 256 : 4);
}

static void file_load(struct driver *d, const char *path)
{
	struct input *in = &d->files[d->file_count];
	FILE *f = fopen(path, "rb");

	SL_ASSERT(f && d->file_count < FILES_MAX);
	in->count = fread(in->at, 1, sizeof(in->at), f);
	fclose(f);
	d->file_count++;
}

int main(int argc, char **argv)
{
	static struct driver d = {.random = 1};
	static struct input in;
	unsigned long i, count = 100000, seed = 1, fed = 0;
	int arg;

	for (arg = 1; arg < argc; arg++) {
		if (strcmp(argv[arg], "-n") == 0 && arg + 1 < argc)
			count = strtoul(argv[++arg], NULL, 10);
		else if (strcmp(argv[arg], "-s") == 0 && arg + 1 < argc)
			seed = strtoul(argv[++arg], NULL, 10);
		else
			file_load(&d, argv[arg]);
	}
	d.random = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (i = 0; i < d.file_count; i++)
		feed(&d.files[i]);
	for (i = 0; i < d.file_count; i++)
		fed += sweep(&d.files[i]);
	for (i = 0; i < count; i++) {
		input_make(&d, &in);
		feed(&in);
	}
	printf("%lu inputs, seed %lu\n", count + d.file_count + fed, seed);
	return 0;
}
