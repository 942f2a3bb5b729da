/* pubsub_marks.c: see pubsub_marks.h. */
#include "live/pubsub_marks.h"

#include <stdlib.h>
#include <string.h>

struct mark {
    TAILQ_ENTRY(mark) entry;
    uint64_t number;
    uint64_t ends[];
};

void marks_open(struct marks *marks, unsigned ring_count)
{
    *marks = (struct marks){.ring_count = ring_count};
    TAILQ_INIT(&marks->pending);
}

static void forget(struct marks *marks)
{
    struct mark *mark = TAILQ_FIRST(&marks->pending);

    TAILQ_REMOVE(&marks->pending, mark, entry);
    free(mark);
}

void marks_close(struct marks *marks)
{
    while (!TAILQ_EMPTY(&marks->pending))
        forget(marks);
}

/* Of many that subscribe at once, each after the other, most see the same. */
uint64_t marks_set(struct marks *marks, const uint64_t *ends)
{
    size_t size = marks->ring_count * sizeof ends[0];
    struct mark *mark = TAILQ_LAST(&marks->pending, mark_list);

    if (mark && memcmp(mark->ends, ends, size) == 0)
        return mark->number;
    mark = malloc(sizeof *mark + size);
    if (!mark)
        return marks->last;
    mark->number = ++marks->last;
    memcpy(mark->ends, ends, size);
    TAILQ_INSERT_TAIL(&marks->pending, mark, entry);
    return mark->number;
}

uint64_t marks_before(const struct marks *marks, unsigned ring, uint64_t place)
{
    const struct mark *mark;

    TAILQ_FOREACH (mark, &marks->pending, entry)
        if (mark->ends[ring] >= place)
            return mark->number - 1;
    return marks->last;
}

static bool is_passed(const struct marks *marks, const struct mark *mark, const uint64_t *at)
{
    for (unsigned i = 0; i < marks->ring_count; i++)
        if (mark->ends[i] > at[i])
            return false;
    return true;
}

void marks_pass(struct marks *marks, const uint64_t *at)
{
    const struct mark *mark;

    while ((mark = TAILQ_FIRST(&marks->pending)) && is_passed(marks, mark, at))
        forget(marks);
}
