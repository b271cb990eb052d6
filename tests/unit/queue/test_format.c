/* What an older program has written, byte by byte, and what a newer one may write. */
#include "tests/unit/queue/fixture.h"

struct put {
    struct table table;
    struct key key;
    struct slice payload;
    bool raw;
};

static enum err put_fn(struct txn *txn, void *arg)
{
    struct put *put = arg;
    return put->raw ? txn_put(txn, put->table, key_slice(&put->key), put->payload)
                    : record_put(txn, put->table, key_slice(&put->key), 1, put->payload);
}

static void put(struct fixture *f, struct table table, struct key key, const void *bytes,
                size_t len)
{
    struct put put = {table, key, slice_of(bytes, len), len == 0};
    assert_int_equal(store_write(f->store, put_fn, &put), ERR_OK);
}

#define PUT(f, table, key, literal) put(f, table, key, literal, sizeof(literal) - 1)

/* ---- Format 1, as it was released first. */

/* format 1, priority 2, attempts_max 3, 4 and 1 bytes of names, enqueued at T0 (0x1a3185c5000). */
#define BODY_1 "\x01\x02\x03\x00\x04\x00\x01\x00\x00\x50\x5c\x18\xa3\x01\x00\x00mail\0t\0{\"n\":1}"

/* format 1, state, priority 2, lost 0, attempt 1, attempts_max 3, lengths, zero, token, when_ms. */
#define STATUS_1(state, reason_len, when)                                                          \
    "\x01" state "\x02\x00\x01\x00\x03\x00\x04\x00" reason_len "\x00\x00\x00\x00\x00"              \
    "\x88\x77\x66\x55\x44\x33\x22\x11" when "mail"
#define WHEN_T0    "\x00\x50\x5c\x18\xa3\x01\x00\x00"
#define WHEN_LATER "\x10\x50\x5c\x18\xa3\x01\x00\x00" /* T0 + 16 */

/* format 1; ready, scheduled, running, retrying, completed, dead. */
#define U64(n)   n "\x00\x00\x00\x00\x00\x00\x00"
#define COUNTS_1 U64("\x01") U64("\x01") U64("\x00") U64("\x01") U64("\x01") U64("\x01") U64("\x01")

struct old_dir {
    struct id ready, running, retrying, completed, dead;
};

static struct id old_job(struct fixture *f, enum job_state state, int64_t order)
{
    struct id id = id_make(T0 - 1000);
    struct index_entry entry = {state, order, id};
    PUT(f, f->jobs, id_key(&id), BODY_1);
    PUT(f, f->index, job_index_key(f->queues->queues[0], &entry), "");
    return id;
}

static struct key counts_key(void)
{
    struct key key;
    key_init(&key);
    key_add_string(&key, slice_str("mail"));
    return key;
}

static void write_old_dir(struct fixture *f, struct old_dir *old)
{
    old->ready = old_job(f, JOB_READY, 2);
    old->running = old_job(f, JOB_RUNNING, T0 + 16);
    PUT(f, f->states, id_key(&old->running), STATUS_1("\x02", "\x00", WHEN_LATER));
    old->retrying = old_job(f, JOB_RETRYING, T0 + 16);
    PUT(f, f->states, id_key(&old->retrying), STATUS_1("\x03", "\x02", WHEN_LATER) "no");
    old->completed = old_job(f, JOB_COMPLETED, T0);
    PUT(f, f->states, id_key(&old->completed), STATUS_1("\x04", "\x00", WHEN_T0));
    old->dead = old_job(f, JOB_DEAD, T0);
    PUT(f, f->states, id_key(&old->dead), STATUS_1("\x05", "\x05", WHEN_T0) "never");
    PUT(f, f->states, counts_key(), COUNTS_1);
    fixture_close(f);
    fixture_open(f);
}

static void test_old_directory_is_read_as_it_was_left(void **state)
{
    struct fixture *f = *state;
    struct old_dir old;
    write_old_dir(f, &old);
    for (enum job_state s = 0; s < JOB_STATES; s++)
        assert_int_equal(counted(f, s), s == JOB_SCHEDULED || s > JOB_DEAD ? 0 : 1);
    struct look look;
    assert_int_equal(look_at(&look, f, old.ready), ERR_OK);
    assert_string_equal(look.info.type, "t");
    assert_int_equal(look.info.priority, 2);
    assert_int_equal(look.info.enqueued_ms, T0);
    assert_int_equal(look_at(&look, f, old.retrying), ERR_OK);
    assert_string_equal(look.reason, "no");
    assert_int_equal(look.info.due_ms, T0 + 16);
    assert_int_equal(look_at(&look, f, old.dead), ERR_OK);
    assert_string_equal(look.reason, "never");
    assert_int_equal(look.info.attempt, 1);
    assert_int_equal(look_at(&look, f, old.completed), ERR_OK);
    assert_int_equal(look.info.finished_ms, T0);
    assert_string_equal(look.info.type, "t");
}

static void test_lease_of_an_old_program_can_be_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct old_dir old;
    write_old_dir(f, &old);
    struct job_lease lease = {old.running, 1, 0x1122334455667788};
    assert_int_equal(ack(f, &lease), ERR_OK);
    struct look look;
    assert_int_equal(look_at(&look, f, old.running), ERR_OK);
    assert_int_equal(look.info.state, JOB_COMPLETED);
    assert_string_equal(look.info.type, "t");
    assert_int_equal(look.info.enqueued_ms, T0);
}

static enum err run_ok(const struct job *job, void *arg, char *why, size_t why_size)
{
    (void)job, (void)arg, (void)why, (void)why_size;
    return ERR_OK;
}

