/* The target of these tests counts its executions in the store, within the transaction that also
 * takes the answer's record, as the app layer does. */
#include "server/gateway/idempotency_private.h"

#include "gateway_fixture.h"

#include <pthread.h>

/* ---- The target. */

/* What the next executions shall do. Threads: the test's. */
static enum err next_result;
static void (*within)(struct fixture *f); /* runs before the transaction */

struct placing {
    struct fixture *f;
    struct request *request;
    struct response *response;
};

static uint64_t read_number(struct txn *txn, struct table table)
{
    struct slice value;
    uint64_t number = 0;
    if (txn_get(txn, table, slice_str("orders"), &value) == ERR_OK)
        memcpy(&number, value.ptr, sizeof number);
    return number;
}

static enum err place(struct txn *txn, void *arg)
{
    struct placing *p = arg;
    response_reset(p->response);
    uint64_t number = read_number(txn, p->f->table) + 1;
    txn_put(txn, p->f->table, slice_str("orders"), slice_of(&number, sizeof number));
    if (next_result != ERR_OK)
        return next_result;
    response_json(p->response, 201);
    response_header(p->response, "Location", slice_str("/orders/7"));
    buf_printf(&p->response->body, "{\"order\":%llu}", (unsigned long long)number);
    const struct commit_hook *hook = &p->request->before_commit;
    return hook->fn ? hook->fn(txn, p->response, hook->arg) : ERR_OK;
}

static void target_place(struct request *request, struct response *response, void *arg)
{
    struct placing p = {*(struct fixture **)arg, request, response};
    if (within)
        within(p.f);
    enum err err = store_write(p.f->store, place, &p);
    if (err != ERR_OK)
        response_error(response, request, err, NULL, NULL, NULL);
}

/* ---- The fixture. */

static struct fixture *current;

static const struct route_spec routes[3] = {
    {.method = METHOD_POST,
     .pattern = "/orders",
     .signed_in = true,
     .idempotent_key = true,
     .target = target_place,
     .arg = &current},
    {.method = METHOD_POST,
     .pattern = "/gifts",
     .signed_in = true,
     .idempotent_key = true,
     .target = target_place,
     .arg = &current},
    {.method = METHOD_POST,
     .pattern = "/plain",
     .signed_in = true,
     .target = target_place,
     .arg = &current},
};

static int setup(void **state)
{
    current = fixture_create();
    fixture_open_gateway(current, routes, 3);
    next_result = ERR_OK;
    within = NULL;
    *state = current;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static enum err count_orders(struct txn *txn, void *arg)
{
    *(uint64_t *)arg = read_number(txn, current->table);
    return ERR_OK;
}

static uint64_t orders(struct fixture *f)
{
    uint64_t number;
    assert_int_equal(store_read(f->store, count_orders, &number), ERR_OK);
    return number;
}

static enum err count_records(struct txn *txn, void *arg)
{
    struct table table;
    struct cursor cursor;
    unsigned *count = arg;
    *count = 0;
    store_table(txn_store(txn), "answers", &table);
    cursor_open(&cursor, txn, table);
    for (enum err e = cursor_seek(&cursor, slice_of("", 0)); e == ERR_OK; e = cursor_next(&cursor))
        ++*count;
    cursor_close(&cursor);
    return ERR_OK;
}

static unsigned records(struct fixture *f)
{
    unsigned count;
    assert_int_equal(store_read(f->store, count_records, &count), ERR_OK);
    return count;
}

/* One request of a user: what was asked, what came back. */
struct attempt {
    const char *path, *query, *body, *key;
    struct buf *token;
    char answer[256];
    char replayed[256];
    char location[256];
};

static int send_attempt(struct fixture *f, struct attempt *attempt)
{
    struct buf authorization = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_POST, attempt->path ? attempt->path : "/orders");
    call_as_alice(&call, f, &authorization);
    if (attempt->token)
        call.headers[0].value = buf_slice(attempt->token);
    if (attempt->key)
        call_header(&call, "Idempotency-Key", attempt->key);
    call.request.query = slice_str(attempt->query ? attempt->query : "");
    call.request.body = slice_str(attempt->body ? attempt->body : "{}");
    int status = call_send(&call, f);
    struct slice body = buf_slice(&call.response.body);
    snprintf(attempt->answer, sizeof attempt->answer, "%.*s", SLICE_ARG(body));
    attempt->replayed[0] = attempt->location[0] = '\0';
    answer_header(&call, "Idempotency-Replayed", attempt->replayed);
    answer_header(&call, "Location", attempt->location);
    assert_null(call.request.before_commit.fn);
    call_release(&call);
    buf_release(&authorization);
    return status;
}

