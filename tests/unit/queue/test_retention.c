/* Finished jobs are kept for a time and in a number, and the counts are always the truth. */
#include "tests/unit/queue/fixture.h"

#include "base/lock.h"

static void finish(struct fixture *f, unsigned jobs)
{
    struct hand hand;
    for (unsigned i = 0; i < jobs; i++) {
        enqueue(f, spec_of("t", "{}"));
        assert_int_equal(lease(&hand, f, 1), 1);
        assert_int_equal(ack(f, &hand.leases[0]), ERR_OK);
    }
}

static int small_setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    fixture_close(f);
    f->options.finished_max = 5;
    f->options.completed_keep_ms = 10000;
    f->options.dead_keep_ms = 20000;
    fixture_open(f);
    return 0;
}

static void test_oldest_finished_jobs_are_forgotten_above_the_number(void **state)
{
    struct fixture *f = *state;
    struct id oldest = enqueue(f, spec_of("t", "{}"));
    struct hand hand;
    lease(&hand, f, 1);
    ack(f, &hand.leases[0]);
    finish(f, 4);
    assert_int_equal(lease(&hand, f, 1), 0);
    assert_int_equal(state_of(f, oldest), JOB_COMPLETED);
    clock_fake_advance(&f->clock, 1);
    finish(f, 1);
    lease(&hand, f, 1);
    struct look look;
    assert_int_equal(look_at(&look, f, oldest), ERR_NOT_FOUND);
    assert_int_equal(counted(f, JOB_COMPLETED), 5);
}

static void test_completed_job_is_forgotten_at_its_age(void **state)
{
    struct fixture *f = *state;
    finish(f, 1);
    clock_fake_advance(&f->clock, 9999);
    struct hand hand;
    lease(&hand, f, 1);
    assert_int_equal(counted(f, JOB_COMPLETED), 1);
    clock_fake_advance(&f->clock, 1);
    lease(&hand, f, 1);
    assert_int_equal(counted(f, JOB_COMPLETED), 0);
}

static void test_dead_job_is_kept_for_its_own_time(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = spec_of("t", "{}");
    spec.attempts_max = 1;
    struct id id = enqueue(f, spec);
    struct hand hand;
    lease(&hand, f, 1);
    fail_job(f, &hand.leases[0], "no");
    clock_fake_advance(&f->clock, 19999);
    lease(&hand, f, 1);
    assert_int_equal(state_of(f, id), JOB_DEAD);
    clock_fake_advance(&f->clock, 1);
    lease(&hand, f, 1);
    struct look look;
    assert_int_equal(look_at(&look, f, id), ERR_NOT_FOUND);
}

/* ---- Payloads. */

static struct slice payload_of(struct look *look, struct fixture *f, struct id id)
{
    assert_int_equal(look_at(look, f, id), ERR_OK);
    return slice_of(NULL, look->info.payload.len);
}

/* ---- A full map. */

static enum err succeed(const struct job *job, void *arg, char *why, size_t why_size)
{
    (void)job, (void)arg, (void)why, (void)why_size;
    return ERR_OK;
}

/* Until the store takes no more; returns how many. */
static unsigned fill(struct fixture *f)
{
    static char payload[2000];
    memset(payload, 'x', sizeof payload - 1);
    struct enqueue e = {.f = f, .spec = spec_of("t", payload)};
    unsigned count = 0;
    enum err err;
    while ((err = store_write(f->store, enqueue_fn, &e)) == ERR_OK)
        count++;
    assert_int_equal(err, ERR_STORE_FULL);
    return count;
}

static void test_a_map_that_is_full_of_expired_jobs_is_emptied_by_itself(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->map_bytes = 4u << 20;
    f->queue.keep_payload = true;
    fixture_open(f);
    handle(f, "t", succeed, NULL, NULL);
    start(f);
    unsigned filled = fill(f);
    assert_true(filled > 500);
    clock_fake_advance(&f->clock, 25 * 3600000LL);
    for (unsigned again = 0; again < filled / 2; again += fill(f))
        queues_wake(f->queues); /* as the timer does */
}

static void test_completed_job_has_no_payload_any_more(void **state)
{
    struct fixture *f = *state;
    struct id id = enqueue(f, spec_of("send", "{\"a\":1}"));
    struct hand hand;
    struct look look;
    lease(&hand, f, 1);
    assert_int_equal(payload_of(&look, f, id).len, 7);
    ack(f, &hand.leases[0]);
    assert_int_equal(payload_of(&look, f, id).len, 0);
    assert_string_equal(look.info.type, "send");
    assert_string_equal(look.info.queue, "mail");
    assert_int_equal(look.info.enqueued_ms, T0);
}

static void test_payload_is_kept_on_purpose(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->queue.keep_payload = true;
    fixture_open(f);
    struct id id = enqueue(f, spec_of("send", "{\"a\":1}"));
    struct hand hand;
    struct look look;
    lease(&hand, f, 1);
    ack(f, &hand.leases[0]);
    assert_int_equal(payload_of(&look, f, id).len, 7);
}

static uint64_t finished_bytes(struct fixture *f)
{
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    return stats.finished_bytes;
}

static void test_dead_jobs_are_bounded_by_their_bytes(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->options.finished_max = 1000;
    f->options.finished_bytes_max = 100000;
    fixture_open(f);
    char *payload = calloc(1, 30001);
    memset(payload, 'x', 30000);
    struct id ids[5];
    for (int i = 0; i < 5; i++) {
        struct job_spec spec = spec_of("t", payload);
        spec.attempts_max = 1;
        ids[i] = enqueue(f, spec);
        struct hand hand;
        lease(&hand, f, 1);
        fail_job(f, &hand.leases[0], "no");
        clock_fake_advance(&f->clock, 1);
    }
    free(payload);
    struct hand hand;
    lease(&hand, f, 0); /* what is due */
    struct look look;
    assert_int_equal(look_at(&look, f, ids[1]), ERR_NOT_FOUND);
    assert_int_equal(look_at(&look, f, ids[2]), ERR_OK);
    assert_int_equal(look.info.payload.len, 30000); /* for another try */
    assert_int_equal(finished_bytes(f), 90000);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(finished_bytes(f), 90000);
}

