/* wakes.c: see wakes.h. Nothing is left of it when none is set. */
#include "live/wakes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/alarm.h"

#define ROOM_LEAST 64

/* The process's, all zero while none is set. heap[1] is the next one; a wake at n is not later than those at 2n and 2n + 1. */
static struct {
    struct wake **heap;
    size_t count, room;
    struct alarm alarm;
    uint64_t alarm_at; /* the alarm rings then; 0: it is not set */
    void (*on_time)(struct wake *wake);
} wakes;

/* ---- the heap ---- */

static void put(struct wake *wake, size_t place)
{
    wakes.heap[place] = wake;
    wake->place = place;
}

static void move_up(struct wake *wake)
{
    size_t place = wake->place;

    for (; place > 1 && wake->at < wakes.heap[place / 2]->at; place /= 2)
        put(wakes.heap[place / 2], place);
    put(wake, place);
}

static size_t earlier_child(size_t place)
{
    size_t child = 2 * place;

    if (child < wakes.count && wakes.heap[child + 1]->at < wakes.heap[child]->at)
        child++;
    return child <= wakes.count ? child : 0;
}

static void move_down(struct wake *wake)
{
    size_t place = wake->place, child;

    while ((child = earlier_child(place)) && wakes.heap[child]->at < wake->at) {
        put(wakes.heap[child], place);
        place = child;
    }
    put(wake, place);
}

static int reserve(void)
{
    size_t room = wakes.room ? 2 * wakes.room : ROOM_LEAST;
    struct wake **heap;

    if (wakes.count + 1 < wakes.room)
        return 0;
    heap = realloc(wakes.heap, room * sizeof *heap);
    if (!heap) {
        errno = ENOMEM;
        return -1;
    }
    wakes.heap = heap;
    wakes.room = room;
    return 0;
}

/* ---- the alarm ---- */

/* It may ring too early, when what it was set for was stopped: then it is just set anew. */
static int set_alarm(void)
{
    uint64_t at = wakes.count > 0 ? wakes.heap[1]->at : 0, now;

    if (at == 0 || (wakes.alarm_at != 0 && wakes.alarm_at <= at))
        return 0;
    now = clock_ns();
    alarm_stop(&wakes.alarm);
    wakes.alarm_at = alarm_start(&wakes.alarm, at > now ? at - now : 0) == 0 ? at : 0;
    return wakes.alarm_at ? 0 : -1;
}

static void on_alarm(void *arg)
{
    void (*on_time)(struct wake * wake) = wakes.on_time;
    uint64_t now = clock_ns();
    struct wake *first;

    (void)arg;
    wakes.alarm_at = 0;
    while (wakes.count > 0 && (first = wakes.heap[1])->at <= now) {
        wake_stop(first);
        on_time(first);
    }
    set_alarm(); /* fails when memory has run out; the next one that is set tries again */
}

/* ---- what sessions call ---- */

static void begin(struct event_base *base, void (*on_time)(struct wake *wake))
{
    wakes.on_time = on_time;
    alarm_init(&wakes.alarm, base, on_alarm, NULL);
}

static void end(void)
{
    alarm_stop(&wakes.alarm);
    free(wakes.heap);
    memset(&wakes, 0, sizeof wakes);
}

int wake_start(struct wake *wake, uint64_t ns, struct event_base *base,
               void (*on_time)(struct wake *wake))
{
    wake_stop(wake);
    if (reserve() == -1)
        return -1;
    if (wakes.count == 0)
        begin(base, on_time);
    wake->at = clock_ns() + ns;
    put(wake, ++wakes.count);
    move_up(wake);
    if (set_alarm() == 0)
        return 0;
    wake_stop(wake);
    return -1;
}

void wake_stop(struct wake *wake)
{
    struct wake *last;

    if (!wake_is_set(wake))
        return;
    last = wakes.heap[wakes.count--];
    if (last != wake) {
        put(last, wake->place);
        move_up(last);
        move_down(last);
    }
    wake->place = 0;
    if (wakes.count == 0)
        end();
}
