/* test_base_buf.c: buffers grow without losing a byte, and the pool keeps what it should and no
 * more. */
#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/poison.h"

#define UNIT 64

static struct buf_pool pool;

static int setup(void **state)
{
    (void)state;
    buf_pool_init(&pool, UNIT, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_pool_fini(&pool);
    return 0;
}

static void a_fresh_buffer_is_empty_and_of_the_unit(void **state)
{
    struct buf *buf = buf_take(&pool);

    (void)state;
    assert_non_null(buf);
    assert_int_equal(buf_length(buf), 0);
    assert_int_equal(buf->size, UNIT);
    memset(buf->data, 'x', UNIT);
    buf_give(&pool, &buf);
    assert_null(buf);
}

static void appending_keeps_every_byte_across_growth(void **state)
{
    struct buf *buf = buf_take(&pool);
    unsigned reallocations = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        char byte = (char)(i * 7);
        size_t before = buf->size;

        assert_int_equal(buf_append(buf, &byte, 1), 0);
        reallocations += buf->size != before;
    }
    assert_int_equal(buf_length(buf), 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf_bytes(buf)[i], (char)(i * 7));
    assert_true(reallocations <= 12); /* it doubles */
    buf_give(&pool, &buf);
}

static void reserving_leaves_start_and_end_where_they_were(void **state)
{
    struct buf *buf = buf_take(&pool);

    (void)state;
    assert_int_equal(buf_append(buf, "0123456789", 10), 0);
    buf_consume(buf, 4);
    assert_int_equal(buf_reserve(buf, 10 * UNIT), 0);
    assert_int_equal(buf->start, 4);
    assert_int_equal(buf->end, 10);
    assert_memory_equal(buf_bytes(buf), "456789", 6);
    assert_true(buf->size - buf->end >= 10 * UNIT);
    memset(buf->data + buf->end, 'x', buf->size - buf->end);
    assert_int_equal(buf_reserve(buf, 100 * UNIT), 0);
    assert_memory_equal(buf_bytes(buf), "456789", 6);
    buf_give(&pool, &buf);
}

static void reserving_what_there_is_allocates_nothing(void **state)
{
    struct buf *buf = buf_take(&pool);
    const char *data = buf->data;

    (void)state;
    assert_int_equal(buf_reserve(buf, UNIT), 0);
    assert_int_equal(buf_reserve(buf, 0), 0);
    assert_int_equal(buf_append(buf, NULL, 0), 0);
    assert_ptr_equal(buf->data, data);
    assert_int_equal(buf->size, UNIT);
    buf_give(&pool, &buf);
}

static void consuming_everything_starts_again_at_the_front(void **state)
{
    struct buf *buf = buf_take(&pool);

    (void)state;
    assert_int_equal(buf_append(buf, "abcdef", 6), 0);
    buf_consume(buf, 2);
    assert_int_equal(buf->start, 2);
    buf_consume(buf, 4);
    assert_int_equal(buf->start, 0);
    assert_int_equal(buf->end, 0);
    buf_give(&pool, &buf);
}

static void a_size_that_cannot_be_is_refused_and_harms_nothing(void **state)
{
    struct buf *buf = buf_take(&pool);

    (void)state;
    assert_int_equal(buf_append(buf, "abc", 3), 0);
    errno = 0;
    assert_int_equal(buf_reserve(buf, SIZE_MAX), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(buf_reserve(buf, SIZE_MAX - 3), -1);
    assert_int_equal(buf_reserve(buf, (size_t)PTRDIFF_MAX), -1);
    assert_memory_equal(buf_bytes(buf), "abc", 3);
    buf_give(&pool, &buf);
}

static void the_pool_gives_back_what_it_kept_and_keeps_no_more_than_told(void **state)
{
    struct buf *bufs[4], *first;

    (void)state;
    for (int i = 0; i < 4; i++)
        bufs[i] = buf_take(&pool);
    first = bufs[0];
    for (int i = 3; i >= 0; i--)
        buf_give(&pool, &bufs[i]);
    assert_int_equal(pool.kept, 2);
    bufs[0] = buf_take(&pool);
    assert_int_equal(pool.kept, 1);
    assert_ptr_not_equal(bufs[0], first); /* it came when the pool was full */
    buf_give(&pool, &bufs[0]);
    buf_give(&pool, &bufs[0]); /* of a giver that has none */
    assert_int_equal(pool.kept, 2);
}

static void a_grown_buffer_comes_back_small(void **state)
{
    struct buf *buf = buf_take(&pool), *again;
    const struct buf *same = buf;

    (void)state;
    assert_int_equal(buf_reserve(buf, 100 * UNIT), 0);
    buf->end = 50;
    buf_give(&pool, &buf);
    again = buf_take(&pool);
    assert_ptr_equal(again, same);
    assert_int_equal(again->size, UNIT);
    assert_int_equal(buf_length(again), 0);
    memset(again->data, 'x', UNIT);
    buf_give(&pool, &again);
}

static void pooled_bytes_may_not_be_touched(void **state)
{
#ifdef HAS_POISON
    struct buf *buf = buf_take(&pool);
    char *data = buf->data;

    (void)state;
    assert_false(__asan_address_is_poisoned(data));
    buf_give(&pool, &buf);
    assert_true(__asan_address_is_poisoned(data));
    assert_true(__asan_address_is_poisoned(data + UNIT - 1));
    buf = buf_take(&pool);
    assert_ptr_equal(buf->data, data);
    assert_null(__asan_region_is_poisoned(data, UNIT));
    buf_give(&pool, &buf);
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fresh_buffer_is_empty_and_of_the_unit, setup, teardown),
        cmocka_unit_test_setup_teardown(appending_keeps_every_byte_across_growth, setup, teardown),
        cmocka_unit_test_setup_teardown(reserving_leaves_start_and_end_where_they_were, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reserving_what_there_is_allocates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(consuming_everything_starts_again_at_the_front, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_size_that_cannot_be_is_refused_and_harms_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            the_pool_gives_back_what_it_kept_and_keeps_no_more_than_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grown_buffer_comes_back_small, setup, teardown),
        cmocka_unit_test_setup_teardown(pooled_bytes_may_not_be_touched, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
