/* stage.h: a private, whole copy of a module. The operator's own file, which a compiler may
 * overwrite at any moment, is never loaded. Runs in the preflight child: a slow disk must not stop
 * the master. */
#ifndef MASTER_STAGE_H
#define MASTER_STAGE_H

#include "master/elf.h"

struct stage_result {
    char problem[512]; /* one sentence, "" when the copy is whole */
    char build_id[ELF_BUILD_ID_MAX];
};

/* Copies `from` to `to`, whose folder is made (mode 0700) and which must not be there yet. Returns
 * 0, or -1 with result->problem set and nothing left behind. */
int stage_copy(const char *from, const char *to, struct stage_result *result);

#endif
