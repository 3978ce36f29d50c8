/* SPDX-License-Identifier: Apache-2.0 */
/* Between the judge's files: adding up, and holding what was seen of a sender against its journal. */
#ifndef SLUICE_TOOL_JUDGE_VERDICT_H
#define SLUICE_TOOL_JUDGE_VERDICT_H

#include "tools/sluice/judge.h"

/* One more defect, at this place. */
void verdict_add(struct verdict *v, enum defect d, const struct place *at);

/* Into a sum that keeps the first place of each kind. */
void verdict_sum(struct verdict *into, const struct verdict *from);

/* After the last record: what is absent, and why. */
void verdict_complete(struct sender_state *s);

#endif
