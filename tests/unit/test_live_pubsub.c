/* test_live_pubsub.c: publish/subscribe in one worker, whose siblings are rings that the test writes:
 * what arrives, in which order, when; what is told of what was lost; who may come and go while it is
 * delivered. */
#include <reeve/async.h>
#include <reeve/pubsub.h>

#include "app/background.h"
#include "app_case.h"
#include "base/bell.h"
#include "base/ring.h"
#include "live/pubsub.h"
#include "live/session.h"

#define SLOTS 4
#define RING  RING_LEAST
#define GET   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* A worker of another slot. */
struct sibling {
    struct bells bells;
    struct ring_writer writer;
};

static struct app_case c;
static struct board *board;
static int board_fd;
static int *fds;
static struct sibling siblings[SLOTS];

/* What the subscribers note: assertions belong on the loop's stack. */
static char seen[1 << 16];
static unsigned calls;
static uint64_t missed;
static unsigned losses; /* how often something missed was told */

static reeve_module *module(void)
{
    return generation_module(c.generation);
}

static void note(const char *text)
{
    size_t length = strlen(seen);

    snprintf(seen + length, sizeof seen - length, "%s%s", length ? " " : "", text);
}

static void note_publication(const reeve_publication *publication)
{
    calls++;
    missed += publication->missed;
    losses += publication->missed > 0;
    if (publication->data && publication->size < 32)
        note(publication->data);
}

static void on_publication(reeve_subscription *subscription, const reeve_publication *publication,
                           void *arg)
{
    (void)subscription, (void)arg;
    note_publication(publication);
}

/* ---- the case ---- */

static int answer(reeve_environ *environ, reeve_start_response *start_response);

static int setup(void **state)
{
    (void)state;
    seen[0] = '\0';
    calls = losses = 0;
    missed = 0;
    if (app_case_open(&c, answer) == -1)
        return -1;
    board = board_create_with(SLOTS, 1, RING, &board_fd);
    fds = bells_make(SLOTS);
    if (!board || !fds)
        return -1;
    c.room.board = board;
    c.room.slot = board_slot(board, 0);
    c.room.bells = fds;
    return pubsub_open(&c.room);
}

static void close_siblings(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (siblings[i].writer.ring.head)
            bells_close(&siblings[i].bells);
    memset(siblings, 0, sizeof siblings);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    pubsub_close();
    close_siblings();
    bells_unmake(fds, SLOTS);
    board_detach(board);
    close(board_fd);
    return 0;
}

static void spin(void)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(c.base, EVLOOP_NONBLOCK);
}

static void publish(const char *channel, const char *text)
{
    assert_int_equal(reeve_publish(channel, text, strlen(text)), 0);
}

static struct sibling *sibling(unsigned slot)
{
    struct sibling *sibling = &siblings[slot];

    if (!sibling->writer.ring.head) {
        assert_int_equal(bells_open(&sibling->bells, board, fds, slot), 0);
        ring_writer_open(&sibling->writer, board_ring(board, slot));
    }
    return sibling;
}

static void publish_bytes(unsigned slot, const char *channel, const void *data, size_t size)
{
    struct sibling *from = sibling(slot);
    const struct ring_record record = {.channel = channel,
                                       .channel_length = strlen(channel),
                                       .payload = data,
                                       .payload_length = size,
                                       .hash = ring_hash(channel, strlen(channel))};

    assert_int_equal(ring_publish(&from->writer, &record), 0);
    bells_ring(&from->bells, record.hash, from->writer.published);
}

static void publish_from(unsigned slot, const char *channel, const char *text)
{
    publish_bytes(slot, channel, text, strlen(text));
}

/* Of another slot's ring, more than it holds. */
static void lap(unsigned slot, const char *channel)
{
    static const char bytes[1000];

    for (size_t written = 0; written < 2 * RING; written += sizeof bytes)
        publish_bytes(slot, channel, bytes, sizeof bytes);
}

static reeve_subscription *subscribe(const char *channel)
{
    reeve_subscription *subscription = reeve_subscribe(module(), channel, on_publication, NULL);

    assert_non_null(subscription);
    return subscription;
}

/* ---- what arrives ---- */