static int post(struct fixture *f, const char *key)
{
    return send_attempt(f, &(struct attempt){.key = key});
}

/* ---- Replays. */

static void test_idempotency_executes_a_repeated_request_once(void **state)
{
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(orders(*state), 1);
}

static void test_idempotency_replays_the_whole_answer_and_says_so(void **state)
{
    struct attempt first = {.key = "k"}, again = {.key = "k"};
    send_attempt(*state, &first);
    send_attempt(*state, &again);
    assert_string_equal(first.replayed, "");
    assert_string_equal(again.replayed, "true");
    assert_string_equal(again.answer, "{\"order\":1}");
    assert_string_equal(again.answer, first.answer);
    assert_string_equal(again.location, "/orders/7");
}

static void test_idempotency_executes_requests_without_a_key_each_time(void **state)
{
    assert_int_equal(post(*state, NULL), 201);
    assert_int_equal(post(*state, NULL), 201);
    assert_int_equal(orders(*state), 2);
    assert_int_equal(records(*state), 0);
}

static void test_idempotency_executes_other_keys(void **state)
{
    post(*state, "k");
    post(*state, "K");
    assert_int_equal(orders(*state), 2);
}

static void test_idempotency_ignores_the_key_where_the_route_does_not_honour_it(void **state)
{
    struct attempt attempt = {.key = "k", .path = "/plain"};
    send_attempt(*state, &attempt);
    send_attempt(*state, &attempt);
    assert_int_equal(orders(*state), 2);
}

static void test_idempotency_keeps_routes_apart(void **state)
{
    send_attempt(*state, &(struct attempt){.key = "k", .path = "/orders"});
    send_attempt(*state, &(struct attempt){.key = "k", .path = "/gifts"});
    assert_int_equal(orders(*state), 2);
}

static void test_idempotency_keeps_users_apart(void **state)
{
    struct fixture *f = *state;
    struct principal bob = {.id = "bob"};
    struct buf token = BUF_INIT;
    buf_append_str(&token, "Bearer ");
    jwt_issue(f->jwt, &bob, NOW_MS, HOUR_MS, &token);
    struct attempt of_bob = {.key = "k", .token = &token};
    post(f, "k");
    assert_int_equal(send_attempt(f, &of_bob), 201);
    assert_string_equal(of_bob.replayed, "");
    assert_int_equal(orders(f), 2);
    buf_release(&token);
}

static void test_idempotency_replays_after_a_restart(void **state)
{
    struct fixture *f = *state;
    post(f, "k");
    gateway_destroy(&f->gateway);
    store_close(&f->store);
    fixture_open_store(f);
    fixture_open_gateway(f, routes, 3);
    struct attempt again = {.key = "k"};
    assert_int_equal(send_attempt(f, &again), 201);
    assert_string_equal(again.replayed, "true");
    assert_int_equal(orders(f), 1);
}

/* ---- Refusals. */

static void test_idempotency_refuses_the_key_of_another_request(void **state)
{
    struct attempt other_body = {.key = "k", .body = "{\"qty\":2}"};
    struct attempt other_query = {.key = "k", .query = "a=1"};
    post(*state, "k");
    assert_int_equal(send_attempt(*state, &other_body), 422);
    assert_non_null(strstr(other_body.answer, "IDEMPOTENCY_KEY_REUSED"));
    assert_int_equal(send_attempt(*state, &other_query), 422);
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(orders(*state), 1);
}

