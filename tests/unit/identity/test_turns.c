#include "server/identity/turns.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CLIENTS_MAX 16
#define PATIENCE    600000 /* ms: nobody gives up */

/* Who has come, and in which order they ran. Each runs until the test ends it. */
struct scene {
    struct turns *turns;
    struct client {
        struct scene *scene;
        const char *network;
        unsigned faults;
        pthread_t thread;
        sem_t end;
        bool at_fault;
        enum err result;
    } clients[CLIENTS_MAX];
    unsigned came;
    atomic_uint ran, refused;
    struct client *order[CLIENTS_MAX]; /* who ran; those below `ran` stay */
    pthread_mutex_t noting;
};

static void open_scene(struct scene *scene, struct turns_options options)
{
    *scene = (struct scene){.turns = turns_create(&options)};
    pthread_mutex_init(&scene->noting, NULL);
}

static void note(struct scene *scene, struct client *client)
{
    pthread_mutex_lock(&scene->noting);
    scene->order[scene->ran] = client;
    scene->ran++;
    pthread_mutex_unlock(&scene->noting);
}

static void *ask(void *arg)
{
    struct client *client = arg;
    struct scene *scene = client->scene;
    struct turn turn;
    struct turn_asker asker = {.network = slice_str(client->network),
                               .faults = client->faults,
                               .trusted = client->network[0] == 't'};
    client->result = turns_wait(scene->turns, &asker, &turn);
    if (client->result) {
        scene->refused++;
        return NULL;
    }
    note(scene, client);
    sem_wait(&client->end);
    turns_end(scene->turns, &turn, client->at_fault);
    return NULL;
}

static unsigned settled(struct scene *scene)
{
    return scene->ran + scene->refused + turns_waiting(scene->turns);
}

/* Returns once it runs, waits or was refused: so the order of coming is the test's. */
static struct client *come(struct scene *scene, const char *network, unsigned faults)
{
    struct client *client = &scene->clients[scene->came++];
    client->scene = scene;
    client->network = network;
    client->faults = faults;
    sem_init(&client->end, 0, 0);
    pthread_create(&client->thread, NULL, ask, client);
    while (settled(scene) < scene->came)
        sched_yield();
    return client;
}

/* Ends one that runs and returns who runs next. */
static struct client *end(struct scene *scene, struct client *client, bool at_fault)
{
    unsigned ran = scene->ran;
    client->at_fault = at_fault;
    sem_post(&client->end);
    while (scene->ran == ran)
        sched_yield();
    return scene->order[ran];
}

/* Ends all, in the order in which they run. */
static void close_scene(struct scene *scene)
{
    unsigned ended = 0;
    while (ended + scene->refused < scene->came) {
        if (scene->ran > ended)
            sem_post(&scene->order[ended++]->end);
        else
            sched_yield();
    }
    for (unsigned i = 0; i < scene->came; i++) {
        pthread_join(scene->clients[i].thread, NULL);
        sem_destroy(&scene->clients[i].end);
    }
    turns_destroy(&scene->turns);
}

static void test_turns_run_up_to_the_bound_and_others_wait(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){2, 8, 8, PATIENCE});
    struct client *a = come(&scene, "a", 0);
    come(&scene, "b", 0);
    struct client *third = come(&scene, "c", 0);
    assert_int_equal(scene.ran, 2);
    assert_int_equal(turns_waiting(scene.turns), 1);
    assert_ptr_equal(end(&scene, a, false), third);
    close_scene(&scene);
}

static void test_turns_who_asks_for_less_goes_first(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 8, 8, PATIENCE});
    struct client *now = come(&scene, "a", 0);
    struct client *second = come(&scene, "a", 0), *third = come(&scene, "a", 0);
    struct client *b = come(&scene, "b", 0);
    struct client *expected[] = {b, second, third};
    for (int i = 0; i < 3; i++) {
        now = end(&scene, now, false);
        assert_ptr_equal(now, expected[i]);
    }
    close_scene(&scene);
}

/* The handicap of a fault is as many turns as there are places to wait: 4. */
static void test_turns_nobody_is_overtaken_for_ever(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 4, 4, PATIENCE});
    struct client *now = come(&scene, "a", 0), *slow = come(&scene, "b", 1);
    unsigned came = 0;
    do {
        come(&scene, &"cdefgh"[came++], 0);
        now = end(&scene, now, false);
    } while (now != slow);
    assert_int_equal(came, 4 + 1); /* the last of them was not before it */
    close_scene(&scene);
}

static void test_turns_who_is_at_fault_gives_way(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 8, 8, PATIENCE});
    struct client *now = come(&scene, "c", 0);
    struct client *thrice = come(&scene, "a", 3), *once = come(&scene, "b", 1);
    struct client *never = come(&scene, "d", 0);
    struct client *expected[] = {never, once, thrice};
    for (int i = 0; i < 3; i++) {
        now = end(&scene, now, false);
        assert_ptr_equal(now, expected[i]);
    }
    close_scene(&scene);
}

static void test_turns_a_fault_counts_for_those_who_wait_already(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 8, 8, PATIENCE});
    struct client *first = come(&scene, "a", 0);
    come(&scene, "b", 0);
    come(&scene, "a", 0);
    struct client *b = end(&scene, first, true);
    come(&scene, "b", 0);
    struct client *late = come(&scene, "c", 0);
    assert_string_equal(b->network, "b");
    assert_ptr_equal(end(&scene, b, true), late); /* before those of a and b, who came first */
    close_scene(&scene);
}

