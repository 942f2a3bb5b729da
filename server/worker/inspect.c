/* inspect.c: see inspect.h. */
#include "worker/inspect.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/member.h"
#include "app/place.h"
#include "app/request.h"
#include "app/task.h"
#include "base/clock.h"
#include "base/stacks.h"
#include "net/conn.h"
#include "runtime/coro.h"
#include "worker/link.h"

/* What a round of the loop is held up by at most, and then by one backtrace. */
#define SLICE      (1 * NS_PER_MS)
#define ASKED_MOST 16

/* Who waits for the same answer. */
struct questions {
    uint64_t numbers[ASKED_MOST];
    unsigned count;
};

struct inspect {
    struct room *room;
    struct link *link;
    struct event *next_slice;
    struct questions served, waiting; /* `served` has some exactly while it looks around */
    struct stacks_writer *writer;     /* NULL: it does not */
    struct coro_walk walk;
    uint64_t slice_end;
    unsigned seen;
    int error; /* errno: it cannot go on */
};

/* ---- one of them ---- */

static void describe_request(const struct reeve_environ *request, struct stacks_item *item,
                             char path[FLIGHT_PATH])
{
    const struct flight_row *flight = request->flight;
    const struct head *head = &request->head;
    bool has_query = request->room->config->record_queries && head->query.data;

    snprintf(path, FLIGHT_PATH, "%.*s%s%.*s", (int)head->path.length, head->path.data,
             has_query ? "?" : "", has_query ? (int)head->query.length : 0,
             has_query ? head->query.data : "");
    item->id = request->id;
    item->begun_at = conn_arrived_at(request->conn);
    item->method = head->method;
    item->kind = HOLD_REQUEST;
    if (flight && atomic_load_explicit(&flight->phase, memory_order_relaxed) == FLIGHT_WAITING)
        item->waits_since = atomic_load_explicit(&flight->phase_at, memory_order_relaxed);
}

/* Its name stands where a request has its path. */
static void describe_task(const struct task *task, struct stacks_item *item, char path[FLIGHT_PATH])
{
    const struct reeve_environ *request = task->strand.request;

    snprintf(path, FLIGHT_PATH, "%s", task->origin.name);
    item->kind = HOLD_TASK;
    item->id = request ? request->id : 0;
}

/* Without a way to see its calls, what was noted of the last one. */
static size_t take_site(const struct coro *coro, const struct generation *generation,
                        struct frame *frame)
{
    const reeve_app *app = generation->descriptor;
    const struct task *task = coro_arg(coro, task_run);
    const void *entry = (const void *)(uintptr_t)app->init;

    if (task)
        entry = (const void *)(uintptr_t)task->fn;
    else if (coro_arg(coro, call_run))
        entry = (const void *)(uintptr_t)app->application;
    *frame = (struct frame){.object = generation->path,
                            .offset = place_in(generation, coro_site(coro), entry)};
    return frame->offset != 0;
}

static int put(struct inspect *inspect, const struct coro *coro,
               const struct generation *generation, struct stacks_item *item)
{
    struct frame frames[STACKS_FRAMES];
    size_t depth, count = coro_frames(coro, frames, STACKS_FRAMES, &depth);

    if (count == 0)
        count = depth = take_site(coro, generation, frames);
    item->app = generation->app->index;
    item->generation = generation->number;
    item->call = coro_call(coro);
    return stacks_put(inspect->writer, item, frames, count, depth);
}

/* Whose code it runs, and what it is; NULL: it is none of an application. */
static const struct generation *describe(const struct coro *coro, struct stacks_item *item,
                                         char path[FLIGHT_PATH])
{
    const struct reeve_environ *request = coro_arg(coro, call_run);
    const struct task *task = coro_arg(coro, task_run);
    const struct duty *duty = coro_arg(coro, duty_run);

    item->path = path;
    path[0] = '\0';
    if (request)
        describe_request(request, item, path);
    else if (task)
        describe_task(task, item, path);
    if (duty)
        item->kind = HOLD_CONNECTION;
    if (request)
        return request->generation;
    if (duty)
        return duty->member->generation;
    return task ? task->strand.generation : coro_arg(coro, generation_run_init);
}