/* ---- A random life. */

#define HANDS  3
#define ROUNDS 150

struct player {
    struct fixture *f;
    unsigned seed;
    struct hand hand;
};

static unsigned draw(struct player *player, unsigned below)
{
    return (unsigned)rand_r(&player->seed) % below;
}

/* Two changes of the queue in one transaction. */
static enum err enqueue_twice(struct txn *txn, void *arg)
{
    enum err err = enqueue_fn(txn, arg);
    return err ? err : enqueue_fn(txn, arg);
}

static void play_enqueue(struct player *player)
{
    struct enqueue e = {.f = player->f, .spec = spec_of(draw(player, 2) ? "good" : "bad", "{}")};
    e.spec.priority = draw(player, 10);
    e.spec.delay_ms = draw(player, 3) ? 0 : draw(player, 5000);
    e.end = draw(player, 5) ? ERR_OK : ERR_CONFLICT;
    store_write(player->f->store, draw(player, 8) ? enqueue_fn : enqueue_twice, &e);
}

static void play_settle(struct player *player)
{
    struct hand *hand = &player->hand;
    for (unsigned i = 0; i < hand->seen; i++) {
        hand->lease = &hand->leases[i];
        hand->ack = draw(player, 2);
        hand->reason = "bad luck";
        if (draw(player, 4))
            store_write(player->f->store, settle_fn, hand);
    }
    hand->seen = 0;
}

static void *play(void *arg)
{
    struct player *player = arg;
    for (int i = 0; i < ROUNDS; i++) {
        play_enqueue(player);
        play_enqueue(player);
        if (draw(player, 2)) {
            play_settle(player);
            player->hand.max = draw(player, 4);
            player->hand.lease_ms = 1 + draw(player, 3000);
            store_write(player->f->store, lease_fn, &player->hand);
        }
        clock_fake_advance(&player->f->clock, draw(player, 500));
        queues_wake(player->f->queues);
    }
    return NULL;
}

struct census {
    struct fixture *f;
    uint64_t jobs[JOB_STATES];
};

/* Counts the index, and compares each entry with what its job says of itself. */
static enum err census_fn(struct txn *txn, void *arg)
{
    struct census *census = arg;
    struct cursor cursor;
    cursor_open(&cursor, txn, census->f->index);
    for (enum err err = cursor_seek(&cursor, slice_of("", 0)); err == ERR_OK;
         err = cursor_next(&cursor)) {
        struct slice rest = cursor.key;
        char queue[QUEUE_NAME_MAX + 1];
        assert_true(key_take_string(&rest, queue, sizeof queue));
        int64_t state, order;
        assert_true(key_take_i64(&rest, &state) && key_take_i64(&rest, &order));
        struct id id;
        assert_true(key_take_id(&rest, &id));
        struct job_info info;
        assert_int_equal(queue_job(census->f->queues, txn, &id, &info), ERR_OK);
        assert_int_equal(info.state, state);
        census->jobs[state]++;
    }
    cursor_close(&cursor);
    return ERR_OK;
}

static enum err run_good(const struct job *job, void *arg, char *why, size_t why_size)
{
    (void)job, (void)arg, (void)why, (void)why_size;
    return ERR_OK;
}

static void test_counts_equal_a_full_scan_after_a_random_life(void **state)
{
    struct fixture *f = *state;
    struct player *players = calloc(HANDS, sizeof *players);
    handle(f, "good", run_good, NULL, NULL); /* "bad" has none, and fails */
    start(f);
    pthread_t threads[HANDS];
    for (unsigned i = 0; i < HANDS; i++) {
        players[i] = (struct player){.f = f, .seed = i + 1, .hand.f = f};
        pthread_create(&threads[i], NULL, play, &players[i]);
    }
    for (unsigned i = 0; i < HANDS; i++)
        pthread_join(threads[i], NULL);
    free(players);
    for (int pass = 0; pass < 2; pass++) {
        assert_true(queues_stop(f->queues, PATIENCE_S * 1000));
        struct census census = {.f = f};
        assert_int_equal(store_read(f->store, census_fn, &census), ERR_OK);
        for (enum job_state s = 0; s < JOB_STATES; s++)
            assert_int_equal(census.jobs[s], counted(f, s));
        assert_true(census.jobs[JOB_COMPLETED] > 0);
        fixture_close(f);
        fixture_open(f);
    }
}

#define SMALL(name) cmocka_unit_test_setup_teardown(name, small_setup, fixture_teardown)

int main(void)
{
    alarm(300); /* for a map that stays full */
    const struct CMUnitTest tests[] = {
        SMALL(test_oldest_finished_jobs_are_forgotten_above_the_number),
        SMALL(test_completed_job_is_forgotten_at_its_age),
        SMALL(test_dead_job_is_kept_for_its_own_time),
        TEST(test_a_map_that_is_full_of_expired_jobs_is_emptied_by_itself),
        SMALL(test_completed_job_has_no_payload_any_more),
        SMALL(test_payload_is_kept_on_purpose),
        SMALL(test_dead_jobs_are_bounded_by_their_bytes),
        SMALL(test_counts_equal_a_full_scan_after_a_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