static void own_publications_arrive_soon_and_in_order(void **state)
{
    reeve_subscription *subscription = subscribe("a");

    (void)state;
    publish("a", "1");
    publish("b", "not");
    publish("a", "2");
    assert_int_equal(calls, 0); /* never within the call */
    spin();
    assert_string_equal(seen, "1 2");
    assert_int_equal(board_get(&c.room.slot->published), 3);
    assert_int_equal(board_get(&c.room.slot->delivered), 2);
    assert_int_equal(c.generation->held_for[HOLD_SUBSCRIPTION], 1);
    reeve_unsubscribe(subscription);
    publish("a", "3");
    spin();
    assert_int_equal(calls, 2);
}

static void those_of_others_arrive_by_the_bell(void **state)
{
    reeve_subscription *subscription;

    (void)state;
    sibling(1); /* 2 comes later */
    subscription = subscribe("a");
    publish_from(1, "a", "1");
    publish_from(1, "a", "2");
    publish_from(2, "a", "x");
    publish_from(2, "a", "y");
    spin();
    assert_string_equal(seen, "1 2 x y");
    publish_from(1, "a", "3");
    spin();
    assert_string_equal(seen, "1 2 x y 3");
    reeve_unsubscribe(subscription);
}

static void only_names_and_sizes_that_fit_are_taken(void **state)
{
    static char big[RING / 8], name[257];
    reeve_subscription *subscription = subscribe("a");

    (void)state;
    memset(name, 'n', 256);
    assert_int_equal(reeve_publish("", "", 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(reeve_publish(NULL, "", 0), -1);
    assert_int_equal(reeve_publish(name, "", 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_null(reeve_subscribe(module(), name, on_publication, NULL));
    assert_int_equal(errno, EINVAL);
    assert_null(reeve_subscribe(module(), "a", NULL, NULL));
    assert_int_equal(errno, EINVAL);
    name[255] = '\0';
    assert_int_equal(reeve_publish(name, NULL, 0), 0);
    assert_int_equal(reeve_publish("a", big, sizeof big), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(reeve_publish("a", big, sizeof big - 64), 0);
    spin();
    assert_int_equal(calls, 1);
    reeve_unsubscribe(subscription);
}

/* Before is before, whether others have subscribed already, and whatever waits to be read. */
static void what_was_published_before_does_not_arrive(void **state)
{
    reeve_subscription *early, *late, *later;

    (void)state;
    publish("a", "no");
    publish_from(1, "a", "no");
    early = subscribe("a");
    publish("a", "early");
    publish_from(1, "a", "early");
    late = subscribe("a");
    publish_from(1, "a", "both");
    publish_from(2, "a", "both");
    publish("a", "both");
    later = subscribe("b");
    publish("b", "b");
    spin();
    assert_int_equal(calls, 2 + 3 * 2 + 1);
    assert_null(strstr(seen, "no"));
    publish("a", "again");
    spin();
    assert_int_equal(calls, 9 + 2);
    reeve_unsubscribe(early);
    reeve_unsubscribe(late);
    reeve_unsubscribe(later);
}

static void nobody_is_woken_for_what_nobody_wants(void **state)
{
    reeve_subscription *first = subscribe("a"), *second = subscribe("a"), *other = subscribe("b");

    (void)state;
    reeve_unsubscribe(first);
    publish_from(1, "c", "c");
    assert_int_equal(atomic_load(&board_ring(board, 0).head->rung), 0);
    publish_from(1, "a", "a");
    assert_int_equal(atomic_load(&board_ring(board, 0).head->rung), 1);
    spin();
    assert_string_equal(seen, "a");
    reeve_unsubscribe(second);
    publish_from(1, "a", "a");
    assert_int_equal(atomic_load(&board_ring(board, 0).head->rung), 0);
    reeve_unsubscribe(other);
    assert_true(ring_filter_is_empty(&board_ring(board, 0).head->wanted));
}

/* Pages of slots that never had a worker stay unwritten and unread. */
static void the_board_stays_sparse(void **state)
{
    off_t at = (off_t)((uintptr_t)board_ring(board, 3).words - (uintptr_t)board);
    reeve_subscription *subscription = subscribe("a");

    (void)state;
    publish("a", "1");
    publish_from(1, "a", "2");
    spin();
    assert_int_equal(calls, 2);
    assert_int_equal(lseek(board_fd, at, SEEK_DATA), -1);
    assert_int_equal(errno, ENXIO);
    reeve_unsubscribe(subscription);
}

static void many_channels_have_their_own(void **state)
{
    static reeve_subscription *all[500];
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "room %u", i);
        all[i] = subscribe(name);
    }
    publish("room 7", "seven");
    publish("room 499", "last");
    publish("room 500", "none");
    spin();
    assert_string_equal(seen, "seven last");
    for (unsigned i = 0; i < 500; i++)
        if (i != 7)
            reeve_unsubscribe(all[i]);
    publish("room 8", "eight");
    publish("room 7", "again");
    spin();
    assert_string_equal(seen, "seven last again");
    reeve_unsubscribe(all[7]);
}

/* ---- coming and going meanwhile ---- */

static reeve_subscription *three[3];
static const char *stops; /* who is stopped by the first that is called, by their digits */

static void on_stopping(reeve_subscription *subscription, const reeve_publication *publication,
                        void *arg)
{
    (void)subscription;
    note(arg);
    note_publication(publication);
    for (; *stops; stops++) {
        reeve_unsubscribe(three[*stops - '0']);
        three[*stops - '0'] = NULL;
    }
}

static void any_may_be_stopped_while_it_is_delivered(void **state)
{
    static const char *const cases[][2] = {
        {"2", "2 x 1 x 0 x"}, {"1", "2 x 0 x"}, {"0", "2 x 1 x"}, {"10", "2 x"}, {"012", "2 x"}};
    static char names[3][2] = {"0", "1", "2"};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned k = 0; k < 3; k++)
            three[k] = reeve_subscribe(module(), "a", on_stopping, names[k]);
        stops = cases[i][0];
        seen[0] = '\0';
        publish("a", "x");
        spin();
        assert_string_equal(seen, cases[i][1]);
        for (unsigned k = 0; k < 3; k++)
            reeve_unsubscribe(three[k]);
        assert_int_equal(c.generation->holds, 0);
    }
}

static void on_recruiting(reeve_subscription *subscription, const reeve_publication *publication,
                          void *arg)
{
    (void)subscription, (void)arg;
    note_publication(publication);
    if (three[1])
        return;
    three[1] = subscribe("a");
    publish("a", "next");
}

static void who_comes_meanwhile_gets_the_next(void **state)
{
    (void)state;
    three[1] = NULL;
    three[0] = reeve_subscribe(module(), "a", on_recruiting, NULL);
    publish("a", "first");
    publish("a", "second");
    spin();
    /* "second" was published before it came */
    assert_string_equal(seen, "first second next next");
    reeve_unsubscribe(three[0]);
    reeve_unsubscribe(three[1]);
}

/* ---- whatever the order of events ---- */

#define CHANNELS  5
#define GUESTS    24
#define SAID_MOST 4096

static struct said { /* in one channel by one slot's worker: its publications' numbers */
    unsigned numbers[SAID_MOST], count;
} said[SLOTS][CHANNELS];
static unsigned said_count;

static struct guest {
    reeve_subscription *subscription;
    unsigned channel;
    unsigned next[SLOTS]; /* of `said`: what must come next of each slot */
} guests[GUESTS];

static unsigned wrong;
static uint32_t dice;
static bool is_quiet;

static unsigned roll(unsigned sides)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % sides;
}

