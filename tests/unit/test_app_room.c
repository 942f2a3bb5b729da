/* test_app_room.c: the master speaks of apps by their columns, the routes by their places in the
 * configuration; each app counts in its own column. */
#include "app/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/route.h"

static void an_app_is_known_by_its_column(void **state)
{
    char hello[] = "hello", echo[] = "echo", root[] = "/", below[] = "/echo", name[] = "main";
    struct config_app apps[] = {
        {.name = hello, .mount = root, .column = 5},
        {.name = echo, .mount = below, .column = 2},
    };
    struct config_listen listens[] = {{.name = name}};
    const struct config config = {
        .apps = apps, .app_count = 2, .listens = listens, .listen_count = 1};
    struct room room;
    int fd;
    struct board *board = board_create(2, 6, &fd);

    (void)state;
    memset(&room, 0, sizeof room);
    assert_non_null(board);
    assert_int_equal(room_open(&room, &config, board, 1), 0);
    assert_ptr_equal(room_app(&room, 5), &room.apps[0]);
    assert_ptr_equal(room_app(&room, 2), &room.apps[1]);
    assert_int_equal(room.apps[1].index, 2);
    assert_ptr_equal(room.apps[0].cell, board_cell(board, 1, 5));
    assert_ptr_equal(room.apps[1].cell, board_cell(board, 1, 2));
    assert_null(room_app(&room, 0));
    assert_null(room_app(&room, 1));
    assert_string_equal(room.apps[route_find(&room.routes[0], "/echo", 5)->app].config->name,
                        "echo");
    room_close(&room);
    board_detach(board);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_app_is_known_by_its_column),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
