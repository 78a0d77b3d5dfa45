/* What callers rely on when they take memory from an arena. */
#include "common/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int free_arena(void **state) {
    arena_free(*state);
    return 0;
}

static int empty_arena(void **state) {
    static struct arena a;
    *state = &a;
    return 0;
}

static void pieces_are_zeroed_aligned_and_apart(void **state) {
    static const size_t sizes[] = {1, 7, 16, 100, 1000, 1025, 4063, 4064, 4065, 100000, 3};
    enum { ROUNDS = 20, SIZES = sizeof sizes / sizeof *sizes };
    unsigned char *pieces[ROUNDS][SIZES];

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SIZES; i++) {
            unsigned char *piece = arena_alloc(*state, sizes[i]);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(piece[k], 0);
            memset(piece, round * SIZES + i + 1, sizes[i]);
            pieces[round][i] = piece;
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SIZES; i++) {
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(pieces[round][i][k], (unsigned char)(round * SIZES + i + 1));
        }
    }
}

static void a_large_piece_leaves_the_current_block_in_use(void **state) {
    char *before = arena_alloc(*state, 16);
    assert_non_null(arena_alloc(*state, 100000));
    assert_ptr_equal(arena_alloc(*state, 16), before + 16);
}

static void copies_are_terminated(void **state) {
    const char text[] = "order-1";
    char *copy = arena_memdup(*state, text, 5);
    assert_string_equal(copy, "order");
    assert_string_equal(arena_strdup(*state, text), text);
    assert_string_equal(arena_memdup(*state, NULL, 0), "");
    assert_memory_equal(arena_memdup(*state, "a\0b", 3), "a\0b", 4);
}

static void impossible_sizes_give_null(void **state) {
    assert_null(arena_alloc(*state, SIZE_MAX));
    assert_null(arena_alloc(*state, SIZE_MAX - 8));
    assert_null(arena_array(*state, SIZE_MAX / 8, 16));
    assert_null(arena_array(*state, (size_t)1 << 63, 2));
    assert_null(arena_memdup(*state, "x", SIZE_MAX));
}

static void an_arena_serves_again_after_free(void **state) {
    assert_non_null(arena_array(*state, 10, 1000));
    arena_free(*state);
    arena_free(*state);
    assert_string_equal(arena_strdup(*state, "again"), "again");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, empty_arena, free_arena)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(pieces_are_zeroed_aligned_and_apart),
        TEST(a_large_piece_leaves_the_current_block_in_use),
        TEST(copies_are_terminated),
        TEST(impossible_sizes_give_null),
        TEST(an_arena_serves_again_after_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
