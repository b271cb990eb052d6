#include "tests/unit/cache/cache_fixture.h"

#include "base/mem.h"
#include "cache/cache_private.h"

#include <stdlib.h>

#define VALUES 64

struct queues {
    struct s3fifo s3;
    struct cache_value *values[VALUES];
    size_t each; /* bytes of one value */
};

/* The small queue's share is four values. */
static int queues_setup(void **state)
{
    struct queues *queues = mem_zalloc(sizeof *queues);
    for (unsigned i = 0; i < VALUES; i++) {
        queues->values[i] = mem_zalloc(sizeof(struct cache_value));
        queues->values[i]->hash = i + 1; /* 0 shares its fingerprint with 1 */
    }
    queues->each = cache_charge(queues->values[0]);
    s3fifo_init(&queues->s3, 4 * queues->each);
    s3fifo_ghost_resize(&queues->s3, 8); /* one bucket */
    *state = queues;
    return 0;
}

static int queues_teardown(void **state)
{
    struct queues *queues = *state;
    for (unsigned i = 0; i < VALUES; i++)
        free(queues->values[i]);
    s3fifo_ghost_resize(&queues->s3, 0);
    free(queues);
    return 0;
}

static void add(struct queues *queues, unsigned number)
{
    queues->values[number]->freq = 0;
    s3fifo_add(&queues->s3, queues->values[number]);
}

static void hit(struct queues *queues, unsigned number, unsigned times)
{
    while (times-- > 0)
        s3fifo_touch(queues->values[number]);
}

static void assert_evicts(struct queues *queues, unsigned number)
{
    struct cache_value *victim = s3fifo_victim(&queues->s3);
    assert_ptr_equal(victim, queues->values[number]);
    s3fifo_remove(&queues->s3, victim);
}

/* As the ghost does it: by values that have been evicted and come back. */
static void add_to_main(struct queues *queues, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        add(queues, i);
    for (unsigned i = 0; i < count; i++)
        assert_evicts(queues, i);
    for (unsigned i = 0; i < count; i++) {
        add(queues, i);
        assert_int_equal(queues->values[i]->queue, CACHE_QUEUE_MAIN);
    }
}

static void test_values_without_hits_leave_in_the_order_of_coming(void **state)
{
    for (unsigned i = 0; i < 5; i++)
        add(*state, i);
    hit(*state, 1, 1);
    for (unsigned i = 0; i < 5; i++)
        assert_evicts(*state, i);
}

static void test_small_value_hit_twice_moves_to_main(void **state)
{
    struct queues *queues = *state;
    for (unsigned i = 0; i < 6; i++)
        add(queues, i);
    hit(queues, 0, 2);
    assert_evicts(queues, 1);
    assert_int_equal(queues->values[0]->queue, CACHE_QUEUE_MAIN);
    assert_int_equal(queues->s3.small_bytes, 4 * queues->each);
}

static void test_main_gives_only_when_small_is_below_its_share(void **state)
{
    add_to_main(*state, 3);
    for (unsigned i = 10; i < 14; i++)
        add(*state, i);
    assert_evicts(*state, 10);
    assert_evicts(*state, 0);
    add(*state, 20);
    assert_evicts(*state, 11);
}

static void test_main_value_goes_round_once_for_each_hit(void **state)
{
    add_to_main(*state, 4);
    hit(*state, 0, 1);
    hit(*state, 1, 100); /* counts as three */
    hit(*state, 2, 2);
    assert_evicts(*state, 3);
    assert_evicts(*state, 0);
    assert_evicts(*state, 2);
    assert_evicts(*state, 1);
}

static void test_ghost_readmits_to_main_once(void **state)
{
    struct queues *queues = *state;
    add_to_main(queues, 1);
    s3fifo_remove(&queues->s3, queues->values[0]);
    add(queues, 0);
    assert_int_equal(queues->values[0]->queue, CACHE_QUEUE_SMALL);
}

static void test_ghost_forgets_the_oldest_first(void **state)
{
    struct queues *queues = *state;
    for (unsigned i = 0; i < 9; i++) {
        add(queues, i);
        assert_evicts(queues, i);
    }
    for (unsigned i = 0; i < 9; i++) {
        add(queues, i);
        assert_int_equal(queues->values[i]->queue, i ? CACHE_QUEUE_MAIN : CACHE_QUEUE_SMALL);
    }
}

static void test_removal_from_small_does_not_reach_the_ghost(void **state)
{
    struct queues *queues = *state;
    add(queues, 3);
    s3fifo_remove(&queues->s3, queues->values[3]);
    assert_int_equal(queues->s3.small_bytes, 0);
    add(queues, 3);
    assert_int_equal(queues->values[3]->queue, CACHE_QUEUE_SMALL);
}

#define QUEUES(test) cmocka_unit_test_setup_teardown(test, queues_setup, queues_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUES(test_values_without_hits_leave_in_the_order_of_coming),
        QUEUES(test_small_value_hit_twice_moves_to_main),
        QUEUES(test_main_gives_only_when_small_is_below_its_share),
        QUEUES(test_main_value_goes_round_once_for_each_hit),
        QUEUES(test_ghost_readmits_to_main_once),
        QUEUES(test_ghost_forgets_the_oldest_first),
        QUEUES(test_removal_from_small_does_not_reach_the_ghost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