static void test_turns_who_comes_alone_goes_before_a_crowd(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 8, 8, PATIENCE});
    struct client *now = come(&scene, "a", 0);
    for (int i = 0; i < 2; i++) {
        come(&scene, "b", 0);
        come(&scene, "c", 0);
    }
    struct client *alone = come(&scene, "d", 0);
    assert_ptr_equal(end(&scene, now, false), alone);
    close_scene(&scene);
}

static void test_turns_a_network_runs_one_at_once(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){2, 8, 8, PATIENCE});
    come(&scene, "a", 0);
    come(&scene, "a", 0);
    assert_int_equal(scene.ran, 1);
    come(&scene, "b", 0);
    assert_int_equal(scene.ran, 2);
    close_scene(&scene);
}

/* Those whose name begins with t are trusted. */
static void test_turns_a_trusted_network_runs_several_until_it_is_at_fault(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){3, 8, 8, PATIENCE});
    come(&scene, "t", 0);
    come(&scene, "t", 0);
    assert_int_equal(scene.ran, 2);
    come(&scene, "t", 1);
    assert_int_equal(scene.ran, 2);
    close_scene(&scene);
}

static void test_turns_a_network_has_a_bound_of_its_own(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 8, 2, PATIENCE});
    for (int i = 0; i < 3; i++)
        come(&scene, "a", 0);
    assert_int_equal(come(&scene, "a", 0)->result, ERR_LIMITED);
    come(&scene, "b", 0);
    assert_int_equal(turns_waiting(scene.turns), 3);
    close_scene(&scene);
}

static void test_turns_too_many_networks_are_too_many(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 2, 2, PATIENCE});
    come(&scene, "a", 0);
    come(&scene, "b", 0);
    come(&scene, "c", 0);
    assert_int_equal(come(&scene, "d", 0)->result, ERR_OVERLOADED);
    close_scene(&scene);
}

static void test_turns_who_comes_ahead_of_the_last_takes_its_place(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 2, 2, PATIENCE});
    come(&scene, "a", 0);
    come(&scene, "b", 1);
    struct client *last = come(&scene, "b", 1);
    come(&scene, "c", 0);
    assert_int_equal(scene.refused, 1);
    assert_int_equal(last->result, ERR_OVERLOADED);
    assert_int_equal(turns_waiting(scene.turns), 2);
    close_scene(&scene);
}

static void test_turns_who_can_run_at_once_needs_no_place_to_wait(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){2, 1, 1, PATIENCE});
    come(&scene, "a", 1);
    come(&scene, "a", 1);
    come(&scene, "b", 0);
    assert_int_equal(scene.ran, 2);
    assert_int_equal(turns_waiting(scene.turns), 1);
    assert_int_equal(scene.refused, 0);
    close_scene(&scene);
}

static void test_turns_patience_ends(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, (struct turns_options){1, 2, 2, 0});
    come(&scene, "a", 0);
    struct client *b = come(&scene, "b", 0);
    while (scene.refused == 0)
        sched_yield();
    assert_int_equal(b->result, ERR_OVERLOADED);
    assert_int_equal(turns_waiting(scene.turns), 0);
    close_scene(&scene);
}

/* ---- Many threads */

static struct turns *shared;
static atomic_uint running, most;

static void *work(void *arg)
{
    struct slice network = slice_of(arg, 1);
    for (unsigned i = 0; i < 500; i++) {
        struct turn turn;
        struct turn_asker asker = {network, i % 3, i % 2};
        if (turns_wait(shared, &asker, &turn))
            continue;
        unsigned now = ++running;
        if (now > most)
            most = now;
        running--;
        turns_end(shared, &turn, i % 5 == 0);
    }
    return NULL;
}

static void test_turns_never_run_more_at_once_than_may(void **state)
{
    (void)state;
    struct turns_options options = {2, 4, 2, PATIENCE};
    shared = turns_create(&options);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, work, &"aabbccde"[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(most, 1, 2);
    turns_destroy(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_run_up_to_the_bound_and_others_wait),
        cmocka_unit_test(test_turns_who_asks_for_less_goes_first),
        cmocka_unit_test(test_turns_nobody_is_overtaken_for_ever),
        cmocka_unit_test(test_turns_who_is_at_fault_gives_way),
        cmocka_unit_test(test_turns_a_fault_counts_for_those_who_wait_already),
        cmocka_unit_test(test_turns_who_comes_alone_goes_before_a_crowd),
        cmocka_unit_test(test_turns_a_network_runs_one_at_once),
        cmocka_unit_test(test_turns_a_trusted_network_runs_several_until_it_is_at_fault),
        cmocka_unit_test(test_turns_a_network_has_a_bound_of_its_own),
        cmocka_unit_test(test_turns_too_many_networks_are_too_many),
        cmocka_unit_test(test_turns_who_comes_ahead_of_the_last_takes_its_place),
        cmocka_unit_test(test_turns_who_can_run_at_once_needs_no_place_to_wait),
        cmocka_unit_test(test_turns_patience_ends),
        cmocka_unit_test(test_turns_never_run_more_at_once_than_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
