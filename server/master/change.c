/* change.c: see change.h. */
#include "master/change.h"

#include <stdlib.h>

#include "base/log.h"
#include "master/history.h"
#include "master/master.h"
#include "master/sentence.h"

void change_keep(const struct change *change, struct master *master)
{
    char *error = NULL;

    if (master->home.folder == NULL)
        return; /* which the log knows from the start */
    if (history_keep(master->history, catalog_name(&master->catalog, change->app),
                     change->build->generation, change->build->path, &error) != 0)
        log_warnx("%s", sentence_or(error));
    free(error);
}

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