static void test_idempotency_refuses_a_malformed_key(void **state)
{
    char longest[257];
    memset(longest, 'k', 256);
    longest[256] = '\0';
    assert_int_equal(post(*state, ""), 400);
    assert_int_equal(post(*state, "a b"), 400);
    assert_int_equal(post(*state, "a\tb"), 400);
    assert_int_equal(post(*state, "\xc3\xa4"), 400);
    assert_int_equal(post(*state, longest), 400);
    assert_int_equal(post(*state, longest + 1), 201);
}

static void test_idempotency_refuses_two_keys(void **state)
{
    struct fixture *f = *state;
    struct buf authorization = BUF_INIT;
    struct call call;
    call_init(&call, METHOD_POST, "/orders");
    call_as_alice(&call, f, &authorization);
    call_header(&call, "Idempotency-Key", "a");
    call_header(&call, "Idempotency-Key", "b");
    assert_int_equal(call_send(&call, f), 400);
    call_release(&call);
    buf_release(&authorization);
}

static int status_within;

static void post_within(struct fixture *f)
{
    within = NULL;
    status_within = post(f, "k");
}

static void test_idempotency_refuses_a_key_in_flight(void **state)
{
    within = post_within;
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(status_within, 409);
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(orders(*state), 1);
}

static void post_other_within(struct fixture *f)
{
    within = NULL;
    status_within = post(f, "other");
}

static void test_idempotency_executes_other_keys_meanwhile(void **state)
{
    within = post_other_within;
    assert_int_equal(post(*state, "k"), 201);
    assert_int_equal(status_within, 201);
    assert_int_equal(orders(*state), 2);
}

static void *post_k(void *f)
{
    return (void *)(intptr_t)post(f, "k");
}

static void test_idempotency_executes_once_however_many_ask_at_once(void **state)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_k, *state), 0);
    for (int i = 0; i < 8; i++) {
        void *status;
        pthread_join(threads[i], &status);
        if ((intptr_t)status != 409)
            assert_int_equal((intptr_t)status, 201);
    }
    assert_int_equal(orders(*state), 1);
}

/* ---- What is not remembered. */

static void test_idempotency_forgets_what_did_not_commit(void **state)
{
    next_result = ERR_CONFLICT;
    assert_int_equal(post(*state, "k"), 409);
    assert_int_equal(records(*state), 0);
    next_result = ERR_OK;
    struct attempt again = {.key = "k"};
    assert_int_equal(send_attempt(*state, &again), 201);
    assert_string_equal(again.replayed, "");
    assert_int_equal(orders(*state), 1);
}

static void test_idempotency_forgets_after_its_time(void **state)
{
    struct fixture *f = *state;
    post(f, "k");
    clock_fake_advance(&f->time, 6 * HOUR_MS - 1);
    post(f, "k");
    assert_int_equal(orders(f), 1);
    clock_fake_advance(&f->time, 1);
    struct attempt again = {.key = "k"};
    assert_int_equal(send_attempt(f, &again), 201);
    assert_string_equal(again.replayed, "");
    assert_int_equal(orders(f), 2);
    assert_int_equal(send_attempt(f, &again), 201);
    assert_string_equal(again.replayed, "true");
}

static bool sweep(struct fixture *f)
{
    return gateway_sweep(f->gateway, clock_wall_ms(&f->time.clock));
}

static void test_idempotency_sweep_drops_what_has_expired_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    post(f, "old");
    clock_fake_advance(&f->time, HOUR_MS);
    post(f, "young");
    clock_fake_advance(&f->time, 5 * HOUR_MS);
    assert_int_equal(records(f), 2);
    assert_false(sweep(f));
    assert_int_equal(records(f), 1);
    struct attempt young = {.key = "young"};
    send_attempt(f, &young);
    assert_string_equal(young.replayed, "true");
}

static void test_idempotency_sweep_without_work_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_stats before, after;
    post(f, "k");
    store_stats(f->store, &before);
    assert_false(sweep(f));
    store_stats(f->store, &after);
    assert_int_equal(after.commits, before.commits);
}