static void say_something(void)
{
    unsigned slot = roll(SLOTS), channel = roll(CHANNELS);
    struct said *by = &said[slot][channel];
    unsigned words[24] = {slot, ++said_count};
    char name[] = {(char)('a' + channel), '\0'};

    assert_true(by->count < SAID_MOST);
    by->numbers[by->count++] = said_count;
    if (slot == 0)
        reeve_publish(name, words, 8 + 4 * roll(20));
    else
        publish_bytes(slot, name, words, 8 + 4 * roll(20));
}

static void do_something(void);

static void on_said(reeve_subscription *subscription, const reeve_publication *publication,
                    void *arg)
{
    struct guest *guest = arg;
    unsigned words[2] = {0, 0};
    const struct said *by;

    memcpy(words, publication->data, publication->size < 8 ? 0 : 8);
    by = &said[words[0]][guest->channel];
    calls++;
    wrong += guest->subscription != subscription || guest->next[words[0]] >= by->count ||
             by->numbers[guest->next[words[0]]++] != words[1];
    if (roll(8) == 0 && !is_quiet)
        do_something();
}

static void go(struct guest *guest)
{
    reeve_unsubscribe(guest->subscription);
    guest->subscription = NULL;
}

/* From here on it is to get everything, and nothing from before. */
static void come_or_go(void)
{
    struct guest *guest = &guests[roll(GUESTS)];
    char name[2] = "";

    if (guest->subscription) {
        go(guest);
        return;
    }
    guest->channel = roll(CHANNELS);
    name[0] = (char)('a' + guest->channel);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        guest->next[slot] = said[slot][guest->channel].count;
    guest->subscription = reeve_subscribe(module(), name, on_said, guest);
}

