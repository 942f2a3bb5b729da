/* test_app_holders.c: what an old generation is held by: counted by what it waits in and where,
 * shown, and gone. */
#include "app/holders.h"

#include <dlfcn.h>
#include <link.h>

#include "app_case.h"

#define CLIENTS 40

static struct {
    struct app_case app;
    struct generation *old;
    int clients[CLIENTS];
    int client_count;
    bool is_over;
} c;

/* Places, each a call of its own that is not its function's last deed. */
#define PLACE(name)                               \
    static __attribute__((noipa)) int name(void)  \
    {                                             \
        volatile int result = reeve_sleep(0.001); \
                                                  \
        return c.is_over ? -1 : result;           \
    }
PLACE(nap)
PLACE(doze)
/* clang-format off */
#define TWELVE(act) act(0) act(1) act(2) act(3) act(4) act(5) act(6) act(7) act(8) act(9) act(10) act(11)
#define DEFINE(n) PLACE(place##n)
#define LIST(n) place##n,
TWELVE(DEFINE)
static int (*const places[])(void) = {TWELVE(LIST)};
/* clang-format on */

/* Its last deed: a jump, which leaves no trace of where it came from. */
static __attribute__((noipa, optimize("O2"))) int jump(void)
{
    return reeve_sleep(0.001);
}

static int app(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ);
    char byte;

    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    if (strcmp(path, "/nap") == 0)
        while (nap() == 0)
            ;
    else if (strcmp(path, "/doze") == 0)
        while (doze() == 0)
            ;
    else if (strcmp(path, "/read") == 0)
        return reeve_read(environ, &byte, 1) == 1 ? 0 : -1;
    else if (strcmp(path, "/jump") == 0)
        while (!c.is_over)
            jump();
    else
        while (!c.is_over)
            places[atoi(path + 1)]();
    return 0;
}

static void ask(const char *path)
{
    char text[128];
    int length = snprintf(
        text, sizeof text,
        "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", path);

    app_case_connect(&c.app);
    app_case_send(&c.app, text, (size_t)length);
    c.clients[c.client_count++] = c.app.client;
    c.app.client = -1;
}

/* Until they all wait. */
static void settle(void)
{
    while (c.old->holds < (unsigned)c.client_count)
        event_base_loop(c.app.base, EVLOOP_ONCE);
}

static struct generation *successor(uint64_t number)
{
    struct generation *next = calloc(1, sizeof *next);

    next->app = &c.app.room.apps[0];
    next->number = number;
    next->descriptor = &c.app.descriptor;
    next->mapping = c.app.room.apps[0].live ? c.app.room.apps[0].live->mapping : c.old->mapping;
    next->is_prepared = true;
    LIST_INSERT_HEAD(&next->app->generations, next, entry);
    return next;
}

static size_t shown(struct holder rows[BOARD_HOLDERS])
{
    return board_read_holders(board_cell(c.app.board, 0, 0), rows);
}

static uint64_t base(void)
{
    Dl_info info;
    struct link_map *map;

    assert_true(dladdr1((void *)(uintptr_t)app, &info, (void **)&map, RTLD_DL_LINKMAP) != 0);
    return map->l_addr;
}

/* In the function, of which nothing is longer than this. */
static bool is_in(uint64_t site, const void *function)
{
    uint64_t start = (uint64_t)(uintptr_t)function - base();

    return site >= start && site < start + 4096;
}

static int setup(void **state)
{
    (void)state;
    memset(&c, 0, sizeof c);
    if (app_case_open(&c.app, app) == -1)
        return -1;
    c.old = c.app.generation;
    return 0;
}

static int teardown(void **state)
{
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    c.is_over = true;
    for (int i = 0; i < c.client_count; i++)
        close(c.clients[i]);
    while (c.app.room.net.conn_count > 0)
        event_base_loop(c.app.base, EVLOOP_ONCE);
    c.app.generation = c.app.room.apps[0].live;
    if (shown(rows) != 0)
        return -1; /* what has gone is not shown */
    app_case_close(&c.app);
    return 0;
}

static void the_live_generation_is_not_told(void **state)
{
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    ask("/nap");
    settle();
    holders_show_all(&c.app.room);
    assert_int_equal(shown(rows), 0);
}

static const struct holder *row_of(const struct holder *rows, size_t count, const void *function)
{
    for (size_t i = 0; i < count; i++)
        if (is_in(rows[i].site, function))
            return &rows[i];
    return NULL;
}

