/* test_base_arena.c: pieces are aligned, apart from each other and last until the reset. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/poison.h"

#define FIRST 512

static struct arena arena;
static _Alignas(16) char first[FIRST];

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, first, sizeof(first));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    memset(first, 0, sizeof(first)); /* it is ours again */
    return 0;
}

static int is_in_first(const void *piece)
{
    return (uintptr_t)piece >= (uintptr_t)first && (uintptr_t)piece < (uintptr_t)first + FIRST;
}

static void small_pieces_come_from_the_first_block(void **state)
{
    char *a = arena_alloc(&arena, 1), *b = arena_alloc(&arena, 30);

    (void)state;
    assert_true(is_in_first(a) && is_in_first(b));
    assert_true(b >= a + 16);
    assert_null(arena.blocks);
}

static void pieces_of_all_sizes_are_aligned_and_keep_what_is_written(void **state)
{
    enum { PIECES = 3000 };
    static unsigned char *pieces[PIECES];

    (void)state;
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(&arena, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i % 251), i);
    }
    for (unsigned i = 0; i < PIECES; i++) {
        for (unsigned n = 0; n < i; n++)
            assert_int_equal(pieces[i][n], i % 251);
    }
}

static void pieces_of_no_size_differ(void **state)
{
    const char *a = arena_alloc(&arena, 0), *b = arena_alloc(&arena, 0);

    (void)state;
    assert_non_null(a);
    assert_ptr_not_equal(a, b);
}

static void a_large_piece_leaves_the_current_block_in_use(void **state)
{
    char *large, *small;

    (void)state;
    arena_alloc(&arena, 16);
    large = arena_alloc(&arena, 1000000);
    assert_non_null(large);
    assert_false(is_in_first(large));
    memset(large, 'x', 1000000);
    assert_false(is_in_first(arena_alloc(&arena, FIRST + 100)));
    small = arena_alloc(&arena, 16);
    assert_true(is_in_first(small));
}

static void many_small_pieces_take_few_blocks(void **state)
{
    struct arena_block *newest = NULL;
    unsigned blocks = 0;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        assert_non_null(arena_alloc(&arena, 64));
        blocks += arena.blocks != newest;
        newest = arena.blocks;
    }
    assert_true(blocks >= 10); /* none is larger than 64 KiB */
    assert_true(blocks <= 22);
}

static void a_reset_begins_again_at_the_first_block(void **state)
{
    char *before = arena_alloc(&arena, 16);

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        arena_alloc(&arena, 100);
    assert_non_null(arena.blocks);
    arena_reset(&arena);
    assert_null(arena.blocks);
    assert_ptr_equal(arena_alloc(&arena, 16), before);
}

static void a_first_block_may_be_odd_tiny_or_missing(void **state)
{
    struct arena odd;
    static char bytes[64];
    char *piece;

    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        for (size_t size = 0; size <= 48; size++) {
            arena_init(&odd, bytes + offset, size);
            piece = arena_alloc(&odd, 8);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % 16, 0);
            memset(piece, 'x', 8);
            arena_fini(&odd);
        }
    }
    arena_init(&odd, NULL, 0);
    piece = arena_alloc(&odd, 100);
    assert_non_null(piece);
    arena_reset(&odd);
    assert_non_null(arena_alloc(&odd, 100));
    arena_fini(&odd);
}

static void a_size_that_cannot_be_is_null(void **state)
{
    (void)state;
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 16));
    assert_null(arena_alloc(&arena, (size_t)PTRDIFF_MAX));
    assert_null(arena_copy(&arena, "x", SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 16));
}

static void a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    assert_string_equal(arena_copy(&arena, "hello, world", 5), "hello");
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    assert_memory_equal(arena_copy(&arena, "a\0b", 3), "a\0b", 4);
}

static void what_was_not_handed_out_may_not_be_touched(void **state)
{
#ifdef HAS_POISON
    char *piece = arena_alloc(&arena, 13), *large = arena_alloc(&arena, 5000);

    (void)state;
    assert_null(__asan_region_is_poisoned(piece, 13));
    assert_true(__asan_address_is_poisoned(piece + 13));
    assert_true(__asan_address_is_poisoned(piece + 16));
    assert_true(__asan_address_is_poisoned(first + FIRST - 1));
    assert_null(__asan_region_is_poisoned(large, 5000));
    assert_true(__asan_address_is_poisoned(large + 5000));
    piece = arena_alloc(&arena, 16);
    arena_alloc(&arena, 16);
    assert_true(__asan_address_is_poisoned(piece + 16)); /* its neighbour is further on */
    arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(piece));
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_pieces_come_from_the_first_block, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_of_all_sizes_are_aligned_and_keep_what_is_written,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_of_no_size_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_piece_leaves_the_current_block_in_use, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_small_pieces_take_few_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_begins_again_at_the_first_block, setup, teardown),
        cmocka_unit_test_setup_teardown(a_first_block_may_be_odd_tiny_or_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_size_that_cannot_be_is_null, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_ends_with_a_nul, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_handed_out_may_not_be_touched, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
