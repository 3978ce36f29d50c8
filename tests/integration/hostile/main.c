/* SPDX-License-Identifier: Apache-2.0 */
/* hostile SOCKET SCENARIO: plays one hostile application. hostile --list: their names. Exit 0: the
 * agent did as it should. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/shm/wake.h"
#include "tests/integration/hostile/peer.h"

static const struct scenario *const folders[] = {scenarios_handshake, scenarios_segment,
						 scenarios_ring, scenarios_flood};

int main(int argc, char **argv)
{
	const bool list = argc == 2 && strcmp(argv[1], "--list") == 0;

	if (!list && argc != 3)
		return 2;
	if (!list)
		peer_socket = argv[1];
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	sl_wake_register();
	for (uint32_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		for (const struct scenario *s = folders[i]; s->name; s++) {
			if (list)
				puts(s->name);
			else if (strcmp(s->name, argv[2]) == 0) {
				s->run();
				return 0;
			}
		}
	return list ? 0 : 2;
}