/* ---- Many. */

#define MANY  30000
#define BATCH 500

struct many {
    struct answer_records *answers;
    unsigned from;
    const char *body;
};

static void scope_of(unsigned i, struct keyed_request *keyed)
{
    uint64_t half = i * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(keyed->scope, &half, sizeof half);
    memcpy(keyed->print, &i, sizeof i);
}

static enum err put_many(struct txn *txn, void *arg)
{
    const struct many *many = arg;
    struct keyed_request keyed = {0};
    struct response response = {.status = 201, .borrowed = slice_str(many->body)};
    response_header(&response, "Location",
                    slice_str("/orders/01a3185c-5000-7129-bc9d-f2edcbbeecfe"));
    response_header(&response, "Content-Type", slice_str("application/json"));
    for (unsigned i = 0; i < BATCH; i++) {
        scope_of(many->from + i, &keyed);
        answer_records_put(txn, many->answers, &keyed, &response);
    }
    buf_release(&response.headers);
    return txn_error(txn);
}

static void open_answers(struct fixture *f, struct answer_records *answers, uint64_t bytes_max)
{
    struct answer_limits limits = {.keep_ms = HOUR_MS, .bytes_max = bytes_max};
    assert_int_equal(answer_records_open(f->store, &limits, answers), ERR_OK);
}

/* One every 10 ms. */
static void put_all(struct fixture *f, struct answer_records *answers, const char *body)
{
    struct many many = {.answers = answers, .body = body};
    for (; many.from < MANY; many.from += BATCH) {
        assert_int_equal(store_write(f->store, put_many, &many), ERR_OK);
        clock_fake_advance(&f->time, BATCH * 10);
    }
}

static enum err measure(struct txn *txn, void *arg)
{
    struct answer_records *answers = arg;
    answers->keys_bytes = 0;
    uint64_t bytes = txn_table_bytes(txn, answers->answers) + txn_table_bytes(txn, answers->keys);
    print_message("%u bytes a record, an order's headers and a body of 15 included\n",
                  (unsigned)(bytes / MANY));
    assert_in_range(bytes / MANY, 100, 199 + strlen("{\"orderId\":\"1\"}"));
    return ERR_OK;
}

static void test_idempotency_record_takes_less_than_200_bytes_and_its_body(void **state)
{
    struct fixture *f = *state;
    struct answer_records answers;
    open_answers(f, &answers, UINT64_MAX);
    put_all(f, &answers, "{\"orderId\":\"1\"}");
    store_read(f->store, measure, &answers);
}

static bool knows(struct fixture *f, struct answer_records *answers, unsigned i)
{
    struct keyed_request keyed = {0};
    struct response response = {0};
    scope_of(i, &keyed);
    enum err err = answer_records_replay(answers, &keyed, clock_wall_ms(&f->time.clock), &response);
    buf_release(&response.headers);
    buf_release(&response.body);
    return err == ERR_OK;
}

static unsigned sweep_all(struct fixture *f, struct answer_records *answers)
{
    unsigned steps = 1;
    bool more;
    do {
        assert_int_equal(answer_records_sweep(answers, clock_wall_ms(&f->time.clock), &more),
                         ERR_OK);
        assert_true(++steps < 1000);
    } while (more);
    return steps;
}

static void test_idempotency_sweep_drops_all_in_few_steps(void **state)
{
    struct fixture *f = *state;
    struct answer_records answers;
    open_answers(f, &answers, UINT64_MAX);
    put_all(f, &answers, "{}");
    for (unsigned i = 0; i < MANY; i += 997)
        assert_true(knows(f, &answers, i));
    clock_fake_advance(&f->time, HOUR_MS);
    assert_true(sweep_all(f, &answers) <= 2 * MANY / 2048 + 10);
    assert_int_equal(records(f), 0);
    for (unsigned i = 0; i < MANY; i += 997)
        assert_false(knows(f, &answers, i));
    post(f, "k");
    assert_int_equal(records(f), 1);
}