static void do_something(void)
{
    if (roll(3) > 0)
        say_something();
    else
        come_or_go();
}

static void everything_arrives_once_in_order_at_whoever_was_there(void **state)
{
    (void)state;
    dice = 1;
    for (unsigned step = 0; step < 5000; step++) {
        /* Now and then so much waits that it takes several rounds; or nobody is there at all. */
        for (unsigned n = roll(50) == 0 ? 200 : roll(8); n > 0; n--)
            do_something();
        for (struct guest *guest = guests; step % 500 == 499 && guest < guests + GUESTS; guest++)
            go(guest);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    }
    is_quiet = true;
    spin();
    assert_int_equal(wrong, 0);
    assert_true(calls > 20000);
    for (struct guest *guest = guests; guest < guests + GUESTS; guest++) {
        for (unsigned slot = 0; guest->subscription && slot < SLOTS; slot++)
            assert_int_equal(guest->next[slot], said[slot][guest->channel].count);
        go(guest);
    }
    assert_true(ring_filter_is_empty(&board_ring(board, 0).head->wanted));
}

/* ---- what is lost ---- */

static void who_falls_behind_is_told_and_goes_on(void **state)
{
    reeve_subscription *subscription = subscribe("a"), *other = subscribe("other");

    (void)state;
    publish_from(2, "a", "kept");
    lap(1, "a");
    spin();
    assert_int_equal(losses, 2); /* also whose channel it was not: nobody knows */
    assert_true(missed >= 2 * 2 * RING / 1100);
    assert_non_null(strstr(seen, "kept"));
    assert_int_equal(board_get(&c.room.slot->missed), missed / 2);
    publish_from(1, "a", "after");
    spin();
    assert_non_null(strstr(seen, "after"));
    assert_int_equal(losses, 2);
    reeve_unsubscribe(subscription);
    reeve_unsubscribe(other);
}

static void what_nobody_wants_is_not_missed(void **state)
{
    static const char bytes[1000];
    reeve_subscription *subscription = subscribe("a");

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(reeve_publish("b", bytes, sizeof bytes), 0);
    publish("a", "after");
    for (unsigned i = 0; i < 200; i++) {
        publish_bytes(1, "b", bytes, sizeof bytes);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    }
    publish_from(1, "a", "and after");
    spin();
    assert_string_equal(seen, "after and after");
    assert_int_equal(missed, 0);
    reeve_unsubscribe(subscription);
}

static void all_may_go_when_they_are_told_of_a_loss(void **state)
{
    static char names[3][2] = {"a", "b", "c"};

    (void)state;
    for (unsigned k = 0; k < 3; k++)
        three[k] = reeve_subscribe(module(), names[k], on_stopping, names[k]);
    stops = "012";
    lap(1, "a");
    spin();
    assert_int_equal(losses, 1);
    assert_int_equal(c.generation->holds, 0);
}

static void on_counted(reeve_subscription *subscription, const reeve_publication *publication,
                       void *arg)
{
    (void)subscription, (void)arg;
    calls++;
    if (*(const char *)publication->data == 'x')
        note("x");
}

static void a_flood_keeps_neither_the_loop_nor_the_others_waiting(void **state)
{
    reeve_subscription *subscription = reeve_subscribe(module(), "a", on_counted, NULL);
    unsigned before, most = 0;

    (void)state;
    for (unsigned i = 0; i < 1200; i++)
        publish_from(1, "a", ".");
    publish_from(2, "a", "x");
    while (calls < 1201) {
        before = calls;
        event_base_loop(c.base, EVLOOP_ONCE); /* looks for other events once */
        most = calls - before > most ? calls - before : most;
        assert_true(seen[0] || calls < 100);
    }
    assert_true(most < 300);
    reeve_unsubscribe(subscription);
}

