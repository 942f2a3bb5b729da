/* Calls that are put off: their order, and that who puts itself off again and again lets the loop look
 * for new events now and then. */
#include "runtime/soon.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct event_base *base;
static struct soon first, second;
static char said[16];
static unsigned again;

static void say(void *arg)
{
    strcat(said, arg);
}

static void test_calls_come_in_order_and_once(void **state)
{
    (void)state;
    *said = '\0';
    soon_call(&first, say, (char[]){"a"});
    soon_call(&second, say, (char[]){"b"});
    soon_call(&first, say, (char[]){"x"});
    assert_string_equal(said, "");
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_string_equal(said, "ab");
    soon_call(&first, say, (char[]){"a"});
    soon_cancel(&first);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_string_equal(said, "ab");
}

static void go_on(void *arg)
{
    if (++again < 1000)
        soon_call(&first, go_on, arg);
}

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
    char byte;

    (void)what;
    assert_int_equal(read(fd, &byte, 1), 1);
    *(unsigned *)arg = again;
}

/* The byte is not known of when the calls begin. */
static void send_byte(void *arg)
{
    assert_int_equal(write(*(int *)arg, "x", 1), 1);
    go_on(NULL);
}

static void test_who_goes_on_and_on_is_not_alone(void **state)
{
    struct event *event;
    unsigned seen = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    event = event_new(base, ends[0], EV_READ, on_byte, &seen);
    assert_int_equal(event_add(event, NULL), 0);
    again = 0;
    soon_call(&second, send_byte, &ends[1]);
    while (again < 1000)
        event_base_loop(base, EVLOOP_ONCE);
    assert_in_range(seen, 1, 20);
    event_free(event);
    close(ends[0]);
    close(ends[1]);
}

static int open_loop(void **state)
{
    (void)state;
    base = event_base_new();
    return base ? soon_open(base) : -1;
}

static int close_loop(void **state)
{
    (void)state;
    soon_close();
    event_base_free(base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_come_in_order_and_once),
        cmocka_unit_test(test_who_goes_on_and_on_is_not_alone),
    };

    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