/* False: enough for this round. */
static bool see(struct coro *coro, void *arg)
{
    struct inspect *inspect = arg;
    struct stacks_item item = {.kind = HOLD_INIT};
    char path[FLIGHT_PATH];
    const struct generation *generation = describe(coro, &item, path);

    if (!generation)
        return true;
    if (inspect->seen++ >= STACKS_MOST) {
        stacks_leave_out(inspect->writer);
        return true;
    }
    if (put(inspect, coro, generation, &item) == -1 && errno != ENOSPC)
        inspect->error = errno;
    return !inspect->error && clock_ns() < inspect->slice_end;
}

/* ---- all of them ---- */

/* The descriptor's last copy goes to the last one who asked. */
static void answer(struct inspect *inspect, int fd, const char *why_not)
{
    struct questions served = inspect->served;

    inspect->served.count = 0;
    for (unsigned i = 0; i < served.count; i++) {
        bool is_last = i + 1 == served.count;
        int copy = is_last || fd == -1 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);

        link_answer_stacks(inspect->link, served.numbers[i], copy,
                           fd == -1 ? why_not : "has no descriptor left");
    }
}

static void fail(struct inspect *inspect, int error)
{
    char why_not[160];

    snprintf(why_not, sizeof why_not, "cannot write them down: %s", strerror(error));
    stacks_writer_free(inspect->writer);
    inspect->writer = NULL;
    answer(inspect, -1, why_not);
}

static void go_on_soon(struct inspect *inspect)
{
    const struct timeval next_round = {0, 0};

    if (event_add(inspect->next_slice, &next_round) == -1)
        fail(inspect, ENOMEM);
}

/* With those who have asked meanwhile. */
static void begin(struct inspect *inspect)
{
    inspect->served = inspect->waiting;
    inspect->waiting.count = 0;
    inspect->seen = 0;
    inspect->error = 0;
    inspect->writer = stacks_writer_new();
    if (!inspect->writer) {
        fail(inspect, errno);
        return;
    }
    coro_walk_begin(&inspect->walk);
    go_on_soon(inspect);
}

static void end(struct inspect *inspect)
{
    int fd = stacks_writer_end(inspect->writer);

    inspect->writer = NULL;
    if (fd == -1)
        fail(inspect, errno);
    else
        answer(inspect, fd, NULL);
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
    struct inspect *inspect = arg;
    bool is_over;

    (void)fd, (void)what;
    inspect->slice_end = clock_ns() + SLICE;
    is_over = coro_walk_on(&inspect->walk, see, inspect);
    if (inspect->error)
        fail(inspect, inspect->error);
    else if (is_over)
        end(inspect);
    else
        go_on_soon(inspect);
    if (!inspect->writer && inspect->waiting.count > 0)
        begin(inspect);
}

void inspect_ask(struct inspect *inspect, uint64_t question)
{
    struct questions *waiting = &inspect->waiting;

    if (waiting->count == ASKED_MOST) {
        link_answer_stacks(inspect->link, question, -1, "is asked by too many at once");
        return;
    }
    waiting->numbers[waiting->count++] = question;
    if (!inspect->writer)
        begin(inspect);
}

struct inspect *inspect_new(struct room *room, struct link *link)
{
    struct inspect *inspect = calloc(1, sizeof *inspect);

    if (!inspect)
        return NULL;
    inspect->room = room;
    inspect->link = link;
    inspect->next_slice = event_new(room->net.base, -1, 0, on_slice, inspect);
    if (inspect->next_slice)
        return inspect;
    free(inspect);
    errno = ENOMEM;
    return NULL;
}

void inspect_free(struct inspect *inspect)
{
    if (!inspect)
        return;
    event_free(inspect->next_slice);
    stacks_writer_free(inspect->writer);
    free(inspect);
}