static void to_tell_many_of_a_loss_is_a_round_of_its_own(void **state)
{
    static reeve_subscription *all[3000];

    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        all[i] = subscribe("a");
    lap(1, "a");
    lap(2, "a");
    while (calls == 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(calls, 3000);
    spin();
    assert_int_equal(calls, 2 * 3000);
    for (unsigned i = 0; i < 3000; i++)
        reeve_unsubscribe(all[i]);
}

/* ---- queues ---- */

static void (*script)(void);
static int results[32], result_count;
static reeve_subscription *queue;

static int answer(reeve_environ *environ, reeve_start_response *start_response)
{
    script();
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static void result(int value)
{
    if (result_count < (int)(sizeof results / sizeof results[0]))
        results[result_count++] = value == -1 ? -errno : value;
}

static void take_next(double seconds)
{
    reeve_publication publication;
    int n = reeve_subscription_next(queue, &publication, seconds);

    if (n == 0)
        note_publication(&publication);
    result(n);
}

static void run(void (*code)(void))
{
    script = code;
    result_count = 0;
    memset(results, 0, sizeof results);
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
}

/* The request has ended. */
static void run_through(void (*code)(void))
{
    run(code);
    while (board_get(&board_cell(c.board, 0, 0)->total.active) > 0 || c.length == 0)
        app_case_turn(&c);
    app_case_hang_up(&c);
    spin();
}

static void takes_three(void)
{
    queue = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);
    reeve_publish("a", "1", 1);
    reeve_publish("a", "2", 1);
    take_next(REEVE_FOREVER);
    take_next(0);
    take_next(0);
    take_next(0.001);
    reeve_publish("a", "3", 1);
    take_next(10);
    reeve_unsubscribe(queue);
    take_next(10);
}

static void a_queue_gives_one_after_the_other(void **state)
{
    (void)state;
    run_through(takes_three);
    assert_string_equal(seen, "1 2 3");
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    assert_int_equal(results[2], -ETIMEDOUT);
    assert_int_equal(results[3], -ETIMEDOUT);
    assert_int_equal(results[4], 0);
    assert_int_equal(results[5], -ECANCELED);
    assert_true(ring_filter_is_empty(&board_ring(board, 0).head->wanted));
}

static void is_slow(void)
{
    queue = reeve_subscription_new("a", 3, REEVE_SLOW_DROP_OLDEST);
    for (const char *text = "12345678"; *text; text++)
        reeve_publish("a", text, 1);
    reeve_sleep(0.001);
    take_next(0);
    result((int)missed);
    take_next(0);
    take_next(0);
    result((int)missed);
    take_next(0);
}

static void a_slow_one_loses_the_oldest_and_is_told(void **state)
{
    (void)state;
    run_through(is_slow);
    assert_string_equal(seen, "6 7 8");
    assert_int_equal(results[1], 5);
    assert_int_equal(results[4], 5);
    assert_int_equal(results[5], -ETIMEDOUT);
    assert_int_equal(board_get(&c.room.slot->missed), 5);
}

static void is_cut_off(void)
{
    queue = reeve_subscription_new("a", 2, REEVE_SLOW_CUT_OFF);
    for (const char *text = "1234"; *text; text++)
        reeve_publish("a", text, 1);
    reeve_sleep(0.001);
    for (int i = 0; i < 4; i++)
        take_next(10);
}

static void a_slow_one_is_cut_off_after_what_it_had(void **state)
{
    (void)state;
    run_through(is_cut_off);
    assert_string_equal(seen, "1 2");
    assert_int_equal(results[2], -ENOBUFS);
    assert_int_equal(results[3], -ENOBUFS);
}

static int take_in_a_task(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    take_next(10);
    return 0;
}

static void two_ask(void)
{
    reeve_future *task;

    queue = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);
    task = reeve_spawn(take_in_a_task, NULL);
    reeve_sleep(0.001);
    take_next(10);
    reeve_unsubscribe(queue);
    reeve_await(task, 10, NULL);
}

static void only_one_asks_and_learns_that_it_was_stopped(void **state)
{
    (void)state;
    run_through(two_ask);
    assert_int_equal(results[0], -EBUSY);
    assert_int_equal(results[1], -ECANCELED);
}

/* Between the wake-up of who waits, and its turn. */
static void on_stop_queue(reeve_subscription *subscription, const reeve_publication *publication,
                          void *arg)
{
    (void)subscription, (void)publication, (void)arg;
    reeve_unsubscribe(queue);
}

static void waits_for_ever(void)
{
    reeve_subscription *callback =
        reeve_subscribe(reeve_current_module(), "a", on_stop_queue, NULL);

    queue = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);
    reeve_publish("a", "1", 1);
    take_next(REEVE_FOREVER);
    reeve_unsubscribe(callback);
}