static void holders_are_counted_by_call_and_place_as_soon_as_it_is_old(void **state)
{
    struct holder rows[BOARD_HOLDERS];
    const struct holder *row;
    size_t count;
    unsigned reads = 0;

    (void)state;
    ask("/nap");
    ask("/nap");
    ask("/nap");
    ask("/doze");
    ask("/read");
    settle();
    generation_commit(successor(2), false, NULL, 0);
    count = shown(rows);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].generation, 1);
        assert_int_equal(rows[i].kind, HOLD_REQUEST);
        if (rows[i].waits_in == CALL_READ && rows[i].count == 1 && rows[i].site != 0)
            reads++;
    }
    assert_int_equal(reads, 1);
    row = row_of(rows, count, (const void *)(uintptr_t)nap);
    assert_non_null(row);
    assert_int_equal(row->waits_in, CALL_SLEEP);
}

static void what_the_last_deed_of_a_function_waits_for_is_placed_where_the_app_begins(void **state)
{
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    ask("/jump");
    settle();
    generation_commit(successor(2), false, NULL, 0);
    assert_int_equal(shown(rows), 1);
    assert_int_equal(rows[0].waits_in, CALL_SLEEP);
    assert_int_not_equal(rows[0].site, 0);
}

static void what_has_no_row_of_its_own_is_counted_together(void **state)
{
    struct holder rows[BOARD_HOLDERS];
    uint64_t sum = 0;
    size_t count;

    (void)state;
    for (int i = 0; i < 12; i++) {
        char path[16];

        snprintf(path, sizeof path, "/%d", i);
        ask(path);
    }
    settle();
    generation_commit(successor(2), false, NULL, 0);
    count = shown(rows);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++)
        sum += rows[i].count;
    assert_int_equal(sum, 12);
    assert_int_equal(rows[count - 1].kind, HOLD_OTHERS);
    assert_int_equal(rows[count - 1].site, 0);
}

/* Generations 2 to count + 2, of which the last is live: each old one held for two things. */
static void hold_many(struct generation **held, unsigned count)
{
    for (unsigned i = 0; i <= count; i++) {
        held[i] = successor(2 + i);
        generation_commit(held[i], false, NULL, 0);
        generation_hold(held[i], HOLD_REQUEST);
        generation_hold(held[i], HOLD_STATE);
    }
}

static void release_many(struct generation **held, unsigned count)
{
    for (unsigned i = 0; i <= count; i++) {
        generation_release(held[i], HOLD_STATE);
        generation_release(held[i], HOLD_REQUEST);
    }
}

static void each_old_generation_has_a_row_as_long_as_there_are_any(void **state)
{
    struct generation *held[21];
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    hold_many(held, 10);
    assert_int_equal(shown(rows), BOARD_HOLDERS);
    for (unsigned i = 0; i < BOARD_HOLDERS; i++)
        assert_int_equal(rows[i].count, i < 12 ? 1 : 2); /* four older ones have one row each */
    assert_int_equal(rows[0].generation, 11);
    assert_int_equal(rows[15].generation, 2);
    release_many(held, 10);
}

static void more_old_generations_than_rows(void **state)
{
    struct generation *held[21];
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    hold_many(held, 20);
    assert_int_equal(shown(rows), BOARD_HOLDERS);
    for (unsigned i = 0; i < BOARD_HOLDERS; i++) {
        assert_int_equal(rows[i].generation, 21 - i);
        assert_int_equal(rows[i].kind, HOLD_OTHERS);
        assert_int_equal(rows[i].count, 2);
    }
    release_many(held, 20);
}

static void one_that_is_kept_is_told_until_it_is_live_again(void **state)
{
    struct holder rows[BOARD_HOLDERS];

    (void)state;
    ask("/nap");
    settle();
    generation_commit(successor(2), true, NULL, 0);
    assert_int_equal(shown(rows), 1);
    assert_int_equal(rows[0].generation, 1);
    generation_commit(c.old, false, NULL, 0);
    assert_int_equal(shown(rows), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(the_live_generation_is_not_told),
        CASE(holders_are_counted_by_call_and_place_as_soon_as_it_is_old),
        CASE(what_the_last_deed_of_a_function_waits_for_is_placed_where_the_app_begins),
        CASE(what_has_no_row_of_its_own_is_counted_together),
        CASE(each_old_generation_has_a_row_as_long_as_there_are_any),
        CASE(more_old_generations_than_rows),
        CASE(one_that_is_kept_is_told_until_it_is_live_again),
#undef CASE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
