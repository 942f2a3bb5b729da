/* alarm.c: see alarm.h. */
#include "runtime/alarm.h"

#include <errno.h>
#include <event2/event.h>

#include "base/clock.h"

static int add(struct alarm *alarm, uint64_t ns)
{
    const struct timeval after = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                                  .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000)};

    return event_add(&alarm->timer, &after);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct alarm *alarm = arg;
    uint64_t now = clock_ns();

    (void)fd, (void)what;
    if (now < alarm->end && add(alarm, alarm->end - now + 1000) == 0)
        return;
    alarm->on_time(alarm->arg);
}

void alarm_init(struct alarm *alarm, struct event_base *base, void (*on_time)(void *arg), void *arg)
{
    alarm->on_time = on_time;
    alarm->arg = arg;
    event_assign(&alarm->timer, base, -1, 0, on_timer, alarm);
}

int alarm_start(struct alarm *alarm, uint64_t ns)
{
    alarm->end = clock_ns() + ns;
    if (add(alarm, ns) == 0)
        return 0;
    errno = ENOMEM;
    return -1;
}

void alarm_stop(struct alarm *alarm)
{
    event_del(&alarm->timer);
}