static void one_that_has_just_got_something_may_be_stopped(void **state)
{
    (void)state;
    run_through(waits_for_ever);
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(calls, 0);
}

static void waits_with_others(void)
{
    queue = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);
    take_next(REEVE_FOREVER);
    take_next(REEVE_FOREVER);
}

static void a_queue_is_told_of_a_loss_alone(void **state)
{
    (void)state;
    run(waits_with_others);
    while (ring_filter_is_empty(&board_ring(board, 0).head->wanted))
        app_case_turn(&c);
    sibling(1);
    lap(1, "a");
    spin();
    assert_int_equal(losses, 1);
    assert_true(missed > 100);
    assert_int_equal(result_count, 1);
    publish("a", "on");
    spin();
    assert_string_equal(seen, "on");
    assert_int_equal(losses, 1);
    app_case_hang_up(&c);
    spin();
}

static reeve_publication both[2];

static void asks_two(void)
{
    reeve_subscription *one = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF),
                       *two = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);

    reeve_publish("a", "shared", 6);
    result(reeve_subscription_next(one, &both[0], 10));
    result(reeve_subscription_next(two, &both[1], 10));
    result(both[0].data == both[1].data);
    result(strcmp(both[1].data, "shared"));
    result(strcmp(both[1].channel, "a"));
    queue = reeve_subscription_new("", 0, REEVE_SLOW_CUT_OFF);
    result(queue ? 0 : -1);
    queue = reeve_subscription_new("a", 0, (reeve_slow)7);
    result(queue ? 0 : -1);
}

static void subscribers_share_the_bytes(void **state)
{
    (void)state;
    run_through(asks_two);
    assert_int_equal(results[2], 1);
    assert_int_equal(results[3], 0);
    assert_int_equal(results[4], 0);
    assert_int_equal(results[5], -EINVAL);
    assert_int_equal(results[6], -EINVAL);
    assert_null(reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF));
    assert_int_equal(errno, EDEADLK);
}

/* ---- sessions ---- */

static struct session sessions[3];
static struct forward *forwards[3];
static const reeve_shared *shareds[3];
static int ends; /* whose session the first that is reached ends; -1: nobody's */

static void forward(struct session *session, struct forward *to, struct publication *publication)
{
    size_t size;
    const char *data = reeve_shared_data(publication->shared, &size);
    long which = session - sessions;
    char text[64];

    snprintf(text, sizeof text, "%ld:%.*s:%s:%d", which, (int)size, data, publication->channel,
             to->kind);
    note(text);
    forwards[which] = to;
    shareds[which] = publication->shared;
    if (ends >= 0)
        pubsub_drop_session(&sessions[ends]);
    ends = -1;
}

static void look_at_nothing(struct session *session)
{
    (void)session;
}

static const struct session_kind session_kind = {.look = look_at_nothing, .forward = forward};

static void open_sessions(void)
{
    ends = -1;
    memset(sessions, 0, sizeof sessions);
    for (int i = 0; i < 3; i++) {
        sessions[i].kind = &session_kind;
        assert_int_equal(pubsub_forward(&sessions[i], "a", i, REEVE_SLOW_CUT_OFF), 0);
    }
}

