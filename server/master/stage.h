/* stage.h: a private, whole copy of a module. The operator's own file, which a compiler may
 * overwrite at any moment, is never loaded. Runs in the preflight child: a slow disk must not stop
 * the master, nor a file that was made to break whoever reads it. */
#ifndef MASTER_STAGE_H
#define MASTER_STAGE_H

#include <stdint.h>

#include "master/elf.h"

#define STAGE_SHA256_MAX 65 /* 64 hexadecimal digits, and the NUL */

/* All texts are "" where nothing is known. */
struct stage_result {
    char problem[1024]; /* one sentence, "" when the copy is whole */
    char build_id[ELF_BUILD_ID_MAX];
    char sha256[STAGE_SHA256_MAX];
    char warnings[ELF_WARNINGS_MAX]; /* sentences, each ended by \n */
    uint64_t size;                   /* bytes */
};

/* Copies `from` to `to`, whose folder is made (mode 0700) and which must not be there yet; or, when
 * that begins with "/proc/", into the file that is open there. Returns 0, or -1 with
 * result->problem set and nothing left behind. */
int stage_copy(const char *from, const char *to, struct stage_result *result);

#endif