static void test_old_jobs_are_served_and_forgotten(void **state)
{
    struct fixture *f = *state;
    struct old_dir old;
    write_old_dir(f, &old);
    handle(f, "t", run_ok, NULL, NULL);
    start(f);
    clock_fake_advance(&f->clock, 60000);
    struct hand hand;
    lease(&hand, f, 0); /* what is due */
    wait_idle(f);
    assert_int_equal(counted(f, JOB_COMPLETED), 4);
    assert_int_equal(state_of(f, old.running), JOB_COMPLETED);
    clock_fake_advance(&f->clock, 8LL * 86400000);
    lease(&hand, f, 0);
    assert_int_equal(counted(f, JOB_COMPLETED), 0);
    assert_int_equal(counted(f, JOB_DEAD), 0);
    struct queue_stats stats;
    queue_stats(f->queues, 0, &stats);
    assert_int_equal(stats.damaged, 0);
}

struct place {
    struct fixture *f;
    bool in_jobs, in_states;
};

static enum err look_for_counts(struct txn *txn, void *arg)
{
    struct place *place = arg;
    struct key key = counts_key();
    struct slice value;
    place->in_jobs = txn_get(txn, place->f->jobs, key_slice(&key), &value) == ERR_OK;
    place->in_states = txn_get(txn, place->f->states, key_slice(&key), &value) == ERR_OK;
    return txn_error(txn);
}

static void assert_counts_are_moved(struct fixture *f)
{
    struct place place = {.f = f};
    assert_int_equal(store_read(f->store, look_for_counts, &place), ERR_OK);
    assert_true(place.in_jobs);
    assert_false(place.in_states);
}

static void test_old_counts_move_to_the_bodies(void **state)
{
    struct fixture *f = *state;
    struct old_dir old;
    write_old_dir(f, &old);
    enqueue(f, spec_of("t", "{}"));
    assert_int_equal(counted(f, JOB_READY), 2);
    assert_counts_are_moved(f);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(counted(f, JOB_READY), 2);
}

/* It has found none where it looks for them, and has made them anew there. */
static void test_counts_of_an_old_program_that_came_back_are_believed(void **state)
{
    struct fixture *f = *state;
    struct old_dir old;
    write_old_dir(f, &old);
    enqueue(f, spec_of("t", "{}"));
    static const char counts[] =
        U64("\x01") U64("\x07") U64("\x00") U64("\x01") U64("\x01") U64("\x01") U64("\x01");
    PUT(f, f->states, counts_key(), counts);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(counted(f, JOB_READY), 7);
    enqueue(f, spec_of("t", "{}"));
    assert_int_equal(counted(f, JOB_READY), 8);
    assert_counts_are_moved(f);
}

/* ---- Fields. */

struct status_call {
    struct fixture *f;
    struct id id;
    struct job_status status;
};

static enum err put_status(struct txn *txn, void *arg)
{
    struct status_call *call = arg;
    status_put(call->f->queues, txn, &call->id, status_encode(txn, &call->status));
    return txn_error(txn);
}

static enum err compare_status(struct txn *txn, void *arg)
{
    struct status_call *call = arg;
    struct job_status got, *put = &call->status;
    enum err err = status_get(call->f->queues, txn, &call->id, &got);
    if (err != ERR_OK)
        return err;
    assert_int_equal(got.state, put->state);
    assert_int_equal(got.by_hand, put->by_hand);
    assert_int_equal(got.lost, put->lost);
    assert_int_equal(got.payload_len, put->payload_len);
    assert_int_equal(got.enqueued_ms, put->enqueued_ms);
    for (int kind = 0; kind < JOB_FIELDS; kind++)
        assert_true(slice_eq(got.fields[kind], put->fields[kind]));
    assert_true(slice_eq(got.other_fields, put->other_fields));
    return ERR_OK;
}

static void test_status_keeps_every_field_and_those_of_a_newer_program(void **state)
{
    struct fixture *f = *state;
    static char result[70000];
    struct status_call call = {
        .f = f,
        .id = id_make(T0),
        .status = {.state = JOB_CANCELLED,
                   .by_hand = true,
                   .payload_len = 77,
                   .enqueued_ms = T0,
                   .fields = {[FIELD_QUEUE] = slice_str("mail"),
                              [FIELD_TYPE] = slice_str("t"),
                              [FIELD_GROUP] = slice_str("group"),
                              [FIELD_UNIQUE] = slice_str("key"),
                              [FIELD_RESULT] = slice_of(result, sizeof result),
                              [FIELD_HOLDER] = slice_str("worker-7")},
                   .other_fields = slice_of("\xf0\x03\x00\x00new", 7)},
    };
    assert_int_equal(store_write(f->store, put_status, &call), ERR_OK);
    assert_int_equal(store_read(f->store, compare_status, &call), ERR_OK);
}

static void test_states_have_their_numbers(void **state)
{
    (void)state;
    static const char *const names[] = {"ready",     "scheduled", "running", "retrying",
                                        "completed", "dead",      "waiting", "cancelled"};
    assert_int_equal(JOB_STATES, sizeof names / sizeof names[0]);
    for (enum job_state s = 0; s < JOB_STATES; s++)
        assert_string_equal(job_state_name(s), names[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_old_directory_is_read_as_it_was_left),
        TEST(test_lease_of_an_old_program_can_be_acknowledged),
        TEST(test_old_jobs_are_served_and_forgotten),
        TEST(test_old_counts_move_to_the_bodies),
        TEST(test_counts_of_an_old_program_that_came_back_are_believed),
        TEST(test_status_keeps_every_field_and_those_of_a_newer_program),
        cmocka_unit_test(test_states_have_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