static void sessions_get_it_in_one_form(void **state)
{
    (void)state;
    open_sessions();
    assert_int_equal(pubsub_forward(&sessions[0], "a", 9, REEVE_SLOW_CUT_OFF), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(pubsub_forward(&sessions[0], "", 0, REEVE_SLOW_CUT_OFF), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(pubsub_forward(&sessions[0], "b", 5, REEVE_SLOW_DROP_OLDEST), 0);
    publish("a", "x");
    publish("b", "y");
    spin();
    assert_string_equal(seen, "2:x:a:2 1:x:a:1 0:x:a:0 0:y:b:5");
    assert_ptr_equal(shareds[1], shareds[2]);
    assert_int_equal(forwards[0]->slow, REEVE_SLOW_DROP_OLDEST);
    assert_int_equal(pubsub_unforward(&sessions[0], "a"), 0);
    assert_int_equal(pubsub_unforward(&sessions[0], "a"), -1);
    assert_int_equal(errno, ENOENT);
    for (int i = 0; i < 3; i++)
        pubsub_drop_session(&sessions[i]);
    assert_true(ring_filter_is_empty(&board_ring(board, 0).head->wanted));
}

static void sessions_may_end_meanwhile(void **state)
{
    static const char *const wants[] = {"2:x:a:2 1:x:a:1", "2:x:a:2 0:x:a:0",
                                        "2:x:a:2 1:x:a:1 0:x:a:0"};

    (void)state;
    for (int who = 0; who < 3; who++) {
        open_sessions();
        seen[0] = '\0';
        ends = who;
        publish("a", "x");
        spin();
        assert_string_equal(seen, wants[who]);
        for (int i = 0; i < 3; i++)
            pubsub_drop_session(&sessions[i]);
    }
}

/* ---- the build's end ---- */

static void fini(reeve_module *of)
{
    assert_null(reeve_subscribe(of, "a", on_publication, NULL));
    assert_int_equal(errno, ECANCELED);
    note("fini");
    reeve_unsubscribe(queue); /* that the end has stopped */
}

/* A generation beside the case's own, which is live. */
static struct generation *another(void)
{
    struct generation *generation = calloc(1, sizeof *generation);

    c.descriptor.fini = fini;
    generation->app = &c.room.apps[0];
    generation->number = 2;
    generation->descriptor = &c.descriptor;
    generation->is_prepared = true;
    LIST_INSERT_HEAD(&c.room.apps[0].generations, generation, entry);
    return generation;
}

static void the_builds_end_stops_its_subscriptions(void **state)
{
    struct generation *generation = another();

    (void)state;
    queue = reeve_subscribe(generation_module(generation), "a", on_publication, NULL);
    generation_hold(generation, HOLD_REQUEST);
    generation_retire(generation);
    publish("a", "still");
    spin();
    assert_string_equal(seen, "still");
    publish("a", "gone");
    generation_release(generation, HOLD_REQUEST);
    spin();
    assert_string_equal(seen, "still fini");
    c.descriptor.fini = NULL;
}

static struct generation *retired;

static void on_letting_go(reeve_subscription *subscription, const reeve_publication *publication,
                          void *arg)
{
    (void)publication;
    if (arg)
        reeve_unsubscribe(subscription);
    generation_release(retired, HOLD_REQUEST);
    note("returned");
}

/* ... and its code stays until that has returned. */
static void a_callback_may_let_go_of_the_last_that_held_its_build(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        seen[0] = '\0';
        retired = another();
        queue = reeve_subscribe(generation_module(retired), "a", on_letting_go, i ? seen : NULL);
        generation_hold(retired, HOLD_REQUEST);
        generation_retire(retired);
        if (i)
            queue = NULL; /* it stops itself */
        publish("a", "x");
        spin();
        assert_string_equal(seen, "returned fini");
    }
    c.descriptor.fini = NULL;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(own_publications_arrive_soon_and_in_order),
        TEST(those_of_others_arrive_by_the_bell),
        TEST(only_names_and_sizes_that_fit_are_taken),
        TEST(what_was_published_before_does_not_arrive),
        TEST(nobody_is_woken_for_what_nobody_wants),
        TEST(the_board_stays_sparse),
        TEST(many_channels_have_their_own),
        TEST(any_may_be_stopped_while_it_is_delivered),
        TEST(who_comes_meanwhile_gets_the_next),
        TEST(everything_arrives_once_in_order_at_whoever_was_there),
        TEST(who_falls_behind_is_told_and_goes_on),
        TEST(what_nobody_wants_is_not_missed),
        TEST(all_may_go_when_they_are_told_of_a_loss),
        TEST(a_flood_keeps_neither_the_loop_nor_the_others_waiting),
        TEST(to_tell_many_of_a_loss_is_a_round_of_its_own),
        TEST(a_queue_gives_one_after_the_other),
        TEST(a_slow_one_loses_the_oldest_and_is_told),
        TEST(a_slow_one_is_cut_off_after_what_it_had),
        TEST(only_one_asks_and_learns_that_it_was_stopped),
        TEST(one_that_has_just_got_something_may_be_stopped),
        TEST(a_queue_is_told_of_a_loss_alone),
        TEST(subscribers_share_the_bytes),
        TEST(sessions_get_it_in_one_form),
        TEST(sessions_may_end_meanwhile),
        TEST(the_builds_end_stops_its_subscriptions),
        TEST(a_callback_may_let_go_of_the_last_that_held_its_build),
    };

    return cmocka_run_group_tests_name("publish/subscribe", tests, NULL, NULL);
}
