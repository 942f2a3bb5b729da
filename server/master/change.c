/* change.c: see change.h. */
#include "master/change.h"

#include <stdlib.h>

void changes_free(struct change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(changes[i].module);
        free(changes[i].sha256);
        build_unref(changes[i].old);
        build_unref(changes[i].build); /* the last reference, unless it is live: removes the file */
    }
    free(changes);
}