static enum err check_bytes(struct txn *txn, void *arg)
{
    struct answer_records *answers = arg;
    assert_true(txn_table_bytes(txn, answers->answers) + txn_table_bytes(txn, answers->keys) <=
                answers->limits.bytes_max);
    return ERR_OK;
}

static void test_idempotency_keeps_to_its_bytes_and_drops_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct answer_records answers;
    open_answers(f, &answers, 2 << 20);
    struct many many = {.answers = &answers, .body = "{}"};
    for (; many.from < MANY; many.from += BATCH) {
        assert_int_equal(store_write(f->store, put_many, &many), ERR_OK);
        sweep_all(f, &answers);
        store_read(f->store, check_bytes, &answers);
    }
    assert_true(knows(f, &answers, MANY - 1));
    assert_true(knows(f, &answers, MANY - 5000));
    assert_false(knows(f, &answers, 0));
}

static void test_idempotency_survives_a_clock_that_is_set_back(void **state)
{
    struct fixture *f = *state;
    clock_fake_advance(&f->time, 10 * HOUR_MS);
    post(f, "a");
    clock_fake_advance(&f->time, -10 * HOUR_MS);
    post(f, "b");
    clock_fake_advance(&f->time, HOUR_MS);
    post(f, "c");
    sweep(f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(post(f, ((const char *[]){"a", "b", "c"})[i]), 201);
    assert_int_equal(orders(f), 3);
}

/* ---- Those of an earlier format, which nobody misses for long. */

static enum err put_old(struct txn *txn, void *arg)
{
    return txn_put(txn, *(struct table *)arg, slice_str("t some key of format 1"), slice_str(""));
}

static enum err table_is_empty(struct txn *txn, void *arg)
{
    return txn_table_bytes(txn, *(struct table *)arg) == 0 ? ERR_OK : ERR_EXISTS;
}

static void test_idempotency_sweep_empties_the_table_of_format_1(void **state)
{
    struct fixture *f = *state;
    struct table table;
    assert_int_equal(store_table(f->store, "idempotency", &table), ERR_OK);
    assert_int_equal(store_write(f->store, put_old, &table), ERR_OK);
    sweep(f);
    assert_int_equal(store_read(f->store, table_is_empty, &table), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(test_idempotency_executes_a_repeated_request_once),
        CLAIM(test_idempotency_replays_the_whole_answer_and_says_so),
        CLAIM(test_idempotency_executes_requests_without_a_key_each_time),
        CLAIM(test_idempotency_executes_other_keys),
        CLAIM(test_idempotency_ignores_the_key_where_the_route_does_not_honour_it),
        CLAIM(test_idempotency_keeps_routes_apart),
        CLAIM(test_idempotency_keeps_users_apart),
        CLAIM(test_idempotency_replays_after_a_restart),
        CLAIM(test_idempotency_refuses_the_key_of_another_request),
        CLAIM(test_idempotency_refuses_a_malformed_key),
        CLAIM(test_idempotency_refuses_two_keys),
        CLAIM(test_idempotency_refuses_a_key_in_flight),
        CLAIM(test_idempotency_executes_other_keys_meanwhile),
        CLAIM(test_idempotency_executes_once_however_many_ask_at_once),
        CLAIM(test_idempotency_forgets_what_did_not_commit),
        CLAIM(test_idempotency_forgets_after_its_time),
        CLAIM(test_idempotency_sweep_drops_what_has_expired_and_nothing_else),
        CLAIM(test_idempotency_sweep_without_work_writes_nothing),
        CLAIM(test_idempotency_record_takes_less_than_200_bytes_and_its_body),
        CLAIM(test_idempotency_sweep_drops_all_in_few_steps),
        CLAIM(test_idempotency_keeps_to_its_bytes_and_drops_the_oldest),
        CLAIM(test_idempotency_survives_a_clock_that_is_set_back),
        CLAIM(test_idempotency_sweep_empties_the_table_of_format_1),
    };
    return cmocka_run_group_tests_name("idempotency", tests, NULL, NULL);
}
